// What the gateway answers, and what culld makes of it (contract, section 6).
#include "programs.hpp"

namespace culld::programs {
namespace {

using Gateway = Programs;

TEST_F(Gateway, WithoutThePostFormTheDeleteFormIsUsedAndRemembered) {
    configure({.scenario = "seed: 1\npost_form: false\n"});
    drop_job("form", 1000);
    ASSERT_EQ(once(), 0) << log();
    const json::value told = server_->truth();
    EXPECT_EQ(told.at("deleted_distinct").to_number<int>(), 1000);
    EXPECT_EQ(told.at("requests").at("by_kind").at("delete").to_number<int>(), 50);
    // At most one POST for each of the four that were under way before the first answer.
    EXPECT_LE(told.at("requests").at("by_status").at("404").to_number<int>(), 4);
    const json::value totals = finish_of("form").at("totals");
    EXPECT_EQ(totals.at("requests").to_number<int>(), told.at("api_requests").to_number<int>());
    expect_verified();
}

TEST_F(Gateway, APoisonedBatchIsHalvedUntilTheBadIdStandsAlone) {
    configure({.scenario = "seed: 1\npoison_ids: [poison-33, poison-34]\n"});
    drop_job("poison", 100);
    ASSERT_EQ(once(), 1) << log();
    const auto all = verdicts("poison");
    for (const auto& [id, verdict] : all)
        EXPECT_EQ(verdict, id == "poison-33" || id == "poison-34" ? "failed" : "deleted") << id;
    EXPECT_EQ(truth("double_deleted"), 0);
    EXPECT_LE(truth("delete_requests"), 5 + 2 * 2 * 5);
    expect_verified();
}

TEST_F(Gateway, ThrottlingTeachesTheRate) {
    configure({.scenario = "seed: 1\nthrottle: {limit: 10, per: 1s}\n",
               .limits = "requests_per_second: 200, concurrency: 4"});
    drop_job("taught", 800);
    ASSERT_EQ(once(), 0) << log();
    const json::value told = server_->truth();
    EXPECT_GE(told.at("throttled").to_number<int>(), 1);
    EXPECT_LE(told.at("throttled").to_number<int>(), 8);
    const json::value totals = finish_of("taught").at("totals");
    EXPECT_EQ(totals.at("throttled").to_number<int>(), told.at("throttled").to_number<int>());
    EXPECT_EQ(totals.at("requests").to_number<int>(), told.at("delete_requests").to_number<int>());
    std::size_t errors = 0;
    for (const json::object& r : records("taught", "batch.error"))
        errors += r.at("class").as_string() == "throttled" && r.at("http_status").to_number<int>() == 429 ? 1U : 0U;
    EXPECT_EQ(errors, told.at("throttled").to_number<std::size_t>());
    EXPECT_EQ(told.at("double_deleted").to_number<int>(), 0);
    expect_verified();
}

TEST_F(Gateway, AWorkspaceErrorBlocksWithoutAStormUntilResumed) {
    configure({.scenario = "seed: 1\nworkspace_error: true\n"});
    child daemon = started();
    drop_job("shut", 1000);
    ASSERT_TRUE(reaches("shut", "blocked")) << log();
    EXPECT_NE(status("shut").at("reason").as_string().find("20010001"), std::string::npos);
    EXPECT_LE(truth("api_requests"), 4);
    const auto blocked = records("shut", "job.blocked");
    ASSERT_EQ(blocked.size(), 1U);
    restart_server("seed: 1\n");
    ASSERT_EQ(ctl({"resume", "shut"}), 0) << told();
    ASSERT_TRUE(reaches("shut", "finished")) << log();
    expect_true_verdicts("shut", 1000);
    EXPECT_GE(records("shut", "job.unblocked").size(), 1U);
    expect_verified();
}

TEST_F(Gateway, ABlockedJobIsTriedAgainOnHangupAndAtRestart) {
    configure({.scenario = "seed: 1\nworkspace_error: true\n"});
    {
        child daemon = started();
        drop_job("hup", 100);
        ASSERT_TRUE(reaches("hup", "blocked")) << log();
        restart_server("seed: 1\n");
        daemon.signal(SIGHUP);
        ASSERT_TRUE(reaches("hup", "finished")) << log();
        restart_server("seed: 1\nworkspace_error: true\n");
        drop_job("boot", 100);
        ASSERT_TRUE(reaches("boot", "blocked")) << log();
    }
    restart_server("seed: 1\n");
    child daemon = started();
    ASSERT_TRUE(reaches("boot", "finished")) << log();
    expect_verified();
}

TEST_F(Gateway, ACancelledJobThatIsBlockedAndWasPausedDoesNotWaitForever) {
    configure({.scenario = "seed: 1\nworkspace_error: true\n"});
    child daemon = started();
    drop_job("stuck", 100);
    ASSERT_TRUE(reaches("stuck", "blocked")) << log();
    ASSERT_EQ(ctl({"pause", "stuck"}), 0) << told();
    ASSERT_EQ(ctl({"cancel", "stuck"}), 0) << told();
    restart_server("seed: 1\n");
    daemon.signal(SIGHUP);
    ASSERT_TRUE(eventually([&] { return in("failed", "stuck.yaml"); })) << log();
    EXPECT_EQ(finish_of("stuck").at("status").as_string(), "cancelled");
    expect_verified();
}

class Tokens : public Programs {
  protected:
    void with_token(const std::string& scenario, const std::string& limits) {
        restart_server(scenario, {"--token", "first"});
        write_token("first");
        configure({.limits = limits, .more = fmt::format("auth: {{token_file: {}}}\n", here_.path("token"))});
    }
    void write_token(const std::string& token) const { secret_file("token", token + "\n"); }
    void accept(const std::string& token) const {
        ASSERT_EQ(server_->call("POST", "/_emulator/token", token).status, 200);
    }
};

TEST_F(Tokens, ARefusedTokenBlocksEveryJobAndAReplacedFileResumesThem) {
    with_token("seed: 1\n", "requests_per_second: 50, concurrency: 4");
    child daemon = started();
    drop_job("first", 3000);
    ASSERT_TRUE(settles_some("first", 60)) << log();
    accept("second");
    ASSERT_TRUE(reaches("first", "blocked")) << log();
    EXPECT_LE(truth("unauthorized"), 4);
    // A job that comes now is blocked as well, with the same reason, and nothing is sent for it.
    drop_job("second", 40);
    ASSERT_TRUE(reaches("second", "blocked", 5s)) << log();
    EXPECT_LE(truth("unauthorized"), 4);
    write_token("second");
    ASSERT_TRUE(reaches("second", "finished", 20s)) << log();
    write_config({.more = settings_.more});
    daemon.signal(SIGHUP);
    ASSERT_TRUE(reaches("first", "finished", patience)) << log();
    expect_true_verdicts("first", 3000);
    for (const json::object& r : records("first", "batch.error")) EXPECT_EQ(r.at("class").as_string(), "auth");
    EXPECT_EQ(truth("double_deleted"), 0);
    expect_verified();
}

TEST_F(Tokens, ATokenReplacedInTimeCostsOneRefusalAndNoBlock) {
    with_token("seed: 1\n", "requests_per_second: 50, concurrency: 1");
    child daemon = started();
    drop_job("smooth", 1000);
    ASSERT_TRUE(settles_some("smooth", 60)) << log();
    write_token("second");
    accept("second");
    ASSERT_TRUE(reaches("smooth", "finished")) << log();
    EXPECT_EQ(truth("unauthorized"), 1);
    EXPECT_TRUE(records("smooth", "job.blocked").empty());
    expect_verified();
}

TEST_F(Tokens, OnceEndsWithSeveralJobsWhoseTokenIsRefused) {
    with_token("seed: 1\n", "requests_per_second: 500, concurrency: 1");
    accept("second");
    for (int i = 0; i < 5; ++i) drop_job(fmt::format("job{}", i), 20);
    drop("late.yaml", "version: 1\nid: late\nids_file: never.ids\n");  // rejected after sidecar_wait
    EXPECT_EQ(once(), 75) << log();
    for (int i = 0; i < 5; ++i) EXPECT_EQ(records(fmt::format("job{}", i), "job.blocked").size(), 1U) << i;
}

TEST_F(Tokens, AJobBlockedBy403IsTriedAgainWhenTheTokenChanges) {
    with_token("seed: 1\nworkspace_error: true\n", "requests_per_second: 500, concurrency: 1");
    child daemon = started();
    drop_job("denied", 40);
    ASSERT_TRUE(reaches("denied", "blocked")) << log();
    restart_server("seed: 1\n", {"--token", "second"});
    write_token("second");
    ASSERT_TRUE(reaches("denied", "finished", 20s)) << log();
    expect_verified();
}

}  // namespace
}  // namespace culld::programs

// What an operator does: signals, commands, a second daemon, and the exit codes that scripts read.
#include "measured.hpp"
#include "programs.hpp"

namespace culld::programs {
namespace {

using Reload = Programs;

TEST_F(Reload, AnotherRateAppliesAtOnce) {
    configure({.limits = "requests_per_second: 5, concurrency: 2"});
    child daemon = started();
    drop_job("faster", 2000);  // 100 requests: 20 s at this rate
    ASSERT_TRUE(settles_some("faster", 20)) << log();
    write_config({.limits = "requests_per_second: 500, concurrency: 4"});
    daemon.signal(SIGHUP);
    EXPECT_TRUE(reaches("faster", "finished", 5s)) << log();
}

TEST_F(Reload, ABadConfigurationChangesNothingAtAll) {
    configure({.limits = "requests_per_second: 10, concurrency: 2"});
    child daemon = started();
    drop_job("steady", 2000);
    ASSERT_TRUE(settles_some("steady", 20)) << log();
    for (const setup& bad : {setup{.limits = "requests_per_second: 500, concurency: 4"},
                             setup{.limits = "requests_per_second: 500", .more = "ids: {protected_file: /nowhere}\n"},
                             setup{.limits = "requests_per_second: 500", .more = "breaker: {failures: [\n"}}) {
        const std::size_t before = count(log(), "stays as it was");
        write_config(bad);
        daemon.signal(SIGHUP);
        ASSERT_TRUE(eventually([&] { return count(log(), "stays as it was") > before; })) << log();
    }
    EXPECT_NE(log().find("concurrency"), std::string::npos) << "no did-you-mean";
    // A whole window later the rate is what it was.
    EXPECT_TRUE(measured([&](int n) {
        if (n > 0) restart_server(settings_.scenario);
        const int sent = truth("delete_requests");
        EXPECT_TRUE(eventually([&] { return truth("delete_requests") >= sent + 12; })) << log();
        const auto window = server_->call("GET", "/_emulator/windows?seconds=1").json();
        const int max = window.at("max").to_number<int>();
        return (max <= (sanitized ? 11 : 10) ? testing::AssertionSuccess() : testing::AssertionFailure())
               << max << " in a second";
    }));
    EXPECT_TRUE(daemon.runs());
    write_config({});
    daemon.signal(SIGHUP);
    EXPECT_TRUE(reaches("steady", "finished")) << log();
}

// All or nothing: what cannot change while it runs is refused, not passed over in silence.
TEST_F(Reload, WhatCannotChangeIsRefusedByName) {
    configure({.limits = "requests_per_second: 10, concurrency: 2"});
    child daemon = started();
    setup other{.limits = "requests_per_second: 500, concurrency: 2"};
    write_config(other);
    std::string text = read("culld.yaml");
    text.replace(text.find("control.sock"), 12, "moved.sock");
    here_.write("culld.yaml", text);
    daemon.signal(SIGHUP);
    ASSERT_TRUE(eventually([&] { return log().find("stays as it was") != std::string::npos; })) << log();
    EXPECT_NE(log().find("http.socket"), std::string::npos) << log();
}

using Commands = Programs;

TEST_F(Commands, APauseSurvivesARestartAndResumeEndsIt) {
    configure({.limits = "requests_per_second: 50, concurrency: 2"});
    {
        child daemon = started();
        drop_job("held", 4000);
        ASSERT_TRUE(settles_some("held", 40)) << log();
        ASSERT_EQ(ctl({"pause", "held", "--reason", "asked by SOC"}), 0) << told();
        ASSERT_EQ(state("held"), "paused");
        EXPECT_EQ(status("held").at("reason"), "asked by SOC");
    }
    child daemon = started();
    ASSERT_TRUE(reaches("held", "paused")) << log();
    EXPECT_EQ(status("held").at("reason"), "asked by SOC");
    const int before = truth("delete_requests");
    drop_job("beside", 200);
    ASSERT_TRUE(reaches("beside", "finished")) << log();
    EXPECT_EQ(truth("delete_requests"), before + 10);
    write_config({});
    daemon.signal(SIGHUP);
    ASSERT_EQ(ctl({"resume", "held"}), 0) << told();
    ASSERT_TRUE(reaches("held", "finished", patience)) << log();
    EXPECT_EQ(records("held", "job.paused").size(), 1U);
    const auto resumed = records("held", "job.resumed");
    ASSERT_EQ(resumed.size(), 1U);
    EXPECT_EQ(resumed.front().at("by").at("uid").to_number<unsigned>(), ::geteuid());
    expect_true_verdicts("held", 4000);
    expect_verified();
}

TEST_F(Commands, AJobThatWaitsSaysUntilWhen) {
    configure({});
    child daemon = started();
    drop_job("later", 10, "not_before: 2999-11-25T22:00:00Z\n");
    ASSERT_TRUE(reaches("later", "waiting")) << log();
    EXPECT_EQ(status("later").at("reason"), "not before 2999-11-25T22:00:00.000000Z");
}

TEST_F(Commands, CancelSkipsWhatWasNotSent) {
    configure({.scenario = "seed: 1\nlatency: {fixed: 100ms}\n", .limits = "requests_per_second: 20, concurrency: 4"});
    child daemon = started();
    drop_job("enough", 2000);
    ASSERT_TRUE(settles_some("enough", 40)) << log();
    ASSERT_EQ(ctl({"cancel", "enough"}), 0) << told();
    ASSERT_TRUE(reaches("enough", "finished")) << log();
    EXPECT_EQ(finish_of("enough").at("status").as_string(), "cancelled");
    EXPECT_EQ(reasons("enough", "ids.skipped"), std::set<std::string>{"cancelled"});
    EXPECT_TRUE(in("failed", "enough.yaml"));
    expect_true_verdicts("enough", 2000);
    EXPECT_EQ(ctl({"cancel", "enough"}), 0) << "it is cancelled: " << told();
    EXPECT_EQ(ctl({"pause", "enough"}), 66) << told();
    EXPECT_EQ(ctl({"pause", "nobody"}), 66) << told();
    EXPECT_EQ(ctl({"cancel", "eno"}), 66) << told();
    expect_verified();
}

TEST_F(Commands, APausedJobThatIsCancelledEndsThoughTheDaemonIsKilledInBetween) {
    configure({.limits = "requests_per_second: 20, concurrency: 2"});
    {
        child daemon = started();
        drop_job("both", 2000);
        ASSERT_TRUE(settles_some("both", 20)) << log();
        ASSERT_EQ(ctl({"pause", "both"}), 0) << told();
        ASSERT_EQ(ctl({"cancel", "both"}), 0) << told();
    }
    write_config({});  // what is in doubt is asked for id by id, which on a slow disk is a lot for 20 a second
    child daemon = started();
    ASSERT_TRUE(eventually([&] { return in("failed", "both.yaml"); })) << log();
    EXPECT_EQ(finish_of("both").at("status").as_string(), "cancelled");
    expect_true_verdicts("both", 2000);
    expect_verified();
}

TEST_F(Commands, WhatIsSoAlreadyIsNoError) {
    configure({.limits = "requests_per_second: 20, concurrency: 2"});
    child daemon = started();
    drop_job("held", 2000);
    ASSERT_TRUE(settles_some("held", 20)) << log();
    EXPECT_EQ(ctl({"resume", "held"}), 0) << told();
    EXPECT_EQ(ctl({"pause", "held", "--reason", "lunch"}), 0) << told();
    EXPECT_EQ(ctl({"pause", "held"}), 0) << told();
    EXPECT_EQ(records("held", "job.paused").size(), 1U);
    EXPECT_EQ(status("held").at("reason"), "lunch");
    EXPECT_EQ(status("held").at("paused_by").at("uid").to_number<unsigned>(), ::geteuid());
    // Who did what is in the log, refused or not.
    EXPECT_NE(log().find(fmt::format("pause of held by uid {} (pid ", ::geteuid())), std::string::npos) << log();
    EXPECT_NE(log().find("event=command job_id=held command=pause"), std::string::npos) << log();
    EXPECT_EQ(ctl({"cancel", "nobody"}), 66);
}

// Whoever submitted a job may stop it; whoever did not, may not.
TEST_F(Commands, ASubmitterCommandsTheirOwnJobs) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be somebody else";
    constexpr unsigned owner = 54'321, stranger = 54'322;
    configure({.limits = "requests_per_second: 20, concurrency: 2"});
    fs::permissions(here_.path("."), fs::perms::others_exec | fs::perms::others_read, fs::perm_options::add);
    child daemon = started();
    here_.write("own.txt", list("own", 2000));
    ASSERT_EQ(::chown(here_.path("own.txt").c_str(), owner, owner), 0);
    fs::rename(here_.path("own.txt"), at("spool/incoming/own.txt"));
    drop_job("others", 2000);
    ASSERT_TRUE(settles_some("others", 20)) << log();
    ASSERT_TRUE(settles_some("own.txt", 20)) << log();
    const std::string id(status("own.txt").at("job_id").as_string());
    const auto as = [&](unsigned uid, const std::string& verb, const std::string& job,
                        const std::vector<std::string>& more = {}) {
        std::vector<std::string> words{"/usr/bin/setpriv",
                                       fmt::format("--reuid={}", uid),
                                       fmt::format("--regid={}", uid),
                                       "--clear-groups",
                                       CULLCTL,
                                       "--config",
                                       here_.path("culld.yaml"),
                                       verb,
                                       job};
        words.insert(words.end(), more.begin(), more.end());
        return child(std::move(words), here_.path("as.log")).ends_within(patience).value_or(-2);
    };
    // The journal's folder is closed to them; the socket is not.
    fs::permissions(at("journal"), fs::perms::owner_all);
    EXPECT_EQ(as(stranger, "result", id), 66) << read("as.log");
    EXPECT_EQ(as(owner, "result", id, {"--only", "deleted"}), 0) << read("as.log");
    EXPECT_NE(read("as.log").find("own-0 "), std::string::npos) << read("as.log");
    EXPECT_EQ(as(stranger, "cancel", id), 77) << read("as.log");
    EXPECT_EQ(as(owner, "cancel", "others"), 77) << read("as.log");
    EXPECT_NE(log().find("event=command.refused job_id=others command=cancel uid=54321"), std::string::npos) << log();
    EXPECT_EQ(as(owner, "pause", id), 0) << read("as.log");
    EXPECT_EQ(state(id), "paused");
    EXPECT_EQ(as(owner, "resume", id), 0) << read("as.log");
    EXPECT_EQ(as(owner, "cancel", id), 0) << read("as.log");
    ASSERT_TRUE(reaches(id, "finished")) << log();
    EXPECT_EQ(finish_of(id).at("status").as_string(), "cancelled");
    // The ledger is not theirs to read: the report calls the journal neither broken nor intact.
    EXPECT_EQ(as(owner, "report", id), 0) << read("as.log");
    EXPECT_NE(read("as.log").find("not compared with the ledger"), std::string::npos);
    EXPECT_EQ(read("as.log").find("intact"), std::string::npos);
    EXPECT_EQ(as(stranger, "report", id), 66) << read("as.log");
    // A key that is set changes nothing of that: its signature stands in the ledger.
    const auto openssl = [&](std::vector<std::string> words) {
        words.insert(words.begin(), "/usr/bin/openssl");
        return child(std::move(words), here_.path("as.log")).ends_within(patience).value_or(-2);
    };
    ASSERT_EQ(openssl({"genpkey", "-algorithm", "ed25519", "-out", here_.path("key.pem")}), 0);
    ASSERT_EQ(openssl({"pkey", "-in", here_.path("key.pem"), "-pubout", "-out", here_.path("key.pub")}), 0);
    here_.write("as.log", "");
    EXPECT_EQ(as(owner, "report", id, {"--public-key", here_.path("key.pub")}), 0) << read("as.log");
    EXPECT_NE(read("as.log").find("not compared with the ledger"), std::string::npos);
    EXPECT_EQ(read("as.log").find("BROKEN"), std::string::npos);
}

using StandingStill = Programs;

TEST_F(StandingStill, AnApiThatCannotBeReachedIsSaid) {
    configure({.limits = "requests_per_second: 20, concurrency: 2"});
    child daemon = started();
    drop_job("shut", 2000);
    ASSERT_TRUE(settles_some("shut", 20)) << log();
    server_.reset();
    ASSERT_TRUE(eventually([&] { return status("shut").at("waits_for") == "unreachable"; })) << log();
    const json::value seen = status("shut");
    EXPECT_EQ(seen.at("state"), "waiting");
    EXPECT_NE(seen.at("reason").as_string().find("cannot be reached since 2"), std::string::npos) << seen;
    EXPECT_TRUE(seen.at("since").is_string());
    EXPECT_EQ(seen.at("rate").to_number<double>(), 0);
    EXPECT_TRUE(seen.at("eta_seconds").is_null());
    ASSERT_EQ(ctl({"list"}), 0);
    EXPECT_NE(told().find("the API cannot be reached since"), std::string::npos) << told();
    restart_server(settings_.scenario);
    EXPECT_TRUE(reaches("shut", "running", patience)) << log();
}

TEST_F(StandingStill, AThrottledJobSaysUntilWhen) {
    configure({.scenario = "seed: 1\nthrottle: {limit: 2, per: 1h, retry_after: true}\n",
               .limits = "requests_per_second: 20, concurrency: 2"});
    child daemon = started();
    drop_job("slow", 2000);
    ASSERT_TRUE(eventually([&] { return status("slow").is_object() && status("slow").at("waits_for") == "throttled"; }))
        << log();
    EXPECT_TRUE(status("slow").at("until").is_string());
    EXPECT_EQ(state("slow"), "waiting");
}

TEST_F(StandingStill, WithoutADaemonNothingRuns) {
    configure({.limits = "requests_per_second: 20, concurrency: 2"});
    {
        child daemon = started();
        drop_job("left", 2000);
        ASSERT_TRUE(settles_some("left", 20)) << log();
    }
    EXPECT_EQ(state("left"), "waiting");
    EXPECT_EQ(status("left").at("waits_for"), "daemon");
    ASSERT_EQ(ctl({"list"}), 0);
    EXPECT_NE(told().find("no daemon answers"), std::string::npos) << told();
}

TEST_F(StandingStill, OthersGoFirst) {
    configure({.limits = "requests_per_second: 20, concurrency: 2"});
    child daemon = started();
    drop_job("first", 4000, "priority: 1\n");
    ASSERT_TRUE(settles_some("first", 20)) << log();
    drop_job("later", 20, "priority: 8\n");
    ASSERT_TRUE(eventually([&] {
        return status("later").is_object() && status("later").at("waits_for") == "priority";
    })) << log();
    EXPECT_NE(status("later").at("reason").as_string().find("first"), std::string::npos);
}

// Prometheus takes a counter that begins with another process's verdicts for new ones.
TEST_F(StandingStill, ARestartCountsNothingTwice) {
    configure({.limits = "requests_per_second: 20, concurrency: 2"});
    const auto deleted = [&] {
        const std::string text = emulator_test::get_from_socket(here_.path("control.sock"), "/metrics");
        const std::string sample = "\nculld_incidents_total{result=\"deleted\"} ";
        const std::size_t at = text.find(sample);
        return at == std::string::npos ? -1 : std::atoi(text.c_str() + at + sample.size());
    };
    int first = 0;
    {
        child daemon = started();
        drop_job("twice", 1000);
        ASSERT_TRUE(settles_some("twice", 100)) << log();
        ASSERT_EQ(ctl({"pause", "twice"}), 0) << told();
        ASSERT_TRUE(eventually([&] { return status("twice").at("in_flight") == 0; }));
        first = deleted();
        EXPECT_GE(first, 100);
    }
    child daemon = started();
    EXPECT_EQ(deleted(), 0);
    write_config({});
    daemon.signal(SIGHUP);
    ASSERT_EQ(ctl({"resume", "twice"}), 0) << told();
    ASSERT_TRUE(reaches("twice", "finished", patience)) << log();
    EXPECT_EQ(first + deleted(), 1000);
}

TEST_F(StandingStill, WaitingForABlockedJobEndsWithSeventyFive) {
    configure({.scenario = "seed: 1\nworkspace_error: true\n"});
    child daemon = started();
    here_.write("stuck.txt", "x\n");
    EXPECT_EQ(ctl({"submit", "--wait", here_.path("stuck.txt")}), 75) << told();
    EXPECT_NE(told().find("is blocked"), std::string::npos) << told();
}

TEST_F(Commands, AJobsOwnRateIsKeptToAndOutlivesARestart) {
    configure({});
    {
        child daemon = started();
        drop_job("slow", 4000, "not_before: " + from_now(4s) + "\n");
        ASSERT_TRUE(reaches("slow", "waiting")) << log();
        ASSERT_EQ(ctl({"rate", "slow", "10"}), 0) << told();
        ASSERT_TRUE(settles_some("slow", 40)) << log();
    }
    child daemon = started();
    ASSERT_TRUE(eventually([&] { return truth("delete_requests") >= 20; })) << log();
    EXPECT_LE(server_->call("GET", "/_emulator/windows?seconds=1").json().at("max").to_number<int>(), 10);
    ASSERT_EQ(ctl({"rate", "slow", "400"}), 0) << told();
    EXPECT_TRUE(reaches("slow", "finished")) << log();
    EXPECT_EQ(records("slow", "job.rate").size(), 2U);
    expect_verified();
}

using ExitCodes = Programs;

TEST_F(ExitCodes, AreTheWorstOfWhatHappened) {
    configure({.scenario = "seed: 1\nfail_always: [bad-0]\n"});
    EXPECT_EQ(once(), 0) << log();
    drop("good.txt", "good-0\n");
    EXPECT_EQ(once(), 0) << log();
    drop("bad.txt", "bad-0\n");
    EXPECT_EQ(once(), 1) << log();
    drop("bad.txt", "bad-0\n");
    drop_job("expired", 3, "deadline: 2020-01-01T00:00:00Z\n");
    EXPECT_EQ(once(), 2) << log();
    drop_job("expired2", 3, "deadline: 2020-01-01T00:00:00Z\n");
    drop("nothing.txt", "\n");
    EXPECT_EQ(once(), 65) << log();
    restart_server("seed: 1\nworkspace_error: true\n");
    drop("nothing.txt", "\n");
    drop("blocked.txt", "x\n");
    EXPECT_EQ(once(), 75) << log();
    here_.write("culld.yaml", "api: {endpoint: nonsense}\n");
    EXPECT_EQ(once(), 78) << log();
}

TEST_F(ExitCodes, ASecondDaemonSaysWhoHoldsTheSpool) {
    configure({});
    child daemon = started();
    child second(command(), here_.path("second.log"));
    EXPECT_EQ(second.ends_within(10s), 75) << read("second.log");
    EXPECT_NE(read("second.log").find(std::to_string(daemon.pid())), std::string::npos) << read("second.log");
    EXPECT_TRUE(daemon.runs());
    EXPECT_EQ(once(), 75);
    EXPECT_EQ(ctl({"list"}), 0) << "the first one's socket is gone: " << told();
}

}  // namespace
}  // namespace culld::programs

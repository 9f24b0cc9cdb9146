// What keeps a job from going on, and how it goes on or ends all the same: asks that are refused, a gateway in
// maintenance, a pause that outlasts a restart, ids that are protected while their job is under way.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <sstream>

#include "programs.hpp"

namespace culld::programs {
namespace {

constexpr const char* forbidden = R"([403, {}, "{\"error_code\":\"APIGW.0302\",\"error_msg\":\"no permission\"}"])";
constexpr const char* not_found = R"([404, {}, "<html>not here</html>"])";
constexpr const char* absent_404 = R"([404, {}, "{\"code\":\"SecMaster.20030005\",\"message\":\"gone\"}"])";
constexpr const char* gone = R"([400, {}, "{\"code\":\"SecMaster.20030005\",\"message\":\"gone\"}"])";
constexpr const char* no_workspace = R"([400, {}, "{\"code\":\"SecMaster.20010001\",\"message\":\"no workspace\"}"])";
constexpr const char* redirect = R"([302, {"Location": "http://127.0.0.1/maintenance"}, ""])";
constexpr const char* bad_ids = R"([400, {}, "{\"code\":\"SecMaster.20030001\",\"message\":\"bad parameter\"}"])";
// shared case: its header says none, its text five minutes.
constexpr const char* retry_after_zero =
    R"([429, {"Retry-After": "0"}, "{\"error_code\":\"APIGW.0308\",\"error_msg\":\"throttled: limit:200,time:5 minute\",\"request_id\":\"r\"}"])";
constexpr const char* bare_429 = R"([429, {"Retry-After": "0"}, ""])";

class Stuck : public Programs {
  protected:
    ~Stuck() override { ::unsetenv("CULLD_RETRY_BLOCKED_PROBE"); }

    void answers(const std::string& deletions, const std::string& asks) const {
        const auto how = [](const std::string& h) { return h.front() == '[' ? h : '"' + h + '"'; };
        fs::rename(here_.write("rules.new", fmt::format(R"({{"delete": {}, "get": {}}})", how(deletions), how(asks))),
                   here_.path("rules.json"));
    }
    void serve(const std::string& deletions, const std::string& asks, setup s = {}) {
        answers(deletions, asks);
        api_.reset();
        fs::remove(here_.path("api.log"));
        api_.emplace(std::vector<std::string>{"/usr/bin/python3", "-S", SCRIPTED_SERVER, "0", here_.path("rules.json"),
                                              here_.path("seen.jsonl")},
                     here_.path("api.log"));
        const auto listening = [&] { return read("api.log").starts_with("listening on "); };
        ASSERT_TRUE(eventually(listening)) << read("api.log");
        s.endpoint = "http://127.0.0.1:" + read("api.log").substr(13, read("api.log").find('\n') - 13);
        configure(s);
    }
    [[nodiscard]] std::size_t seen(std::string_view method) const {
        return count(read("seen.jsonl"), fmt::format("\"method\": \"{}\"", method));
    }
    // Waits for the job's end; its status.
    std::string end_of(const std::string& job) {
        const bool over = eventually([&] { return !records(job, "job.finished").empty(); }, patience);
        EXPECT_TRUE(over) << job << "\n" << log();
        return over ? std::string(finish_of(job).at("status").as_string()) : "none";
    }

    std::optional<child> api_;
};

TEST_F(Stuck, AnAskThatIsRefusedChangesNothingAndBlocksNothing) {
    const struct {
        const char *asks, *verify, *reason;
    } rows[] = {
        {forbidden, "failed", "refused"},    {not_found, "failed", "refused"}, {no_workspace, "failed", "refused"},
        {redirect, "failed", "refused"},     {bad_ids, "failed", "refused"},   {forbidden, "all", "unverified"},
        {no_workspace, "all", "unverified"},
    };
    serve("refused", "there");
    child daemon = started();
    int n = 0;
    for (const auto& r : rows) {
        const std::string job = fmt::format("ask{}", n++);
        const bool all = std::string_view(r.verify) == "all";
        answers(all ? "deleted" : "refused", r.asks);
        drop(job + ".yaml", fmt::format("version: 1\nid: {}\nids: [a, b, c, d, e]\nverify: {}\n", job, r.verify));
        EXPECT_EQ(end_of(job), "completed_with_failures");
        EXPECT_EQ(reasons(job, "ids.failed"), std::set<std::string>{r.reason}) << r.asks;
        EXPECT_TRUE(records(job, "job.blocked").empty());
    }
    EXPECT_EQ(count(log(), "secmaster:incident:get"), 2U) << "once a job\n" << log();
    expect_verified();
}

TEST_F(Stuck, OnlySecMastersOwn404SaysThatAnIdIsGone) {
    serve("refused", absent_404);
    child daemon = started();
    drop("own.yaml", "version: 1\nid: own\nids: [a]\n");
    EXPECT_EQ(end_of("own"), "completed");
    EXPECT_EQ(verdicts("own").at("a"), "absent");
    // Nothing of this job was ever answered 200.
    answers("lost", absent_404);
    drop("never.yaml", "version: 1\nid: never\nids: [b]\n");
    ASSERT_TRUE(eventually([&] { return !records("never", "batch.error").empty(); }));
    ASSERT_EQ(ctl({"cancel", "never"}), 0) << told();
    EXPECT_EQ(end_of("never"), "cancelled");
    EXPECT_EQ(verdicts("never").at("b"), "failed");
    expect_verified();
}

TEST_F(Stuck, CancelEndsABlockedJobWhateverBlocksIt) {
    for (const char* refusal : {forbidden, not_found, no_workspace, redirect}) {
        serve(refusal, refusal);
        child daemon = started();
        const std::string job = fmt::format("c{}", ledger().size());
        drop_job(job, 100);
        ASSERT_TRUE(reaches(job, "blocked")) << log();
        ASSERT_EQ(ctl({"cancel", job}), 0) << told();
        EXPECT_EQ(end_of(job), "cancelled");
        EXPECT_EQ(finish_of(job).at("totals").at("skipped").to_number<int>(), 100) << "declined: nothing is in doubt";
    }
    expect_verified();
}

TEST_F(Stuck, CancelAndADeadlineEndAJobWhoseListIsLost) {
    serve("lost", "there", {.limits = "requests_per_second: 500, concurrency: 1"});
    {
        child daemon = started();
        drop_job("asked", 3000);
        drop_job("late", 30, "deadline: " + from_now(8s) + "\n");
        ASSERT_TRUE(eventually([&] { return !records("asked", "batch.error").empty(); })) << log();
        ASSERT_TRUE(eventually([&] { return ctl({"pause", "late"}) == 0; })) << told();
        daemon.signal(SIGKILL);
        static_cast<void>(daemon.ends_within(10s));
    }
    for (const char* job : {"asked", "late"}) {
        fs::remove(at(fmt::format("spool/active/{}.ids", job)));
        fs::remove(at(fmt::format("journal/.plan/{}.ids", job)));
    }
    child daemon = started();
    ASSERT_TRUE(reaches("asked", "blocked")) << log();
    EXPECT_NE(status("asked").at("reason").as_string().find("its list cannot be read"), std::string::npos);
    ASSERT_EQ(ctl({"cancel", "asked", "--reason", "nobody has it"}), 0) << told();
    EXPECT_EQ(end_of("asked"), "cancelled");
    EXPECT_EQ(end_of("late"), "expired");
    const auto totals = finish_of("asked").at("totals").as_object();
    const int intended = 8 * 20;  // all that may have been sent
    EXPECT_GE(totals.at("failed").to_number<int>(), 20);
    EXPECT_LE(totals.at("failed").to_number<int>(), 2 * intended);
    EXPECT_EQ(totals.at("failed").to_number<int>() + totals.at("skipped").to_number<int>(), 3000);
    EXPECT_EQ(reasons("asked", "ids.failed"), std::set<std::string>{"unknown"});
    EXPECT_EQ(reasons("asked", "ids.skipped"), std::set<std::string>{"cancelled"});
    EXPECT_EQ(records("asked", "job.cancelled").at(0).at("reason"), "nobody has it");
    EXPECT_TRUE(eventually([&] { return in("failed", "asked.yaml") && in("failed", "late.yaml"); })) << log();
    expect_verified();
}

TEST_F(Stuck, AJobWhoseJournalIsDamagedIsNotEnded) {
    serve(forbidden, forbidden);
    {
        child daemon = started();
        drop_job("bent", 10);
        ASSERT_TRUE(reaches("bent", "blocked")) << log();
        daemon.signal(SIGKILL);
        static_cast<void>(daemon.ends_within(10s));
    }
    std::string text = read("journal/bent.jsonl");
    text.replace(text.find("\"duplicates\":0"), 14, "\"duplicates\":1");
    here_.write("journal/bent.jsonl", text);
    child daemon = started();
    ASSERT_TRUE(reaches("bent", "blocked")) << log();
    EXPECT_EQ(ctl({"cancel", "bent"}), 75) << told();
    EXPECT_NE(told().find("cancel does not apply"), std::string::npos) << told();
    EXPECT_EQ(read("journal/bent.jsonl"), text);
}

TEST_F(Stuck, WhatIsInDoubtAndCannotBeAskedForEndsUnknown) {
    serve("lost", forbidden);
    child daemon = started();
    drop_job("doubt", 10);
    ASSERT_TRUE(eventually([&] { return !records("doubt", "batch.error").empty(); })) << log();
    answers(forbidden, forbidden);
    ASSERT_TRUE(reaches("doubt", "blocked")) << log();
    ASSERT_EQ(ctl({"cancel", "doubt"}), 0) << told();
    EXPECT_EQ(end_of("doubt"), "cancelled");
    EXPECT_EQ(reasons("doubt", "ids.failed"), std::set<std::string>{"unknown"});
    expect_verified();
}

TEST_F(Stuck, ADeadlineEndsABlockedJobAlsoAfterARestart) {
    serve(forbidden, forbidden);
    {
        child daemon = started();
        drop_job("late", 10, "deadline: " + from_now(6s) + "\n");
        drop_job("later", 10, "deadline: " + from_now(6s) + "\n");
        ASSERT_TRUE(reaches("late", "blocked")) << log();
        ASSERT_TRUE(reaches("later", "blocked")) << log();
        ASSERT_EQ(ctl({"pause", "later"}), 0) << told();
    }
    child daemon = started();
    EXPECT_EQ(end_of("late"), "expired");
    EXPECT_EQ(end_of("later"), "expired");
    expect_verified();
}

TEST_F(Stuck, AGatewayInMaintenanceBlocksNoJobForGood) {
    ::setenv("CULLD_RETRY_BLOCKED_PROBE", "1s", 1);
    for (const char* refusal : {redirect, not_found, no_workspace, forbidden}) {
        serve(refusal, "there");
        const std::size_t before = seen("POST");
        child daemon = started();
        const std::string job = fmt::format("m{}", ledger().size());
        drop_job(job, 200);
        ASSERT_TRUE(reaches(job, "blocked")) << log();
        // Probes, one at a time; the journal and those who are told hear of it once.
        ASSERT_TRUE(eventually([&] { return seen("POST") >= before + 4 + 2; })) << log();
        EXPECT_EQ(records(job, "job.blocked").size(), 1U);
        answers("deleted", "there");
        EXPECT_EQ(end_of(job), "completed");
        EXPECT_EQ(records(job, "job.unblocked").size(), 1U);
    }
    expect_verified();
}

TEST_F(Stuck, AFirstBatchThatIsRefusedIdByIdBlocksTheJob) {
    ::setenv("CULLD_RETRY_BLOCKED_PROBE", "1s", 1);
    serve(bad_ids, "there", {.limits = "requests_per_second: 500, concurrency: 1", .batch_size = 10});
    child daemon = started();
    drop_job("all", 100);
    ASSERT_TRUE(reaches("all", "blocked")) << log();
    EXPECT_GE(seen("POST"), 19U);
    EXPECT_TRUE(records("all", "ids.failed").empty());
    answers("deleted", "there");
    EXPECT_EQ(end_of("all"), "completed");
    expect_verified();
}

TEST_F(Stuck, A429ThatPausesForNothingStillBacksOff) {
    serve(retry_after_zero, "there", {.limits = "requests_per_second: 200, concurrency: 4"});
    {
        child daemon = started();
        drop_job("zero", 10);
        ASSERT_TRUE(eventually([&] { return !records("zero", "batch.error").empty(); })) << log();
        EXPECT_GT(records("zero", "batch.error")[0].at("retry_in_ms").to_number<int>(), 290'000);
        ASSERT_TRUE(eventually([&] { return fs::exists(at("journal/.limits")); }));
        daemon.signal(SIGKILL);
        static_cast<void>(daemon.ends_within(10s));
    }
    // The pause outlasts it.
    answers("deleted", "there");
    const std::size_t before = seen("POST");
    {
        child daemon = started();
        ASSERT_TRUE(eventually([&] { return log().find("as before the restart") != std::string::npos; })) << log();
        ASSERT_TRUE(eventually([&] { return state("zero") != "none"; })) << log();
        EXPECT_EQ(seen("POST"), before);
    }
    fs::remove(at("journal/.limits"));
    answers(bare_429, "there");
    child daemon = started();
    const auto began = std::chrono::steady_clock::now();
    ASSERT_TRUE(eventually([&] { return seen("POST") >= before + 8; }, patience)) << log();
    // 20 ms doubled up to 200 ms, at least an eighth of each: some 90 ms for eight of them.
    EXPECT_GT(std::chrono::steady_clock::now() - began, 60ms);
    answers("deleted", "there");
    EXPECT_EQ(end_of("zero"), "completed");
}

TEST_F(Stuck, IdsThatComeBackRefusedAfterALostAnswerAreAskedForAtOnce) {
    serve("lost", gone);
    child daemon = started();
    drop_job("lost", 20);
    ASSERT_TRUE(eventually([&] { return !records("lost", "batch.error").empty(); })) << log();
    answers("refused", gone);
    EXPECT_EQ(end_of("lost"), "completed");
    EXPECT_EQ(finish_of("lost").at("totals").at("absent").to_number<int>(), 20);
    EXPECT_EQ(records("lost", "batch.result").size(), 1U) << "not sent again";
    expect_verified();
}

// ---- ids.protected_file ----

TEST_F(Stuck, AnIdThatIsProtectedWhileItsJobWaitsOrRunsIsNeverSent) {
    const std::string keep = here_.write("keep.txt", "other-1\nother-2\n");
    serve("deleted", "there",
          {.limits = "requests_per_second: 2, concurrency: 1", .more = "ids: {protected_file: " + keep + "}\n"});
    {
        child daemon = started();
        drop_job("waits", 30, "not_before: " + from_now(1h) + "\n");
        drop_job("pauses", 30, "not_before: " + from_now(15s) + "\n");
        drop_job("runs", 400, "");
        ASSERT_TRUE(reaches("waits", "waiting")) << log();
        ASSERT_TRUE(reaches("pauses", "waiting")) << log();
        ASSERT_EQ(ctl({"pause", "pauses"}), 0) << told();
        ASSERT_TRUE(settles_some("runs", 20)) << log();
        ASSERT_EQ(ctl({"pause", "runs"}), 0) << told();  // in the middle, however slow this machine is
        const auto facts = records("runs", "job.accepted")[0].at("protected").as_object();
        EXPECT_EQ(facts.at("count").to_number<int>(), 2);
        EXPECT_EQ(facts.at("sha256").as_string().size(), 64U);
        here_.write("keep.txt", "runs-399\nruns-398\npauses-3\nwaits-7\nother-1\nother-2\n");
        daemon.signal(SIGHUP);
        ASSERT_TRUE(eventually([&] { return count(log(), "read again") == 1; })) << log();
        ASSERT_EQ(ctl({"resume", "runs"}), 0) << told();
        EXPECT_EQ(end_of("runs"), "completed");
        ASSERT_EQ(ctl({"resume", "pauses"}), 0) << told();
        ASSERT_TRUE(eventually([&] { return !records("pauses", "job.resumed").empty(); }));  // before it is killed
    }
    child daemon = started();
    EXPECT_EQ(end_of("pauses"), "completed");
    for (const char* id : {"runs-399", "runs-398", "pauses-3"}) {
        const std::string job = std::string(id).substr(0, std::string(id).find('-'));
        EXPECT_EQ(verdicts(job).at(id), "skipped") << id;
        std::istringstream requests(read("seen.jsonl"));  // if a kill left it in doubt, it is asked for
        for (std::string line; std::getline(requests, line);)
            EXPECT_FALSE(line.find("\"POST\"") != std::string::npos &&
                         line.find(fmt::format("\"{}\"", id)) != std::string::npos)
                << line;
    }
    EXPECT_EQ(reasons("runs", "ids.skipped"), std::set<std::string>{"protected"});
    expect_verified();
}

TEST_F(Stuck, AProtectedListThatBecomesEmptyIsRefusedAndOneThatShrinksWarnedOf) {
    const std::string keep = here_.write("keep.txt", "k-1\nk-2\n");
    serve("deleted", "there", {.more = "ids: {protected_file: " + keep + "}\n"});
    child daemon = started();
    here_.write("keep.txt", "# nothing\n");
    daemon.signal(SIGHUP);
    ASSERT_TRUE(eventually([&] { return log().find("no id would be protected any more") != std::string::npos; }))
        << log();
    drop("still.yaml", "version: 1\nid: still\nids: [k-1, a]\n");
    EXPECT_EQ(end_of("still"), "completed");
    EXPECT_EQ(verdicts("still").at("k-1"), "skipped");
    here_.write("keep.txt", "k-1\n");
    daemon.signal(SIGHUP);
    ASSERT_TRUE(eventually([&] {
        return log().find("1 ids are protected from now on, 2 were before") != std::string::npos;
    })) << log();
}

}  // namespace
}  // namespace culld::programs

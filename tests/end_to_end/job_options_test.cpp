// What a job file asks for is what happens: times, stops, checks, protection, order.
#include "programs.hpp"

namespace culld::programs {
namespace {

using JobOptions = Programs;

TEST_F(JobOptions, NotBeforeIsShownAsWaitingAndThenItRuns) {
    configure({});
    child daemon = started();
    const std::string when = from_now(1500ms);
    drop_job("later", 40, fmt::format("not_before: {}\n", when));
    ASSERT_TRUE(reaches("later", "waiting")) << log();
    EXPECT_EQ(truth("api_requests"), 0);
    ASSERT_TRUE(reaches("later", "finished")) << log();
    EXPECT_EQ(truth("deleted_distinct"), 40);
    for (const json::object& r : records("later", "batch.result")) EXPECT_GE(r.at("ts").as_string(), when);
}

TEST_F(JobOptions, AJobPastItsDeadlineEndsExpiredAndSkipsTheRest) {
    configure({.limits = "requests_per_second: 20, concurrency: 2"});
    child daemon = started();
    drop_job("late", 2000, fmt::format("deadline: {}\n", from_now(1200ms)));
    ASSERT_TRUE(reaches("late", "finished")) << log();
    const auto end = finish_of("late");
    EXPECT_EQ(end.at("status").as_string(), "expired");
    EXPECT_GT(end.at("totals").at("deleted").to_number<int>(), 0);
    EXPECT_EQ(reasons("late", "ids.skipped"), std::set<std::string>{"deadline"});
    EXPECT_TRUE(in("failed", "late.yaml"));
    expect_true_verdicts("late", 2000);
    expect_verified();
}

// secmaster-api.md, 1.5: method, path, version and headers of each; the emulator knows them from a table of its own.
TEST_F(JobOptions, EveryResourceIsDeletedByItsOwnCall) {
    configure({.scenario = "seed: 1\nfail_always: [alerts-3, notes-3]\n"});
    const std::vector<std::string> all{"incidents", "alerts", "indicators", "notes", "resources", "checkitems"};
    for (const std::string& resource : all) drop_job(resource, 30, "resource: " + resource + "\n");
    ASSERT_EQ(once(), 1) << log();
    const json::value told = server_->truth();
    EXPECT_EQ(told.at("requests").at("by_status").as_object().if_contains("404"), nullptr);
    EXPECT_EQ(told.at("deleted_distinct").to_number<int>(), 6 * 30 - 2);
    const auto& kinds = told.at("requests").at("by_kind").as_object();
    EXPECT_EQ(kinds.at("batch_delete").to_number<int>(), 4 + 2);  // alerts-3 has three attempts
    EXPECT_EQ(kinds.at("delete").to_number<int>(), 8 + 2);
    EXPECT_EQ(kinds.at("get").to_number<int>(), 1) << "notes cannot be asked for";
    for (const std::string& resource : all)
        EXPECT_EQ(records(resource, "job.accepted").front().at("resource").as_string(), resource);
    EXPECT_EQ(reasons("notes", "ids.failed"), reasons("alerts", "ids.failed"));
    expect_verified();
}

TEST_F(JobOptions, ADeadlineThatIsOverSendsNothing) {
    configure({});
    drop_job("over", 50, "deadline: 2020-01-01T00:00:00Z\n");
    EXPECT_EQ(once(), 2) << log();
    EXPECT_EQ(truth("api_requests"), 0);
    EXPECT_EQ(finish_of("over").at("status").as_string(), "expired");
}

TEST_F(JobOptions, ADeadlineEndsAPausedJobToo) {
    configure({.limits = "requests_per_second: 20, concurrency: 2"});
    child daemon = started();
    drop_job("held", 2000, fmt::format("deadline: {}\n", from_now(2500ms)));
    ASSERT_TRUE(settles_some("held", 20)) << log();
    ASSERT_EQ(ctl({"pause", "held"}), 0) << told();
    ASSERT_TRUE(reaches("held", "finished")) << log();
    EXPECT_EQ(finish_of("held").at("status").as_string(), "expired");
    expect_verified();
}

TEST_F(JobOptions, AbortWhenStopsAJobThatFailsTooOften) {
    configure({.scenario = "seed: 1\nfail_ratio: 0.9\n"});
    drop_job("bad", 3000, "abort_when: {failed_ratio: 0.5, after: 100}\n");
    ASSERT_EQ(once(), 2) << log();
    const auto end = finish_of("bad");
    EXPECT_EQ(end.at("status").as_string(), "aborted");
    EXPECT_GT(end.at("totals").at("skipped").to_number<int>(), 2000);
    EXPECT_EQ(reasons("bad", "ids.skipped"), std::set<std::string>{"aborted"});
    expect_true_verdicts("bad", 3000);
    expect_verified();
}

TEST_F(JobOptions, ADryRunSendsNothingAndSaysSo) {
    configure({});
    drop("dry.yaml", "version: 1\nid: dry\nids: [a, b, c]\ndry_run: true\nverify: all\n");
    ASSERT_EQ(once(), 0) << log();
    EXPECT_EQ(truth("api_requests"), 0);
    EXPECT_EQ(finish_of("dry").at("status").as_string(), "dry_run");
    EXPECT_EQ(finish_of("dry").at("totals").at("skipped").to_number<int>(), 3);
    EXPECT_EQ(reasons("dry", "ids.skipped"), std::set<std::string>{"dry_run"});
    EXPECT_TRUE(in("done", "dry.yaml"));
    EXPECT_EQ(verdicts("dry").at("a"), "skipped");
    expect_verified();
}

TEST_F(JobOptions, ProtectedIdsAreNeverSent) {
    configure({.more = "ids: {protected_file: " + here_.write("keep.txt", "keep-1\nkeep-2\n") + "}\n"});
    drop("mixed.yaml", "version: 1\nid: mixed\nids: [keep-1, a, keep-2, b, keep-1]\n");
    drop("only.yaml", "version: 1\nid: only\nids: [keep-2]\n");
    drop("dry.yaml", "version: 1\nid: dry\nids: [keep-2, c]\ndry_run: true\n");
    ASSERT_EQ(once(), 0) << log();
    const json::value told = server_->truth();
    EXPECT_EQ(told.at("deleted").as_object().size(), 2U);
    EXPECT_EQ(told.at("ids_requested").to_number<int>(), 2);
    EXPECT_EQ(verdicts("mixed"),
              (std::map<std::string, std::string>{
                  {"a", "deleted"}, {"b", "deleted"}, {"keep-1", "skipped"}, {"keep-2", "skipped"}}));
    EXPECT_EQ(reasons("mixed", "ids.skipped"), std::set<std::string>{"protected"});
    EXPECT_EQ(reasons("dry", "ids.skipped"), (std::set<std::string>{"dry_run", "protected"}));
    for (const char* name : {"mixed.yaml", "only.yaml", "dry.yaml"}) EXPECT_TRUE(in("done", name)) << name;
    expect_verified();
}

TEST_F(JobOptions, WhatTheConfigurationOrTheJobForbidsIsRejectedWithItsReason) {
    configure(
        {.limits = "requests_per_second: 500, max_ids_per_job: 10", .more = "jobs: {require_labels: [ticket]}\n"});
    const std::string good = "labels: {ticket: T}\n";
    drop("count.yaml", "version: 1\nids: [a, b, a]\nexpect_count: 3\n" + good);
    drop("label.yaml", "version: 1\nids: [a, b]\nlabels: {other: x}\n");
    drop("many.yaml", "version: 1\nids_file: many.ids\n" + good);
    drop("many.ids", list("m", 11));
    drop("bare.txt", "a\n");
    drop("field.yaml", "version: 1\nids: [a]\nverifi: all\n" + good);
    drop("line.yaml", "version: 1\nids_file: line.ids\n" + good);
    drop("line.ids", "a\nb\nnot an id\n");
    drop("fine.yaml", "version: 1\nid: fine\nids: [a, b, a]\nexpect_count: 2\n" + good);
    EXPECT_EQ(once(), 65) << log();
    const auto error = [&](const std::string& name) { return std::string(reason(name).at("error").as_string()); };
    EXPECT_NE(error("count.yaml").find("expect_count"), std::string::npos) << error("count.yaml");
    EXPECT_NE(error("label.yaml").find("ticket"), std::string::npos) << error("label.yaml");
    EXPECT_NE(error("many.yaml").find("10"), std::string::npos) << error("many.yaml");
    EXPECT_NE(error("bare.txt").find("ticket"), std::string::npos) << error("bare.txt");
    EXPECT_EQ(reason("field.yaml").at("line").to_number<int>(), 3);
    EXPECT_NE(reason("field.yaml").at("hint").as_string().find("verify"), std::string::npos);
    EXPECT_EQ(reason("line.yaml").at("line").to_number<int>(), 3);
    EXPECT_EQ(reason("line.yaml").at("file").as_string(), "line.ids");
    // A list goes with its job.
    EXPECT_TRUE(in("rejected", "many.ids"));
    EXPECT_TRUE(in("rejected", "line.ids"));
    EXPECT_EQ(truth("ids_requested"), 2);
    EXPECT_EQ(finish_of("fine").at("totals").at("duplicates").to_number<int>(), 1);
    EXPECT_EQ(ledger().size(), 7U);
    expect_verified();
}

using Verify = Programs;

constexpr const char* unaccounted = "seed: 1\nmissing_ratio: 1\nmissing_deleted: true\n";
constexpr const char* never_accounted = "seed: 1\nmissing_ratio: 1\nmissing_deleted: false\n";

TEST_F(Verify, NoneFailsIdsOfUnknownFateWithoutAsking) {
    configure({.scenario = never_accounted});
    drop_job("none", 30, "verify: none\n");
    ASSERT_EQ(once(), 1) << log();
    EXPECT_EQ(truth("get_requests"), 0);
    EXPECT_EQ(reasons("none", "ids.failed"), std::set<std::string>{"unknown"});
    EXPECT_EQ(finish_of("none").at("totals").at("failed").to_number<int>(), 30);
    EXPECT_TRUE(in("failed", "none.yaml"));
    expect_verified();
}

TEST_F(Verify, FailedAsksForThemAndFindsThemAbsent) {
    configure({.scenario = std::string(unaccounted) + "fail_always: [failed-7]\n"});
    drop_job("failed", 30);
    ASSERT_EQ(once(), 1) << log();
    std::size_t absent = 0;
    for (const json::object& r : records("failed", "ids.absent")) {
        EXPECT_EQ(r.at("how").as_string(), "get");
        absent += r.at("ids").as_array().size();
    }
    EXPECT_EQ(absent, 29U);
    EXPECT_EQ(truth("get_requests"), 30);
    EXPECT_EQ(verdicts("failed").at("failed-7"), "failed");
    expect_true_verdicts("failed", 30);
    expect_verified();
}

TEST_F(Verify, AllAsksAlsoForWhatWasReportedDeleted) {
    configure({.scenario = "seed: 1\nfail_always: [all-3]\n"});
    drop_job("all", 30, "verify: all\n");
    ASSERT_EQ(once(), 1) << log();
    std::size_t reported = 0, deleted = 0;
    for (const json::object& r : records("all", "batch.result")) {
        EXPECT_FALSE(r.contains("deleted"));
        reported += r.at("reported").as_array().size();
    }
    for (const json::object& r : records("all", "ids.deleted")) {
        EXPECT_EQ(r.at("how").as_string(), "get");
        deleted += r.at("ids").as_array().size();
    }
    EXPECT_EQ(reported, 29U);
    EXPECT_EQ(deleted, 29U);
    EXPECT_EQ(truth("get_requests"), 30);
    EXPECT_EQ(verdicts("all").at("all-3"), "failed");
    expect_true_verdicts("all", 30);
    expect_verified();
}

using Order = Programs;

TEST_F(Order, ASmallJobNeverWaitsForALargeOneOfItsPriority) {
    configure({.limits = "requests_per_second: 200, concurrency: 4"});
    child daemon = started();
    drop_job("large", 50'000);
    ASSERT_TRUE(settles_some("large", 500)) << log();
    drop_job("small", 10);
    ASSERT_TRUE(reaches("small", "finished", 5s)) << log();
    EXPECT_EQ(state("large"), "running");
    // One request of its own, and at most a few of the other's between.
    const auto accepted = records("small", "intent").front().at("ts"), ended = finish_of("small").at("ts");
    std::size_t between = 0;
    for (const json::object& r : records("large", "batch.result"))
        between +=
            r.at("ts").as_string() > accepted.as_string() && r.at("ts").as_string() < ended.as_string() ? 1U : 0U;
    EXPECT_LE(between, 12U);
}

TEST_F(Order, TheMoreUrgentPriorityGoesFirst) {
    configure({.scenario = "seed: 1\nlatency: {fixed: 5ms}\n", .limits = "requests_per_second: 60, concurrency: 2"});
    child daemon = started();
    drop_job("slow", 4000, "priority: 9\n");
    ASSERT_TRUE(settles_some("slow", 60)) << log();
    drop_job("urgent", 1000, "priority: 0\n");
    ASSERT_TRUE(reaches("urgent", "finished")) << log();
    const auto first = records("urgent", "batch.result").front().at("ts"), ended = finish_of("urgent").at("ts");
    std::size_t between = 0;
    for (const json::object& r : records("slow", "batch.result"))
        between += r.at("ts").as_string() > first.as_string() && r.at("ts").as_string() < ended.as_string() ? 1U : 0U;
    EXPECT_LE(between, 4U);
}

}  // namespace
}  // namespace culld::programs

// What a run that was told to stop leaves to the next one: it knows what it never sent, and says so.
#include "faults.hpp"

namespace culld::programs {
namespace {

class CleanStop : public WithFaults {
  protected:
    // In the middle of a job of 2,000 ids in batches of 20, in the best of order.
    void stop_in_the_middle() {
        configure(
            {.scenario = "seed: 1\nlatency: {fixed: 2ms}\n", .limits = "requests_per_second: 100, concurrency: 2"});
        drop_job("stops", 2000);
        child daemon = started();
        ASSERT_TRUE(settles_some("stops", 200)) << log();
        daemon.signal(SIGTERM);
        ASSERT_EQ(daemon.ends_within(patience), 0) << log();
        const json::object last = journal("stops").back();
        EXPECT_EQ(last.at("type").as_string(), "checkpoint");
        EXPECT_TRUE(last.at("at_rest").as_bool());
    }
};

TEST_F(CleanStop, WhatWasIntendedAndNeverSentIsNoRetryAndInNoDoubt) {
    stop_in_the_middle();
    if (HasFatalFailure()) return;
    EXPECT_EQ(ctl({"verify"}), 0) << told();
    ASSERT_EQ(once(), 0) << log();
    const auto began = records("stops", "job.recovered");
    ASSERT_EQ(began.size(), 1U);
    EXPECT_TRUE(began[0].at("open").as_array().empty());
    const json::object totals = finish_of("stops").at("totals").as_object();
    EXPECT_EQ(totals.at("requests"), 100);
    EXPECT_EQ(totals.at("retries"), 0);
    EXPECT_EQ(truth("delete_requests"), 100);
    expect_true_verdicts("stops", 2000);
    expect_verified();
}

// Else a crash right then would leave a journal by which what it sent was never sent.
TEST_F(CleanStop, TheNextRunSendsNothingBeforeItIsDurableThatItBegan) {
    stop_in_the_middle();
    if (HasFatalFailure()) return;
    if (!arm()) GTEST_SKIP() << "NOT TESTED: calls are not made to hang under a sanitizer";
    const int before = truth("delete_requests");
    fault("fsync stops.jsonl hang 9 1\n");  // the first one is that of opening it
    {
        child daemon = start();
        ASSERT_TRUE(eventually([&] { return hits("hang") > 0; })) << log();
        EXPECT_FALSE(eventually([&] { return truth("delete_requests") > before; }, 1s)) << log();
        EXPECT_TRUE(daemon.runs());
        no_faults();
        ASSERT_TRUE(eventually([&] { return truth("delete_requests") > before + 10; })) << log();
        daemon.kill();
    }
    ASSERT_EQ(once(), 0) << log();
    const auto began = records("stops", "job.recovered");
    ASSERT_EQ(began.size(), 2U);
    EXPECT_TRUE(began[0].at("open").as_array().empty());
    EXPECT_FALSE(began[1].at("open").as_array().empty()) << "after a crash nobody knows";
    expect_true_verdicts("stops", 2000);
    expect_verified();
}

}  // namespace
}  // namespace culld::programs

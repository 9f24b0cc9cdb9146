// A disk that hangs: no error, only a call that does not come back. Inside the process nothing fails; so it has to be
// noticed by the clock. The job is `blocked` and says why, the service manager gets no pings, and told to stop the
// daemon ends in time all the same.
#include "faults.hpp"
#include "own_disk.hpp"

namespace culld::programs {
namespace {

class HangingDisk : public WithFaults {
  protected:
    void configure_slow(const std::string& api = "") {
        configure({.scenario = "seed: 1\nlatency: {fixed: 2ms}\n",
                   .limits = "requests_per_second: 100, concurrency: 2",
                   .api = api});
        manager_ = std::make_unique<service_manager>(here_.path("notify"));
    }
    // A watchdog of one second, which is then also how long a disk may take.
    [[nodiscard]] std::vector<std::string> watched() const {
        return {"NOTIFY_SOCKET=" + here_.path("notify"), "WATCHDOG_USEC=1000000"};
    }
    [[nodiscard]] std::size_t pings() const { return manager_->told("WATCHDOG=1"); }
    void expect_pings() const {
        const std::size_t before = pings();
        EXPECT_TRUE(eventually([&] { return pings() > before + 1; })) << log();
    }
    // The disk hangs already.
    void expect_seen_to_hang(const std::string& job) const {
        expect_blocked(job, "the disk does not answer");
        expect_metric("culld_jobs_blocked{class=\"journal\"} 1");
        EXPECT_NE(emulator_test::get_from_socket(here_.path("control.sock"), "/livez").find(" 503 "),
                  std::string::npos);
        expect_deleted_only_what_was_intended(job);
        const std::size_t before = pings();
        const int requests = truth("delete_requests");
        EXPECT_FALSE(eventually([&] { return pings() > before; }, 1100ms)) << "the work stands still";
        EXPECT_EQ(truth("delete_requests"), requests) << "what is answered cannot be written";
    }
    void expect_went_on(const std::string& job) const {
        ASSERT_TRUE(reaches(job, "running")) << log();
        expect_pings();
        EXPECT_NE(log().find("disk.answers"), std::string::npos) << log();
        EXPECT_EQ(records(job, "job.blocked").size(), 1U);
        EXPECT_EQ(records(job, "job.unblocked").size(), 1U);
    }

    std::unique_ptr<service_manager> manager_;
};

TEST_F(HangingDisk, IsSeenByWhoeverLooksAndTheJobGoesOnWhenItAnswers) {
    configure_slow();
    if (!arm(watched())) GTEST_SKIP() << "NOT TESTED: calls are not made to hang under a sanitizer";
    child daemon = started();
    drop_job("hangs", 9000);
    ASSERT_TRUE(settles_some("hangs", 100)) << log();
    expect_pings();
    fault("fsync hangs.jsonl hang\n");
    expect_seen_to_hang("hangs");
    no_faults();
    expect_went_on("hangs");
    ASSERT_TRUE(eventually([&] { return in("done", "hangs.yaml"); }, patience)) << log();
    expect_true_verdicts("hangs", 9000);
    expect_verified();
}

// Batches wait while much of the journal is not on the disk yet. If nothing else is due then, and no intent is on its
// way, only the end of that write can set them going again.
TEST_F(HangingDisk, ThatAnswersAgainSetsGoingWhatWaitedForNothingElse) {
    configure({.scenario = "seed: 1\nfail_ratio: 1\n",
               .limits = "requests_per_second: 5000, burst: 100, concurrency: 8",
               .batch_size = 500});
    if (!arm()) GTEST_SKIP() << "NOT TESTED: calls are not made to hang under a sanitizer";
    child daemon = started();
    drop_job("waits", 20'000, "verify: none\nmax_attempts: 30\n");
    ASSERT_TRUE(eventually([&] { return truth("delete_requests") > 3 * 20'000 / 500; })) << log();
    fault("fsync waits.jsonl hang\n");
    int sent = -1;
    auto since = std::chrono::steady_clock::now();
    ASSERT_TRUE(eventually(
        [&] {
            if (std::exchange(sent, truth("delete_requests")) != sent) since = std::chrono::steady_clock::now();
            return std::chrono::steady_clock::now() - since > 500ms;
        },
        8s))
        << log();
    EXPECT_LT(sent, 30 * 20'000 / 500) << "it waits before its end";
    no_faults();
    ASSERT_TRUE(eventually([&] { return !records("waits", "job.finished").empty(); }, patience)) << log();
    EXPECT_TRUE(records("waits", "job.blocked").empty()) << "the disk was back before anybody called it hanging";
}

TEST_F(HangingDisk, AtTheEndIsLeftToItself) {
    configure_slow(", connect_timeout: 1s, request_timeout: 1s");
    if (!arm(watched())) GTEST_SKIP() << "NOT TESTED: calls are not made to hang under a sanitizer";
    {
        child daemon = started();
        drop_job("left", 4000);
        ASSERT_TRUE(settles_some("left", 100)) << log();
        fault("fsync left.jsonl hang\n");
        ASSERT_TRUE(eventually([&] { return hits("hang") > 0; })) << log();
        daemon.signal(SIGTERM);
        EXPECT_EQ(daemon.ends_within(3s), 74) << log();
        EXPECT_NE(log().find("most likely the disk"), std::string::npos) << log();
    }
    no_faults();
    {
        // With nothing to do the last thing to be written is when the last request was.
        child daemon = started();
        ASSERT_TRUE(eventually([&] { return in("done", "left.yaml"); }, patience)) << log();
        fault("fsync last-request hang\n");
        daemon.signal(SIGTERM);
        EXPECT_EQ(daemon.ends_within(3s), 74) << log();
    }
    no_faults();
    drop_job("next", 20);
    EXPECT_EQ(once(), 0) << log();
    expect_true_verdicts("left", 4000);
    expect_verified();
}

TEST_F(HangingDisk, AFrozenFileSystemIsWaitedForAndLeft) {
    image_disk disk(here_.path("image"), here_.path("disk"), here_.path("tools.log"));
    if (const std::string why = disk.make("ext4", 64); !why.empty()) GTEST_SKIP() << "NOT TESTED: " << why;
    data_ = "disk/";
    configure_slow(", connect_timeout: 1s, request_timeout: 1s");
    wrapped_in_ = {"/usr/bin/env"};
    for (const std::string& variable : watched()) wrapped_in_.push_back(variable);
    child daemon = started();
    drop_job("frozen", 8000);
    ASSERT_TRUE(settles_some("frozen", 100)) << log();
    if (!disk.freeze()) GTEST_SKIP() << "NOT TESTED: FIFREEZE is not to be had";
    expect_seen_to_hang("frozen");
    disk.thaw();
    expect_went_on("frozen");
    ASSERT_TRUE(disk.freeze());
    ASSERT_TRUE(eventually([&] { return count(log(), "disk.hangs") == 2; })) << log();
    daemon.signal(SIGTERM);
    // The kernel itself does not let go of who waits for a frozen file system; we have.
    EXPECT_TRUE(eventually([&] { return log().find("stop.given_up") != std::string::npos; }, 4s)) << log();
    disk.thaw();
    EXPECT_EQ(daemon.ends_within(5s), 74) << log();
    EXPECT_EQ(once(), 0) << log();
    expect_true_verdicts("frozen", 8000);
    expect_verified();
}

}  // namespace
}  // namespace culld::programs

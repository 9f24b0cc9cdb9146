// What a person was told is done holds, whatever happens to culld from then on.
#include "faults.hpp"

namespace culld::programs {
namespace {

class Orders : public WithFaults {
  protected:
    void begin() {
        configure({.limits = "requests_per_second: 0.01, concurrency: 1"});
        daemon_.emplace(started());
        drop_job("ordered", 100);
        ASSERT_TRUE(eventually([&] { return !records("ordered", "intent").empty(); })) << log();
    }
    void kill_and_start() {
        daemon_->signal(SIGKILL);
        static_cast<void>(daemon_->ends_within(10s));
        daemon_.emplace(started());
        ASSERT_TRUE(eventually([&] { return state("ordered") != "none"; })) << log();
    }
    std::optional<child> daemon_;
};

TEST_F(Orders, AreNotSaidToBeDoneBeforeTheyAreOnRecord) {
    if (!arm()) GTEST_SKIP() << "NOT TESTED: calls are not made to hang under a sanitizer";
    begin();
    fault("write ordered.jsonl hang\n");
    child pause({CULLCTL, "--config", here_.path("culld.yaml"), "pause", "ordered"}, here_.path("ctl.log"));
    ASSERT_TRUE(eventually([&] { return log().find("pause of ordered by uid") != std::string::npos; })) << log();
    daemon_->signal(SIGKILL);
    static_cast<void>(daemon_->ends_within(10s));
    no_faults();
    const auto told_code = pause.ends_within(patience);
    daemon_.emplace(started());
    ASSERT_TRUE(eventually([&] { return state("ordered") != "none"; })) << log();
    EXPECT_EQ(told_code == 0, state("ordered") == "paused") << told_code.value_or(-2) << "\n" << told();
}

TEST_F(Orders, HoldThoughCulldIsKilledRightBehindThem) {
    begin();
    for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(ctl({"pause", "ordered", "--reason", "lunch"}), 0) << told();
        ASSERT_NO_FATAL_FAILURE(kill_and_start());
        EXPECT_EQ(state("ordered"), "paused");
        ASSERT_EQ(ctl({"rate", "ordered", std::to_string(i + 1)}), 0) << told();
        ASSERT_EQ(ctl({"resume", "ordered"}), 0) << told();
        ASSERT_NO_FATAL_FAILURE(kill_and_start());
        EXPECT_NE(state("ordered"), "paused");
        const auto rates = records("ordered", "job.rate");
        ASSERT_EQ(rates.size(), static_cast<std::size_t>(i) + 1);
        EXPECT_EQ(rates.back().at("requests_per_second").to_number<int>(), i + 1);
    }
    ASSERT_EQ(ctl({"cancel", "ordered"}), 0) << told();
    daemon_->signal(SIGKILL);
    EXPECT_EQ(records("ordered", "job.cancelled").size(), 1U);
}

TEST_F(Orders, SayThatTheyAreNotOnRecordWhereTheJournalCannotBeWritten) {
    if (!arm()) GTEST_SKIP() << "NOT TESTED: calls are not made to fail under a sanitizer";
    begin();
    fault("write ordered.jsonl 28\n");  // ENOSPC
    EXPECT_EQ(ctl({"pause", "ordered"}), 75) << told();
    EXPECT_NE(told().find("it is not on record"), std::string::npos) << told();
    EXPECT_NE(told().find("No space left on device"), std::string::npos) << told();
    no_faults();
    ASSERT_TRUE(eventually([&] { return state("ordered") != "blocked"; })) << log();
    EXPECT_NE(state("ordered"), "paused");
    ASSERT_EQ(ctl({"pause", "ordered"}), 0) << told();
    EXPECT_EQ(state("ordered"), "paused");
}

}  // namespace
}  // namespace culld::programs

#include "culld/io/rate_mark.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "loop_fixture.hpp"

namespace culld {
namespace {

using std::chrono::seconds;

const wall_time noon = parse_rfc3339("2026-11-25T12:00:00Z").value();
constexpr auto span_of_6s = std::chrono::duration<double>(6);

class RateMark : public testing::Test {
  protected:
    RateMark() : dir_(std::move(folder::open(scratch_.path()).value())) {}

    // A run from its start to a clean end.
    bool run(wall_time start, std::optional<wall_time> last_sent, wall_time end) {
        rate_mark mark(dir_);
        const bool quiet = mark.quiet_for(span_of_6s, start).value();
        EXPECT_TRUE(mark.leave(last_sent, end));
        return quiet;
    }
    bool quiet_at(wall_time now) { return rate_mark(dir_).quiet_for(span_of_6s, now).value(); }

    scratch_folder scratch_;
    folder dir_;
};

TEST_F(RateMark, AFreshFolderWasNeverUsed) {
    EXPECT_TRUE(quiet_at(noon));
}

TEST_F(RateMark, AfterACleanEndTheLastRequestCounts) {
    run(noon, noon + seconds(10), noon + seconds(60));
    EXPECT_FALSE(run(noon + seconds(15), std::nullopt, noon + seconds(15)));
    EXPECT_TRUE(run(noon + seconds(16), std::nullopt, noon + seconds(16)));
}

TEST_F(RateMark, ARunThatSentNothingKeepsTheRequestOfTheOneBefore) {
    run(noon, noon, noon + seconds(1));
    run(noon + seconds(2), std::nullopt, noon + seconds(3));
    EXPECT_FALSE(run(noon + seconds(5), std::nullopt, noon + seconds(5)));
    EXPECT_TRUE(quiet_at(noon + seconds(6)));
}

TEST_F(RateMark, AfterACrashNothingIsKnownHoweverLongAgo) {
    run(noon, noon, noon + seconds(1));
    EXPECT_TRUE(quiet_at(noon + std::chrono::hours(1)));  // and then it crashes
    EXPECT_FALSE(quiet_at(noon + std::chrono::hours(48)));
}

TEST_F(RateMark, AfterACrashAndARunThatSentNothingTheCrashedOneMayHaveSent) {
    EXPECT_TRUE(quiet_at(noon));  // and then it crashes
    run(noon + seconds(1), std::nullopt, noon + seconds(2));
    EXPECT_FALSE(run(noon + seconds(7), std::nullopt, noon + seconds(7)));
    EXPECT_TRUE(quiet_at(noon + seconds(8)));
}

TEST_F(RateMark, AClockThatWentBackwardsProvesNothing) {
    run(noon, noon, noon);
    EXPECT_FALSE(quiet_at(noon - std::chrono::hours(1)));
}

TEST_F(RateMark, AMarkThatCannotBeReadProvesNothing) {
    for (const char* content : {"", "running\n", "yesterday\n", "2026-11-25T12:00:0", "\xff\xff"}) {
        std::ofstream(scratch_.path(".last-request")) << content;
        EXPECT_FALSE(quiet_at(noon + std::chrono::hours(1))) << content;
    }
}

TEST_F(RateMark, IsNeverWrittenThroughALink) {
    std::ofstream(scratch_.path("victim")) << "precious";
    ASSERT_EQ(::symlink("victim", scratch_.path(".last-request").c_str()), 0);
    EXPECT_FALSE(rate_mark(dir_).quiet_for(span_of_6s, noon));
    EXPECT_EQ(read_small_file(scratch_.path("victim"), 100), "precious");
}

}  // namespace
}  // namespace culld

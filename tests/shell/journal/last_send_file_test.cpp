#include "culld/io/journal/last_send_file.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "support/loop_fixture.hpp"

namespace culld {
namespace {

using std::chrono::seconds;

const wall_time midday = parse_rfc3339("2026-11-25T12:00:00Z").value();
constexpr auto span_of_6s = std::chrono::duration<double>(6);

class LastSendFile : public testing::Test {
  protected:
    LastSendFile() : dir_(std::move(folder::open(scratch_.path()).value())) {}

    // A run from its start to a clean end.
    bool run(wall_time start, std::optional<wall_time> last_sent, wall_time end) {
        last_send_file mark(dir_);
        const bool quiet = mark.quiet_for(span_of_6s, start).value();
        EXPECT_TRUE(mark.leave(last_sent, end));
        return quiet;
    }
    bool quiet_at(wall_time now) { return last_send_file(dir_).quiet_for(span_of_6s, now).value(); }

    scratch_folder scratch_;
    folder dir_;
};

TEST_F(LastSendFile, AFreshFolderWasNeverUsed) {
    EXPECT_TRUE(quiet_at(midday));
}

TEST_F(LastSendFile, AfterACleanEndTheLastRequestCounts) {
    run(midday, midday + seconds(10), midday + seconds(60));
    EXPECT_FALSE(run(midday + seconds(15), std::nullopt, midday + seconds(15)));
    EXPECT_TRUE(run(midday + seconds(16), std::nullopt, midday + seconds(16)));
}

TEST_F(LastSendFile, ARunThatSentNothingKeepsTheRequestOfTheOneBefore) {
    run(midday, midday, midday + seconds(1));
    run(midday + seconds(2), std::nullopt, midday + seconds(3));
    EXPECT_FALSE(run(midday + seconds(5), std::nullopt, midday + seconds(5)));
    EXPECT_TRUE(quiet_at(midday + seconds(6)));
}

TEST_F(LastSendFile, AfterACrashNothingIsKnownHoweverLongAgo) {
    run(midday, midday, midday + seconds(1));
    EXPECT_TRUE(quiet_at(midday + std::chrono::hours(1)));  // and then it crashes
    EXPECT_FALSE(quiet_at(midday + std::chrono::hours(48)));
}

TEST_F(LastSendFile, AfterACrashAndARunThatSentNothingTheCrashedOneMayHaveSent) {
    EXPECT_TRUE(quiet_at(midday));  // and then it crashes
    run(midday + seconds(1), std::nullopt, midday + seconds(2));
    EXPECT_FALSE(run(midday + seconds(7), std::nullopt, midday + seconds(7)));
    EXPECT_TRUE(quiet_at(midday + seconds(8)));
}

TEST_F(LastSendFile, AClockThatWentBackwardsProvesNothing) {
    run(midday, midday, midday);
    EXPECT_FALSE(quiet_at(midday - std::chrono::hours(1)));
}

TEST_F(LastSendFile, AMarkThatCannotBeReadProvesNothing) {
    for (const char* content : {"", "running\n", "yesterday\n", "2026-11-25T12:00:0", "\xff\xff"}) {
        std::ofstream(scratch_.path(".last-request")) << content;
        EXPECT_FALSE(quiet_at(midday + std::chrono::hours(1))) << content;
    }
}

TEST_F(LastSendFile, IsNeverWrittenThroughALink) {
    std::ofstream(scratch_.path("victim")) << "precious";
    ASSERT_EQ(::symlink("victim", scratch_.path(".last-request").c_str()), 0);
    EXPECT_FALSE(last_send_file(dir_).quiet_for(span_of_6s, midday));
    EXPECT_EQ(read_small_file(scratch_.path("victim"), 100), "precious");
}

}  // namespace
}  // namespace culld

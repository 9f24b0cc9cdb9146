#include "culld/core/spool/file_readiness.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rapidcheck.h>

namespace culld {
namespace {

using action = arrival_step::action;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

// A file and two clocks that a test moves on.
struct scene {
    explicit scene(std::string_view name) : it(name) {}

    node_facts file{.type = node_type::regular, .device = 1, .inode = 7, .links = 1, .uid = 0, .gid = 0, .size = 10};
    steady_time now{seconds(1000)};
    wall_time wall{seconds(1'800'000'000)};
    file_readiness it;

    void pass(nanoseconds time) {
        now += time;
        wall += std::chrono::duration_cast<std::chrono::microseconds>(time);
    }
    void write(std::uint64_t bytes) {
        file.size += bytes;
        file.mtime = file.ctime = wall;
    }
    arrival_step see(file_event what) { return it.seen(what, file, now, wall); }
    arrival_step look() { return it.looked(file, now, wall); }
    arrival_step answer(writer who) { return it.answered(who, now); }
    // Sees, and answers the question that follows.
    arrival_step see(file_event what, writer who) {
        EXPECT_EQ(see(what).what, action::ask_writer);
        return answer(who);
    }
};

TEST(FileReadiness, RenamedInIsReadyAtOnce) {
    for (const writer who : {writer::none, writer::unknown}) {
        scene s("a.json");
        s.write(1);
        EXPECT_EQ(s.see(file_event::moved_in, who).what, action::ready);
    }
}

// Whoever renames a file may go on to write it, and a second descriptor closes unseen.
TEST(FileReadiness, WithNobodyToAskEvenWhatCameWholeMustBeQuiet) {
    for (const writer who : {writer::not_allowed, writer::no_leases})
        for (const file_event how : {file_event::moved_in, file_event::closed, file_event::created}) {
            scene s("a.json");
            s.write(1);
            auto step = s.see(how);
            if (how == file_event::created) {
                s.pass(step.at - s.now);
                step = s.look();
            }
            ASSERT_EQ(step.what, action::ask_writer);
            step = s.answer(who);
            ASSERT_EQ(step.what, action::look_again);
            s.pass(milliseconds(1900));
            s.write(1);
            s.pass(milliseconds(1900));
            ASSERT_EQ(s.look().what, action::ask_writer);
            ASSERT_EQ(s.answer(who).what, action::look_again);
            s.pass(seconds(2));
            ASSERT_EQ(s.look().what, action::ask_writer);
            EXPECT_EQ(s.answer(who).what, action::ready);
        }
}

TEST(FileReadiness, RenamedInBeforeItsWriterClosedWaitsForHimHoweverLong) {
    scene s("a.json");
    s.write(1);
    auto step = s.see(file_event::moved_in, writer::present);
    for (int looks = 0; looks < 1000; ++looks) {
        ASSERT_EQ(step.what, action::look_again);
        EXPECT_TRUE(s.it.being_written());
        s.pass(step.at - s.now);
        ASSERT_EQ(s.look().what, action::ask_writer);
        step = s.answer(writer::present);
    }
    EXPECT_EQ(s.see(file_event::closed, writer::none).what, action::ready);
}

// It was taken while somebody wrote it: its coming back by a rename says nothing, and it must be quiet first.
TEST(FileReadiness, PutBackMustBeQuietWhoeverCanBeAskedFor) {
    for (const auto& [who, quiet] : {std::pair(writer::none, file_readiness::quiet_time),
                                     std::pair(writer::not_allowed, file_readiness::untold_quiet_time),
                                     std::pair(writer::no_leases, file_readiness::untold_quiet_time)}) {
        scene s("a.json");
        s.write(1);
        s.pass(std::chrono::hours(1));
        s.file.ctime = s.wall;  // of the rename
        const auto step = s.see(file_event::returned, who);
        ASSERT_EQ(step.what, action::look_again);
        EXPECT_EQ(step.at, s.now + quiet);
        s.pass(quiet);
        ASSERT_EQ(s.look().what, action::ask_writer);
        EXPECT_EQ(s.answer(who).what, action::ready);
    }
}

TEST(FileReadiness, ClosedAfterWritingIsReadyUnlessAnotherWriterIsThere) {
    scene s("a.json");
    s.write(1);
    EXPECT_EQ(s.see(file_event::closed, writer::present).what, action::look_again);
    EXPECT_EQ(s.see(file_event::closed, writer::unknown).what, action::ready);
}

TEST(FileReadiness, AWriterSeenOpeningIsWaitedForHoweverLongHePauses) {
    scene s("a.json");
    s.write(1);
    EXPECT_EQ(s.see(file_event::created).what, action::look_again);
    EXPECT_EQ(s.see(file_event::opened).what, action::wait_for_close);
    s.pass(std::chrono::hours(3));
    EXPECT_EQ(s.see(file_event::found, writer::unknown).what, action::wait_for_close);
    EXPECT_EQ(s.see(file_event::closed, writer::unknown).what, action::ready);
}

TEST(FileReadiness, AReaderIsNotTakenForAWriter) {
    scene s("a.json");
    s.write(1);
    EXPECT_EQ(s.see(file_event::created).what, action::look_again);
    s.pass(file_readiness::open_grace);
    EXPECT_EQ(s.see(file_event::opened).what, action::keep);
    EXPECT_EQ(s.look().what, action::ask_writer);
    EXPECT_EQ(s.answer(writer::none).what, action::ready);
}

TEST(FileReadiness, LinkedInIsReadyOnceItsOtherNameIsGone) {
    scene s("a.json");
    s.write(1);
    s.file.links = 2;
    auto step = s.see(file_event::created);
    ASSERT_EQ(step.what, action::look_again);
    s.file.links = 1;
    s.pass(file_readiness::open_grace);
    ASSERT_EQ(s.look().what, action::ask_writer);
    EXPECT_EQ(s.answer(writer::unknown).what, action::ready);
}

TEST(FileReadiness, AHardLinkIsForgivenForTwoSecondsThenRejected) {
    scene s("a.json");
    s.file.links = 3;
    auto step = s.see(file_event::moved_in);
    const steady_time began = s.now;
    int looks = 0;
    while (step.what == action::look_again) {
        ASSERT_GT(step.at, s.now);
        ASSERT_LT(++looks, 20);
        s.pass(step.at - s.now);
        step = s.look();
    }
    EXPECT_EQ(step.what, action::reject);
    EXPECT_EQ(s.now - began, file_readiness::link_patience);
    EXPECT_THAT(step.why.what, HasSubstr("3 hard links"));
}

TEST(FileReadiness, FoundAndOldIsReadyWhetherOrNotAWriterCanBeAskedFor) {
    for (const writer who : {writer::none, writer::unknown, writer::not_allowed, writer::no_leases}) {
        scene s("a.json");
        s.write(1);
        s.pass(seconds(10));
        EXPECT_EQ(s.see(file_event::found, who).what, action::ready);
    }
}

TEST(FileReadiness, FoundAndYoungWithNobodyToAskMustBeQuietForTenSeconds) {
    scene s("a.json");
    s.write(1);
    const auto first = s.see(file_event::found, writer::unknown);
    ASSERT_EQ(first.what, action::look_again);
    EXPECT_EQ(first.at, s.now + file_readiness::untold_quiet_time);
    s.pass(milliseconds(9500));
    s.write(1);
    s.pass(milliseconds(500));
    ASSERT_EQ(s.look().what, action::ask_writer);
    const auto second = s.answer(writer::unknown);
    ASSERT_EQ(second.what, action::look_again);
    s.pass(second.at - s.now);
    ASSERT_EQ(s.look().what, action::ask_writer);
    EXPECT_EQ(s.answer(writer::unknown).what, action::ready);
}

TEST(FileReadiness, AFileFromTheFutureIsNotWaitedForUntilThen) {
    scene s("a.json");
    s.file.mtime = s.wall + std::chrono::hours(24 * 365);
    ASSERT_EQ(s.see(file_event::found, writer::unknown).what, action::look_again);
    s.pass(file_readiness::untold_quiet_time);
    ASSERT_EQ(s.look().what, action::ask_writer);
    EXPECT_EQ(s.answer(writer::unknown).what, action::ready);
}

TEST(FileReadiness, AnEmptyFileIsGivenTimeToBeFilled) {
    scene s("a.json");
    s.file.size = 0;
    s.write(0);
    ASSERT_EQ(s.see(file_event::closed, writer::none).what, action::look_again);
    s.pass(file_readiness::quiet_time);
    ASSERT_EQ(s.look().what, action::ask_writer);
    EXPECT_EQ(s.answer(writer::none).what, action::ready);
}

TEST(FileReadiness, AnUnknownSuffixIsRejectedButOnlyOnceAToolHadTimeToRenameIt) {
    scene s("a.json.download");
    s.write(1);
    ASSERT_EQ(s.see(file_event::closed, writer::none).what, action::look_again);
    const auto moved = s.see(file_event::moved_in, writer::none);
    ASSERT_EQ(moved.what, action::reject);
    EXPECT_THAT(moved.why.hint, HasSubstr("*.json"));
}

TEST(FileReadiness, WhatIsNoRegularFileIsRejectedAtOnce) {
    for (const auto type :
         {node_type::folder, node_type::symlink, node_type::fifo, node_type::socket, node_type::device})
        for (const auto how : {file_event::created, file_event::moved_in, file_event::found}) {
            scene s("a.json");
            s.file.type = type;
            s.file.links = 2;
            EXPECT_EQ(s.see(how).what, action::reject);
        }
}

TEST(FileReadiness, NamesThatAreLeftAloneAreLeftAloneWhateverTheyAre) {
    for (const char* name : {".hidden.json", "a.json.tmp", "a.part", "a.json~", "a.swp"}) {
        scene s(name);
        s.file.type = node_type::symlink;
        EXPECT_EQ(s.see(file_event::found).what, action::leave_alone) << name;
    }
}

TEST(FileReadiness, NamesThatNoLogCanCarryAreRejected) {
    for (const char* name : {"new\nline.json", "\x1b[2J.json", "bad\xff\xfe.json", "del\x7f.json", "c1\xc2\x9b.json",
                             "\xc2\xa0.json", "nosj.\xe2\x80\xaeyaml"}) {
        scene s(name);
        EXPECT_EQ(s.see(file_event::moved_in).what, action::reject);
    }
    for (const char* name : {"-rf.json", "%s%n.json", "r\xc3\xa9sum\xc3\xa9.json", "a b.json"})
        EXPECT_FALSE(name_fault(name)) << name;
}

// Whatever happens in whatever order: a file that somebody has open, and says so, is never taken; and whatever is quiet
// and unwritten is decided within a bounded time.
TEST(FileReadiness, NeverReadyWhileWrittenAndAlwaysDecidedAfterwards) {
    EXPECT_TRUE(rc::check([] {
        scene s("a.json");
        s.write(1);
        const bool can_ask = *rc::gen::arbitrary<bool>();
        bool open = true;
        auto step = s.see(file_event::created);
        step = s.see(file_event::opened);
        const auto advance = [&] {
            if (step.what == action::ask_writer)
                step = s.answer(!can_ask ? writer::unknown : open ? writer::present : writer::none);
        };
        for (const int what : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 4))) {
            s.pass(milliseconds(*rc::gen::inRange(1, 5000)));
            if (what == 0) s.write(1);
            if (what == 1) step = s.see(file_event::found);
            if (what == 2)
                if (const auto opened = s.see(file_event::opened); opened.what != action::keep) step = opened;
            if (what == 3 && step.what == action::look_again) step = s.look();
            advance();
            RC_ASSERT(step.what != action::ready);
            RC_ASSERT(step.what != action::reject);
        }
        open = false;
        step = s.see(file_event::closed);
        advance();
        RC_ASSERT(step.what == action::ready);
    }));
}

TEST(FileReadiness, EveryUnwrittenFileIsDecidedWithinTwentySeconds) {
    EXPECT_TRUE(rc::check([] {
        scene s(*rc::gen::element(std::string_view("a.json"), std::string_view("a.exe"), std::string_view("a.ids")));
        s.file.size = *rc::gen::element<std::uint64_t>(0, 5);
        s.file.links = *rc::gen::element<std::uint64_t>(1, 2);
        s.file.ctime = s.wall + std::chrono::milliseconds(*rc::gen::inRange(-5000, 5000));
        const auto who = *rc::gen::element(writer::none, writer::unknown, writer::not_allowed, writer::no_leases);
        const steady_time began = s.now;
        auto step =
            s.see(*rc::gen::element(file_event::moved_in, file_event::closed, file_event::created, file_event::found));
        for (int looks = 0; step.what != action::ready && step.what != action::reject; ++looks) {
            RC_ASSERT(looks < 40);
            if (step.what == action::ask_writer) {
                step = s.answer(who);
                continue;
            }
            RC_ASSERT(step.what == action::look_again);
            RC_ASSERT(step.at > s.now);
            s.pass(step.at - s.now);
            step = s.look();
        }
        RC_ASSERT(s.now - began <= seconds(20));
        RC_ASSERT((step.what == action::reject) == (s.file.links == 2 || s.it.kind() == file_kind::unknown));
    }));
}

}  // namespace
}  // namespace culld

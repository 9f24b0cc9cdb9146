#include "culld/core/auth/expiry.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "culld/core/auth/key_lockout.hpp"

namespace culld {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const steady_time obtained = steady_time() + hours(1000);

TEST(Expiry, HoldsNothingAtFirst) {
    const expiry none;
    EXPECT_FALSE(none.usable(obtained));
    EXPECT_TRUE(none.due(obtained));
    EXPECT_FALSE(none.end());
}

TEST(Expiry, TellsItsEndWhereItHasOne) {
    EXPECT_EQ(expiry(obtained, hours(24), minutes(30)).end(), obtained + hours(24)) << "the end, not the last use";
    EXPECT_FALSE(expiry(obtained, expiry::forever, minutes(30)).end());
}

TEST(Expiry, OfADayIsRenewedHalfAnHourBeforeItsEnd) {
    const expiry day(obtained, hours(24), minutes(30));
    EXPECT_FALSE(day.due(obtained + hours(24) - minutes(31)));
    EXPECT_TRUE(day.due(obtained + hours(24) - minutes(30)));
    EXPECT_TRUE(day.usable(obtained + hours(24) - minutes(2)));
    EXPECT_FALSE(day.usable(obtained + hours(24) - minutes(1))) << "a request needs time on its way";
}

TEST(Expiry, OfAnHourIsRenewedWithAFifthLeft) {
    const expiry hour(obtained, hours(1), minutes(40));
    EXPECT_FALSE(hour.due(obtained + minutes(47)));
    EXPECT_TRUE(hour.due(obtained + minutes(48)));
}

// An hour-long token over two days of a fake clock: never without one, and no more than 31 fetched each day.
TEST(Expiry, OfAnHourCarriesThroughDays) {
    steady_time now = obtained;
    expiry held(now, hours(1), minutes(30));
    int renewals = 0;
    for (; now < obtained + hours(48); now += seconds(10)) {
        ASSERT_TRUE(held.usable(now));
        if (!held.due(now)) continue;
        held = expiry(now, hours(1), minutes(30));
        ++renewals;
    }
    EXPECT_EQ(renewals, 48 * 60 / 48 - 1);
}

// While IAM is down the token in hand serves until its end, and IAM is not asked all the time.
TEST(Expiry, ThatCannotBeRenewedServesUntilItsEnd) {
    steady_time now = obtained;
    expiry held(now, hours(1), minutes(30));
    int tries = 0;
    for (; held.usable(now); now += seconds(1))
        if (held.due(now)) {
            ++tries;
            held.failed(now);
        }
    EXPECT_EQ(now, obtained + minutes(59));
    EXPECT_GE(tries, 10);
    EXPECT_LE(tries, 60);
}

TEST(Expiry, ForEverIsNeverDue) {
    const expiry keys(obtained, expiry::forever, {});
    EXPECT_TRUE(keys.usable(obtained + hours(24 * 365)));
    EXPECT_FALSE(keys.due(obtained + hours(24 * 365)));
}

TEST(Expiry, ThatIsOverAlreadyIsNotUsable) {
    EXPECT_FALSE(expiry(obtained, seconds(-5), minutes(30)).usable(obtained));
    EXPECT_FALSE(expiry(obtained, nanoseconds::min(), minutes(30)).usable(obtained));
}

TEST(KeyGuard, HoldsAfterFourFailuresUntilTheFirstIsFiveMinutesOld) {
    key_lockout guard;
    guard.use("AK");
    for (int i = 0; i < 3; ++i) guard.refused(obtained + seconds(i));
    EXPECT_FALSE(guard.hold(obtained + seconds(3)));
    guard.refused(obtained + seconds(3));
    EXPECT_EQ(guard.hold(obtained + seconds(4)), obtained + minutes(5));
    EXPECT_FALSE(guard.hold(obtained + minutes(5)));
    guard.refused(obtained + minutes(5));
    EXPECT_EQ(guard.hold(obtained + minutes(5)), obtained + minutes(5) + seconds(1));
}

// Whatever the moments at which somebody asks for another try: no five minutes ever see a fifth failure.
TEST(KeyGuard, NeverLetsFiveFailuresIntoTheWindow) {
    key_lockout guard;
    guard.use("AK");
    std::vector<steady_time> failures;
    for (steady_time now = obtained; now < obtained + hours(2); now += seconds(7)) {
        if (guard.hold(now)) continue;
        guard.refused(now);
        failures.push_back(now);
    }
    ASSERT_GT(failures.size(), 20U);
    for (std::size_t i = 4; i < failures.size(); ++i) EXPECT_GE(failures[i] - failures[i - 4], minutes(5));
}

TEST(KeyGuard, CountsEachKeyForItselfHoweverTheyTakeTurns) {
    key_lockout guard;
    for (int i = 0; i < 4; ++i)
        for (const char* key : {"A", "B"}) {
            guard.use(key);
            EXPECT_FALSE(guard.hold(obtained + seconds(i)));
            guard.refused(obtained + seconds(i));
        }
    EXPECT_TRUE(guard.hold(obtained + seconds(4)));
    guard.use("A");
    EXPECT_TRUE(guard.hold(obtained + seconds(4)));
    EXPECT_TRUE(guard.accepted());
    EXPECT_FALSE(guard.accepted());
    EXPECT_FALSE(guard.hold(obtained + seconds(4)));
    guard.use("B");
    EXPECT_TRUE(guard.hold(obtained + seconds(4)));
}

class KeyLockoutFile : public testing::Test {
  protected:
    // A process that was refused `n` times, a second apart from `obtained` and `noon` on; its last moment is one more.
    static std::string left_by(int n, std::string_view before = "", steady_time at = obtained, wall_time wall = noon) {
        key_lockout guard;
        guard.use("AK");
        EXPECT_TRUE(guard.restore(before, at, wall));
        for (int i = 0; i < n; ++i) guard.refused(at + seconds(i));
        return guard.mark(at + seconds(n), wall + seconds(n));
    }
    // The one after it: how long it may not sign.
    static std::optional<nanoseconds> held(std::string_view mark, steady_time at, wall_time wall,
                                           std::string_view key = "AK") {
        key_lockout guard;
        guard.use(key);
        EXPECT_TRUE(guard.restore(mark, at, wall));
        const auto until = guard.hold(at);
        return until ? std::optional(*until - at) : std::nullopt;
    }
    static const wall_time noon;
};
const wall_time KeyLockoutFile::noon = parse_rfc3339("2026-11-25T12:00:00Z").value();

TEST_F(KeyLockoutFile, TheNextProcessHoldsForAsLongAsThisOneWouldHave) {
    EXPECT_EQ(held(left_by(4), obtained + minutes(1), noon + minutes(1)), minutes(4));
    EXPECT_EQ(held(left_by(4), obtained + minutes(5), noon + minutes(5)), std::nullopt);
    EXPECT_EQ(held(left_by(3), obtained + minutes(1), noon + minutes(1)), std::nullopt);
    EXPECT_EQ(held(left_by(2, left_by(2)), obtained + seconds(3), noon + seconds(3)), minutes(5) - seconds(3));
    EXPECT_EQ(held(left_by(4), obtained + minutes(1), noon + minutes(1), "OTHER"), std::nullopt);
    EXPECT_EQ(held("", obtained, noon), std::nullopt);
}

TEST_F(KeyLockoutFile, AJumpOfTheWallClockMakesNobodyForget) {
    EXPECT_EQ(held(left_by(4), obtained + minutes(1), noon + hours(9)), minutes(4));
    EXPECT_EQ(held(left_by(4), obtained + minutes(1), noon - hours(9)), minutes(5));
}

// After a restart of the machine the steady clock begins anew, behind the mark or past it by chance.
TEST_F(KeyLockoutFile, ARestartOfTheMachineMakesNobodyForget) {
    EXPECT_EQ(held(left_by(4), obtained - minutes(30), noon + minutes(1)), minutes(4));
    EXPECT_EQ(held(left_by(4), obtained + seconds(10), noon + minutes(1)), minutes(5) - seconds(10));
    EXPECT_EQ(held(left_by(4), obtained + hours(2), noon + minutes(1)), minutes(4));
    EXPECT_EQ(held(left_by(4), obtained + hours(2), noon + minutes(5)), std::nullopt);
}

TEST_F(KeyLockoutFile, WhatIsNoMarkIsToldAndDoesNoHarm) {
    for (const char* text : {"x", "\n", "a b c\n", "a b\n", " \n", "a b c d\n", "\xff\n"}) {
        key_lockout guard;
        guard.use("AK");
        EXPECT_FALSE(guard.restore(text, obtained, noon)) << text;
        EXPECT_FALSE(guard.hold(obtained));
        const std::string good = left_by(4);
        EXPECT_FALSE(guard.restore(text + good, obtained + seconds(4), noon + seconds(4))) << text;
    }
    std::string cut = left_by(4);
    cut.resize(cut.size() / 2 + 9);
    EXPECT_FALSE(key_lockout().restore(cut, obtained, noon));
}

// As many processes as somebody cares to obtained, at whatever moments: still four in five minutes.
TEST_F(KeyLockoutFile, NoRestartsLetFiveFailuresIntoTheWindow) {
    std::string mark;
    std::vector<steady_time> failures;
    for (int at = 0; at < 7200; at += 11) {
        key_lockout guard;
        guard.use("AK");
        EXPECT_TRUE(guard.restore(mark, obtained + seconds(at), noon + seconds(at)));
        if (guard.hold(obtained + seconds(at))) continue;
        guard.refused(obtained + seconds(at));
        failures.push_back(obtained + seconds(at));
        mark = guard.mark(obtained + seconds(at), noon + seconds(at));
        EXPECT_LE(std::ranges::count(mark, '\n'), 4);
    }
    ASSERT_GT(failures.size(), 20U);
    for (std::size_t i = 4; i < failures.size(); ++i) EXPECT_GE(failures[i] - failures[i - 4], minutes(5));
}

TEST(KeyGuard, BeginsAnewWithAnotherKeyOrAGoodAnswer) {
    key_lockout guard;
    guard.use("AK");
    for (int i = 0; i < 4; ++i) guard.refused(obtained);
    guard.use("AK");
    EXPECT_TRUE(guard.hold(obtained));
    guard.use("OTHER");
    EXPECT_FALSE(guard.hold(obtained));
    for (int i = 0; i < 4; ++i) guard.refused(obtained);
    guard.accepted();
    EXPECT_FALSE(guard.hold(obtained));
}

TEST(SigningClock, FollowsTheGatewayAndKnowsWhenItHasNothingToLearn) {
    signing_clock clock;
    const wall_time now = parse_rfc3339("2026-11-25T12:00:00Z").value();
    EXPECT_EQ(clock.at(now), now);
    EXPECT_TRUE(clock.learn(now + minutes(20), now));
    EXPECT_EQ(clock.at(now), now + minutes(20));
    EXPECT_FALSE(clock.learn(now + minutes(20) + seconds(30), now + seconds(5))) << "the clock was not what was wrong";
    EXPECT_TRUE(clock.learn(now, now)) << "our clock was set";
    EXPECT_EQ(clock.at(now), now);
    EXPECT_TRUE(clock.learn(now - hours(30), now));
}

TEST(SigningClock, NoticesThatTheWallClockJumpedOnce) {
    signing_clock clock;
    const wall_time wall = parse_rfc3339("2026-11-25T12:00:00Z").value();
    EXPECT_FALSE(clock.jumped(wall, obtained));
    EXPECT_FALSE(clock.jumped(wall + hours(5), obtained + hours(5)));
    EXPECT_TRUE(clock.jumped(wall + hours(4), obtained + hours(5)));
    EXPECT_FALSE(clock.jumped(wall + hours(4), obtained + hours(5)));
    EXPECT_TRUE(clock.jumped(wall + hours(6), obtained + hours(6)));
}

}  // namespace
}  // namespace culld

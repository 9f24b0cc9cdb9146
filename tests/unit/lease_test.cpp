#include "culld/core/lease.hpp"

#include <gtest/gtest.h>

#include "culld/core/key_guard.hpp"

namespace culld {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const steady_time start = steady_time() + hours(1000);

TEST(Lease, HoldsNothingAtFirst) {
    const lease none;
    EXPECT_FALSE(none.usable(start));
    EXPECT_TRUE(none.due(start));
}

TEST(Lease, OfADayIsRenewedHalfAnHourBeforeItsEnd) {
    const lease day(start, hours(24), minutes(30));
    EXPECT_FALSE(day.due(start + hours(24) - minutes(31)));
    EXPECT_TRUE(day.due(start + hours(24) - minutes(30)));
    EXPECT_TRUE(day.usable(start + hours(24) - minutes(2)));
    EXPECT_FALSE(day.usable(start + hours(24) - minutes(1))) << "a request needs time on its way";
}

TEST(Lease, OfAnHourIsRenewedWithAFifthLeft) {
    const lease hour(start, hours(1), minutes(40));
    EXPECT_FALSE(hour.due(start + minutes(47)));
    EXPECT_TRUE(hour.due(start + minutes(48)));
}

// An hour-long token over two days of a fake clock: never without one, and no more than 31 fetched each day.
TEST(Lease, OfAnHourCarriesThroughDays) {
    steady_time now = start;
    lease held(now, hours(1), minutes(30));
    int renewals = 0;
    for (; now < start + hours(48); now += seconds(10)) {
        ASSERT_TRUE(held.usable(now));
        if (!held.due(now)) continue;
        held = lease(now, hours(1), minutes(30));
        ++renewals;
    }
    EXPECT_EQ(renewals, 48 * 60 / 48 - 1);
}

// While IAM is down the token in hand serves until its end, and IAM is not asked all the time.
TEST(Lease, ThatCannotBeRenewedServesUntilItsEnd) {
    steady_time now = start;
    lease held(now, hours(1), minutes(30));
    int tries = 0;
    for (; held.usable(now); now += seconds(1))
        if (held.due(now)) {
            ++tries;
            held.failed(now);
        }
    EXPECT_EQ(now, start + minutes(59));
    EXPECT_GE(tries, 10);
    EXPECT_LE(tries, 60);
}

TEST(Lease, ForEverIsNeverDue) {
    const lease keys(start, lease::forever, {});
    EXPECT_TRUE(keys.usable(start + hours(24 * 365)));
    EXPECT_FALSE(keys.due(start + hours(24 * 365)));
}

TEST(Lease, ThatIsOverAlreadyIsNotUsable) {
    EXPECT_FALSE(lease(start, seconds(-5), minutes(30)).usable(start));
    EXPECT_FALSE(lease(start, nanoseconds::min(), minutes(30)).usable(start));
}

TEST(KeyGuard, HoldsAfterFourFailuresUntilTheFirstIsFiveMinutesOld) {
    key_guard guard;
    guard.use("AK");
    for (int i = 0; i < 3; ++i) guard.refused(start + seconds(i));
    EXPECT_FALSE(guard.hold(start + seconds(3)));
    guard.refused(start + seconds(3));
    EXPECT_EQ(guard.hold(start + seconds(4)), start + minutes(5));
    EXPECT_FALSE(guard.hold(start + minutes(5)));
    guard.refused(start + minutes(5));
    EXPECT_EQ(guard.hold(start + minutes(5)), start + minutes(5) + seconds(1));
}

// Whatever the moments at which somebody asks for another try: no five minutes ever see a fifth failure.
TEST(KeyGuard, NeverLetsFiveFailuresIntoTheWindow) {
    key_guard guard;
    guard.use("AK");
    std::vector<steady_time> failures;
    for (steady_time now = start; now < start + hours(2); now += seconds(7)) {
        if (guard.hold(now)) continue;
        guard.refused(now);
        failures.push_back(now);
    }
    ASSERT_GT(failures.size(), 20U);
    for (std::size_t i = 4; i < failures.size(); ++i) EXPECT_GE(failures[i] - failures[i - 4], minutes(5));
}

TEST(KeyGuard, BeginsAnewWithAnotherKeyOrAGoodAnswer) {
    key_guard guard;
    guard.use("AK");
    for (int i = 0; i < 4; ++i) guard.refused(start);
    guard.use("AK");
    EXPECT_TRUE(guard.hold(start));
    guard.use("OTHER");
    EXPECT_FALSE(guard.hold(start));
    for (int i = 0; i < 4; ++i) guard.refused(start);
    guard.accepted();
    EXPECT_FALSE(guard.hold(start));
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
    EXPECT_FALSE(clock.jumped(wall, start));
    EXPECT_FALSE(clock.jumped(wall + hours(5), start + hours(5)));
    EXPECT_TRUE(clock.jumped(wall + hours(4), start + hours(5)));
    EXPECT_FALSE(clock.jumped(wall + hours(4), start + hours(5)));
    EXPECT_TRUE(clock.jumped(wall + hours(6), start + hours(6)));
}

}  // namespace
}  // namespace culld

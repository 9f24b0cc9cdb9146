#include "culld/core/status/progress.hpp"

#include <gtest/gtest.h>

namespace culld {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
constexpr steady_time start{std::chrono::hours(1)};

TEST(Progress, KnowsNothingBeforeItHasSeenASecond) {
    progress p;
    EXPECT_EQ(p.rate(start), 0);
    p.sample(start, 0, 0);
    p.sample(start + milliseconds(500), 100, 1);
    EXPECT_EQ(p.rate(start + milliseconds(900)), 0);
    EXPECT_FALSE(p.seconds_left(start + milliseconds(900), 10));
    EXPECT_DOUBLE_EQ(p.rate(start + seconds(1)), 100);
    EXPECT_EQ(p.seconds_left(start + seconds(1), 10), 10U);
}

// 2,600 of 3,000 ids go by in batches of 100, the last 400 by GET, five requests a second: within seconds the rate is
// 5, and what is left is told from the GETs.
TEST(Progress, TheLastIdsGoOneByOneAndAreToldSo) {
    progress p;
    steady_time now = start;
    std::uint64_t settled = 0, answers = 0;
    p.sample(now, 0, 0);
    while (settled < 2600) {
        now += milliseconds(200);
        p.sample(now, settled += 100, ++answers);
    }
    EXPECT_NEAR(p.rate(now), 500, 1);
    EXPECT_EQ(p.seconds_left(now, 400), 80U);
    for (int i = 0; i < 35; ++i) {
        now += milliseconds(200);
        p.sample(now, ++settled, ++answers);
    }
    EXPECT_NEAR(p.rate(now), 5, 0.1);
    EXPECT_EQ(p.seconds_left(now, 365), 73U);
}

TEST(Progress, ASlowJobIsMeasuredOverMoreThanFiveSeconds) {
    progress p;
    steady_time now = start;
    for (std::uint64_t i = 0; i < 20; ++i, now += seconds(6)) p.sample(now, i * 100, i);
    EXPECT_NEAR(p.rate(now - seconds(6)), 100.0 / 6, 0.1);
    EXPECT_NEAR(p.rate(now - seconds(1)), 100.0 / 6, 2);
}

TEST(Progress, IsForgottenAfterALongRest) {
    progress p;
    for (std::uint64_t i = 0; i < 10; ++i) p.sample(start + seconds(i), i * 100, i);
    EXPECT_EQ(p.rate(start + seconds(60)), 0);
    p.sample(start + std::chrono::hours(2), 1000, 10);
    p.sample(start + std::chrono::hours(2) + seconds(2), 1020, 12);
    EXPECT_DOUBLE_EQ(p.rate(start + std::chrono::hours(2) + seconds(2)), 10);
}

}  // namespace
}  // namespace culld

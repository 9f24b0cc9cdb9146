#include "culld/core/base/widening_counts.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>

#include "culld/core/base/sliding_counts.hpp"

namespace culld {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

wall_time at(std::int64_t ms) {
    return wall_time(milliseconds(1'764'000'000'000 + ms));
}

TEST(WideningCounts, AShortStoryHasBucketsOfASecond) {
    widening_counts t(2);
    t.add(at(200), 0, 3);
    t.add(at(900), 1, 1);
    t.add(at(2100), 0, 5);
    EXPECT_EQ(t.width(), seconds(1));
    EXPECT_EQ(t.counts(0), (std::vector<std::uint64_t>{3, 0, 5}));
    EXPECT_EQ(t.counts(1), (std::vector<std::uint64_t>{1, 0, 0}));
    EXPECT_EQ(t.begin(), at(0));
    EXPECT_EQ(t.end(), at(3000));
}

TEST(WideningCounts, ALongOneHasWiderBucketsAndNoMoreOfThem) {
    widening_counts t(1);
    for (std::int64_t hour = 0; hour < 1000; ++hour) t.add(at(hour * 3'600'000), 0, 1);
    EXPECT_LE(t.counts(0).size(), widening_counts::buckets_max);
    EXPECT_GT(t.counts(0).size(), widening_counts::buckets_max / 2 - 1);
    EXPECT_EQ(std::accumulate(t.counts(0).begin(), t.counts(0).end(), std::uint64_t{0}), 1000U);
}

TEST(WideningCounts, AClockSetBackLosesNothing) {
    widening_counts t(1);
    t.add(at(5000), 0, 1);
    t.add(at(0), 0, 1);
    EXPECT_EQ(t.counts(0), (std::vector<std::uint64_t>{2}));
}

TEST(WideningCounts, TimeMayPassWithNothingInIt) {
    widening_counts t(1);
    t.add(at(0), 0, 1);
    t.reach(at(4000));
    EXPECT_EQ(t.counts(0), (std::vector<std::uint64_t>{1, 0, 0, 0, 0}));
}

RC_GTEST_PROP(WideningCounts, KeepsEverySum, (const std::vector<std::pair<std::uint32_t, std::uint8_t>>& events)) {
    widening_counts t(1);
    std::uint64_t sum = 0;
    for (const auto& [when, n] : events) {
        t.add(at(when), 0, n);
        sum += n;
    }
    if (events.empty()) return;
    RC_ASSERT(std::accumulate(t.counts(0).begin(), t.counts(0).end(), std::uint64_t{0}) == sum);
    RC_ASSERT(t.counts(0).size() <= widening_counts::buckets_max);
}

// ---- the recent past ----

steady_time now(std::int64_t s) {
    return steady_time(seconds(1000 + s));
}

void sample(sliding_counts& past, std::int64_t s, std::uint64_t total) {
    past.sample(now(s), std::span(&total, 1));
}

TEST(SlidingCounts, CountsWhatTotalsGrewBy) {
    sliding_counts past(1, 4, seconds(10));
    sample(past, 0, 100);  // where they begin is no growth
    sample(past, 5, 103);
    sample(past, 12, 110);
    EXPECT_EQ(past.counts(0), (std::vector<std::uint64_t>{0, 0, 3, 7}));
}

TEST(SlidingCounts, ForgetsTheOldest) {
    sliding_counts past(1, 3, seconds(10));
    sample(past, 0, 0);
    sample(past, 1, 1);
    sample(past, 11, 3);
    sample(past, 21, 6);
    sample(past, 31, 10);
    EXPECT_EQ(past.counts(0), (std::vector<std::uint64_t>{2, 3, 4}));
    sample(past, 100'000, 11);
    EXPECT_EQ(past.counts(0), (std::vector<std::uint64_t>{0, 0, 1}));
}

TEST(SlidingCounts, ATotalThatFellCountsAgainOnceItIsAboveWhatItWas) {
    sliding_counts past(1, 2, seconds(10));
    sample(past, 0, 50);
    sample(past, 1, 20);
    sample(past, 2, 55);
    EXPECT_EQ(past.counts(0), (std::vector<std::uint64_t>{0, 5}));
}

}  // namespace
}  // namespace culld

#include "culld/core/rate/adaptive_rate.hpp"

#include <gtest/gtest.h>

#include "support/start.hpp"

namespace culld {
namespace {

using namespace std::chrono_literals;

constexpr double ours = 50;

// `passed` requests, one each `apart`, then a row of refusals; the first of the next window passes after `whole`.
steady_time a_window(adaptive_rate& r, steady_time at, int passed, nanoseconds apart, int refusals, nanoseconds whole) {
    for (int i = 1; i < passed; ++i) r.let_through(at + i * apart, ours);
    for (int i = 0; i < refusals; ++i) r.refused(at + passed * apart + i * 1s);
    r.let_through(at + whole, ours);
    return at + whole;
}

// Two windows of 60 s that let 600 through.
steady_time taught(adaptive_rate& r) {
    return a_window(r, a_window(r, start, 600, 1ms, 3, 60s), 600, 1ms, 3, 60s);
}

TEST(AdaptiveRate, KnowsNothingBeforeARowOfRefusalsCameAgain) {
    adaptive_rate r;
    steady_time at = a_window(r, start, 30, 20ms, 3, 10s);
    EXPECT_FALSE(r.get());
    at = a_window(r, at, 30, 20ms, 2, 10s);
    EXPECT_FALSE(r.get()) << "two refusals are no row";
    a_window(r, at, 30, 20ms, 3, 10s);
    EXPECT_DOUBLE_EQ(*r.get(), 60.0 / 20);
}

TEST(AdaptiveRate, IsWhatWentThroughFromOneRowToTheNext) {
    adaptive_rate r;
    // The first window was nearly over when it began: it would be measured far too high.
    const steady_time at = a_window(r, start, 5, 200ms, 3, 10s);
    a_window(r, at, 5, 200ms, 3, 60s);
    EXPECT_DOUBLE_EQ(*r.get(), 5.0 / 60);
}

TEST(AdaptiveRate, RefusalsBeforeAnythingPassedTeachNothing) {
    adaptive_rate r;
    for (int i = 0; i < 5; ++i) r.refused(start);
    for (int i = 0; i < 5; ++i) r.let_through(start + i * 1s, ours);
    EXPECT_FALSE(r.get());
}

TEST(AdaptiveRate, IsNoSlowerThanOneAMinuteAndNoFasterThanOurs) {
    adaptive_rate slow, fast;
    a_window(slow, a_window(slow, start, 1, 1s, 8, 24h), 1, 1s, 8, 24h);
    EXPECT_DOUBLE_EQ(*slow.get(), 1.0 / 60);
    a_window(fast, a_window(fast, start, 9000, 1ms, 3, 12s), 9000, 1ms, 3, 12s);
    EXPECT_DOUBLE_EQ(*fast.get(), ours);
}

TEST(AdaptiveRate, WhereItMustBeLoweredTimeAndAgainNoQuotaIsAtWork) {
    adaptive_rate r;
    nanoseconds whole = 10s;
    steady_time at = a_window(r, start, 20, 10ms, 3, whole);
    for (int i = 0; i < 2; ++i, whole *= 2) {
        at = a_window(r, at, 20, 10ms, 3, whole);
        EXPECT_TRUE(r.get());
    }
    at = a_window(r, at, 20, 10ms, 3, whole);
    EXPECT_FALSE(r.get());
    at = a_window(r, a_window(r, at, 20, 10ms, 3, whole), 20, 10ms, 3, whole);
    EXPECT_FALSE(r.get()) << "not so soon again";
    a_window(r, a_window(r, at + 1h, 20, 10ms, 3, whole), 20, 10ms, 3, whole);
    EXPECT_TRUE(r.get());
}

// The passes of one window over ten minutes would be a rate that no quota has.
TEST(AdaptiveRate, TheTimeInWhichNothingIsLearnedIsNoWindow) {
    adaptive_rate r;
    nanoseconds whole = 10s;
    steady_time at = a_window(r, start, 20, 10ms, 3, whole);
    for (int i = 0; i < 3; ++i, whole *= 2) at = a_window(r, at, 20, 10ms, 3, whole);
    ASSERT_FALSE(r.get());
    at = a_window(r, at + 11min, 100, 10ms, 3, 60s);
    EXPECT_FALSE(r.get()) << "the first row after it begins a window, and ends none";
    a_window(r, at, 100, 10ms, 3, 60s);
    EXPECT_DOUBLE_EQ(*r.get(), 100.0 / 60);
}

TEST(AdaptiveRate, ComesBackInStepsUntilNothingIsLearnedAnyMore) {
    adaptive_rate r;
    const steady_time from = taught(r);
    double last = 10;
    ASSERT_DOUBLE_EQ(*r.get(), last);
    steady_time now = from;
    for (; r.get() && now < from + 1h; now += 100ms) {
        EXPECT_LE(*r.get(), last * 1.5000001);
        EXPECT_LE(*r.get(), ours);
        last = *r.get();
        r.let_through(now, ours);
    }
    EXPECT_EQ(last, ours);
    EXPECT_FALSE(r.get());
    EXPECT_GT(now, from + 9min) << "two windows for each of five rates";
    EXPECT_LT(now, from + 11min);
}

TEST(AdaptiveRate, ARefusalOnTrialTakesTheStepBackAndPutsTheNextOff) {
    adaptive_rate r;
    steady_time now = taught(r);
    nanoseconds waited{};
    for (int failed = 0; failed < 4; ++failed) {
        const steady_time from = now;
        while (*r.get() == 10) r.let_through(now += 100ms, ours);
        EXPECT_DOUBLE_EQ(*r.get(), 15);
        EXPECT_GE(now - from, waited * 19 / 10);
        waited = now - from;
        r.refused(now += 100ms);
        EXPECT_DOUBLE_EQ(*r.get(), 10);
    }
}

TEST(AdaptiveRate, ASlowRateIsTriedForAsManyRequestsAsAQuickOne) {
    adaptive_rate r;
    steady_time now = a_window(r, a_window(r, start, 1, 1s, 5, 60s), 1, 1s, 5, 60s);
    for (int i = 1; i < 7; ++i) r.let_through(now += 60s, ours);
    EXPECT_DOUBLE_EQ(*r.get(), 1.0 / 60);
    r.let_through(now += 60s, ours);
    EXPECT_GT(*r.get(), 1.0 / 60);
}

}  // namespace
}  // namespace culld

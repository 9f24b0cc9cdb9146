#include "culld/core/learned_rate.hpp"

#include <gtest/gtest.h>

namespace culld {
namespace {

using namespace std::chrono_literals;

constexpr steady_time start{1h};

// `passed` requests, one each `apart`, then a row of refusals, then one that passes `after` the first of all.
void a_window(learned_rate& r, steady_time at, int passed, nanoseconds apart, int refusals, nanoseconds after) {
    for (int i = 0; i < passed; ++i) r.let_through(at + i * apart, 50);
    for (int i = 0; i < refusals; ++i) r.refused(at + passed * apart + i * 1s);
    r.let_through(at + after, 50);
}

TEST(LearnedRate, KnowsNothingBeforeARowOfRefusals) {
    learned_rate r;
    a_window(r, start, 30, 20ms, 2, 10s);
    EXPECT_FALSE(r.get());
}

TEST(LearnedRate, IsWhatWentThroughFromOneWindowToTheNext) {
    learned_rate r;
    a_window(r, start, 5, 200ms, 3, 60s);
    ASSERT_TRUE(r.get());
    EXPECT_DOUBLE_EQ(*r.get(), 5.0 / 60);
}

TEST(LearnedRate, OneThatWasMeasuredTooHighIsMeasuredAgain) {
    learned_rate r;
    a_window(r, start, 5, 200ms, 3, 10s);  // the window was nearly over when it began
    EXPECT_DOUBLE_EQ(*r.get(), 0.5);
    a_window(r, start + 12s, 4, 2s, 3, 58s);
    EXPECT_DOUBLE_EQ(*r.get(), 5.0 / 60);
}

TEST(LearnedRate, RefusalsBeforeAnythingPassedAreNoDivisionByZero) {
    learned_rate r;
    for (int i = 0; i < 5; ++i) r.refused(start);
    r.let_through(start, 50);
    r.let_through(start + 1s, 50);
    EXPECT_FALSE(r.get() && *r.get() < 1.0 / 60);
}

TEST(LearnedRate, IsNeverSlowerThanOneAMinute) {
    learned_rate r;
    a_window(r, start, 1, 1s, 8, 24h);
    EXPECT_DOUBLE_EQ(*r.get(), 1.0 / 60);
}

TEST(LearnedRate, WhereItMustBeLoweredTimeAndAgainNoQuotaIsAtWork) {
    learned_rate r;
    nanoseconds took = 10s;
    steady_time at = start;
    for (int i = 0; i < 3; ++i, took *= 2) {
        a_window(r, at, 20, 10ms, 3, took);
        EXPECT_TRUE(r.get());
        at += took + 1ms;
    }
    a_window(r, at, 20, 10ms, 3, took);
    EXPECT_FALSE(r.get());
    a_window(r, at + took + 1s, 20, 10ms, 3, took);
    EXPECT_FALSE(r.get()) << "not so soon again";
    a_window(r, at + 1h, 20, 10ms, 3, took);
    EXPECT_TRUE(r.get());
}

TEST(LearnedRate, ComesBackInStepsUntilNothingIsLearnedAnyMore) {
    learned_rate r;
    a_window(r, start, 600, 1ms, 3, 60s);
    ASSERT_DOUBLE_EQ(*r.get(), 10);
    double last = 10;
    steady_time now = start + 60s;
    for (; r.get() && now < start + 1h; now += 100ms) {
        r.let_through(now, 50);
        if (!r.get()) break;
        EXPECT_LE(*r.get(), last * 1.2500001);
        EXPECT_LE(*r.get(), 50);
        last = *r.get();
    }
    EXPECT_FALSE(r.get()) << "5 minutes a doubling at the most";
    EXPECT_LT(now, start + 12min);
}

TEST(LearnedRate, ARefusalOnTrialTakesTheStepBackAndPutsTheNextOff) {
    learned_rate r;
    a_window(r, start, 600, 1ms, 3, 60s);
    steady_time now = start + 60s;
    nanoseconds waited{};
    for (int failed = 0; failed < 4; ++failed) {
        const steady_time from = now;
        while (*r.get() == 10) r.let_through(now += 100ms, 50);
        EXPECT_DOUBLE_EQ(*r.get(), 12.5);
        EXPECT_GE(now - from, waited * 19 / 10);
        waited = now - from;
        r.refused(now += 100ms);
        EXPECT_DOUBLE_EQ(*r.get(), 10);
    }
}

TEST(LearnedRate, ASlowRateIsTriedForAsManyRequestsAsAQuickOne) {
    learned_rate r;
    a_window(r, start, 1, 1s, 5, 60s);
    for (int i = 1; i < 7; ++i) r.let_through(start + 60s + i * 60s, 50);
    EXPECT_DOUBLE_EQ(*r.get(), 1.0 / 60);
    r.let_through(start + 60s + 7 * 60s, 50);
    EXPECT_GT(*r.get(), 1.0 / 60);
}

}  // namespace
}  // namespace culld

#include "culld/core/rate/send_gate.hpp"

#include <gtest/gtest.h>

#include "support/start.hpp"

namespace culld {
namespace {

using namespace std::chrono_literals;

traffic_rules fast() {
    traffic_rules r;
    r.per_second = 1000;
    r.burst = 1000;  // so that the pace is out of the way
    r.breaker_failures = 3;
    r.probe = 15s;
    return r;
}

TEST(SendGate, APaceThatIsNotReadySaysWhenToAskAgain) {
    send_gate t({.per_second = 5, .burst = 1}, start, true);
    EXPECT_TRUE(t.admit(start, 0).go);
    t.sent(start);
    const auto wait = t.admit(start, 1);
    EXPECT_FALSE(wait.go);
    ASSERT_TRUE(wait.at);
    EXPECT_GT(*wait.at, start + 199ms);
    EXPECT_TRUE(t.admit(*wait.at, 1).go);
}

TEST(SendGate, ThoseThatStillConnectComeFirst) {
    send_gate t({.per_second = 5, .burst = 1}, start, true);
    EXPECT_TRUE(t.admit(start, 0, 0).go);
    const auto second = t.admit(start, 1, 1);
    EXPECT_FALSE(second.go) << "the place that is free is the other's";
    ASSERT_TRUE(second.at);
    EXPECT_GT(*second.at, start + 199ms);
    EXPECT_FALSE(t.admit(start + 250ms, 2, 2).go);
    EXPECT_TRUE(t.admit(start + 250ms, 1, 1).go);
}

TEST(SendGate, AfterAnUncleanEndTheFirstRequestWaits) {
    EXPECT_FALSE(send_gate({.per_second = 5, .burst = 10}, start, false).admit(start, 0).go);
}

TEST(SendGate, TheBreakerOpensAfterFailuresInARowOnly) {
    send_gate t(fast(), start, true);
    EXPECT_FALSE(t.on_request_failed(start));
    EXPECT_FALSE(t.on_request_failed(start));
    static_cast<void>(t.on_request_done(start));
    EXPECT_FALSE(t.on_request_failed(start));
    EXPECT_FALSE(t.on_request_failed(start));
    EXPECT_FALSE(t.breaker_open());
    EXPECT_TRUE(t.on_request_failed(start));
    EXPECT_TRUE(t.breaker_open());
    EXPECT_FALSE(t.on_request_failed(start)) << "it opens once";
}

TEST(SendGate, AnOpenBreakerLetsExactlyOneProbeThroughEachProbeInterval) {
    send_gate t(fast(), start, true);
    for (int i = 0; i < 3; ++i) static_cast<void>(t.on_request_failed(start));
    steady_time now = start;
    int probes = 0;
    std::uint32_t in_flight = 0;
    steady_time answered{};
    for (; now < start + 10min; now += 100ms) {
        if (in_flight > 0 && now >= answered) {
            --in_flight;
            EXPECT_FALSE(t.on_request_failed(now));
        }
        while (t.admit(now, in_flight).go) {
            t.sent(now);
            ++in_flight;
            ++probes;
            EXPECT_EQ(in_flight, 1U) << "a probe goes alone";
            answered = now + 100ms;
        }
    }
    EXPECT_GE(probes, 41);  // after 1, 2, 4, 8 s, then 15.1 s apart
    EXPECT_LE(probes, 43);
}

TEST(SendGate, WhileTheBreakerIsOpenTheNextProbesTimeIsNamed) {
    send_gate t(fast(), start, true);
    for (int i = 0; i < 3; ++i) static_cast<void>(t.on_request_failed(start));
    EXPECT_EQ(t.admit(start, 0).at, start + 1s) << "the first comes soon";
    t.sent(start + 1s);
    static_cast<void>(t.on_request_failed(start + 1s));
    EXPECT_EQ(t.admit(start + 1s, 0).at, start + 3s);
    static_cast<void>(t.on_request_failed(start + 2s));
    EXPECT_EQ(t.admit(start + 2s, 0).at, start + 4s) << "what was sent before it opened is no probe";
    const auto busy = t.admit(start + 20s, 1);
    EXPECT_FALSE(busy.go);
    EXPECT_FALSE(busy.at) << "only the probe's answer changes it";
}

TEST(SendGate, AProbeThatGoesWellClosesTheBreaker) {
    send_gate t(fast(), start, true);
    for (int i = 0; i < 3; ++i) static_cast<void>(t.on_request_failed(start));
    ASSERT_TRUE(t.admit(start + 15s, 0).go);
    t.sent(start + 15s);
    static_cast<void>(t.on_request_done(start));
    EXPECT_FALSE(t.breaker_open());
    EXPECT_TRUE(t.admit(start + 15s, 7).go);
}

TEST(SendGate, A429PausesEverybodyAndSaysTheServerLives) {
    send_gate t(fast(), start, true);
    for (int i = 0; i < 3; ++i) static_cast<void>(t.on_request_failed(start));
    EXPECT_EQ(t.throttled(start, 5s, std::nullopt, 0.5), start + 5s);
    EXPECT_FALSE(t.breaker_open());
    EXPECT_EQ(t.paused_until(), start + 5s);
    for (const std::uint32_t in_flight : {0U, 1U, 9U}) {
        const auto a = t.admit(start + 4999ms, in_flight);
        EXPECT_FALSE(a.go);
        EXPECT_EQ(a.at, start + 5s);
    }
    EXPECT_TRUE(t.admit(start + 5s, 9).go);
}

TEST(SendGate, AShorterPauseDoesNotCutALongerOne) {
    send_gate t(fast(), start, true);
    static_cast<void>(t.throttled(start, 60s, std::nullopt, 0));
    EXPECT_EQ(t.throttled(start + 1s, 1s, std::nullopt, 0), start + 60s);
}

TEST(SendGate, NoAnswerStopsUsForMoreThanADay) {
    send_gate t(fast(), start, true);
    EXPECT_EQ(t.throttled(start, nanoseconds::max(), std::nullopt, 0), start + 24h);
}

// Retry-After: 0, or a date in the past.
TEST(SendGate, APauseOfNothingBacksOffAsABare429Does) {
    for (const nanoseconds none : {nanoseconds(0), nanoseconds(-5s)}) {
        traffic_rules r = fast();
        r.throttle_backoff = {.base = 1s, .cap = 60s};
        send_gate t(r, start, true);
        EXPECT_EQ(t.throttled(start, none, std::nullopt, 1.0), start + 1s);
        EXPECT_EQ(t.throttled(start + 1s, none, std::nullopt, 1.0), start + 3s);
        EXPECT_EQ(t.throttled(start + 3s, none, std::nullopt, 1.0), start + 7s);
    }
}

TEST(SendGate, A503MakesEverybodyBackOffMoreEachTime) {
    traffic_rules r = fast();
    r.breaker_failures = 100;
    r.throttle_backoff = {.base = 1s, .cap = 8s};
    send_gate t(r, start, true);
    steady_time now = start;
    for (const nanoseconds wait : {1s, 2s, 4s, 8s, 8s}) {
        t.overloaded(now, std::nullopt, 1.0);
        t.overloaded(now + 1ms, std::nullopt, 0.0);  // under way when the pause began
        EXPECT_FALSE(t.admit(now + wait - 1ms, 0).go);
        EXPECT_TRUE(t.admit(now + wait + 1ms, 9).go);
        now += wait + 1ms;
    }
    EXPECT_FALSE(t.paused_until()) << "the gateway asked for nothing";
    static_cast<void>(t.on_request_done(now));
    t.overloaded(now, 3s, 0);
    EXPECT_EQ(t.admit(now, 0).at, now + 3s) << "as long as the answer says";
    t.overloaded(now + 3s, 1h, 0);
    EXPECT_EQ(t.admit(now, 0).at, now + 11s) << "within reason";
}

TEST(SendGate, BehindAnOpenBreakerProbesWaitForNothingElse) {
    traffic_rules r = fast();
    r.throttle_backoff = {.base = 60s, .cap = 60s};
    send_gate t(r, start, true);
    for (int i = 0; i < 3; ++i) {
        t.overloaded(start, std::nullopt, 1.0);
        static_cast<void>(t.on_request_failed(start));
    }
    EXPECT_TRUE(t.admit(start + 1s, 0).go);
}

// Cause 1 of a job that never got faster again: one text with a lower number.
TEST(SendGate, TheLatestLimitCountsAndOneThatIsNotNamedAgainIsTriedToBeRaised) {
    send_gate t({.per_second = 50, .burst = 1}, start, true);
    static_cast<void>(t.throttled(start, 1s, named_limit{20, 1s}, 0));
    EXPECT_EQ(t.per_second(), 20);
    static_cast<void>(t.throttled(start + 10s, 1s, named_limit{4, 1s}, 0));
    EXPECT_EQ(t.per_second(), 4);
    static_cast<void>(t.throttled(start + 20s, 1s, named_limit{20, 1s}, 0));
    EXPECT_EQ(t.per_second(), 20) << "upwards too";
    static_cast<void>(t.throttled(start + 30s, 1s, named_limit{4, 1s}, 0));
    steady_time now = start + 30s;
    for (; t.per_second() < 50 && now < start + 10min; now += 250ms) static_cast<void>(t.on_request_done(now));
    EXPECT_EQ(t.per_second(), 50);
    EXPECT_LT(now, start + 2min);
}

TEST(SendGate, ALimitThatHoldsIsTriedLessAndLessOften) {
    send_gate t({.per_second = 50, .burst = 1}, start, true);
    static_cast<void>(t.throttled(start, 1s, named_limit{4, 1s}, 0));
    int refused = 0;
    for (steady_time now = start; now < start + 4h; now += 250ms) {
        if (t.per_second() > 4) {
            ++refused;
            static_cast<void>(t.throttled(now, 1s, named_limit{4, 1s}, 0));
        }
        static_cast<void>(t.on_request_done(now));
    }
    EXPECT_GE(refused, 8);
    EXPECT_LE(refused, 14);
}

TEST(SendGate, A429ThatNamesNoPauseBacksOffMoreEachTime) {
    traffic_rules r = fast();
    r.throttle_backoff = {.base = 1s, .cap = 60s};
    send_gate t(r, start, true);
    steady_time now = start;
    nanoseconds last{};
    for (int i = 0; i < 6; ++i) {
        const steady_time until = t.throttled(now, std::nullopt, std::nullopt, 1.0);
        EXPECT_GT(until - now, last);
        last = until - now;
        now = until;
    }
    static_cast<void>(t.on_request_done(start));
    EXPECT_EQ(t.throttled(now, std::nullopt, std::nullopt, 1.0), now + 1s) << "a good answer ends the row";
}

TEST(SendGate, ALimitThatTheGatewayNamesIsKeptTo) {
    send_gate t(fast(), start, true);
    static_cast<void>(t.throttled(start, 1s, named_limit{2.0, 1s}, 0));
    EXPECT_EQ(t.per_second(), 2.0);
    steady_time now = start;
    int sent = 0;
    for (; now < start + 101s; now += 1ms)
        while (t.admit(now, 0).go) {
            t.sent(now);
            ++sent;
        }
    EXPECT_GE(sent, 198);
    EXPECT_LE(sent, 201);
}

TEST(SendGate, ALimitAboveTheOwnRateOrWithoutSenseChangesNothing) {
    send_gate t({.per_second = 5, .burst = 1}, start, true);
    for (const double limit : {5.0, 100.0, 0.0, -1.0}) {
        static_cast<void>(t.throttled(start, 0s, named_limit{limit, 1s}, 0));
        EXPECT_EQ(t.per_second(), 5.0);
    }
}

TEST(SendGate, WithoutAdaptiveTheLimitIsNotLearned) {
    send_gate t({.per_second = 5, .burst = 1, .adaptive = false}, start, true);
    static_cast<void>(t.throttled(start, 0s, named_limit{1.0, 1s}, 0));
    EXPECT_EQ(t.per_second(), 5.0);
}

TEST(SendGate, WhatWasUnderWayWhenThePauseBeganIsRefusedOnce) {
    traffic_rules r = fast();
    r.throttle_backoff = {.base = 1s, .cap = 60s};
    send_gate t(r, start, true);
    EXPECT_EQ(t.throttled(start, std::nullopt, std::nullopt, 1.0), start + 1s);
    for (int i = 1; i < 4; ++i)
        EXPECT_LE(t.throttled(start + i * 1ms, std::nullopt, std::nullopt, 1.0), start + 1s + i * 1ms);
    EXPECT_EQ(t.throttled(start + 2s, std::nullopt, std::nullopt, 1.0), start + 4s);
}

TEST(SendGate, ALimitThatIsNotNamedIsFoundOutAndGivenBack) {
    send_gate t({.per_second = 50, .burst = 3}, start, true);
    steady_time now = start;
    for (const steady_time window : {start, start + 60s}) {
        for (int i = 0; i < 5; ++i) EXPECT_FALSE(t.on_request_done(window));
        now = window;
        for (int i = 0; i < 4; ++i) now = t.throttled(now, std::nullopt, std::nullopt, 0.5);
    }
    EXPECT_TRUE(t.on_request_done(start + 120s));
    EXPECT_NEAR(t.per_second(), 5.0 / 60, 1e-9);
    EXPECT_GE(t.admit(now, 0).at.value_or(start), start + 71s);
    for (now = start + 120s; t.per_second() < 50 && now < start + 2h; now += 1s)
        static_cast<void>(t.on_request_done(now));
    EXPECT_LT(now, start + 1h);
}

TEST(SendGate, WithoutAdaptiveNothingIsFoundOut) {
    send_gate t({.per_second = 50, .burst = 1, .adaptive = false}, start, true);
    static_cast<void>(t.on_request_done(start));
    steady_time now = start;
    for (int i = 0; i < 6; ++i) now = t.throttled(now, std::nullopt, std::nullopt, 0.5);
    EXPECT_FALSE(t.on_request_done(start + 60s));
    EXPECT_EQ(t.per_second(), 50);
}

TEST(SendGate, NewRulesKeepALearnedLimitUntilItIsAboveThemOrUnwanted) {
    send_gate t({.per_second = 5, .burst = 3}, start, true);
    static_cast<void>(t.throttled(start, 0s, named_limit{2.0, 1s}, 0));
    t.set_rules({.per_second = 10, .burst = 9}, start);
    EXPECT_EQ(t.per_second(), 2.0);
    EXPECT_GE(t.admit(start, 0).at.value_or(start), start + 499ms) << "and no burst with it";
    t.set_rules({.per_second = 1, .burst = 1}, start);
    EXPECT_EQ(t.per_second(), 1.0);
    t.set_rules({.per_second = 10, .burst = 1, .adaptive = false}, start);
    EXPECT_EQ(t.per_second(), 10.0);
}

TEST(SendGate, RefusedCredentialsStopEverythingUntilTheyChange) {
    send_gate t(fast(), start, true);
    t.credentials_refused();
    const auto a = t.admit(start + 1h, 0);
    EXPECT_FALSE(a.go);
    EXPECT_FALSE(a.at) << "time does not mend it";
    static_cast<void>(t.on_request_done(start));  // the answer of a request sent before
    EXPECT_EQ(t.credentials(), credential_state::refused);
}

TEST(SendGate, RenewedCredentialsAreTriedByOneRequestAlone) {
    send_gate t(fast(), start, true);
    t.credentials_refused();
    t.credentials_renewed();
    EXPECT_FALSE(t.admit(start, 1).go) << "others are still under way";
    ASSERT_TRUE(t.admit(start, 0).go);
    t.sent(start);
    EXPECT_FALSE(t.admit(start, 1).go);
    static_cast<void>(t.on_request_done(start));
    EXPECT_EQ(t.credentials(), credential_state::good);
    EXPECT_TRUE(t.admit(start, 5).go);
}

TEST(SendGate, ATrialThatFailsForAnotherReasonStaysATrial) {
    send_gate t(fast(), start, true);
    t.credentials_renewed();
    static_cast<void>(t.on_request_failed(start));
    EXPECT_EQ(t.credentials(), credential_state::trial);
    EXPECT_TRUE(t.admit(start, 0).go);
    EXPECT_FALSE(t.admit(start, 1).go);
}

}  // namespace
}  // namespace culld

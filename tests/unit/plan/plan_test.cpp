// The plan of one job, call by call. What holds over whole histories is job_simulation_test's.
#include "culld/core/plan/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <stdexcept>

#include "support/plan_support.hpp"

namespace culld {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

plan_rules rules(std::uint32_t batch_size, verify_mode verify = verify_mode::none, std::uint32_t max_attempts = 5) {
    plan_rules r;
    r.batch_size = batch_size;
    r.max_attempts = max_attempts;
    r.verify = verify;
    r.window = batch_size * 4;
    r.retry = {.base = 1s, .cap = 60s};
    return r;
}

plan_state job(std::uint64_t ids, spans presettled = {}) {
    plan_state s{.ids = ids};
    s.counts.skipped = count_of(presettled);
    s.presettled = std::move(presettled);
    return s;
}

judgement all_deleted(const batch* b) {
    judgement j;
    j.sent = b->count();
    return j;
}

judgement all_refused(const batch* b) {
    judgement j = all_deleted(b);
    for (std::uint32_t i = 0; i < j.sent; ++i) j.refused.push_back(i);
    return j;
}

std::vector<position> each(const spans& at) {
    std::vector<position> out;
    for (const span& s : at)
        for (position p = s.first; p < s.end(); ++p) out.push_back(p);
    return out;
}

// ---- what is left ----

TEST(Plan, KnowsHowManyRequestsAreLeft) {
    plan p(rules(4, verify_mode::failed, 1), job(10, {{8, 1}}), start);
    EXPECT_EQ(p.requests_left(), 3U) << "9 ids in batches of 4";
    const batch* b = take(p);
    EXPECT_EQ(p.requests_left(), 3U) << "one is under way, 5 ids are to come";
    static_cast<void>(p.on_answered(b, all_refused(b), start, 0));
    EXPECT_EQ(p.requests_left(), 6U) << "4 ids are asked for one by one";
    b = take(p);
    static_cast<void>(p.on_failed(b, plan::miss::unsent, start, start, 0));
    EXPECT_EQ(p.requests_left(), 6U) << "it goes again";
    static_cast<void>(p.stop(skip_reason::cancelled, start));
    EXPECT_EQ(p.requests_left(), 4U) << "what was never sent will not be";
    EXPECT_EQ(plan(rules(4, verify_mode::all), job(10), start).requests_left(), 13U);
}

// ---- intents ----

TEST(Plan, NothingFreshIsSentBeforeItsIntentIsDurable) {
    plan p(rules(4), job(10), start);
    EXPECT_FALSE(p.ready(start));
    EXPECT_EQ(p.take(start), nullptr);
    const spans ranges = p.wants_intent();
    EXPECT_EQ(ranges, (spans{{0, 10}}));
    EXPECT_EQ(p.take(start), nullptr) << "asked for, not durable yet";
    EXPECT_THAT(p.wants_intent(), IsEmpty()) << "one at a time";
    p.intended(ranges);
    const batch* b = p.take(start);
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(b->at, (spans{{0, 4}}));
    EXPECT_EQ(b->attempt, 1U);
    EXPECT_FALSE(b->sent_before);
}

TEST(Plan, IntentsRunAheadByTheWindowAndNoFurther) {
    plan p(rules(4), job(1000), start);
    position intended = 0;
    for (position sent = 0; sent < 1000;) {
        const spans ranges = p.wants_intent();
        if (!ranges.empty()) {
            p.intended(ranges);
            EXPECT_EQ(ranges.front().first, intended);
            intended = ranges.back().end();
            EXPECT_LE(intended - sent, 16U);
        }
        const batch* b = p.take(start);
        ASSERT_NE(b, nullptr) << "fresh ids wait for nothing";
        EXPECT_LE(b->at.back().end(), intended);
        sent = b->at.back().end();
        EXPECT_THAT(p.on_answered(b, all_deleted(b), start, 0), IsEmpty());
    }
    EXPECT_THAT(p.wants_intent(), IsEmpty());
    EXPECT_TRUE(p.done());
}

TEST(Plan, HolesAreInNoIntentAndNoBatch) {
    for (const spans& presettled : {spans{{0, 3}}, spans{{7, 3}}, spans{{0, 1}, {2, 1}, {4, 2}, {9, 1}}, spans{{0, 10}},
                                    spans{{3, 2}, {5, 1}}, spans{{1, 8}}}) {
        plan p(rules(2), job(10, presettled), start);
        std::set<position> untouchable;
        for (const position h : each(presettled)) untouchable.insert(h);
        std::set<position> sent;
        for (int i = 0; i < 20; ++i) {
            const spans ranges = p.wants_intent();
            for (const position q : each(ranges)) EXPECT_FALSE(untouchable.contains(q));
            if (!ranges.empty()) p.intended(ranges);
            const batch* b = p.take(start);
            if (b == nullptr) continue;
            for (const position q : each(b->at)) {
                EXPECT_FALSE(untouchable.contains(q));
                EXPECT_TRUE(sent.insert(q).second);
            }
            EXPECT_THAT(p.on_answered(b, all_deleted(b), start, 0), IsEmpty());
        }
        EXPECT_EQ(sent.size() + untouchable.size(), 10U);
        EXPECT_TRUE(p.done());
    }
}

// ---- retries ----

TEST(Plan, RetriesGoInFullBatchesWhileFreshIdsAreLeft) {
    plan p(rules(4), job(400), start);
    steady_time now = start;
    std::uint64_t fresh = 0;
    int full = 0;
    while (!p.done()) {
        now += 10s;  // far more than a retry's delay: ids come due one by one
        const bool fresh_left = fresh < 400;
        const batch* b = take(p, now);
        ASSERT_NE(b, nullptr);
        judgement j = all_deleted(b);
        if (b->attempt == 1) {
            fresh += b->count();
            j.refused = {0};
        } else if (fresh_left) {
            EXPECT_EQ(b->count(), 4U);
            ++full;
        }
        static_cast<void>(p.on_answered(b, j, now, 0));
    }
    EXPECT_EQ(full, 24) << "and they do go while fresh ids are left";
}

TEST(Plan, ARetryWaitsForItsDelayAndDueTellsUntilWhen) {
    plan p(rules(4), job(4), start);
    const batch* b = take(p);
    EXPECT_THAT(p.on_answered(b, all_refused(b), start, 1.0), IsEmpty());
    EXPECT_FALSE(p.ready(start));
    EXPECT_EQ(p.due(), start + 1s);
    EXPECT_EQ(take(p, start + 999ms), nullptr);
    b = take(p, start + 1s);
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(b->attempt, 2U);
    EXPECT_TRUE(b->sent_before);
    EXPECT_EQ(b->last, last_outcome::refused);
}

TEST(Plan, NoIdIsTriedMoreThanMaxAttempts) {
    for (std::uint32_t max = 1; max <= 6; ++max) {
        plan p(rules(3, verify_mode::none, max), job(3), start);
        steady_time now = start;
        std::uint32_t sent = 0;
        std::vector<verdict> verdicts;
        while (!p.done()) {
            const batch* b = take(p, now);
            ASSERT_NE(b, nullptr);
            EXPECT_EQ(b->attempt, ++sent);
            verdicts = p.on_answered(b, all_refused(b), now, 0.5);
            now += 60s;
        }
        EXPECT_EQ(sent, max);
        ASSERT_EQ(verdicts.size(), 1U);
        EXPECT_EQ(verdicts[0].kind, verdict_kind::failed);
        EXPECT_EQ(verdicts[0].reason, "refused");
        EXPECT_EQ(verdicts[0].attempts, max);
        EXPECT_EQ(verdicts[0].at, (spans{{0, 3}}));
    }
}

TEST(Plan, IdsThatWereAccountedForDifferentlyDoNotShareARetry) {
    plan p(rules(4), job(4), start);
    const batch* b = take(p);
    judgement j = all_deleted(b);
    j.refused = {0, 2};
    j.unknown = {1, 3};
    EXPECT_THAT(p.on_answered(b, j, start, 0), IsEmpty());
    const batch* first = take(p, start + 1min);
    const batch* second = take(p, start + 1min);
    ASSERT_TRUE(first != nullptr && second != nullptr);
    EXPECT_EQ(first->last, last_outcome::refused);
    EXPECT_EQ(first->at, (spans{{0, 1}, {2, 1}}));
    EXPECT_EQ(second->last, last_outcome::unaccounted);
    EXPECT_EQ(p.first_bad(), 4U);
    EXPECT_EQ(p.first_good(), 0U);
}

TEST(Plan, ABatchThatGotNoAnswerGoesAgainAsItWasAndCountsNoAttempt) {
    for (const plan::miss how : {plan::miss::unsent, plan::miss::declined, plan::miss::in_doubt}) {
        plan p(rules(4), job(8), start);
        const batch* b = take(p);
        const std::uint64_t number = b->number;
        EXPECT_THAT(p.on_failed(b, how, start, start + 5s, 0), IsEmpty());
        EXPECT_EQ(p.due(), start + 5s) << "not before the earliest time";
        EXPECT_EQ(take(p)->at, (spans{{4, 4}})) << "others go on";
        EXPECT_FALSE(p.ready(start + 4999ms));
        b = p.take(start + 5s);
        ASSERT_NE(b, nullptr);
        EXPECT_EQ(b->number, number);
        EXPECT_EQ(b->at, (spans{{0, 4}}));
        EXPECT_EQ(b->attempt, 1U);
        EXPECT_EQ(b->tries, 1U);
        EXPECT_EQ(b->sent_before, how != plan::miss::unsent);
        EXPECT_EQ(b->last, how == plan::miss::in_doubt ? last_outcome::unanswered : last_outcome::unsent);
        EXPECT_THAT(p.on_answered(b, all_deleted(b), start, 0), IsEmpty());
        EXPECT_EQ(p.counts().deleted, 4U);
    }
}

TEST(Plan, ABatchGivenBackGoesAgainAtOnceAsIfNothingHadBeen) {
    plan p(rules(4), job(8), start);
    const batch* b = take(p);
    const std::uint64_t number = b->number;
    EXPECT_THAT(p.return_unsent(b, start), IsEmpty());
    b = take(p);
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(b->number, number);
    EXPECT_EQ(b->at, (spans{{0, 4}}));
    EXPECT_EQ(b->attempt, 1U);
    EXPECT_EQ(b->tries, 0U);
    EXPECT_FALSE(b->sent_before);
    EXPECT_FALSE(b->doubt_since);
}

TEST(Plan, AFateThatStaysUnknownIsGivenUpAfterItsTime) {
    plan p(rules(4, verify_mode::none), job(4), start);
    steady_time now = start;
    std::vector<verdict> out;
    int tries = 0;
    while (out.empty() && ++tries < 10'000) {
        const batch* b = take(p, now);
        ASSERT_NE(b, nullptr);
        out = p.on_failed(b, plan::miss::in_doubt, now, now, 1.0);
        if (out.empty()) now = *p.due();
    }
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(out[0].kind, verdict_kind::failed);
    EXPECT_EQ(out[0].reason, "unknown");
    EXPECT_EQ(out[0].attempts, 0U) << "no answer, no attempt";
    EXPECT_GE(now - start, 24h);
    EXPECT_LT(now - start, 24h + 61s);
}

TEST(Plan, WhatWasSurelyNotDoneIsNeverGivenUp) {
    plan p(rules(4, verify_mode::none), job(4), start);
    steady_time now = start;
    for (int i = 0; i < 100; ++i, now += 24h) {
        const batch* b = take(p, now);
        ASSERT_NE(b, nullptr);
        EXPECT_THAT(p.on_failed(b, i % 2 == 0 ? plan::miss::declined : plan::miss::unsent, now, now, 0), IsEmpty());
    }
}

// ---- halving ----

TEST(Plan, HalvingIsolatesOnePoisonedIdInLogarithmicallyManyRounds) {
    for (const std::uint32_t n : {1U, 2U, 3U, 7U, 100U, 128U, 999U})
        for (const position poison : {position{0}, position{n / 2}, position{n - 1}}) {
            plan p(rules(n), job(n), start);
            std::vector<verdict> out;
            int rounds = 0;
            while (const batch* b = take(p)) {
                const auto ids = each(b->at);
                if (std::find(ids.begin(), ids.end(), poison) == ids.end()) {
                    // The first that passes shows that it was the poisoned one's own fault.
                    for (verdict& v : p.on_answered(b, all_deleted(b), start, 0)) out.push_back(std::move(v));
                    continue;
                }
                ++rounds;
                for (verdict& v : p.on_split(b, start)) out.push_back(std::move(v));
            }
            ASSERT_TRUE(p.done());
            EXPECT_EQ(p.counts().deleted, n - 1);
            ASSERT_EQ(out.size(), 1U);
            EXPECT_EQ(out[0].reason, "rejected");
            EXPECT_EQ(out[0].attempts, 1U);
            EXPECT_EQ(out[0].at, (spans{{poison, 1}}));
            EXPECT_LE(rounds, std::ceil(std::log2(n)) + 1) << n;
        }
}

// ---- memory ----

TEST(Plan, WhatWaitsIsBoundedAndFreshIdsGoOnOnceHalfIsSettled) {
    plan_rules r = rules(4);
    r.outstanding_max = 16;
    plan p(r, job(1000), start);
    std::uint64_t fresh = 0;
    while (const batch* b = take(p)) {
        fresh += b->count();
        EXPECT_THAT(p.on_answered(b, all_refused(b), start, 1.0), IsEmpty());
    }
    EXPECT_EQ(fresh, 16U) << "no more than may wait";
    EXPECT_TRUE(p.due());
    for (int settled = 0; settled < 2; ++settled) {
        const batch* b = take(p, start + 1min);
        ASSERT_NE(b, nullptr);
        EXPECT_EQ(b->attempt, 2U);
        EXPECT_THAT(p.on_answered(b, all_deleted(b), start, 0), IsEmpty());
    }
    const batch* b = take(p);  // before the others are due
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(b->at, (spans{{16, 4}}));
}

TEST(Plan, AListInWhichEveryIdFailsNeverHoldsMoreThanItsBound) {
    plan_rules r = rules(5, verify_mode::failed, 3);
    r.outstanding_max = 40;
    plan p(r, job(2000), start);
    steady_time now = start;
    for (int steps = 0; !p.done(); ++steps) {
        ASSERT_LT(steps, 20'000);
        now += 100ms;
        const batch* b = take(p, now);
        if (b == nullptr) continue;
        if (b->what == batch::purpose::lookup)
            static_cast<void>(p.on_lookup_answered(b, presence::there, now, 0.5));
        else
            static_cast<void>(p.on_answered(b, all_refused(b), now, 0.5));
        std::uint64_t waiting = 0;
        for (const auto& open : p.state().open)
            if (open.last != last_outcome::unsent) waiting += count_of(open.at);
        EXPECT_LE(waiting, 40U + 5);
    }
    EXPECT_EQ(p.counts().failed, 2000U);
}

// ---- misuse ----

TEST(Plan, BreakingItsInvariantsIsRefusedLoudly) {
    plan p(rules(4, verify_mode::failed, 1), job(8), start);
    EXPECT_THROW(p.intended({{0, 8}}), std::logic_error) << "never asked for";
    const batch* b = take(p);
    EXPECT_THROW(static_cast<void>(p.on_answered(b, {.sent = 3}, start, 0)), std::logic_error)
        << "an answer to another batch";
    b = take(p);
    EXPECT_THAT(p.on_answered(b, all_refused(b), start, 0), IsEmpty());
    EXPECT_THROW(static_cast<void>(p.on_answered(b, {.sent = 4}, start, 0)), std::logic_error) << "brought back twice";
    const batch* lookup = take(p, start + 1min);
    ASSERT_NE(lookup, nullptr);
    EXPECT_THROW(static_cast<void>(p.on_split(lookup, start)), std::logic_error);
    EXPECT_THROW(plan(rules(0), job(1), start), std::logic_error);
    plan_rules narrow = rules(4);
    narrow.window = 7;
    EXPECT_THROW(plan(narrow, job(1), start), std::logic_error);
}

}  // namespace
}  // namespace culld

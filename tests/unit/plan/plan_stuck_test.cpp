// What keeps a plan from its end: asks that are refused or that nobody answers, lost answers, ids that are protected by
// now, and an API that refuses everything.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/plan_support.hpp"

namespace culld {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::SizeIs;

plan_rules rules_of(verify_mode verify, std::uint32_t batch_size = 4, std::uint32_t max_attempts = 1) {
    plan_rules r;
    r.batch_size = batch_size;
    r.max_attempts = max_attempts;
    r.verify = verify;
    r.window = 4ULL * batch_size;
    r.retry = {.base = 1s, .cap = 60s};
    return r;
}

judgement judged(const batch* b, std::vector<std::uint32_t> refused = {}, std::vector<std::uint32_t> unknown = {}) {
    judgement j;
    j.sent = b->count();
    j.refused = std::move(refused);
    j.unknown = std::move(unknown);
    return j;
}

const batch* must_take(plan& p, batch::purpose what, steady_time now = start) {
    const batch* b = take(p, now);
    EXPECT_NE(b, nullptr);
    EXPECT_EQ(b->what, what);
    return b;
}

using enum batch::purpose;

// ---- asks that are refused ----

TEST(PlanAsk, RefusedTheIdEndsAsItWouldHaveWithoutIt) {
    const struct {
        verify_mode verify;
        std::vector<std::uint32_t> refused, unknown;
        std::string_view reason;
    } rows[] = {
        {verify_mode::failed, {0}, {}, "refused"},
        {verify_mode::failed, {}, {0}, "unknown"},
        {verify_mode::all, {}, {}, "unverified"},
    };
    for (const auto& r : rows) {
        plan p(rules_of(r.verify), {.ids = 1}, start);
        const batch* b = must_take(p, remove);
        EXPECT_THAT(p.on_answered(b, judged(b, r.refused, r.unknown), start, 0), IsEmpty());
        const auto out = p.on_lookup_refused(must_take(p, lookup, start + 1min), true);
        ASSERT_THAT(out, SizeIs(1));
        EXPECT_EQ(out[0].kind, verdict_kind::failed);
        EXPECT_EQ(out[0].reason, r.reason);
        EXPECT_TRUE(p.done());
    }
}

TEST(PlanAsk, AMissingPermissionIsNotAskedForWithEachId) {
    for (const bool for_all : {true, false}) {
        plan p(rules_of(verify_mode::all, 100), {.ids = 100}, start);
        const batch* b = must_take(p, remove);
        EXPECT_THAT(p.on_answered(b, judged(b), start, 0), IsEmpty());
        int on_lookup_answered = 0;
        for (; !p.done(); ++on_lookup_answered) static_cast<void>(p.on_lookup_refused(must_take(p, lookup), for_all));
        EXPECT_EQ(on_lookup_answered, for_all ? 3 : 100) << "what is refused of one id says nothing of another";
        EXPECT_EQ(p.counts().failed, 100U);
    }
}

TEST(PlanAsk, OneAnswerEndsTheRowOfRefusals) {
    plan p(rules_of(verify_mode::all, 100), {.ids = 100}, start);
    const batch* b = must_take(p, remove);
    EXPECT_THAT(p.on_answered(b, judged(b), start, 0), IsEmpty());
    for (int i = 0; i < 33; ++i) {
        for (int j = 0; j < 2; ++j) EXPECT_THAT(p.on_lookup_refused(must_take(p, lookup), true), SizeIs(1));
        EXPECT_THAT(p.on_lookup_answered(must_take(p, lookup), presence::gone, start, 0), SizeIs(1));
    }
    EXPECT_EQ(p.counts(), (verdict_counts{.deleted = 33, .failed = 66}));
}

TEST(PlanAsk, OnceAskingIsOverNothingIsAskedForAnyMore) {
    plan p(rules_of(verify_mode::failed, 4, 5), {.ids = 12}, start);
    const batch *lost = must_take(p, remove), *refused = must_take(p, remove), *flying = must_take(p, remove);
    EXPECT_THAT(p.on_failed(lost, plan::miss::in_doubt, start, start, 0), IsEmpty());
    EXPECT_THAT(p.on_answered(refused, judged(refused, {0, 1, 2, 3}), start, 0), IsEmpty());
    EXPECT_THAT(p.stop(skip_reason::cancelled, start), IsEmpty());
    const batch* on_lookup_answered = must_take(p, lookup);
    EXPECT_TRUE(p.asking());
    const auto out = p.end_asking();
    std::map<std::string_view, std::uint64_t> by_reason;
    for (const verdict& v : out) by_reason[v.reason] += count_of(v.at);
    EXPECT_EQ(by_reason["unknown"] + by_reason["refused"], 7U);
    EXPECT_THAT(p.on_failed(on_lookup_answered, plan::miss::unsent, start, start, 0), SizeIs(1)) << "not tried again";
    const auto on_answered = p.on_answered(flying, judged(flying, {1}), start, 0);
    ASSERT_THAT(on_answered, SizeIs(1));
    EXPECT_EQ(on_answered[0].reason, "refused");
    EXPECT_TRUE(p.done());
}

// ---- a lost answer ----

TEST(PlanLost, IdsThatComeBackRefusedAreAskedForAtOnce) {
    plan p(rules_of(verify_mode::failed, 4, 5), {.ids = 4}, start);
    EXPECT_THAT(p.on_failed(must_take(p, remove), plan::miss::in_doubt, start, start, 0), IsEmpty());
    const batch* again = must_take(p, remove, start + 1min);
    EXPECT_THAT(p.on_answered(again, judged(again, {0, 1, 2}), start + 1min, 0), IsEmpty());
    const batch* first = must_take(p, lookup, start + 1min);
    EXPECT_EQ(first->last, last_outcome::doubted);
    EXPECT_EQ(p.on_lookup_answered(first, presence::gone, start + 1min, 0).at(0).kind, verdict_kind::absent);
    // It is there: it has the tries that it would have had.
    EXPECT_THAT(p.on_lookup_answered(must_take(p, lookup, start + 1min), presence::there, start + 1min, 0), IsEmpty());
    EXPECT_EQ(p.on_lookup_refused(must_take(p, lookup, start + 1min), false).at(0).reason, "refused");
    const batch* third = must_take(p, remove, start + 2min);
    EXPECT_EQ(third->attempt, 2U);
    EXPECT_THAT(p.on_answered(third, judged(third), start + 2min, 0), IsEmpty());
    EXPECT_EQ(p.counts(), (verdict_counts{.deleted = 2, .absent = 1, .failed = 1}));
}

TEST(PlanLost, WithoutVerificationTheyAreSentAgain) {
    plan p(rules_of(verify_mode::none, 4, 5), {.ids = 1}, start);
    EXPECT_THAT(p.on_failed(must_take(p, remove), plan::miss::in_doubt, start, start, 0), IsEmpty());
    const batch* again = must_take(p, remove, start + 1min);
    EXPECT_THAT(p.on_answered(again, judged(again, {0}), start + 1min, 0), IsEmpty());
    must_take(p, remove, start + 10min);
}

// ---- protected by now ----

TEST(PlanWithhold, WhatWasNeverSentIsSkippedAndTheRestGoes) {
    plan p(rules_of(verify_mode::failed), {.ids = 4}, start);
    const auto out = p.withhold(must_take(p, remove), {1, 3}, start);
    ASSERT_THAT(out, SizeIs(1));
    EXPECT_EQ(out[0].kind, verdict_kind::skipped);
    EXPECT_EQ(out[0].reason, "protected");
    EXPECT_EQ(out[0].at, (spans{{1, 1}, {3, 1}}));
    const batch* rest = must_take(p, remove);
    EXPECT_EQ(rest->at, (spans{{0, 1}, {2, 1}}));
    EXPECT_FALSE(rest->sent_before);
    EXPECT_THAT(p.on_answered(rest, judged(rest), start, 0), IsEmpty());
    EXPECT_TRUE(p.done());
}

TEST(PlanWithhold, AWholeBatchLeavesNothing) {
    plan p(rules_of(verify_mode::failed), {.ids = 4}, start);
    EXPECT_THAT(p.withhold(must_take(p, remove), {0, 1, 2, 3}, start), SizeIs(1));
    EXPECT_TRUE(p.done());
    EXPECT_EQ(p.counts(), (verdict_counts{.skipped = 4}));
}

TEST(PlanWithhold, WhatMayHaveBeenDeletedIsNeverCalledSkippedUnasked) {
    for (const verify_mode verify : {verify_mode::none, verify_mode::failed}) {
        plan p(rules_of(verify), {.ids = 3}, start);
        EXPECT_THAT(p.on_failed(must_take(p, remove), plan::miss::in_doubt, start, start, 0), IsEmpty());
        const auto out = p.withhold(must_take(p, remove, start + 1min), {0, 1, 2}, start + 1min);
        if (verify == verify_mode::none) {
            ASSERT_THAT(out, SizeIs(1));
            EXPECT_EQ(out[0].reason, "unknown");
            continue;
        }
        EXPECT_THAT(out, IsEmpty());
        const auto gone = p.on_lookup_answered(must_take(p, lookup, start + 1min), presence::gone, start + 1min, 0);
        EXPECT_EQ(gone.at(0).kind, verdict_kind::absent);
        const auto there = p.on_lookup_answered(must_take(p, lookup, start + 1min), presence::there, start + 1min, 0);
        EXPECT_EQ(there.at(0).reason, "protected");
        EXPECT_EQ(p.on_lookup_refused(must_take(p, lookup, start + 1min), false).at(0).reason, "unknown");
        EXPECT_TRUE(p.done());
    }
}

TEST(PlanWithhold, WhatTheApiRefusedBeforeIsSkipped) {
    plan p(rules_of(verify_mode::failed, 4, 5), {.ids = 4}, start);
    const batch* b = must_take(p, remove);
    EXPECT_THAT(p.on_answered(b, judged(b, {0, 2}), start, 0), IsEmpty());
    EXPECT_EQ(p.withhold(must_take(p, remove, start + 1min), {0}, start + 1min).at(0).reason, "protected");
    const batch* other = must_take(p, remove, start + 1min);
    EXPECT_EQ(other->at, (spans{{2, 1}}));
    EXPECT_EQ(other->attempt, 2U);
}

// ---- an API that refuses everything ----

// Halves until nothing is left to be halved; how many requests that took.
int halve_all(plan& p, std::vector<verdict>& out, int most = 10'000) {
    int requests = 0;
    for (; !p.nothing_passes() && requests < most; ++requests) {
        const batch* b = take(p);
        if (b == nullptr) break;
        for (verdict& v : p.on_split(b, start)) out.push_back(std::move(v));
    }
    return requests;
}

TEST(PlanRefused, AFirstBatchRefusedIdByIdFailsNoIdBeforeSomethingPasses) {
    plan p(rules_of(verify_mode::failed, 100), {.ids = 1000}, start);
    std::vector<verdict> out;
    EXPECT_EQ(halve_all(p, out), 199);
    EXPECT_THAT(out, IsEmpty());
    ASSERT_TRUE(p.nothing_passes());
    // Nothing but one id after the other from now on.
    for (int i = 0; i < 5; ++i) {
        const batch* probe = must_take(p, remove);
        EXPECT_EQ(probe->count(), 1U);
        EXPECT_EQ(probe->attempt, 1U);
        EXPECT_THAT(p.on_split(probe, start), IsEmpty());
        EXPECT_TRUE(p.nothing_passes());
    }
    // It was not the ids: they all go again.
    const batch* probe = must_take(p, remove);
    EXPECT_THAT(p.on_answered(probe, judged(probe), start, 0), IsEmpty());
    EXPECT_FALSE(p.nothing_passes());
    while (const batch* b = take(p)) {
        EXPECT_LE(b->count(), 100U);
        EXPECT_THAT(p.on_answered(b, judged(b), start, 0), IsEmpty());
    }
    EXPECT_EQ(p.counts(), (verdict_counts{.deleted = 1000}));
    EXPECT_EQ(p.first_bad(), 105U) << "counted by their first answer, and once";
    EXPECT_EQ(p.first_good(), 895U);
}

// Those at the list's head may be bad, each of them.
TEST(PlanRefused, AGoodIdBehindABadFirstBatchIsFound) {
    plan p(rules_of(verify_mode::none, 4), {.ids = 40}, start);
    int probes = 0;
    for (const batch* b = take(p); b != nullptr; b = take(p)) {
        if (p.nothing_passes()) ++probes;
        static_cast<void>(b->at.front().first < 4 ? p.on_split(b, start) : p.on_answered(b, judged(b), start, 0));
    }
    EXPECT_EQ(probes, 1);
    EXPECT_EQ(p.counts(), (verdict_counts{.deleted = 36, .failed = 4}));
}

TEST(PlanRefused, WhereThereIsNoRoomForAWholeBatchTheRestStillGoes) {
    plan_rules r = rules_of(verify_mode::none, 4);
    r.outstanding_max = 3;
    plan_state s{.ids = 40, .intended = 4};
    s.open = {{.attempts = 1, .last = last_outcome::rejected, .at = {{0, 3}}}};
    s.presettled = {};
    s.counts.failed = 1;
    plan p(r, s, start);
    while (const batch* b = take(p))
        static_cast<void>(b->at.front().first < 4 ? p.on_split(b, start) : p.on_answered(b, judged(b), start, 0));
    EXPECT_EQ(p.counts(), (verdict_counts{.deleted = 36, .failed = 4}));
}

TEST(PlanRefused, BadIdsAmongGoodOnesFailAsSoonAsOnePasses) {
    plan p(rules_of(verify_mode::none, 8), {.ids = 8}, start);
    std::vector<verdict> out;
    while (const batch* b = take(p)) {
        const bool bad = b->at.front().first < 7;  // all but the last id
        for (verdict& v : bad ? p.on_split(b, start) : p.on_answered(b, judged(b), start, 0))
            out.push_back(std::move(v));
        ASSERT_FALSE(p.nothing_passes());
    }
    EXPECT_EQ(p.counts(), (verdict_counts{.deleted = 1, .failed = 7}));
    for (const verdict& v : out) EXPECT_EQ(v.reason, "rejected");
}

TEST(PlanRefused, AJobOfOneIdJustFails) {
    plan p(rules_of(verify_mode::none), {.ids = 4, .presettled = {{0, 3}}, .counts = {.skipped = 3}}, start);
    EXPECT_EQ(p.on_split(must_take(p, remove), start).at(0).reason, "rejected");
    EXPECT_TRUE(p.done());
}

TEST(PlanRefused, AShortJobIsNoOtherCase) {
    plan p(rules_of(verify_mode::none, 100), {.ids = 3}, start);
    std::vector<verdict> out;
    halve_all(p, out);
    EXPECT_TRUE(p.nothing_passes());
    EXPECT_THAT(out, IsEmpty());
    EXPECT_THAT(p.stop(skip_reason::cancelled, start), SizeIs(1)) << "and can be ended";
    EXPECT_EQ(p.counts(), (verdict_counts{.failed = 3}));
}

TEST(PlanRefused, AProbeWhoseAnswerIsLostDoesNotHoldUpTheRest) {
    plan p(rules_of(verify_mode::failed, 2), {.ids = 2}, start);
    std::vector<verdict> out;
    halve_all(p, out);
    ASSERT_TRUE(p.nothing_passes());
    EXPECT_THAT(p.on_failed(must_take(p, remove), plan::miss::in_doubt, start, start, 0), IsEmpty());
    EXPECT_THAT(p.on_failed(must_take(p, remove), plan::miss::in_doubt, start, start, 0), IsEmpty());
    ASSERT_TRUE(p.due());
    must_take(p, remove, *p.due());
}

TEST(PlanRefused, ARestartKnowsThemAndTriesAgain) {
    plan_state s{.ids = 10, .intended = 4};
    s.open = {{.attempts = 1, .last = last_outcome::rejected, .at = {{0, 4}}}};
    plan p(rules_of(verify_mode::failed), s, start);
    EXPECT_THAT(p.due_verdicts(), IsEmpty());
    EXPECT_TRUE(p.nothing_passes());
    EXPECT_EQ(must_take(p, remove)->count(), 1U);
    s.answered = true;
    plan other(rules_of(verify_mode::none), s, start);
    EXPECT_THAT(other.due_verdicts(), SizeIs(1)) << "others had passed";
}

}  // namespace
}  // namespace culld

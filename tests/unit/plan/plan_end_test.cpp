// How ids of a plan come to their end: verification, stopping, and a restart in the middle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rapidcheck.h>
#include <random>

#include "culld/core/base/position_map.hpp"
#include "support/plan_support.hpp"

namespace culld {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::SizeIs;

plan_rules verifying(verify_mode verify, std::uint32_t max_attempts = 1) {
    plan_rules r;
    r.batch_size = 4;
    r.max_attempts = max_attempts;
    r.verify = verify;
    r.window = 8;
    return r;
}

judgement answer(const batch* b, std::vector<std::uint32_t> refused = {}, std::vector<std::uint32_t> unknown = {}) {
    judgement j;
    j.sent = b->count();
    j.refused = std::move(refused);
    j.unknown = std::move(unknown);
    return j;
}

std::uint64_t settled_by(const std::vector<verdict>& all) {
    std::uint64_t n = 0;
    for (const verdict& v : all) n += count_of(v.at);
    return n;
}

// ---- verification ----

TEST(PlanVerify, NoneFailsWithoutAsking) {
    plan p(verifying(verify_mode::none), {.ids = 4}, start);
    const batch* b = take(p);
    const auto out = p.on_answered(b, answer(b, {0}, {1}), start, 0);
    ASSERT_THAT(out, SizeIs(2));
    EXPECT_EQ(out[0].reason, "refused");
    EXPECT_EQ(out[0].at, (spans{{0, 1}}));
    EXPECT_EQ(out[1].reason, "unknown");
    EXPECT_EQ(out[1].at, (spans{{1, 1}}));
    EXPECT_EQ(p.counts(), (verdict_counts{.deleted = 2, .failed = 2}));
}

TEST(PlanVerify, FailedAsksOneIdAtATimeAndBelievesTheAnswer) {
    plan p(verifying(verify_mode::failed), {.ids = 4}, start);
    const batch* b = take(p);
    EXPECT_THAT(p.on_answered(b, answer(b, {0, 1}, {2}), start, 0), IsEmpty());
    std::vector<verdict> out;
    const auto retry_delay = start + 1min;
    for (int asks = 0; asks < 3; ++asks) {
        const batch* lookup = take(p, retry_delay);
        ASSERT_NE(lookup, nullptr);
        EXPECT_EQ(lookup->what, batch::purpose::lookup);
        EXPECT_EQ(lookup->count(), 1U);
        EXPECT_EQ(lookup->attempt, 1U);
        const presence found = lookup->at[0].first == 1 ? presence::gone : presence::there;
        for (verdict& v : p.on_lookup_answered(lookup, found, retry_delay, 0)) out.push_back(std::move(v));
    }
    ASSERT_THAT(out, SizeIs(3));
    EXPECT_EQ(out[0].reason, "refused");
    EXPECT_EQ(out[1].kind, verdict_kind::absent);
    EXPECT_EQ(out[1].reason, "get");
    EXPECT_EQ(out[2].reason, "present") << "unaccounted for, and still there";
    EXPECT_TRUE(p.done());
}

TEST(PlanVerify, AllGivesNoVerdictBeforeTheIdIsFoundGone) {
    plan p(verifying(verify_mode::all, 2), {.ids = 2}, start);
    const batch* b = take(p);
    EXPECT_THAT(p.on_answered(b, answer(b), start, 0), IsEmpty());
    EXPECT_EQ(p.counts().sum(), 0U);
    const batch* first = take(p);
    const batch* second = take(p);
    ASSERT_TRUE(first != nullptr && second != nullptr);
    EXPECT_EQ(first->last, last_outcome::reported);
    const auto gone = p.on_lookup_answered(first, presence::gone, start, 0);
    ASSERT_THAT(gone, SizeIs(1));
    EXPECT_EQ(gone[0].kind, verdict_kind::deleted);
    // Still there: once more, and at the end that is its verdict without another question.
    EXPECT_THAT(p.on_lookup_answered(second, presence::there, start, 0), IsEmpty());
    const batch* again = take(p, start + 1min);
    ASSERT_NE(again, nullptr);
    EXPECT_EQ(again->what, batch::purpose::remove);
    EXPECT_EQ(again->attempt, 2U);
    EXPECT_EQ(again->last, last_outcome::present);
    EXPECT_THAT(p.on_answered(again, answer(again), start + 1min, 0), IsEmpty());
    const auto out = p.on_lookup_answered(take(p, start + 1min), presence::there, start + 1min, 0);
    ASSERT_THAT(out, SizeIs(1));
    EXPECT_EQ(out[0].kind, verdict_kind::failed);
    EXPECT_EQ(out[0].reason, "present");
    EXPECT_EQ(out[0].attempts, 2U);
}

TEST(PlanVerify, AnIdRejectedAloneIsAskedForBeforeItFails) {
    plan p(verifying(verify_mode::failed), {.ids = 1}, start);
    EXPECT_THAT(p.on_split(take(p), start), IsEmpty());
    const auto out = p.on_lookup_answered(take(p), presence::there, start, 0);
    ASSERT_THAT(out, SizeIs(1));
    EXPECT_EQ(out[0].reason, "rejected");
}

TEST(PlanVerify, AnAskThatGetsNoAnswerIsRepeatedThenGivenUp) {
    plan p(verifying(verify_mode::failed), {.ids = 1}, start);
    const batch* b = take(p);
    EXPECT_THAT(p.on_answered(b, answer(b, {0}), start, 0), IsEmpty());
    steady_time now = start + 1min;
    std::vector<verdict> out;
    for (int i = 0; out.empty(); ++i) {
        ASSERT_LT(i, 10'000);
        const batch* lookup = take(p, now);
        ASSERT_NE(lookup, nullptr);
        out = p.on_failed(lookup, plan::miss::unsent, now, now, 1.0);
        if (out.empty()) now = *p.due();
    }
    EXPECT_EQ(out[0].reason, "refused") << "as it would have ended without asking";
    EXPECT_GE(now - start, 24h);
}

// Behind an open breaker they go one at a time: were each to be given up for itself, that would take 24 h for each.
TEST(PlanVerify, AsksThatNobodyAnswersEndTogether) {
    plan p(verifying(verify_mode::failed), {.ids = 400}, start);
    while (const batch* b = take(p)) EXPECT_THAT(p.on_answered(b, answer(b, {0, 1, 2, 3}), start, 0), IsEmpty());
    steady_time now = start + 1min;
    for (; !p.done(); now += 15s) {
        const batch* lookup = take(p, now);
        if (lookup != nullptr) static_cast<void>(p.on_failed(lookup, plan::miss::in_doubt, now, now, 1.0));
        ASSERT_LT(now - start, 25h);
    }
    EXPECT_GE(now - start, 24h);
    EXPECT_EQ(p.counts().failed, 400U);
}

TEST(PlanVerify, OneAnswerShowsThatAsksAreWorthWaitingFor) {
    for (const bool declined : {false, true}) {
        plan p(verifying(verify_mode::failed), {.ids = 8}, start);
        while (const batch* b = take(p)) EXPECT_THAT(p.on_answered(b, answer(b, {0, 1, 2, 3}), start, 0), IsEmpty());
        steady_time now = start + 1min;
        for (int i = 0; i < 6; ++i, now += 13h) {
            const batch* lookup = take(p, now);
            if (i % 2 == 0)
                EXPECT_THAT(p.on_failed(lookup, plan::miss::in_doubt, now, now, 1.0), IsEmpty());
            else if (declined)
                EXPECT_THAT(p.on_failed(lookup, plan::miss::declined, now, now, 1.0), IsEmpty());
            else
                EXPECT_THAT(p.on_lookup_answered(lookup, presence::gone, now, 1.0), SizeIs(1));
        }
    }
}

TEST(PlanVerify, AsksWaitForTheDeletions) {
    plan p(verifying(verify_mode::all), {.ids = 8}, start);
    const batch* first = take(p);
    EXPECT_THAT(p.on_answered(first, answer(first), start, 0), IsEmpty());
    EXPECT_EQ(take(p)->what, batch::purpose::remove);
    EXPECT_EQ(take(p)->what, batch::purpose::lookup);
}

// ---- stopping ----

TEST(PlanStop, BeforeAnythingWasSentSkipsEverythingButWhatIsSettled) {
    plan p(verifying(verify_mode::failed), {.ids = 10, .presettled = {{3, 2}}, .counts = {.skipped = 2}}, start);
    const auto out = p.stop(skip_reason::deadline, start);
    ASSERT_THAT(out, SizeIs(1));
    EXPECT_EQ(out[0].reason, "deadline");
    EXPECT_EQ(out[0].at, (spans{{0, 3}, {5, 5}}));
    EXPECT_TRUE(p.done());
    EXPECT_THAT(p.wants_intent(), IsEmpty());
    EXPECT_EQ(p.take(start), nullptr);
    EXPECT_THAT(p.stop(skip_reason::cancelled, start), IsEmpty()) << "repeated calls change nothing";
}

TEST(PlanStop, WhileAnIntentIsOnItsWay) {
    plan p(verifying(verify_mode::failed), {.ids = 100}, start);
    const spans ranges = p.wants_intent();
    EXPECT_EQ(settled_by(p.stop(skip_reason::cancelled, start)), 100U);
    p.intended(ranges);
    EXPECT_EQ(p.take(start), nullptr);
    EXPECT_TRUE(p.done());
}

TEST(PlanStop, ABatchInFlightEndsAsItLands) {
    plan p(verifying(verify_mode::none, 5), {.ids = 12}, start);
    const batch* lands = take(p);
    const batch* unsent = take(p);
    const batch* lost = take(p);
    EXPECT_THAT(p.stop(skip_reason::cancelled, start), IsEmpty()) << "all are under way";
    auto out = p.on_answered(lands, answer(lands, {0}), start, 0);
    ASSERT_THAT(out, SizeIs(1));
    EXPECT_EQ(out[0].reason, "refused") << "no further try";
    out = p.on_failed(unsent, plan::miss::declined, start, start, 0);
    ASSERT_THAT(out, SizeIs(1));
    EXPECT_EQ(out[0].kind, verdict_kind::skipped);
    out = p.on_failed(lost, plan::miss::in_doubt, start, start, 0);
    ASSERT_THAT(out, SizeIs(1));
    EXPECT_EQ(out[0].reason, "unknown");
    EXPECT_TRUE(p.done());
    EXPECT_EQ(p.counts(), (verdict_counts{.deleted = 3, .failed = 5, .skipped = 4}));
}

TEST(PlanStop, ABatchGivenBackIsSkippedIfItWasNeverSent) {
    plan p(verifying(verify_mode::none, 5), {.ids = 12}, start);
    const batch* lost = take(p);
    EXPECT_THAT(p.on_failed(lost, plan::miss::in_doubt, start, start, 0), IsEmpty());
    lost = p.take(start + 1min);
    ASSERT_TRUE(lost != nullptr && lost->sent_before);
    const batch* unsent = take(p);
    static_cast<void>(p.stop(skip_reason::cancelled, start));
    const auto skipped = p.return_unsent(unsent, start);
    ASSERT_THAT(skipped, SizeIs(1));
    EXPECT_EQ(skipped[0].kind, verdict_kind::skipped);
    const auto failed = p.return_unsent(lost, start);
    ASSERT_THAT(failed, SizeIs(1));
    EXPECT_EQ(failed[0].reason, "unknown") << "an earlier sending may have deleted it";
    EXPECT_TRUE(p.done());
}

TEST(PlanStop, ABatchRefusedForItsContentIsNotHalvedAnyMore) {
    plan p(verifying(verify_mode::none, 5), {.ids = 8}, start);
    const batch* fresh = take(p);
    const batch* second = take(p);
    EXPECT_THAT(p.on_failed(second, plan::miss::in_doubt, start, start, 0), IsEmpty());
    second = p.take(start + 1min);
    static_cast<void>(p.stop(skip_reason::cancelled, start));
    EXPECT_EQ(p.on_split(fresh, start).at(0).kind, verdict_kind::skipped);
    EXPECT_EQ(p.on_split(second, start).at(0).reason, "unknown") << "it was in doubt before";
    EXPECT_TRUE(p.done());
}

TEST(PlanStop, WhatWaitsIsSkippedIfItWasNeverSentAndAskedForIfItWas) {
    plan p(verifying(verify_mode::failed, 5), {.ids = 16}, start);
    const batch* refused = take(p);
    const batch* lost = take(p);
    const batch* unsent = take(p);
    EXPECT_THAT(p.on_answered(refused, answer(refused, {0, 1}), start, 0), IsEmpty());
    EXPECT_THAT(p.on_failed(lost, plan::miss::in_doubt, start, start, 0), IsEmpty());
    EXPECT_THAT(p.on_failed(unsent, plan::miss::unsent, start, start, 0), IsEmpty());
    const auto out = p.stop(skip_reason::aborted, start);
    ASSERT_THAT(out, SizeIs(1));
    EXPECT_EQ(out[0].at, (spans{{8, 8}})) << "never sent, in the list's order";
    int asks = 0;
    while (const batch* lookup = take(p, start)) {
        ASSERT_EQ(lookup->what, batch::purpose::lookup);
        ++asks;
        const position id = lookup->at[0].first;
        const auto end = p.on_lookup_answered(lookup, id == 4 ? presence::gone : presence::there, start, 0);
        ASSERT_THAT(end, SizeIs(1));
        if (id < 4)
            EXPECT_EQ(end[0].reason, "refused");
        else if (id == 4)
            EXPECT_EQ(end[0].kind, verdict_kind::absent);
        else
            EXPECT_EQ(end[0].reason, "aborted") << "lost, and there: it was never deleted";
    }
    EXPECT_EQ(asks, 6);
    EXPECT_TRUE(p.done());
}

TEST(PlanStop, WhatIsBeingAskedForIsStillAskedFor) {
    plan p(verifying(verify_mode::all, 5), {.ids = 3}, start);
    const batch* b = take(p);
    EXPECT_THAT(p.on_answered(b, answer(b), start, 0), IsEmpty());
    const batch* parked = take(p);
    EXPECT_THAT(p.on_failed(parked, plan::miss::in_doubt, start, start, 0), IsEmpty());
    const batch* flying = take(p);
    EXPECT_THAT(p.stop(skip_reason::cancelled, start), IsEmpty());
    EXPECT_THAT(p.on_lookup_answered(flying, presence::gone, start, 0), SizeIs(1));
    EXPECT_THAT(p.on_lookup_answered(take(p, start + 1min), presence::gone, start, 0), SizeIs(1));
    const auto out = p.on_lookup_answered(take(p, start + 1min), presence::there, start, 0);
    ASSERT_THAT(out, SizeIs(1)) << "no further try";
    EXPECT_EQ(out[0].reason, "present");
    EXPECT_TRUE(p.done());
}

// ---- restart ----

TEST(PlanRestart, WhatIsInDoubtGoesAgainFirstInWholeBatches) {
    plan p(verifying(verify_mode::failed, 5),
           {.ids = 20,
            .intended = 10,
            .next_batch = 7,
            .open = {{0, last_outcome::unsent, {{0, 3}, {5, 5}}}},
            .counts = {.deleted = 2}},
           start);
    EXPECT_THAT(p.due_verdicts(), IsEmpty());
    const batch* b = p.take(start);
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(b->at, (spans{{0, 3}, {5, 1}}));
    EXPECT_EQ(b->number, 7U);
    EXPECT_EQ(b->last, last_outcome::unanswered) << "nobody knows";
    EXPECT_TRUE(b->sent_before);
    b = p.take(start);
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(b->at, (spans{{6, 4}}));
    EXPECT_EQ(p.take(start), nullptr) << "no intent yet for the fresh ones";
    EXPECT_EQ(p.wants_intent(), (spans{{10, 8}}));
}

TEST(PlanRestart, WhatWasNeverSentGoesAsFreshIdsDoAndIsSkippedWhereTheJobIsStopped) {
    const plan_state rested{.ids = 10,
                            .intended = 10,
                            .next_batch = 7,
                            .open = {{.attempts = 0, .last = last_outcome::unsent, .at = {{2, 8}}, .never_sent = true}},
                            .counts = {.deleted = 2}};
    plan p(verifying(verify_mode::failed, 5), rested, start);
    EXPECT_TRUE(p.has_unsent());
    const batch* b = p.take(start);
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(b->last, last_outcome::unsent);
    EXPECT_EQ(b->attempt, 1U);
    EXPECT_FALSE(b->sent_before) << "no retry";
    EXPECT_FALSE(b->doubt_since);
    EXPECT_TRUE(p.has_unsent()) << "the other batch";
    ASSERT_NE(p.take(start), nullptr);
    EXPECT_FALSE(p.has_unsent());
    plan stopped(verifying(verify_mode::failed, 5), rested, start);
    const auto out = stopped.stop(skip_reason::cancelled, start);
    ASSERT_THAT(out, SizeIs(1));
    EXPECT_EQ(out[0].kind, verdict_kind::skipped);
    EXPECT_TRUE(stopped.done()) << "there is nothing to ask for";
}

TEST(PlanRestart, VerdictsThatTheCrashCutOffAreOwedOnce) {
    plan p(verifying(verify_mode::none, 3),
           {.ids = 6,
            .intended = 6,
            .open = {{3, last_outcome::refused, {{0, 1}}},
                     {1, last_outcome::rejected, {{1, 1}}},
                     {3, last_outcome::unaccounted, {{2, 1}}},
                     {3, last_outcome::present, {{3, 1}}},
                     {1, last_outcome::refused, {{4, 1}}}},
            .counts = {.deleted = 1}},
           start);
    std::map<position, std::string_view> reasons;
    for (const verdict& v : p.due_verdicts()) {
        EXPECT_EQ(v.kind, verdict_kind::failed);
        reasons[v.at.at(0).first] = v.reason;
    }
    EXPECT_EQ(reasons,
              (std::map<position, std::string_view>{{0, "refused"}, {1, "rejected"}, {2, "unknown"}, {3, "present"}}));
    EXPECT_THAT(p.due_verdicts(), IsEmpty());
    const batch* again = p.take(start);
    ASSERT_NE(again, nullptr);
    EXPECT_EQ(again->attempt, 2U);
    EXPECT_EQ(again->at, (spans{{4, 1}}));
}

TEST(PlanRestart, WithVerificationNothingIsOwedButAsked) {
    plan p(verifying(verify_mode::failed, 3),
           {.ids = 2,
            .intended = 2,
            .open = {{3, last_outcome::refused, {{0, 1}}}, {1, last_outcome::reported, {{1, 1}}}}},
           start);
    EXPECT_THAT(p.due_verdicts(), IsEmpty());
    for (int i = 0; i < 2; ++i) {
        const batch* lookup = p.take(start);
        ASSERT_NE(lookup, nullptr);
        EXPECT_EQ(lookup->what, batch::purpose::lookup);
    }
}

using places = position_map<int>;

// Every position once: open, settled ahead, fresh, or settled; and how many are open.
std::uint64_t placed(const plan_state& s, places& out) {
    std::uint64_t open = 0;
    for (const auto& o : s.open)
        for (const span& at : o.at) {
            RC_ASSERT(at.end() <= s.ids);
            RC_ASSERT(out.erase(at) == 0U);
            out.assign(at, static_cast<int>(o.attempts) * 10 +
                               static_cast<int>(o.last == last_outcome::unsent ? last_outcome::unanswered : o.last));
            open += at.count;
        }
    for (const span& at : s.presettled) RC_ASSERT(out.erase(at) == 0U);
    return open;
}

// Wherever a job stands, its state accounts for every id, and a plan made from it stands at the same.
TEST(PlanRestart, AStateAccountsForEveryIdAndReadsBack) {
    EXPECT_TRUE(rc::check([] {
        std::mt19937_64 roll(*rc::gen::arbitrary<std::uint64_t>());
        const auto below = [&](std::uint64_t n) {
            return std::uniform_int_distribution<std::uint64_t>(0, n - 1)(roll);
        };
        plan_rules r = verifying(static_cast<verify_mode>(below(3)), 2);
        r.batch_size = static_cast<std::uint32_t>(below(6) + 1);
        r.window = r.batch_size * 3;
        r.outstanding_max = 8 + below(30);
        plan_state first{.ids = below(80) + 1};
        for (position p = 0; p < first.ids; ++p)
            if (below(6) == 0) append(first.presettled, {p, 1});
        first.counts.skipped = count_of(first.presettled);
        plan p(r, first, start);
        steady_time now = start;
        std::vector<const batch*> flying;
        for (std::uint64_t steps = below(120); steps > 0 && !p.done(); --steps) {
            now += 300ms;
            if (const batch* b = take(p, now)) flying.push_back(b);
            if (flying.empty() || below(3) == 0) continue;
            const batch* b = flying[below(flying.size())];
            std::erase(flying, b);
            judgement j = answer(b);
            for (std::uint32_t i = 0; i < j.sent; ++i) {
                const auto fate = below(8);
                if (fate == 0) j.refused.push_back(i);
                if (fate == 1) j.unknown.push_back(i);
            }
            const auto what = below(11);
            if (b->what == batch::purpose::lookup)
                static_cast<void>(what == 0 ? p.on_failed(b, plan::miss::in_doubt, now, now, 0)
                                  : what == 1
                                      ? p.return_unsent(b, now)
                                      : p.on_lookup_answered(b, what < 5 ? presence::gone : presence::there, now, 0));
            else if (what < 7)
                static_cast<void>(p.on_answered(b, j, now, 0));
            else if (what == 7)
                static_cast<void>(p.on_split(b, now));
            else if (what == 10)
                static_cast<void>(p.return_unsent(b, now));
            else
                static_cast<void>(p.on_failed(b, what == 8 ? plan::miss::declined : plan::miss::in_doubt, now, now, 0));
            if (below(60) == 0) static_cast<void>(p.stop(skip_reason::cancelled, now));
        }
        const plan_state s = p.state();
        places open;
        const std::uint64_t n = placed(s, open);
        const std::uint64_t fresh = s.ids - s.intended - count_of(s.presettled);
        RC_ASSERT(s.counts.sum() + n + fresh == s.ids);

        plan q(r, s, now);
        const std::uint64_t due_verdicts = settled_by(q.due_verdicts());
        const plan_state t = q.state();
        places reopened;
        RC_ASSERT(placed(t, reopened) + due_verdicts == n);
        RC_ASSERT(t.counts.sum() == s.counts.sum() + due_verdicts);
        RC_ASSERT(t.intended == s.intended);
        RC_ASSERT(t.presettled == s.presettled);
        RC_ASSERT(t.next_batch >= s.next_batch);
        for (const auto& run : reopened.all())
            for (position at = run.at.first; at < run.at.end(); ++at) RC_ASSERT(open.at(at) == run.value);
    }));
}

TEST(Words, AreNamedAndReadBack) {
    for (const last_outcome w : {last_outcome::unsent, last_outcome::unanswered, last_outcome::refused,
                                 last_outcome::unaccounted, last_outcome::reported, last_outcome::present,
                                 last_outcome::rejected, last_outcome::doubted, last_outcome::withheld})
        EXPECT_EQ(last_outcome_named(name_of(w)), w);
    EXPECT_FALSE(last_outcome_named("deleted"));
    EXPECT_EQ(name_of(skip_reason::protected_id), "protected");
    EXPECT_EQ(name_of(skip_reason::dry_run), "dry_run");
}

}  // namespace
}  // namespace culld

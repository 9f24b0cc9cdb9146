#include "culld/core/auth/renewal_fsm.hpp"

#include <gtest/gtest.h>
// After gtest.
#include <rapidcheck.h>

#include <vector>

namespace culld {
namespace {

using enum renewal_action;
using fsm = renewal_fsm;
constexpr steady_time start = steady_time(std::chrono::hours(1));
constexpr steady_time later = start + std::chrono::seconds(5);

TEST(RenewalFsm, ARefusalHasOneRemedyAndTheNextIsFinal) {
    fsm f;
    ASSERT_EQ(f.refused(false), renew);
    EXPECT_EQ(f.cause(), renewal_cause::refused);
    ASSERT_EQ(f.ended(renewal_outcome::changed, true, later), resume);
    EXPECT_EQ(f.refused(false), give_up);
    EXPECT_EQ(f.stands(), fsm::standing::refused);
    // An answer in between makes the next refusal the first again.
    f.begin_anew();
    ASSERT_EQ(f.refused(false), renew);
    ASSERT_EQ(f.ended(renewal_outcome::changed, true, later), resume);
    f.accepted();
    EXPECT_EQ(f.refused(false), renew);
}

TEST(RenewalFsm, AClockThatWasLearnedIsARemedyToo) {
    fsm f;
    EXPECT_EQ(f.refused(true), go_first);
    EXPECT_FALSE(f.under_way());
    EXPECT_EQ(f.refused(true), give_up);
}

TEST(RenewalFsm, TheSameCredentialsAsThoseRefusedAreRefused) {
    fsm f;
    ASSERT_EQ(f.refused(false), renew);
    EXPECT_EQ(f.ended(renewal_outcome::unchanged, true, later), give_up);
    // From then on a look tells of a change, and of nothing else.
    ASSERT_EQ(f.wanted(renewal_cause::look), renew);
    EXPECT_EQ(f.ended(renewal_outcome::unchanged, false, later), none);
    EXPECT_FALSE(f.waits());
    ASSERT_EQ(f.wanted(renewal_cause::look), renew);
    EXPECT_EQ(f.ended(renewal_outcome::changed, true, later), resume);
    EXPECT_EQ(f.stands(), fsm::standing::good);
}

TEST(RenewalFsm, WhatCannotBeHadNowIsTriedAgainWhenItIsTime) {
    for (const renewal_cause why : {renewal_cause::first, renewal_cause::refused}) {
        fsm f;
        ASSERT_EQ(f.wanted(why), renew);
        EXPECT_EQ(f.ended(renewal_outcome::later, false, later), none);
        EXPECT_TRUE(f.waits());
        EXPECT_TRUE(f.failing());
        EXPECT_EQ(f.due(), later);
        EXPECT_EQ(f.time_passed(start), none);
        EXPECT_EQ(f.time_passed(later), renew);
        EXPECT_EQ(f.cause(), why);
        EXPECT_EQ(f.failures(), 1U);
        EXPECT_EQ(f.ended(renewal_outcome::changed, true, later), resume);
        EXPECT_EQ(f.failures(), 0U);
        EXPECT_FALSE(f.failing());
    }
}

TEST(RenewalFsm, AheadOfTimeThoseWeHoldServeOn) {
    for (const renewal_outcome got : {renewal_outcome::later, renewal_outcome::refused}) {
        fsm f;
        ASSERT_EQ(f.wanted(renewal_cause::ahead), renew);
        EXPECT_EQ(f.ended(got, true, later), none);
        EXPECT_FALSE(f.waits());
        EXPECT_TRUE(f.failing());
        EXPECT_EQ(f.stands(), fsm::standing::good);
    }
}

TEST(RenewalFsm, ARefusalDuringARenewalIsTreatedBehindIt) {
    fsm f;
    ASSERT_EQ(f.wanted(renewal_cause::ahead), renew);
    EXPECT_EQ(f.refused(false), none);
    EXPECT_EQ(f.ended(renewal_outcome::later, true, later), renew);
    EXPECT_EQ(f.cause(), renewal_cause::refused);
    // Unless that one brought others.
    EXPECT_EQ(f.refused(false), none);
    EXPECT_EQ(f.ended(renewal_outcome::changed, true, later), resume);
    EXPECT_FALSE(f.under_way());
}

TEST(RenewalFsm, AKeyThatRestsIsTriedOnceTheTimeIsOver) {
    fsm f;
    EXPECT_EQ(f.hold(later), give_up);
    EXPECT_EQ(f.stands(), fsm::standing::held);
    EXPECT_EQ(f.refused(false), renew) << "another key may lie there";
    EXPECT_EQ(f.ended(renewal_outcome::unchanged, true, start), give_up);
    EXPECT_EQ(f.stands(), fsm::standing::held);
    EXPECT_EQ(f.time_passed(later - nanoseconds(1)), none);
    EXPECT_EQ(f.time_passed(later), go_first);
    EXPECT_EQ(f.stands(), fsm::standing::good);
}

TEST(RenewalFsm, FilesAreNotReadAgainBesideARenewal) {
    fsm f;
    ASSERT_TRUE(f.begin_reread());
    EXPECT_FALSE(f.begin_reread());
    EXPECT_EQ(f.wanted(renewal_cause::first), none);
    f.reread_ended();
    EXPECT_EQ(f.wanted(renewal_cause::first), renew);
    EXPECT_FALSE(f.begin_reread());
}

// Whatever happens in whatever order: one renewal at a time; between two answers other than 401 the remedy is given
// once; and nobody waits for what will not come.
TEST(RenewalFsm, OneRenewalOneRemedyAndAlwaysAWayOn) {
    EXPECT_TRUE(rc::check([] {
        fsm f;
        bool under_way = false;
        int finals = 0, remedies = 0;
        steady_time now = start;
        const auto take = [&](renewal_action what) {
            if (what == renew) {
                RC_ASSERT(!under_way);
                under_way = true;
            }
            if (what == go_first || what == resume) ++remedies;
            if (what == give_up) ++finals;
        };
        for (const int event : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 8))) {
            now += std::chrono::seconds(1);
            switch (event) {
                case 0: take(f.wanted(renewal_cause::ahead)); break;
                case 1: take(f.wanted(renewal_cause::look)); break;
                case 2: take(f.refused(false)); break;
                case 3: take(f.refused(true)); break;
                case 4:
                    if (!under_way) break;
                    under_way = false;
                    take(f.ended(*rc::gen::element(renewal_outcome::changed, renewal_outcome::unchanged,
                                                   renewal_outcome::later, renewal_outcome::refused),
                                 *rc::gen::arbitrary<bool>(), now + std::chrono::seconds(2)));
                    break;
                case 5: take(f.time_passed(now)); break;
                case 6: f.accepted(); break;
                default: take(f.hold(now + std::chrono::seconds(3))); break;
            }
            RC_ASSERT(f.under_way() == under_way);
            if (f.waits() || f.stands() == fsm::standing::held) RC_ASSERT(f.due().has_value());
            if (f.stands() == fsm::standing::remedied) RC_ASSERT(remedies > 0);
            if (f.stands() == fsm::standing::refused) RC_ASSERT(finals > 0);
        }
    }));
}

}  // namespace
}  // namespace culld

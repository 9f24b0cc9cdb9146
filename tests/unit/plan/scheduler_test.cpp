#include "culld/core/plan/scheduler.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "support/start.hpp"

namespace culld {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

struct waiting_job {
    char name;
    int looks = 0;
};

// Who is served by the next `n` turns.
std::string served(scheduler<waiting_job>& t, int n) {
    std::string out;
    for (int i = 0; i < n; ++i) {
        waiting_job* j = t.first();
        if (j == nullptr) return out + '-';
        out += j->name;
        t.served(*j);
    }
    return out;
}

TEST(Scheduler, TheMostUrgentComesFirstAndEqualsInTurn) {
    waiting_job a{'a'}, b{'b'}, c{'c'};
    scheduler<waiting_job> t;
    t.add(a, 5);
    t.add(b, 5);
    EXPECT_EQ(served(t, 4), "abab");
    t.add(c, 0);
    EXPECT_EQ(served(t, 3), "ccc");
    t.sleep(c, std::nullopt);
    EXPECT_EQ(served(t, 3), "aba");
    EXPECT_THAT(t.all(), ElementsAre(&c, &b, &a));
}

TEST(Scheduler, WhoeverSleptIsNotSetBehindThoseThatWereServedMeanwhile) {
    waiting_job a{'a'}, b{'b'}, c{'c'};
    scheduler<waiting_job> t;
    for (waiting_job* j : {&a, &b, &c}) t.add(*j, 5);
    EXPECT_EQ(served(t, 1), "a");
    t.sleep(b, std::nullopt);
    EXPECT_EQ(served(t, 5), "cacac");
    t.wake(b);
    EXPECT_EQ(served(t, 4), "bacb");
}

TEST(Scheduler, ASleeperWakesByTimeOrByCall) {
    waiting_job a{'a'}, b{'b'};
    scheduler<waiting_job> t;
    t.add(a, 5);
    t.add(b, 5);
    t.sleep(a, start + 2s);
    t.sleep(b, start + 1s);
    EXPECT_EQ(t.first(), nullptr);
    EXPECT_EQ(t.due(), start + 1s);
    t.wake_due(start + 999ms);
    EXPECT_EQ(t.first(), nullptr);
    t.wake_due(start + 1s);
    EXPECT_EQ(t.first(), &b);
    t.wake(a);
    t.wake(a);
    EXPECT_FALSE(t.due()) << "woken before its time";
    EXPECT_EQ(served(t, 3), "aba");
}

TEST(Scheduler, WhoeverIsTakenOutIsForgotten) {
    waiting_job a{'a'}, b{'b'};
    scheduler<waiting_job> t;
    t.add(a, 5);
    t.add(b, 5);
    t.sleep(a, start + 1s);
    t.remove(a);
    t.remove(a);
    t.wake(a);
    EXPECT_FALSE(t.due());
    t.remove(b);
    EXPECT_EQ(t.first(), nullptr);
    EXPECT_TRUE(t.all().empty());
}

TEST(Scheduler, WhatWaitsIsLookedAtOnceAndNotForEachRequest) {
    std::array<waiting_job, 5000> waiting{};
    waiting_job busy{'x'};
    scheduler<waiting_job> t;
    for (waiting_job& j : waiting) t.add(j, 5);
    t.add(busy, 5);
    for (int request = 0; request < 1000; ++request) {
        t.wake_due(start);
        for (waiting_job* j = t.first();; j = t.first()) {
            ASSERT_NE(j, nullptr);
            ++j->looks;
            if (j == &busy) break;
            t.sleep(*j, start + 1h);
        }
        t.served(busy);
    }
    int looks = 0;
    for (const waiting_job& j : waiting) looks += j.looks;
    EXPECT_EQ(looks, 5000);
    EXPECT_EQ(busy.looks, 1000);
}

}  // namespace
}  // namespace culld

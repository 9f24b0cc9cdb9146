#include "culld/core/base/backoff.hpp"

#include <gtest/gtest.h>

#include <rapidcheck.h>

namespace culld {
namespace {

using namespace std::chrono_literals;

TEST(Backoff, DoublesUpToItsCap) {
    const backoff b{.base = 500ms, .cap = 3s};
    EXPECT_EQ(b.delay(1, 1), 500ms);
    EXPECT_EQ(b.delay(2, 1), 1s);
    EXPECT_EQ(b.delay(3, 1), 2s);
    EXPECT_EQ(b.delay(4, 1), 3s);
    EXPECT_EQ(b.delay(4'000'000'000U, 1), 3s);
}

TEST(Backoff, TheFirstTryAndNoTryAreAlike) {
    EXPECT_EQ(backoff{}.delay(0, 1), backoff{}.delay(1, 1));
}

TEST(Backoff, ABaseAboveTheCapIsCut) {
    EXPECT_EQ((backoff{.base = 10s, .cap = 2s}.delay(1, 1)), 2s);
}

TEST(Backoff, ACapNearTheEndOfTimeDoesNotOverflow) {
    const backoff b{.base = 1s, .cap = nanoseconds::max()};
    for (std::uint32_t tries = 1; tries < 200; ++tries) {
        EXPECT_GT(b.delay(tries, 0.5), 0s);
        EXPECT_LE(b.delay(tries, 0.5), b.cap);
    }
}

TEST(Backoff, ABaseOfNothingIsNoWaitAndNoWork) {
    EXPECT_EQ((backoff{.base = 0s, .cap = 60s}.delay(4'000'000'000U, 0.5)), 0s);
}

TEST(Backoff, TheJitterFillsEverythingFromAnEighthUp) {
    EXPECT_TRUE(rc::check([] {
        const backoff b{.base = nanoseconds(*rc::gen::inRange<std::int64_t>(8, 1'000'000'000)),
                        .cap = nanoseconds(*rc::gen::inRange<std::int64_t>(1'000'000'000, 60'000'000'000))};
        const auto tries = *rc::gen::inRange<std::uint32_t>(1, 50);
        const double chance = *rc::gen::inRange(0, 1000) / 1000.0;
        const nanoseconds whole = b.delay(tries, 1);
        const nanoseconds got = b.delay(tries, chance);
        RC_ASSERT(got >= whole / 8);
        RC_ASSERT(got <= whole);
        const nanoseconds exact(static_cast<std::int64_t>(static_cast<double>(whole.count()) * chance));
        if (chance > 0.13) RC_ASSERT(std::chrono::abs(got - exact) <= 1ns);
    }));
}

TEST(Backoff, ChanceOutOfRangeIsCutToIt) {
    EXPECT_EQ(backoff{}.delay(3, 7), backoff{}.delay(3, 1));
    EXPECT_EQ(backoff{}.delay(3, -7), backoff{}.delay(3, 0));
}

}  // namespace
}  // namespace culld

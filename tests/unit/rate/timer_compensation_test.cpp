#include "culld/core/rate/timer_compensation.hpp"

#include <gtest/gtest.h>

#include <random>

namespace culld {
namespace {

using namespace std::chrono_literals;

constexpr steady_time due{1h};

// The share of requests that are late, once it has settled, and how long is spun on average.
std::pair<double, nanoseconds> settled(nanoseconds least, nanoseconds most) {
    std::mt19937_64 roll(1);
    timer_compensation lead;
    int late = 0;
    nanoseconds spun{};
    constexpr int count = 20'000;
    for (int i = -2'000; i < count; ++i) {
        const auto lateness =
            nanoseconds(std::uniform_int_distribution<std::int64_t>(least.count(), most.count())(roll));
        const steady_time ready = due - lead.get() + lateness;
        if (i >= 0) {
            late += ready > due;
            spun += std::max(nanoseconds(0), due - ready);
        }
        lead.seen(due, ready);
    }
    return {double(late) / count, spun / count};
}

TEST(TimerCompensation, FollowsHowLateTimersAre) {
    for (const auto& [least, most] : {std::pair(20us, 60us), {60us, 130us}, {150us, 250us}}) {
        const auto [late, spun] = settled(least, most);
        EXPECT_LT(late, 0.08) << most.count();
        EXPECT_LT(spun, most - least) << most.count();
    }
}

TEST(TimerCompensation, NeverSpinsLongerThanItsBound) {
    const auto [late, spun] = settled(1ms, 2ms);
    EXPECT_EQ(late, 1);
    EXPECT_EQ(spun, 0ns);
    timer_compensation lead;
    for (int i = 0; i < 1000; ++i) lead.seen(due, due + 1ms);
    EXPECT_EQ(lead.get(), timer_compensation::most);
    for (int i = 0; i < 1000; ++i) lead.seen(due, due);
    EXPECT_EQ(lead.get(), 0ns);
}

}  // namespace
}  // namespace culld

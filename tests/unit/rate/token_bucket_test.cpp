// Promise 3 with simulated time: what a sender that asks pace for leave puts on the wire, held against every
// window that a server could count.
#include "culld/core/rate/token_bucket.hpp"

#include <gtest/gtest.h>

#include <rapidcheck.h>
#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "support/start.hpp"

namespace culld {
namespace {

using namespace std::chrono_literals;
using dice = std::mt19937_64;

nanoseconds up_to(nanoseconds most, dice& roll) {
    return nanoseconds(std::uniform_int_distribution<std::int64_t>(0, most.count())(roll));
}

nanoseconds seconds_of(double s) {
    return nanoseconds(static_cast<std::int64_t>(s * 1e9));
}

// The most that any half-open window of length `window` holds. `times` ascending.
std::size_t most_in(const std::vector<steady_time>& times, nanoseconds window) {
    std::size_t most = 0;
    for (std::size_t first = 0, end = 0; first < times.size(); ++first) {
        while (end < times.size() && times[end] - times[first] < window) ++end;
        most = std::max(most, end - first);
    }
    return most;
}

std::size_t allowed(double rate, std::uint32_t burst, nanoseconds window) {
    const double due = rate * std::chrono::duration<double>(window).count();
    return static_cast<std::size_t>(std::ceil(due - 1e-9)) + burst - 1;
}

// Sends as soon as it may, `lateness` at most behind the time, now and then after an idle gap.
std::vector<steady_time> sends(token_bucket& p, steady_time now, std::size_t count, nanoseconds lateness,
                               double gap_chance, nanoseconds gap, dice& roll) {
    std::vector<steady_time> out;
    out.reserve(count);
    while (out.size() < count) {
        if (std::uniform_real_distribution<double>(0, 1)(roll) < gap_chance) now += up_to(gap, roll);
        if (p.ready_at() > now) now = p.ready_at() + up_to(lateness, roll);
        p.sent(now);
        out.push_back(now);
    }
    return out;
}

std::vector<steady_time> arrivals(std::vector<steady_time> sent, nanoseconds jitter, dice& roll) {
    for (steady_time& t : sent) t += up_to(jitter, roll);
    std::sort(sent.begin(), sent.end());
    return sent;
}

double random_rate(dice& roll, double least, double most) {
    return std::exp(std::uniform_real_distribution<double>(std::log(least), std::log(most))(roll));
}

TEST(TokenBucket, NoWindowOfASecondHoldsTooManyAtTheServer) {
    EXPECT_TRUE(rc::check([] {
        dice roll(*rc::gen::arbitrary<std::uint64_t>());
        const double rate = random_rate(roll, 0.05, 5000);
        const auto burst = std::uniform_int_distribution<std::uint32_t>(1, 20)(roll);
        token_bucket p(rate, burst, start, *rc::gen::arbitrary<bool>());
        const auto count = static_cast<std::size_t>(std::clamp(rate * 4, 300.0, 20'000.0));
        const nanoseconds gap = std::max<nanoseconds>(seconds_of(30 / rate), 1s);
        const auto seen = arrivals(sends(p, start, count, 300us, std::min(0.02, 2 / rate), gap, roll), 1ms, roll);
        for (const double seconds : {1.0, 1.7, 3.0, 10.0, 60.0}) {
            const nanoseconds window = std::max(seconds_of(seconds), seconds_of(1 / rate));
            const std::size_t most = most_in(seen, window);
            if (most > allowed(rate, burst, window))
                RC_FAIL("rate " + std::to_string(rate) + " burst " + std::to_string(burst) + " window " +
                        std::to_string(window.count()) + " ns holds " + std::to_string(most));
        }
    }));
}

// Up to 100 a second no more lateness is made up for than the surplus of even the shortest window, 1/rate.
TEST(TokenBucket, NoWindowAtAllHoldsTooManyUpToAHundredASecond) {
    EXPECT_TRUE(rc::check([] {
        dice roll(*rc::gen::arbitrary<std::uint64_t>());
        const double rate = random_rate(roll, 0.05, 100);
        const auto burst = std::uniform_int_distribution<std::uint32_t>(1, 20)(roll);
        token_bucket p(rate, burst, start, true);
        const auto seen = sends(p, start, 600, 300us, 0.05, seconds_of(30 / rate), roll);
        for (int i = 0; i < 30; ++i) {
            const double share = i == 0 ? 1.0 : std::uniform_real_distribution<double>(1, 40)(roll);
            const nanoseconds window = seconds_of(share / rate) + 1ns;
            RC_ASSERT(most_in(seen, window) <= allowed(rate, burst, window));
        }
    }));
}

// Where the burst covers a late send, nothing is made up for beyond it: no window is too full at any rate.
TEST(TokenBucket, ABurstThatCoversLatenessLeavesEveryWindowWithinTheLaw) {
    EXPECT_TRUE(rc::check([] {
        dice roll(*rc::gen::arbitrary<std::uint64_t>());
        const double rate = random_rate(roll, 10, 5000);
        const auto least = static_cast<std::uint32_t>(std::ceil(rate <= 1000 ? rate * 250e-6 : rate * 1e-3)) + 1;
        const std::uint32_t burst = least + std::uniform_int_distribution<std::uint32_t>(0, 10)(roll);
        token_bucket p(rate, burst, start, true);
        const auto seen = sends(p, start, 3000, 300us, 0.01, seconds_of(30 / rate), roll);
        for (int i = 0; i < 30; ++i) {
            const nanoseconds window = seconds_of(std::uniform_real_distribution<double>(1, 100)(roll) / rate) + 1ns;
            RC_ASSERT(most_in(seen, window) <= allowed(rate, burst, window));
        }
    }));
}

TEST(TokenBucket, NearlyAllOfTheRateIsUsedWhileThereIsWork) {
    for (const double rate :
         {0.05, 0.1667, 1.0, 5.0, 14.0, 20.0, 33.0, 50.0, 100.0, 200.0, 999.0, 1001.0, 2000.0, 5000.0})
        for (const std::uint32_t burst : {1U, 2U, 20U}) {
            token_bucket p(rate, burst, start, false);
            steady_time now = start;
            constexpr int count = 100'000;
            for (int i = 0; i < count; ++i) {
                if (p.ready_at() > now) now = p.ready_at() + (p.exact() ? 20us : 60us);
                p.sent(now);
            }
            const double used = count / std::chrono::duration<double>(now - start).count() / rate;
            EXPECT_GE(used, 0.995) << "rate " << rate << " burst " << burst;
            EXPECT_LE(used, 1.0) << "rate " << rate << " burst " << burst;
        }
}

TEST(TokenBucket, AnEmptyBucketWaitsAFullIntervalAndAFullOneHoldsItsBurst) {
    const token_bucket empty(5, 3, start, false);
    EXPECT_GE(empty.ready_at(), start + 200ms);
    token_bucket full(5, 3, start, true);
    for (int i = 0; i < 3; ++i) {
        EXPECT_LE(full.ready_at(), start);
        full.sent(start);
    }
    EXPECT_GE(full.ready_at(), start + 200ms);
}

TEST(TokenBucket, AnIdleYearEarnsNoMoreThanTheBurst) {
    token_bucket p(5, 2, start, true);
    const steady_time later = start + std::chrono::hours(24 * 365);
    p.sent(later);
    p.sent(later);
    EXPECT_GE(p.ready_at(), later + 199ms);
}

TEST(TokenBucket, SettingTheSameRateAgainChangesNothing) {
    token_bucket p(5, 2, start, true);
    p.sent(start);
    p.sent(start);
    const steady_time before = p.ready_at();
    for (int i = 0; i < 100; ++i) p.set(5, 2, start + 1ms * i);
    EXPECT_EQ(p.ready_at(), before);
    EXPECT_EQ(p.per_second(), 5);
}

TEST(TokenBucket, AHigherRateIsNotHeldUpByTheLongWaitOfALowOne) {
    token_bucket p(0.01, 1, start, true);
    p.sent(start);
    p.set(10, 1, start + 1s);
    EXPECT_LE(p.ready_at(), start + 1101ms);
}

// However often the rate changes, no window holds more than the highest rate and burst in force would allow,
// and what is sent after the last change obeys the last rules alone.
TEST(TokenBucket, ChangingTheRateNeverLetsABurstThrough) {
    EXPECT_TRUE(rc::check([] {
        dice roll(*rc::gen::arbitrary<std::uint64_t>());
        const auto random_burst = [&] { return std::uniform_int_distribution<std::uint32_t>(1, 20)(roll); };
        double rate = random_rate(roll, 1, 1000), highest = rate;
        std::uint32_t burst = random_burst(), widest = burst;
        token_bucket p(rate, burst, start, false);
        steady_time now = start;
        std::vector<steady_time> all;
        for (int change = 0; change < 40; ++change) {
            const auto some = static_cast<std::size_t>(std::uniform_int_distribution<int>(0, 60)(roll));
            const auto sent = sends(p, now, some, 300us, 0.01, 2s, roll);
            RC_ASSERT(most_in(sent, 1s) <= allowed(rate, burst, 1s));
            all.insert(all.end(), sent.begin(), sent.end());
            if (!sent.empty()) now = sent.back();
            now += up_to(5ms, roll);
            rate = random_rate(roll, 1, 1000);
            burst = random_burst();
            highest = std::max(highest, rate);
            widest = std::max(widest, burst);
            p.set(rate, burst, now);
        }
        RC_ASSERT(most_in(arrivals(all, 1ms, roll), 1s) <= allowed(highest, widest, 1s));
    }));
}

}  // namespace
}  // namespace culld

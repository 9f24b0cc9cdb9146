// What throttling costs (figures in docs/checks.md): a gateway that counts in fixed windows (secmaster-api.md 5.3), its
// limit half of ours, and 200 requests that must get through, on a clock of the test's own.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <random>

#include "culld/core/rate/send_gate.hpp"
#include "support/start.hpp"

namespace culld {
namespace {

using namespace std::chrono_literals;

struct gateway {
    std::uint64_t limit;
    nanoseconds window;
    bool names_it;       // "limit:…,time:…" in the answer
    double ours;         // requests a second
    int others_in = 0;   // of the limit, what others who share it use up in each window
    bool dated = false;  // Retry-After: until the window's end
    bool adaptive = true;
    int refused_of_100 = 0;  // by chance, whatever the rate
    nanoseconds shut{};      // from the third second on it refuses all for so long
};

struct cost {
    int throttled = 0;
    nanoseconds took{};
};

cost pay(const gateway& g, int wanted) {
    constexpr nanoseconds there_and_back = 40ms;
    send_gate t({.per_second = g.ours, .burst = 1, .adaptive = g.adaptive, .throttle_backoff = {500ms, 60s}}, start,
                true);
    std::minstd_rand dice(4);
    struct sent {
        steady_time answered;
        bool well;
    };
    std::deque<sent> flying;
    cost out;
    std::int64_t window = -1;
    std::uint64_t in_window = 0;
    int done = 0;
    double chance = 0.1;
    for (steady_time now = start; done < wanted; now += 1ms) {
        while (!flying.empty() && flying.front().answered <= now) {
            if (flying.front().well) {
                static_cast<void>(t.on_request_done(now));
                ++done;
            } else {
                ++out.throttled;
                std::optional<nanoseconds> pause;
                if (g.names_it) pause = g.window;
                if (g.dated) pause = g.window - (now - start) % g.window;
                const double per_second =
                    static_cast<double>(g.limit) / std::chrono::duration<double>(g.window).count();
                chance = std::fmod(chance + 0.37, 1.0);
                static_cast<void>(t.throttled(
                    now, pause, g.names_it ? std::optional(named_limit{per_second, g.window}) : std::nullopt, chance));
            }
            flying.pop_front();
            out.took = now - start;
        }
        while (flying.size() < 4 && t.admit(now, static_cast<std::uint32_t>(flying.size())).go) {
            t.sent(now);
            const std::int64_t w = (now - start) / g.window;
            if (w != window) in_window = static_cast<std::uint64_t>(g.others_in);
            window = w;
            const bool lucky = static_cast<int>(dice() % 100) >= g.refused_of_100;
            const bool shut = now - start >= 3s && now - start < 3s + g.shut;
            flying.push_back({now + there_and_back, ++in_window <= g.limit && lucky && !shut});
        }
    }
    return out;
}

TEST(ThrottleCost, IsSmallWhateverTheLimit) {
    const struct {
        const char* what;
        gateway from;
        int requests;
        int throttled_max;
        double share_min;  // of what the gateway would have let through in that time
    } rows[] = {
        // A limit that is named is tried to be raised now and then.
        {"20 a second, named", {20, 1s, true, 40}, 200, 6, 0.85},
        {"100 a minute, named", {100, 60s, true, 200.0 / 60}, 200, 4, 0.6},
        {"5 a minute, named", {5, 60s, true, 10.0 / 60}, 200, 4, 0.9},
        {"20 a second, not named", {20, 1s, false, 40}, 200, 24, 0.7},
        {"100 a minute, not named", {100, 60s, false, 200.0 / 60}, 200, 20, 0.6},
        {"5 a minute, not named", {5, 60s, false, 10.0 / 60}, 200, 40, 0.9},
        {"5 a minute, not named, far below ours", {5, 60s, false, 5}, 200, 40, 0.8},
        {"100 a minute, not named, far below ours", {100, 60s, false, 50}, 2000, 60, 0.7},
        {"20 a second, Retry-After", {20, 1s, false, 40, 0, true}, 200, 40, 0.8},
        {"5 a minute, Retry-After", {5, 60s, false, 10.0 / 60, 0, true}, 200, 80, 0.8},
        {"20 a second, half of it used by others", {20, 1s, true, 40, 10}, 200, 40, 0.6},
        {"100 a minute, half of it used by others", {100, 60s, true, 200.0 / 60, 50}, 200, 20, 0.4},
    };
    for (const auto& r : rows) {
        const cost paid = pay(r.from, r.requests);
        const double windows =
            std::ceil(static_cast<double>(paid.took.count()) / static_cast<double>(r.from.window.count()));
        const double share =
            r.requests / (windows * static_cast<double>(r.from.limit - std::uint64_t(r.from.others_in)));
        EXPECT_LE(paid.throttled, r.throttled_max) << r.what;
        EXPECT_GE(share, r.share_min) << r.what;
        RecordProperty(r.what, fmt::format("{} answered 429, {:.1f} s, {:.2f} of the limit used", paid.throttled,
                                           std::chrono::duration<double>(paid.took).count(), share));
    }
}

// A quota is found out by rows of refusals. One that comes and goes by chance has none: to slow down would not help.
TEST(ThrottleCost, RefusalsByChanceDoNotSlowDownForGood) {
    for (const int percent : {2, 5, 20}) {
        gateway by_chance{1000000, 1s, false, 50};
        by_chance.refused_of_100 = percent;
        const cost adaptive = pay(by_chance, 5000);
        by_chance.adaptive = false;
        const cost plain = pay(by_chance, 5000);
        EXPECT_LE(adaptive.took, plain.took * 5 / 4) << percent;
        RecordProperty(
            fmt::format("{} % refused by chance", percent),
            fmt::format("{:.1f} s, {:.1f} s without adaptive", std::chrono::duration<double>(adaptive.took).count(),
                        std::chrono::duration<double>(plain.took).count()));
    }
}

// Somebody else in the account had his burst: once that is over, so is what it cost.
TEST(ThrottleCost, AWhileOfRefusalsDoesNotSlowDownWhatComesAfter) {
    gateway shut_once{1000000, 1s, false, 50};
    shut_once.shut = 20s;
    const cost adaptive = pay(shut_once, 1000);
    shut_once.adaptive = false;
    const cost plain = pay(shut_once, 1000);
    EXPECT_EQ(adaptive.took, plain.took);
    EXPECT_LT(plain.took, 60s);
    EXPECT_LE(plain.throttled, 12);
}

}  // namespace
}  // namespace culld

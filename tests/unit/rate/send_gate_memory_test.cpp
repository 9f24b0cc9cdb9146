#include "culld/core/rate/send_gate_memory.hpp"

#include <gtest/gtest.h>

#include "support/start.hpp"

namespace culld {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view here = "https://secmaster.example";
const wall_time then{std::chrono::microseconds(1'795'568'523'123'456)};
const send_gate::memory known{5min, adaptive_rate::memory{0.25, 60s, 8min}};

TEST(SendGateMemory, IsReadBackAsItWasLessTheTimeSince) {
    const auto back = read_traffic_memory(text_of(known, here, then), here, then + 2min);
    ASSERT_TRUE(back) << back.error().text();
    EXPECT_EQ(back->pause, 3min);
    EXPECT_EQ(back->learned, known.learned);
    EXPECT_EQ(read_traffic_memory(text_of(known, here, then), here, then + 6min)->pause, 0s);
    EXPECT_FALSE(read_traffic_memory(text_of({}, here, then), here, then)->learned);
}

TEST(SendGateMemory, AClockThatSteppedMakesNoPauseLonger) {
    EXPECT_EQ(read_traffic_memory(text_of(known, here, then), here, then - 240h)->pause, 5min);
    const auto late = read_traffic_memory(text_of(known, here, then), here, then + 25h);
    EXPECT_EQ(late->pause, 0s);
    EXPECT_FALSE(late->learned) << "a day later it is anybody's guess";
}

TEST(SendGateMemory, AnotherEndpointsLimitIsNotOurs) {
    const auto other = read_traffic_memory(text_of(known, "https://elsewhere", then), here, then);
    EXPECT_EQ(other->pause, 0s);
    EXPECT_FALSE(other->learned);
}

TEST(SendGateMemory, WhatMakesNoSenseIsRefused) {
    EXPECT_TRUE(read_traffic_memory("", here, then));
    const std::string good = text_of(known, here, then);
    for (std::size_t cut = 1; cut + 2 < good.size(); ++cut) {
        const auto part = read_traffic_memory(good.substr(0, cut), here, then);
        EXPECT_FALSE(part) << cut;
    }
    const auto with = [&](std::string_view members) {
        return read_traffic_memory(
            R"({"at":"2026-11-25T01:02:03Z","endpoint":"https://secmaster.example",)" + std::string(members) + "}",
            here, then);
    };
    EXPECT_TRUE(with(R"("pause_ms":1)"));
    for (const char* bad : {R"("pause_ms":-1)", R"("pause_ms":86400001)", R"("pause_ms":"1")", R"("pause_ms":1.5)",
                            R"("per_second":0)", R"("per_second":-1)", R"("per_second":1e300)", R"("per_second":"5")",
                            R"("per_second":5,"window_ms":-1)", R"("per_second":5,"patience_ms":99999999999)"})
        EXPECT_FALSE(with(bad)) << bad;
    EXPECT_FALSE(read_traffic_memory(R"({"endpoint":"https://secmaster.example"})", here, then));
    EXPECT_FALSE(read_traffic_memory("[]", here, then));
}

TEST(SendGateMemory, ARestartKeepsToThePauseAndTheLimit) {
    const traffic_rules rules{.per_second = 50, .burst = 5};
    send_gate before(rules, start, true);
    static_cast<void>(before.throttled(start, 5min, named_limit{2.0, 60s}, 0));
    send_gate after(rules, start, true);
    after.restore(*read_traffic_memory(text_of(before.remembered(start + 1min), here, then), here, then + 1min), start);
    EXPECT_EQ(after.paused_until(), start + 3min);
    EXPECT_FALSE(after.admit(start + 3min - 1ms, 0).go);
    EXPECT_EQ(after.per_second(), 2.0);
    send_gate plain({.per_second = 50, .adaptive = false}, start, true);
    plain.restore(before.remembered(start), start);
    EXPECT_EQ(plain.per_second(), 50) << "not adaptive: the limit is not kept to";
    EXPECT_EQ(plain.paused_until(), start + 5min) << "the pause is";
}

}  // namespace
}  // namespace culld

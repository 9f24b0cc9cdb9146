#include "culld/core/base/time.hpp"

#include <gtest/gtest.h>

#include <rapidcheck.h>

namespace culld {
namespace {

TEST(Time, IsWrittenInUtcWithSixDecimals) {
    EXPECT_EQ(rfc3339(wall_time(std::chrono::microseconds(0))), "1970-01-01T00:00:00.000000Z");
    EXPECT_EQ(rfc3339(wall_time(std::chrono::microseconds(1'795'568'523'123'456))), "2026-11-25T01:02:03.123456Z");
    EXPECT_EQ(basic_utc(wall_time(std::chrono::microseconds(1'795'568'523'123'456))), "20261125T010203Z");
}

TEST(Time, WhatIsWrittenReadsBack) {
    EXPECT_TRUE(rc::check([] {
        const auto micros = *rc::gen::inRange<std::int64_t>(-62'135'596'800'000'000, 253'402'300'799'999'999);
        const wall_time t{std::chrono::microseconds(micros)};
        RC_ASSERT(parse_rfc3339(rfc3339(t)) == t);
    }));
}

TEST(Time, OffsetsAndShortFormsAreRead) {
    EXPECT_EQ(parse_rfc3339("2026-11-25T09:02:03+08:00"), parse_rfc3339("2026-11-25T01:02:03Z"));
    EXPECT_EQ(parse_rfc3339("2026-11-25T01:02:03.5Z"), parse_rfc3339("2026-11-25T01:02:03.500000Z"));
    EXPECT_EQ(parse_rfc3339("2026-11-25T01:02:03.1234569Z"), parse_rfc3339("2026-11-25T01:02:03.123456Z"));
}

TEST(Time, NonsenseIsRefusedWithAnExample) {
    for (const char* text : {"", "now", "2026-11-25", "2026-02-30T00:00:00Z", "2026-11-25T24:00:00Z",
                             "2026-11-25T01:02:03", "2026-11-25T01:02:03.Z", "2026-11-25T01:02:03Z tail"}) {
        const auto parsed = parse_rfc3339(text);
        ASSERT_FALSE(parsed) << text;
        EXPECT_NE(parsed.error().hint.find("2026-11-25T22:00:00Z"), std::string::npos);
    }
}

TEST(Duration, NeedsAUnit) {
    EXPECT_EQ(parse_duration("500ms"), nanoseconds(500'000'000));
    EXPECT_EQ(parse_duration("1.5s"), nanoseconds(1'500'000'000));
    EXPECT_EQ(parse_duration("24h"), nanoseconds(86'400'000'000'000));
    for (const char* text : {"", "5", "s", "-1s", "5 s", "5sec", "1e3s", "nan s", "inf"})
        EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(Duration, IsWrittenInTheLargestWholeUnit) {
    EXPECT_EQ(duration_text(nanoseconds(86'400'000'000'000)), "1d");
    EXPECT_EQ(duration_text(nanoseconds(1'500'000'000)), "1500ms");
    EXPECT_EQ(duration_text(nanoseconds(0)), "0s");
}

}  // namespace
}  // namespace culld

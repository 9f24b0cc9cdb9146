#include "culld/core/status/standstill.hpp"

#include <gtest/gtest.h>

#include "culld/core/status/job_view.hpp"

namespace culld {
namespace {

using std::chrono::seconds;

const wall_time noon = *parse_rfc3339("2026-11-25T12:00:00Z");

outlook calm() {
    return {.now = noon, .throttled_until = {}, .api = {}, .credentials = {}, .first_job = {}};
}

TEST(Standstill, NothingHoldsUpAJobThatMoves) {
    EXPECT_EQ(standing_of({.under_way = true}, calm()).why, standstill::none);
    EXPECT_EQ(standing_of({}, calm()).why, standstill::none);
}

TEST(Standstill, AShortPauseIsNone) {
    outlook all = calm();
    all.throttled_until = noon + seconds(1);
    EXPECT_EQ(standing_of({}, all).why, standstill::none);
    all.throttled_until = noon + seconds(60);
    const standing s = standing_of({.under_way = true}, all);
    EXPECT_EQ(s.why, standstill::throttled) << "whatever is still under way";
    EXPECT_EQ(s.until, noon + seconds(60));
    EXPECT_EQ(s.reason, "throttled by the API until 2026-11-25T12:01:00Z");
}

TEST(Standstill, OneFailureIsNoOutage) {
    outlook all = calm();
    all.api = {.since = noon - seconds(1), .what = "connect: Connection refused", .answered = false};
    EXPECT_EQ(standing_of({}, all).why, standstill::none);
    all.api->since = noon - seconds(90);
    standing s = standing_of({}, all);
    EXPECT_EQ(s.why, standstill::unreachable);
    EXPECT_EQ(s.since, noon - seconds(90));
    EXPECT_EQ(s.reason, "the API cannot be reached since 2026-11-25T11:58:30Z: connect: Connection refused");
    all.api = {.since = noon, .what = "HTTP status 503", .answered = true};
    all.breaker_open = true;
    s = standing_of({}, all);
    EXPECT_EQ(s.why, standstill::failing);
    EXPECT_NE(s.reason.find("one probe at a time"), std::string::npos) << s.reason;
}

TEST(Standstill, OthersOfHigherPriorityGoFirst) {
    outlook all = calm();
    all.first_priority = 2;
    all.first_job = "urgent";
    EXPECT_EQ(standing_of({.priority = 2}, all).why, standstill::none);
    const standing s = standing_of({.priority = 5}, all);
    EXPECT_EQ(s.why, standstill::priority);
    EXPECT_NE(s.reason.find("urgent"), std::string::npos);
    EXPECT_EQ(standing_of({.under_way = true, .priority = 5}, all).why, standstill::none);
}

TEST(Standstill, TimesOfItsOwn) {
    EXPECT_EQ(standing_of({.not_before = noon + seconds(9)}, calm()).reason, "not before 2026-11-25T12:00:09.000000Z");
    EXPECT_EQ(standing_of({.own_rate = noon + seconds(50)}, calm()).why, standstill::own_rate);
    EXPECT_EQ(standing_of({.next_try = noon + seconds(50)}, calm()).why, standstill::retry);
    EXPECT_EQ(standing_of({.next_try = noon - seconds(50)}, calm()).why, standstill::none);
}

TEST(Standstill, AListThatIsReadSaysHowFarItIs) {
    const auto reason = [](const reading_outlook& o) { return standing_of(o, noon).reason; };
    EXPECT_EQ(reason({.ids = 12'345'678, .bytes = 431'000'000, .bytes_total = 2'100'000'000}),
              "its list is being read: 12,345,678 ids, 431 MB of 2.1 GB");
    EXPECT_EQ(reason({.bytes_total = 812}), "its list waits for its turn to be read: 812 bytes");
    EXPECT_EQ(reason({.ids = 70, .bytes = 812, .bytes_total = 812}),
              "its list was read, and is being checked for repeated ids: 70 ids");
    EXPECT_EQ(reason({.waits = "its list is not there yet", .bytes = 5, .bytes_total = 5}),
              "its list is not there yet");
    EXPECT_EQ(standing_of(reading_outlook{}, noon).why, standstill::reading);
    EXPECT_EQ(standing_of(reading_outlook{}, noon).since, noon);
}

TEST(Standstill, EachHasANameOfItsOwn) {
    for (int i = 0; i <= static_cast<int>(standstill::reading); ++i)
        EXPECT_EQ(standstill_named(name_of(static_cast<standstill>(i))), static_cast<standstill>(i));
    EXPECT_FALSE(standstill_named("nonsense"));
}

TEST(JobView, WhatStandsStillHasNoRateAndNoEnd) {
    job_view job{
        .job_id = "j", .file = "j.txt", .totals = {.ids = 500, .deleted = 10}, .rate = 12.5, .eta_seconds = 40};
    job.stand_still({standstill::throttled, "throttled", std::nullopt, noon});
    EXPECT_EQ(job.state, job_state::waiting);
    EXPECT_FALSE(job.eta_seconds);
    std::string text;
    append_job(text, job);
    EXPECT_NE(text.find(R"("rate":0,"eta_seconds":null,"reason":"throttled")"), std::string::npos) << text;
    EXPECT_NE(text.find(R"("waits_for":"throttled","since":null,"until":"2026-11-25T12:00:00.000000Z")"),
              std::string::npos)
        << text;
}

TEST(JobView, KeysStandInTheOrderOfTheContract) {
    std::string text;
    append_job(text, {.job_id = "j", .file = "j.txt", .paused_by = person{1000, 7}, .uid = 1000});
    std::size_t before = 0;
    for (const char* key :
         {"job_id", "file", "state", "status", "totals", "in_flight", "remaining", "rate", "eta_seconds", "reason",
          "accepted_at", "finished_at", "help", "waits_for", "since", "until", "paused_by", "uid"}) {
        const std::size_t at = text.find("\"" + std::string(key) + "\":");
        ASSERT_NE(at, std::string::npos) << key;
        EXPECT_LT(before, at + 1) << key;
        before = at;
    }
    EXPECT_NE(text.find(R"("paused_by":{"uid":1000,"pid":7},"uid":1000})"), std::string::npos) << text;
}

TEST(JobView, SkippedIdsAreSettledAndNotDeleted) {
    const job_view cancelled{.job_id = "j",
                             .file = "j.txt",
                             .state = job_state::finished,
                             .status = "cancelled",
                             .totals = {.ids = 500, .deleted = 10, .skipped = 490}};
    EXPECT_EQ(cancelled.remaining(), 0U);
    EXPECT_EQ(cancelled.totals.deleted, 10U);
}

}  // namespace
}  // namespace culld

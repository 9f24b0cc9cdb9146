#include "culld/core/status/standstill.hpp"

#include <fmt/format.h>

#include <array>

#include "culld/core/text/human_format.hpp"

namespace culld {

namespace {

constexpr std::chrono::seconds short_wait(1);
constexpr std::chrono::seconds short_trouble(2);

constexpr std::array<std::string_view, 13> names{"",        "not_before", "credentials", "throttled", "unreachable",
                                                 "failing", "priority",   "own_rate",    "retry",     "person",
                                                 "repair",  "daemon",     "reading"};

// To the second: what people read needs no more.
std::string moment(wall_time t) {
    return rfc3339(std::chrono::floor<std::chrono::seconds>(t)).substr(0, 19) + "Z";
}

bool far(const std::optional<wall_time>& t, wall_time now) {
    return t && *t - now > short_wait;
}

}  // namespace

std::string_view name_of(standstill s) {
    return names.at(static_cast<std::size_t>(s));
}

std::optional<standstill> standstill_named(std::string_view name) {
    for (std::size_t i = 0; i < names.size(); ++i)
        if (names.at(i) == name) return static_cast<standstill>(i);
    return std::nullopt;
}

standing standing_of(const reading_outlook& file, wall_time since) {
    standing out{standstill::reading, file.waits, since, std::nullopt};
    if (!file.waits.empty()) return out;
    if (file.bytes == 0)
        out.reason = fmt::format("its list waits for its turn to be read: {}", short_size(file.bytes_total));
    else if (file.bytes < file.bytes_total)
        out.reason = fmt::format("its list is being read: {} ids, {} of {}", grouped(file.ids), short_size(file.bytes),
                                 short_size(file.bytes_total));
    else
        out.reason = fmt::format("its list was read, and is being checked for repeated ids: {} ids", grouped(file.ids));
    return out;
}

standing standing_of(const job_outlook& job, const outlook& all) {
    const auto lasts = [&](const std::optional<outlook::trouble>& t) {
        return t && all.now - t->since >= short_trouble;
    };
    if (job.not_before)
        return {standstill::not_before, "not before " + rfc3339(*job.not_before), std::nullopt, job.not_before};
    if (lasts(all.credentials))
        return {standstill::credentials,
                fmt::format("no credentials since {}: {}", moment(all.credentials->since), all.credentials->what),
                all.credentials->since, std::nullopt};
    if (far(all.throttled_until, all.now))
        return {standstill::throttled, "throttled by the API until " + moment(*all.throttled_until), std::nullopt,
                all.throttled_until};
    if (all.api && (all.breaker_open || lasts(all.api)))
        return {all.api->answered ? standstill::failing : standstill::unreachable,
                fmt::format("the API {} since {}: {}{}", all.api->answered ? "fails" : "cannot be reached",
                            moment(all.api->since), all.api->what,
                            all.breaker_open ? "; one probe at a time is sent until it answers" : ""),
                all.api->since, std::nullopt};
    if (job.under_way) return {};
    if (job.priority > all.first_priority)
        return {standstill::priority,
                fmt::format("jobs of priority {} go first, such as {}", all.first_priority, all.first_job),
                std::nullopt, std::nullopt};
    if (far(job.own_rate, all.now))
        return {standstill::own_rate, "its own rate lets the next request go at " + moment(*job.own_rate), std::nullopt,
                job.own_rate};
    if (far(job.next_try, all.now))
        return {standstill::retry, "what was sent last brought no verdict; it goes again at " + moment(*job.next_try),
                std::nullopt, job.next_try};
    return {};
}

}  // namespace culld

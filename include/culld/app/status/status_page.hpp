// The page at /: what culld is doing, for people. One self-contained page; it reloads itself without JavaScript, and
// is live with it (it asks /v1/jobs, and itself). Its policy lets in its own style and script, and requests to where
// it came from; nothing else. Pure: whoever asks hands over what is to be shown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/base/sliding_counts.hpp"
#include "culld/core/status/job_view.hpp"
#include "culld/core/verdict/job_totals.hpp"

namespace culld {

// Series of page_facts::past.
enum : std::size_t {
    past_deleted,
    past_absent,
    past_failed,
    past_skipped,
    past_requests,
    past_throttled,
    past_errors,
    past_series
};

struct page_facts {
    std::string_view version, endpoint;
    double up_seconds = 0;
    std::uint32_t in_flight = 0;
    double requests_per_second = 0;  // the limit kept to
    bool breaker_open = false;
    std::string_view credentials;                 // good, trial, refused
    std::string credentials_until{};              // RFC 3339; empty: nobody knows, or for ever
    double credentials_left_seconds = 0;          // till then
    std::uint64_t rejected = 0;                   // files, since start
    std::optional<double> throttled_for_seconds;  // the API asked for a pause that long from now
    job_totals since_start;                       // of open jobs and of those finished since
    const reason_counts* failed_by_reason = nullptr;
    const sliding_counts* past = nullptr;
    std::vector<job_view> open, finished;  // finished: the newest first
    std::uint64_t open_not_shown = 0, finished_not_shown = 0;
};

[[nodiscard]] std::string status_page(const page_facts& facts);
// The Content-Security-Policy it must be sent with.
[[nodiscard]] const std::string& status_page_policy();

}  // namespace culld

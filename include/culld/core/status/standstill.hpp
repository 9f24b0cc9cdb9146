// Why a job that is not over does not move: one decision from the facts that the daemon has, and the words for it.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "culld/core/base/time.hpp"

namespace culld {

enum class standstill : std::uint8_t {
    none,         // it moves, or is over
    not_before,   // its time has not come
    credentials,  // none are to be had
    throttled,    // the API asked for a pause
    unreachable,  // no request reaches the API
    failing,      // the API answers, and nothing of use
    priority,     // others go first
    own_rate,     // the rate that somebody gave it
    retry,        // what was sent brought no verdict, and goes again later
    person,       // somebody paused it
    repair,       // blocked, until somebody mends what it is blocked by
    daemon,       // no daemon answers
    reading,      // it is no job yet: its list is being read, or waited for
};
// As `waits_for` has it; "" for none.
[[nodiscard]] std::string_view name_of(standstill s);
[[nodiscard]] std::optional<standstill> standstill_named(std::string_view name);

// What all jobs share on their way out.
struct outlook {
    struct trouble {
        wall_time since;
        std::string what;      // the last of it
        bool answered = true;  // the API did answer, and nothing of use
    };
    wall_time now{};
    std::optional<wall_time> throttled_until;
    std::optional<trouble> api;          // no request went well since then
    std::optional<trouble> credentials;  // none since then
    bool breaker_open = false;
    std::uint32_t first_priority = UINT32_MAX;  // the lowest number of those that have something to send
    std::string first_job;                      // one of them
};

// One job that is neither paused, blocked nor over.
struct job_outlook {
    bool under_way = false;               // a request of it is
    std::optional<wall_time> not_before;  // only while it counts
    std::optional<wall_time> own_rate;    // its own rate lets the next request go then
    std::optional<wall_time> next_try;    // nothing of it can be sent before
    std::uint32_t priority = 0;
};

struct standing {
    standstill why = standstill::none;
    std::string reason;  // for people, in one line
    std::optional<wall_time> since, until;
};

// A file that is on its way to a job.
struct reading_outlook {
    std::string waits;                         // for what; empty: it is being read
    std::uint64_t ids = 0;                     // found so far
    std::uint64_t bytes = 0, bytes_total = 0;  // read of the file that holds them
};
[[nodiscard]] standing standing_of(const reading_outlook& file, wall_time since);

// A wait of a second is no standing still, and a single failure no outage.
[[nodiscard]] standing standing_of(const job_outlook& job, const outlook& all);

}  // namespace culld

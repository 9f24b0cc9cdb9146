// The two clocks, and how a moment is written. Core never reads a clock: it is handed the time.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"

namespace culld {

// For waiting, pacing and time limits: never jumps.
using steady_time = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;
// For people, journals and the gateway: may jump.
using wall_time = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;

using nanoseconds = std::chrono::nanoseconds;
using milliseconds = std::chrono::milliseconds;

// RFC 3339, UTC, always six decimals: 2026-11-25T01:02:03.123456Z. Years 0000 to 9999.
void append_rfc3339(std::string& out, wall_time t);
[[nodiscard]] std::string rfc3339(wall_time t);

// RFC 3339 with an offset or Z, decimals optional.
[[nodiscard]] result<wall_time> parse_rfc3339(std::string_view text);

// ISO 8601 basic, UTC, as in job ids and X-Sdk-Date: 20261125T010203Z.
[[nodiscard]] std::string basic_utc(wall_time t);
// The reverse; nothing if `text` is anything else.
[[nodiscard]] std::optional<wall_time> parse_basic_utc(std::string_view text);

// "500ms", "5s", "2m", "24h", "1d", "1.5s"; a bare number is refused, since nobody can know its unit.
[[nodiscard]] result<nanoseconds> parse_duration(std::string_view text);
// The same form back, in the largest unit that keeps it whole.
[[nodiscard]] std::string duration_text(nanoseconds d);

}  // namespace culld

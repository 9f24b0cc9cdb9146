// What an HTTP answer means for the requests to come (contract, section 6; secmaster-api.md 1.7, 3.5, 5): the gateway's
// and the service's error texts, read into one small set of consequences. A 200 to a deletion goes to the judge.
//
// Pure. Messages handed back are cleaned: one line, at most 512 bytes, without our secrets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "culld/core/auth/signature_rejection.hpp"
#include "culld/core/base/time.hpp"
#include "culld/core/text/redact.hpp"

namespace culld {

enum class next_action : std::uint8_t {
    accepted,      // 200: read on
    gone,          // the incident asked for does not exist (400 SecMaster.20030005)
    throttled,     // 429
    unauthorized,  // 401: every worker stops
    blocked,       // no request of this job can succeed: 403, workspace or project unknown, redirects, ...
    content,       // 400 naming what the batch holds: halve it
    refused,       // the deletion failed as a whole, by the service's own word: counts as an attempt
    form_absent,   // 404 APIGW.0101: this form of the call is not published here
    busy,          // 500, 503 and their like: later
    lost,          // 502, 504: it may have been done
};

struct error_answer {
    next_action what = next_action::lost;
    std::string_view error_class;  // batch.error's class: throttled, server, auth, rejected, protocol
    std::string code;              // APIGW.0308, SecMaster.20030001, ...; may be empty
    std::string message;
    std::string help;                        // for blocked and unauthorized: what an operator can do
    std::optional<nanoseconds> pause;        // how long the answer asks everybody to wait; at most a day
    std::optional<double> limit_per_second;  // the limit it names
    nanoseconds limit_window{};              // that it is counted in
    signature_rejection refusal;             // of a 401
};

// `retry_after`: that header's value, if any: seconds or an HTTP date, compared with `now`.
[[nodiscard]] error_answer read_answer(unsigned status, std::string_view retry_after, std::string_view body,
                                       wall_time now, const redactor& secrets);

// What an answer other than 200 says of the one incident that was asked for.
enum class ask_meaning : std::uint8_t {
    gone,     // it does not exist: 400 SecMaster.20030005, or 404 by SecMaster's own word once the workspace `answered`
              // 200
    refused,  // it will not be told, whoever asks again
    nothing,  // as for every request: throttled, lost, and the like
};
[[nodiscard]] ask_meaning meaning_for_ask(const error_answer& r, unsigned status, bool answered);

// Retry-After (RFC 9110, 10.2.3): seconds or an HTTP date, in any of its three forms. None if it is neither; what is
// past becomes 0, what is more than a year a year.
[[nodiscard]] std::optional<nanoseconds> parse_retry_after(std::string_view value, wall_time now);

// `... policy user over ratelimit,limit:100,time:1 minute` (secmaster-api.md 5.3).
struct throttle_text {
    double limit = 0;
    nanoseconds window{};
};
[[nodiscard]] std::optional<throttle_text> parse_throttle_text(std::string_view message);

}  // namespace culld

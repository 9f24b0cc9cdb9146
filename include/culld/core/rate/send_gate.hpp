// May a request go out now? One traffic for all jobs that share an endpoint and an identity: the rate, the pauses the
// gateway asked for, the breaker, and whether the credentials are good. Pure; one strand.
#pragma once

#include <cstdint>
#include <optional>

#include "culld/core/base/backoff.hpp"
#include "culld/core/base/time.hpp"
#include "culld/core/rate/adaptive_rate.hpp"
#include "culld/core/rate/token_bucket.hpp"

namespace culld {

struct traffic_rules {
    double per_second = 5;
    std::uint32_t burst = 1;
    bool adaptive = true;
    std::uint32_t breaker_failures = 10;           // in a row; then one probe at a time, the first after a second
    nanoseconds probe = std::chrono::seconds(15);  // at most between two of them
    backoff throttle_backoff;                      // where a 429 says nothing, and after a 500 or 503
};

enum class credential_state : std::uint8_t {
    good,
    trial,    // renewed: one request goes first, alone
    refused,  // nothing goes until they change
};

class send_gate {
  public:
    // `full`: see pace.
    send_gate(const traffic_rules& rules, steady_time now, bool full);

    struct admission {
        bool go = false;
        std::optional<steady_time> at;  // the time from which on it may go; none: only an event changes it
    };
    // `in_flight`: requests under way. A probe and a trial go alone. `connecting`: those of them that have no
    // connection yet, and so no place in the pace: they go first.
    [[nodiscard]] admission admit(steady_time now, std::uint32_t in_flight, std::uint32_t connecting = 0) const;
    std::uint64_t sent(steady_time now);  // its place in the pace
    void left(std::uint64_t place, steady_time at) { pace_.left(place, at); }

    // The server did what a healthy one does, whatever it thought of the request. True if the rate kept to is another
    // now, as happens with `adaptive` only.
    bool on_request_done(steady_time now);
    // It could not be reached, broke off, or answered 5xx. True if the breaker opened just now.
    bool on_request_failed(steady_time now);
    // 429: everybody pauses for `pause`, or backs off where the answer names none; with `adaptive` a limit that the
    // answer names is kept to from now on, and one that it does not name is found out. Returns when sending goes on.
    // A pause that is none (0, a date in the past) is as good as not named.
    steady_time throttled(steady_time now, std::optional<nanoseconds> pause, std::optional<named_limit> limit,
                          double chance);
    // 500, 503: everybody backs off, for `pause` where the answer names one, within the longest back-off.
    void overloaded(steady_time now, std::optional<nanoseconds> pause, double chance);
    void credentials_refused() { credentials_ = credential_state::refused; }
    void credentials_renewed() { credentials_ = credential_state::trial; }

    void set_rules(const traffic_rules& rules, steady_time now);
    [[nodiscard]] credential_state credentials() const { return credentials_; }
    [[nodiscard]] bool breaker_open() const { return failures_ >= rules_.breaker_failures; }
    [[nodiscard]] double per_second() const { return pace_.per_second(); }
    // See pace.
    [[nodiscard]] bool exact() const { return pace_.exact(); }
    [[nodiscard]] std::optional<steady_time> paused_until() const { return paused_until_; }

    // What a restart must not forget.
    struct memory {
        nanoseconds pause{};  // that is left
        std::optional<adaptive_rate::memory> learned;
    };
    [[nodiscard]] memory remembered(steady_time now) const;
    void restore(const memory& known, steady_time now);

  private:
    [[nodiscard]] double ceiling() const;
    void keep_to_limits(steady_time now);

    traffic_rules rules_;
    token_bucket pace_;
    adaptive_rate learned_;
    std::optional<steady_time> paused_until_;      // by 429s
    std::optional<steady_time> backed_off_until_;  // after 500s and 503s
    std::uint32_t throttles_ = 0;                  // 429s in a row
    std::uint32_t overloads_ = 0;                  // 500s and 503s in a row
    std::uint32_t failures_ = 0;                   // in a row
    steady_time probe_at_{};
    nanoseconds probe_wait_{};
    bool probing_ = false;  // a request went out since the breaker opened
    credential_state credentials_ = credential_state::good;
};

}  // namespace culld

// May a request go out now? One traffic for all jobs that share an endpoint and an identity: the rate, the pauses the
// gateway asked for, the breaker, and whether the credentials are good. Pure; one strand.
#pragma once

#include <cstdint>
#include <optional>

#include "culld/core/backoff.hpp"
#include "culld/core/learned_rate.hpp"
#include "culld/core/pace.hpp"
#include "culld/core/time.hpp"

namespace culld {

struct traffic_rules {
    double per_second = 5;
    std::uint32_t burst = 1;
    bool adaptive = true;
    std::uint32_t breaker_failures = 10;  // in a row; then one probe each `probe`
    nanoseconds probe = std::chrono::seconds(15);
    backoff throttle_backoff;  // where a 429 says nothing
};

enum class credential_state : std::uint8_t {
    good,
    trial,    // renewed: one request goes first, alone
    refused,  // nothing goes until they change
};

class traffic {
  public:
    // `full`: see pace.
    traffic(const traffic_rules& rules, steady_time now, bool full);

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
    bool went_well(steady_time now);
    // It could not be reached, broke off, or answered 5xx. True if the breaker opened just now.
    bool went_badly(steady_time now);
    // 429: everybody pauses for `pause`, or backs off where the answer names none; with `adaptive` a limit that the
    // answer names is kept to from now on, and one that it does not name is found out. Returns when sending goes on.
    steady_time throttled(steady_time now, std::optional<nanoseconds> pause, std::optional<double> limit,
                          double chance);
    void credentials_refused() { credentials_ = credential_state::refused; }
    void credentials_renewed() { credentials_ = credential_state::trial; }

    void set_rules(const traffic_rules& rules, steady_time now);
    [[nodiscard]] credential_state credentials() const { return credentials_; }
    [[nodiscard]] bool breaker_open() const { return failures_ >= rules_.breaker_failures; }
    [[nodiscard]] double per_second() const { return pace_.per_second(); }
    // See pace.
    [[nodiscard]] bool exact() const { return pace_.exact(); }
    [[nodiscard]] std::optional<steady_time> paused_until() const { return paused_until_; }

  private:
    [[nodiscard]] double ceiling() const;
    void keep_to_limits(steady_time now);

    traffic_rules rules_;
    pace pace_;
    std::optional<double> named_;  // the gateway's own limit, where it named one
    learned_rate learned_;         // where it did not
    std::optional<steady_time> paused_until_;
    std::uint32_t throttles_ = 0;  // 429s in a row
    std::uint32_t failures_ = 0;   // in a row
    steady_time probe_at_{};
    credential_state credentials_ = credential_state::good;
};

}  // namespace culld

// When the next request may be sent so that no window at the server ever holds too many (contract, promise 3): at
// most ceil(rate * T) + burst - 1 in any T >= 1/rate, with at least 99.5 % of the rate used.
//
// A generic cell rate algorithm whose interval is 0.35 % longer than 1/rate: the surplus of a window of one second
// is 3.5 ms, which is what the way to the server may compress it by. A send that comes late by the timer's grain
// keeps the schedule (`slack`), one that comes later starts a new one. Making up for lateness costs as much in a single
// window. Up to 100 a second it never makes up for more than the surplus of one interval, so no two sends are closer
// than 1/rate and the law holds for every window; senders have to be exact() for that. Above, both are not to be had at
// once: with a burst of 1 the law holds for windows of slack / 0.35 % and longer, 71 ms up to 1,000 a second, 0.29 s
// from there; a burst that covers the slack (2 up to 1,000 a second) makes it hold for all. Pure; one strand.
#pragma once

#include <cstdint>

#include "culld/core/base/time.hpp"

namespace culld {

class token_bucket {
  public:
    // `full`: the bucket holds its burst at `now`; else it is empty, as after an end that left no trace of what
    // was sent last.
    token_bucket(double per_second, std::uint32_t burst, steady_time now, bool full);

    // The earliest time for the next request, or for the one that comes `after` so many more; it may lie in the past.
    [[nodiscard]] steady_time ready_at(std::uint32_t after = 0) const;
    // A request goes out at `now` (>= ready_at()); returns its place, for left().
    std::uint64_t sent(steady_time now);
    // The request of that place really left at `at`, later than it was to: what comes after it keeps its distance from
    // there. Whoever is slow between deciding and writing would else send the next one too close behind.
    void left(std::uint64_t place, steady_time at);
    // Another rate from now on. What was sent before still counts, at the new rate.
    void set(double per_second, std::uint32_t burst, steady_time now);
    [[nodiscard]] double per_second() const { return per_second_; }
    [[nodiscard]] std::uint32_t burst() const { return burst_; }
    // A timer alone is too late for this rate: 99.5 % of it needs sends within some ten microseconds of ready_at().
    [[nodiscard]] bool exact() const;

  private:
    void derive();

    double per_second_;
    std::uint32_t burst_;
    nanoseconds interval_{};
    nanoseconds slack_{};
    steady_time next_;          // when a bucket of one would be ready
    std::uint64_t places_ = 0;  // given out so far
};

}  // namespace culld

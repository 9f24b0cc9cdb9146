// When API requests arrived: the evidence for "nothing above the limit".
//
// Eight bytes a request, at most `most` of them; past that the list stops growing and says so. Times are of
// the steady clock, taken when a request's head had been read completely, and never go backwards.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "culld/core/base/time.hpp"

namespace culld::emulator {

class arrival_clock {
  public:
    explicit arrival_clock(std::size_t most = 10'000'000) : most_(most) {}

    // `at` is not before any earlier one.
    void add(steady_time at);

    struct window {
        std::uint64_t most = 0;              // requests in the busiest window
        std::uint64_t total = 0;             // requests altogether, recorded or not
        bool complete = true;                // false: the list was full, `most` covers its beginning only
        std::optional<steady_time> first;    // of all requests
        std::optional<steady_time> last;     // of all requests
        std::optional<steady_time> busiest;  // where the busiest window begins
    };
    // The largest number of requests in any half-open window [t, t + width), exactly. `width` is above 0.
    // Linear in the requests.
    [[nodiscard]] window busiest(nanoseconds width) const;

    [[nodiscard]] std::uint64_t total() const { return total_; }

  private:
    std::size_t most_;
    std::uint64_t total_ = 0;
    std::optional<steady_time> last_;
    std::deque<std::int64_t> times_;  // nanoseconds since the clock's epoch
};

}  // namespace culld::emulator

// How much happened lately: counts in a fixed number of buckets of equal time, the oldest forgotten as time goes on.
// Fed with running totals, as counters have them. Pure; one strand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "culld/core/base/time.hpp"

namespace culld {

class sliding_counts {
  public:
    sliding_counts(std::size_t series, std::size_t buckets, nanoseconds width)
        : width_(width), seen_(series), counts_(series, std::vector<std::uint64_t>(buckets)) {}

    // The totals as they are at `now`, one a series. The first call only says where they begin. A total that falls
    // counts again once it is above what it was.
    void sample(steady_time now, std::span<const std::uint64_t> totals);

    // The oldest bucket first, the one under way last; all series have as many.
    [[nodiscard]] const std::vector<std::uint64_t>& counts(std::size_t series) const { return counts_[series]; }
    [[nodiscard]] nanoseconds width() const { return width_; }

  private:
    void forget_until(steady_time now);

    nanoseconds width_;
    bool begun_ = false;
    steady_time current_{};  // where the last bucket begins
    std::vector<std::uint64_t> seen_;
    std::vector<std::vector<std::uint64_t>> counts_;
};

}  // namespace culld

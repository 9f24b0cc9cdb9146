// How much of what happened when, in memory that does not grow: counts in buckets of time that get twice as wide
// whenever there would be too many of them. For pictures. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "culld/core/base/time.hpp"

namespace culld {

class widening_counts {
  public:
    static constexpr std::size_t buckets_max = 120;

    // `series` counts, side by side.
    explicit widening_counts(std::size_t series) : counts_(series) {}

    // Times before the first one count as the first: a clock that was set back must not lose anything.
    void add(wall_time at, std::size_t series, std::uint64_t n);
    // Time passed until `at`, and nothing happened.
    void reach(wall_time at);

    [[nodiscard]] bool empty() const { return !begun_; }
    [[nodiscard]] wall_time begin() const { return begin_; }
    [[nodiscard]] std::chrono::seconds width() const { return width_; }
    // All series have as many buckets.
    [[nodiscard]] const std::vector<std::uint64_t>& counts(std::size_t series) const { return counts_[series]; }
    [[nodiscard]] wall_time end() const { return begin_ + width_ * static_cast<std::int64_t>(counts_[0].size()); }

  private:
    [[nodiscard]] std::size_t bucket(wall_time at);
    void widen();

    bool begun_ = false;
    wall_time begin_{};
    std::chrono::seconds width_{1};
    std::vector<std::vector<std::uint64_t>> counts_;
};

}  // namespace culld

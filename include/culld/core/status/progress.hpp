// How fast a job goes now, and when it will be over. What went by in the last seconds says the first; the second comes
// from the requests that are left, since a job's last ids are asked for one by one. Pure; one strand.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "culld/core/base/time.hpp"

namespace culld {

class progress {
  public:
    // Running totals of the job, whenever they change: ids with a verdict, requests that were answered.
    void sample(steady_time now, std::uint64_t settled, std::uint64_t answers);

    // Ids a second, over five seconds and ten answers, or what there is of them; 0 while that is not known.
    [[nodiscard]] double rate(steady_time now) const;
    // None while nothing is answered.
    [[nodiscard]] std::optional<std::uint64_t> seconds_left(steady_time now, std::uint64_t requests_left) const;

  private:
    struct point {
        steady_time at{};
        std::uint64_t settled = 0, answers = 0;
    };
    [[nodiscard]] std::optional<point> begin(steady_time now) const;

    std::array<point, 12> points_{};  // a second apart or more, the oldest first
    std::size_t count_ = 0;
    point last_;
};

}  // namespace culld

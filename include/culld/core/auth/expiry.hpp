// How long something that expires may be used, and when to get the next one: tokens and temporary keys. Pure; on the
// steady clock, so that a jump of the wall clock neither kills a good token nor keeps a dead one.
#pragma once

#include <optional>

#include "culld/core/base/time.hpp"

namespace culld {

class expiry {
  public:
    // Nothing is held yet.
    expiry() = default;
    // Taken at `now`, good for `life`. The next one is due when `ahead` is left, or a fifth of the life if that is
    // less: keys that live for 15 minutes are not renewed all the time. For ever where `life` is lease::forever.
    expiry(steady_time now, nanoseconds life, nanoseconds ahead);

    static constexpr nanoseconds forever = nanoseconds::max();

    // May be used for a request now: some of it is left for the request's own way.
    [[nodiscard]] bool usable(steady_time now) const { return held_ && now < last_; }
    [[nodiscard]] bool due(steady_time now) const { return !held_ || now >= due_; }
    // When what is held is over; nothing where nothing is held, or for ever.
    [[nodiscard]] std::optional<steady_time> end() const { return end_; }
    // Renewal ahead of time failed: try again when a quarter of what is left has passed, after a second at the
    // earliest and a minute at the latest.
    void failed(steady_time now);

  private:
    bool held_ = false;
    steady_time last_{};
    steady_time due_{};
    std::optional<steady_time> end_;
};

}  // namespace culld

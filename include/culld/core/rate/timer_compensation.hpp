// How much earlier than its place in the pace a request is begun: timers wake late, and to write it takes a moment too.
// What is left of the wait then is spun away, so too much costs CPU and too little costs rate. Follows what is seen, so
// that about one request in twenty is a little late. Pure; one strand.
#pragma once

#include <algorithm>

#include "culld/core/base/time.hpp"

namespace culld {

class timer_compensation {
  public:
    [[nodiscard]] nanoseconds get() const { return lead_; }
    // A request that was to leave at `due` could have been written at `ready`. Only of those that were waited for.
    void seen(steady_time due, steady_time ready) {
        lead_ = std::clamp(lead_ + (ready > due ? up : -down), nanoseconds(0), most);
    }

    static constexpr nanoseconds most = std::chrono::microseconds(300);

  private:
    static constexpr nanoseconds up = std::chrono::microseconds(19), down = std::chrono::microseconds(1);
    nanoseconds lead_ = std::chrono::microseconds(100);
};

}  // namespace culld

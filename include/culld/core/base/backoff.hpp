// How long to wait before trying again: exponential, full jitter, capped (AWS Architecture Blog, "Exponential
// Backoff And Jitter": full jitter spreads a crowd best).
#pragma once

#include "culld/core/base/time.hpp"

namespace culld {

struct backoff {
    nanoseconds base = std::chrono::milliseconds(500);
    nanoseconds cap = std::chrono::seconds(60);

    // Wait after the `tries`th failure in a row (from 1); `chance` is uniform in [0,1). Never below an eighth of the
    // uncut delay: a crowd that draws zero all at once is a storm.
    [[nodiscard]] nanoseconds delay(std::uint32_t tries, double chance) const;
};

}  // namespace culld

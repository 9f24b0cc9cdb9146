// A plan as its tests drive it.
#pragma once

#include "culld/core/plan/plan.hpp"
#include "support/start.hpp"

namespace culld {

// Makes every intent durable at once.
inline void intend(plan& p) {
    const spans ranges = p.wants_intent();
    if (!ranges.empty()) p.intended(ranges);
}

inline const batch* take(plan& p, steady_time now = start) {
    intend(p);
    return p.take(now);
}

}  // namespace culld

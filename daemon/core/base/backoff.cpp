#include "culld/core/base/backoff.hpp"

#include <algorithm>

namespace culld {

nanoseconds backoff::delay(std::uint32_t tries, double chance) const {
    std::int64_t whole = std::min(base, cap).count();
    for (std::uint32_t i = 1; i < tries && whole > 0 && whole < cap.count(); ++i)
        whole = whole > cap.count() / 2 ? cap.count() : whole * 2;
    const double jittered = static_cast<double>(whole) * std::clamp(chance, 0.0, 1.0);
    return nanoseconds(std::max(static_cast<std::int64_t>(jittered), whole / 8));
}

}  // namespace culld

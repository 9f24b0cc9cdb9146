// The moment at which time begins in tests that bring their own.
#pragma once

#include <chrono>

#include "culld/core/base/time.hpp"

namespace culld {

inline constexpr steady_time start{std::chrono::hours(1)};

}  // namespace culld

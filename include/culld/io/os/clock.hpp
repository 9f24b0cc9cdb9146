// The two clocks. Core never asks them: it is handed what they say.
#pragma once

#include "culld/core/base/time.hpp"

namespace culld {

// For waiting and for rates: no jumps.
[[nodiscard]] inline steady_time steady_now() {
    return std::chrono::steady_clock::now();
}
// For people and records: whoever sets it makes it jump.
[[nodiscard]] inline wall_time wall_now() {
    return std::chrono::time_point_cast<wall_time::duration>(std::chrono::system_clock::now());
}

}  // namespace culld

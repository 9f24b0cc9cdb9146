#include "culld/core/text/human_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace culld {

std::string grouped(std::uint64_t n) {
    std::string out = std::to_string(n);
    for (std::size_t at = out.size(); at > 3;) {
        at -= 3;
        out.insert(at, ",");
    }
    return out;
}

std::string short_size(std::uint64_t bytes) {
    constexpr std::array units{"kB", "MB", "GB", "TB"};
    if (bytes < 1000) return fmt::format("{} bytes", bytes);
    double n = static_cast<double>(bytes) / 1000;
    std::size_t unit = 0;
    for (; n >= 999.5 && unit + 1 < units.size(); ++unit) n /= 1000;
    return fmt::format("{:.{}f} {}", n, n < 9.95 ? 1 : 0, units.at(unit));
}

std::string short_duration(double seconds) {
    if (!std::isfinite(seconds) || seconds < 0) return "-";
    const auto s = static_cast<std::uint64_t>(std::min(seconds, 1e15));
    if (s < 60) return fmt::format("{}s", s);
    if (s < 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
    if (s < 86'400) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
    return fmt::format("{}d{:02}h", s / 86'400, s / 3600 % 24);
}

}  // namespace culld

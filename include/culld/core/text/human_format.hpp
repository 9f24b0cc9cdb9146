// Numbers and spans of time as people read them. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace culld {

// 1,234,567
[[nodiscard]] std::string grouped(std::uint64_t n);
// "812 bytes", "431 MB", "2.1 GB"
[[nodiscard]] std::string short_size(std::uint64_t bytes);
// "45s", "3m20s", "2h05m", "4d02h": how long something takes or is past; "-" for what is not known.
[[nodiscard]] std::string short_duration(double seconds);

}  // namespace culld

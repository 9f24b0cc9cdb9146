// Chance that repeats: a hash of (seed, request number, what is decided, id) in place of a random number.
#pragma once

#include <xxhash.h>

#include <cstdint>
#include <string_view>

namespace culld::emulator {

// A well-mixed 64-bit number out of a counter (Steele, Lea, Flood: splitmix64).
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t x) {
    x += 0x9E3779B97F4A7C15U;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
    return x ^ (x >> 31);
}

class dice {
  public:
    explicit dice(std::uint64_t seed) : seed_(seed) {}

    [[nodiscard]] std::uint64_t number(std::uint64_t request, std::string_view what, std::string_view id = {}) const {
        const std::uint64_t about = XXH3_64bits_withSeed(what.data(), what.size(), mix(seed_ ^ mix(request)));
        return id.empty() ? mix(about) : XXH3_64bits_withSeed(id.data(), id.size(), about);
    }
    // At least 0, below 1.
    [[nodiscard]] double fraction(std::uint64_t request, std::string_view what, std::string_view id = {}) const {
        return static_cast<double>(number(request, what, id) >> 11) * 0x1.0p-53;
    }
    [[nodiscard]] bool applies(double ratio, std::uint64_t request, std::string_view what,
                               std::string_view id = {}) const {
        return ratio > 0 && fraction(request, what, id) < ratio;
    }

  private:
    std::uint64_t seed_;
};

}  // namespace culld::emulator

// Chance in the simulation: one stream of numbers from the seed (splitmix64), so that a seed is a run.
#pragma once

#include <chrono>
#include <cstdint>

namespace culld::simulation {

class dice {
  public:
    explicit dice(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        state_ += 0x9E3779B97F4A7C15U;
        std::uint64_t x = state_;
        x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9U;
        x = (x ^ (x >> 27U)) * 0x94D049BB133111EBU;
        return x ^ (x >> 31U);
    }
    // 0 to n - 1; n at least 1.
    std::uint64_t below(std::uint64_t n) { return next() % n; }
    // Both ends included.
    std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }
    double fraction() { return static_cast<double>(next() >> 11U) * 0x1.0p-53; }
    bool chance(double p) { return p > 0 && fraction() < p; }
    std::chrono::nanoseconds between(std::chrono::nanoseconds low, std::chrono::nanoseconds high) {
        return std::chrono::nanoseconds(
            between(static_cast<std::uint64_t>(low.count()), static_cast<std::uint64_t>(high.count())));
    }

  private:
    std::uint64_t state_;
};

}  // namespace culld::simulation

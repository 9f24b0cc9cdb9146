// How often something took how long: counts in fixed steps, as Prometheus' classic histograms want them. Allocates
// nothing, so that the way out may use it. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace culld {

// `Steps`: seconds, ascending; a step counts what took at most so long. What took longer is in count() alone.
template <const auto& Steps>
class histogram {
  public:
    static constexpr std::size_t size = Steps.size();
    [[nodiscard]] static constexpr double step(std::size_t i) { return static_cast<double>(Steps[i]); }

    void seen(double seconds) {
        std::size_t i = 0;
        while (i < size && seconds > step(i)) ++i;
        if (i < size) ++in_[i];
        ++count_;
        sum_ += seconds;
    }

    // How many took at most step(i).
    [[nodiscard]] std::uint64_t up_to(std::size_t i) const {
        std::uint64_t out = 0;
        for (std::size_t k = 0; k <= i; ++k) out += in_[k];
        return out;
    }
    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] double sum() const { return sum_; }

  private:
    std::array<std::uint64_t, size> in_{};
    std::uint64_t count_ = 0;
    double sum_ = 0;
};

// An answer of the API: from that of a near server to api.request_timeout's default.
inline constexpr std::array request_steps{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0};
// An fdatasync: from a disk with a battery to one that is about to be given up.
inline constexpr std::array fsync_steps{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                        0.05,   0.1,     0.25,   0.5,   1.0,    2.5,   10.0};
// A job: ten ids, or a hundred million.
inline constexpr std::array job_steps{1.0, 10.0, 60.0, 600.0, 3600.0, 21600.0, 86400.0};

}  // namespace culld

#include "culld/core/base/widening_counts.hpp"

#include <algorithm>

namespace culld {

void widening_counts::widen() {
    for (auto& counts : counts_) {
        for (std::size_t i = 0; i < counts.size(); i += 2)
            counts[i / 2] = counts[i] + (i + 1 < counts.size() ? counts[i + 1] : 0);
        counts.resize((counts.size() + 1) / 2);
    }
    width_ *= 2;
}

std::size_t widening_counts::bucket(wall_time at) {
    if (!begun_) {
        begun_ = true;
        begin_ = std::chrono::floor<std::chrono::seconds>(at);
    }
    const auto passed = std::chrono::floor<std::chrono::seconds>(std::max(at, begin_) - begin_);
    while (passed / width_ >= static_cast<std::int64_t>(buckets_max)) widen();
    const auto index = static_cast<std::size_t>(passed / width_);
    for (auto& counts : counts_) counts.resize(std::max(counts.size(), index + 1));
    return index;
}

void widening_counts::add(wall_time at, std::size_t series, std::uint64_t n) {
    const std::size_t index = bucket(at);
    counts_[series][index] += n;
}

void widening_counts::reach(wall_time at) {
    static_cast<void>(bucket(at));  // makes the buckets up to there
}

}  // namespace culld

#include "culld/core/base/sliding_counts.hpp"

#include <algorithm>

namespace culld {

void sliding_counts::forget_until(steady_time now) {
    if (now < current_ + width_) return;
    const auto passed = static_cast<std::uint64_t>((now - current_) / width_);
    for (auto& counts : counts_) {
        const auto gone = static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(passed, counts.size()));
        std::rotate(counts.begin(), counts.begin() + gone, counts.end());
        std::fill(counts.end() - gone, counts.end(), 0);
    }
    current_ += width_ * static_cast<std::int64_t>(passed);
}

void sliding_counts::sample(steady_time now, std::span<const std::uint64_t> totals) {
    if (!begun_) {
        begun_ = true;
        current_ = now;
        std::copy(totals.begin(), totals.end(), seen_.begin());
        return;
    }
    forget_until(now);
    for (std::size_t i = 0; i < seen_.size(); ++i) {
        if (totals[i] <= seen_[i]) continue;
        counts_[i].back() += totals[i] - seen_[i];
        seen_[i] = totals[i];
    }
}

}  // namespace culld

#include "culld/core/status/progress.hpp"

#include <algorithm>
#include <cmath>

namespace culld {

namespace {
constexpr std::chrono::seconds apart{1}, at_least{5}, stale{30};
constexpr std::uint64_t answers_min = 10;

double seconds_between(steady_time from, steady_time to) {
    return std::chrono::duration<double>(to - from).count();
}
}  // namespace

void progress::sample(steady_time now, std::uint64_t settled, std::uint64_t answers) {
    // What was before a long rest says nothing of now.
    if (count_ > 0 && now - last_.at > stale) count_ = 0;
    last_ = {now, settled, answers};
    if (count_ > 0 && now - points_.at(count_ - 1).at < apart) return;
    if (count_ == points_.size()) {
        std::rotate(points_.begin(), points_.begin() + 1, points_.end());
        --count_;
    }
    points_.at(count_++) = last_;
}

std::optional<progress::point> progress::begin(steady_time now) const {
    if (count_ == 0 || now - last_.at > stale || now - points_.front().at < apart) return std::nullopt;
    for (std::size_t i = count_; i-- > 0;)
        if (now - points_.at(i).at >= at_least && last_.answers - points_.at(i).answers >= answers_min)
            return points_.at(i);
    return points_.front();
}

double progress::rate(steady_time now) const {
    const auto from = begin(now);
    return from ? static_cast<double>(last_.settled - from->settled) / seconds_between(from->at, now) : 0;
}

std::optional<std::uint64_t> progress::seconds_left(steady_time now, std::uint64_t requests_left) const {
    const auto from = begin(now);
    if (!from || last_.answers == from->answers || requests_left == 0) return std::nullopt;
    const double a_second = static_cast<double>(last_.answers - from->answers) / seconds_between(from->at, now);
    return static_cast<std::uint64_t>(std::ceil(static_cast<double>(requests_left) / a_second));
}

}  // namespace culld

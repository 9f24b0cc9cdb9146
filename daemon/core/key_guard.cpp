#include "culld/core/key_guard.hpp"

#include <algorithm>

namespace culld {

namespace {
constexpr auto tolerance = std::chrono::minutes(1);
}

void key_guard::use(std::string_view key) {
    if (key == key_) return;
    key_ = key;
    count_ = 0;
}

void key_guard::refused(steady_time now) {
    if (count_ == failures_max)
        std::move(at_.begin() + 1, at_.end(), at_.begin());
    else
        ++count_;
    at_[count_ - 1] = now;
}

std::optional<steady_time> key_guard::hold(steady_time now) const {
    if (count_ < failures_max || now >= at_.front() + window) return std::nullopt;
    return at_.front() + window;
}

bool signing_clock::learn(wall_time theirs, wall_time ours) {
    const auto offset = theirs - ours;
    if (std::chrono::abs(offset - offset_) < tolerance) return false;
    offset_ = offset;
    return true;
}

bool signing_clock::jumped(wall_time wall, steady_time steady) {
    const nanoseconds apart = nanoseconds(wall.time_since_epoch()) - steady.time_since_epoch();
    const bool yes = apart_ && std::chrono::abs(apart - *apart_) > tolerance;
    if (yes || !apart_) apart_ = apart;
    return yes;
}

}  // namespace culld

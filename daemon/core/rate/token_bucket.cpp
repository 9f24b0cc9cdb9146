#include "culld/core/rate/token_bucket.hpp"

#include <algorithm>
#include <cmath>

namespace culld {

namespace {
constexpr double surplus = 1.0035;
constexpr double strict_up_to = 100;   // a second: above, 0.35 % of an interval is less than a write takes
constexpr double single_up_to = 1000;  // a second: above, one wake-up serves several sends
}  // namespace

token_bucket::token_bucket(double per_second, std::uint32_t burst, steady_time now, bool full)
    : per_second_(per_second), burst_(burst), next_(now) {
    derive();
    if (!full) next_ = now + interval_ * burst_;
}

void token_bucket::derive() {
    interval_ = nanoseconds(static_cast<std::int64_t>(1e9 * surplus / per_second_));
    // A quarter of a millisecond is enough to keep the average where each send is waited for.
    slack_ = per_second_ <= single_up_to ? std::min<nanoseconds>(std::chrono::microseconds(250), interval_ / 4)
                                         : nanoseconds(std::chrono::milliseconds(1));
    if (per_second_ <= strict_up_to)
        slack_ = std::min(slack_, interval_ - nanoseconds(static_cast<std::int64_t>(std::ceil(1e9 / per_second_))));
    // What the burst gives back by itself need not be given twice: where it covers a late send, no window at all is
    // fuller than the law allows.
    slack_ = std::max(nanoseconds(0), slack_ - interval_ * (burst_ - 1));
}

bool token_bucket::exact() const {
    return per_second_ <= single_up_to && slack_ > nanoseconds(0);
}

steady_time token_bucket::ready_at(std::uint32_t after) const {
    return next_ + interval_ * (static_cast<std::int64_t>(after) - (burst_ - 1));
}

std::uint64_t token_bucket::sent(steady_time now) {
    next_ = std::max(next_, now - slack_) + interval_;
    return places_++;
}

void token_bucket::left(std::uint64_t place, steady_time at) {
    // As many intervals after it as places were given out since, its own included.
    next_ = std::max(next_, at - slack_ + interval_ * static_cast<std::int64_t>(places_ - place));
}

void token_bucket::set(double per_second, std::uint32_t burst, steady_time now) {
    const bool slower = per_second < per_second_;
    per_second_ = per_second;
    burst_ = burst;
    derive();
    // Never more credit than a full bucket, never a longer wait than an empty one; on the way down, start empty.
    next_ = slower ? now + interval_ * burst_ : std::min(next_, now + interval_ * burst_);
}

}  // namespace culld

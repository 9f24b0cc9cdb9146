#include "culld/core/auth/expiry.hpp"

#include <algorithm>

namespace culld {

namespace {
constexpr nanoseconds margin = std::chrono::minutes(1);  // a request may be that long on its way
constexpr nanoseconds life_max = std::chrono::hours(24 * 366);
}  // namespace

expiry::expiry(steady_time now, nanoseconds life, nanoseconds ahead) : held_(true) {
    if (life == forever) {
        last_ = due_ = steady_time::max();
        return;
    }
    life = std::clamp(life, nanoseconds(0), life_max);
    end_ = now + life;
    last_ = now + life - std::min(margin, life / 10);
    due_ = std::min(last_, now + life - std::min(ahead, life / 5));
}

void expiry::failed(steady_time now) {
    const nanoseconds left = std::max(last_ - now, nanoseconds(0));
    due_ = now + std::clamp<nanoseconds>(left / 4, std::chrono::seconds(1), std::chrono::minutes(1));
}

}  // namespace culld

#include "culld/core/learned_rate.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace culld {

namespace {

constexpr std::uint32_t telling_row = 3;
constexpr nanoseconds patience_min = std::chrono::seconds(10), patience_max = std::chrono::hours(1);
constexpr std::uint64_t proof = 8;  // requests that a rate must have stood, however long they took
constexpr double step = 1.5;
constexpr double slowest = 1.0 / 60;
constexpr double noticeably = 0.9;
constexpr int lowered_max = 2;
constexpr nanoseconds no_quota_for = std::chrono::minutes(10);

}  // namespace

void learned_rate::let_through(steady_time now, double ceiling) {
    if (no_quota_until_ && now < *no_quota_until_) return;
    if (std::exchange(row_, 0) >= telling_row) {
        if (window_began_) measured(now, ceiling);
        window_began_ = now;
        passed_ = 0;
    }
    ++passed_;
    ++stood_;
    if (rate_ && now - stood_since_ >= patience_ && stood_ >= proof) begin_trial(now, ceiling);
}

void learned_rate::measured(steady_time now, double ceiling) {
    const nanoseconds window = now - *window_began_;
    const double seen = static_cast<double>(passed_) / std::chrono::duration<double>(window).count();
    const double rate = std::min(ceiling, std::max(slowest, seen));
    if (!rate_ || rate < *rate_ * noticeably) ++lowered_;
    if (lowered_ > lowered_max) {
        *this = {};
        no_quota_until_ = now + no_quota_for;
        return;
    }
    rate_ = std::min(rate, rate_.value_or(rate));
    proven_.reset();
    stood_since_ = now;
    stood_ = 0;
    patience_ = std::max(patience_, std::clamp(2 * window, patience_min, patience_max));
}

void learned_rate::begin_trial(steady_time now, double ceiling) {
    if (*rate_ >= ceiling) {
        *this = {};
        return;
    }
    if (proven_) lowered_ = 1;
    proven_ = rate_;
    rate_ = std::min(*rate_ * step, ceiling);
    stood_since_ = now;
    stood_ = 0;
}

void learned_rate::refused(steady_time now) {
    if (no_quota_until_ && now < *no_quota_until_) return;
    ++row_;
    stood_since_ = now;
    stood_ = 0;
    if (!proven_) return;
    rate_ = std::exchange(proven_, std::nullopt);
    patience_ = std::min(patience_ * 2, patience_max);
}

}  // namespace culld

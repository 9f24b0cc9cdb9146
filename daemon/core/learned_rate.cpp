#include "culld/core/learned_rate.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace culld {

namespace {

constexpr std::uint32_t telling_row = 3;
constexpr nanoseconds patience_min = std::chrono::minutes(1), patience_max = std::chrono::hours(1);
constexpr std::uint64_t proof = 8;  // requests that a rate must have stood, however long they took
constexpr double step = 1.25;
constexpr double slowest = 1.0 / 60;
constexpr double noticeably = 0.9;
constexpr int lowered_max = 3;
constexpr nanoseconds no_quota_for = std::chrono::minutes(10);

}  // namespace

void learned_rate::let_through(steady_time now, double ceiling) {
    if (no_quota_until_ && now < *no_quota_until_) return;
    const bool told = std::exchange(row_, 0) >= telling_row;
    if (told && since_) {
        const double seconds = std::chrono::duration<double>(now - *since_).count();
        const double passed = static_cast<double>(std::max<std::uint64_t>(passed_, 1));
        measured(std::min(ceiling, std::max(slowest, passed / seconds)), now);
    }
    if (!since_) {
        since_ = now;
        passed_ = 0;
    }
    ++passed_;
    ++steady_passed_;
    if (rate_ && now - steady_since_ >= patience_ && steady_passed_ >= proof) begin_trial(now, ceiling);
}

void learned_rate::measured(double rate, steady_time now) {
    since_.reset();
    if (!rate_ || rate < *rate_ * noticeably) ++lowered_;
    if (lowered_ > lowered_max) {
        *this = {};
        no_quota_until_ = now + no_quota_for;
        return;
    }
    rate_ = std::min(rate, rate_.value_or(rate));
    proven_.reset();
    steady_since_ = now;
    steady_passed_ = 0;
    patience_ = std::max(patience_, patience_min);
}

void learned_rate::begin_trial(steady_time now, double ceiling) {
    if (*rate_ >= ceiling) {
        *this = {};
        return;
    }
    if (proven_) {
        patience_ = std::max(patience_min, patience_ / 2);
        lowered_ = 1;
    }
    proven_ = rate_;
    rate_ = std::min(*rate_ * step, ceiling);
    steady_since_ = now;
    steady_passed_ = 0;
}

void learned_rate::refused(steady_time now) {
    if (no_quota_until_ && now < *no_quota_until_) return;
    if (!since_) {
        since_ = now;
        passed_ = 0;
    }
    ++row_;
    steady_since_ = now;
    steady_passed_ = 0;
    if (!proven_) return;
    rate_ = std::exchange(proven_, std::nullopt);
    patience_ = std::min(patience_ * 2, patience_max);
}

}  // namespace culld

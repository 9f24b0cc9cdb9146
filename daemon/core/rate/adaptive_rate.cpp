#include "culld/core/rate/adaptive_rate.hpp"

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
constexpr int windows_of_a_name = 8;
constexpr double noticeably = 0.9;
constexpr int lowered_max = 2;
constexpr nanoseconds no_quota_for = std::chrono::minutes(10);

nanoseconds patience_for(nanoseconds window, int times) {
    return std::clamp(times * std::min(window, patience_max), patience_min, patience_max);
}

}  // namespace

void adaptive_rate::let_through(steady_time now, double ceiling) {
    if (no_quota_until_ && now < *no_quota_until_) return;
    no_quota_until_.reset();
    if (std::exchange(row_, 0) >= telling_row) {
        if (window_began_) measured(now, ceiling);
        // What passes from here on is not counted: a window that began now would be measured far too long.
        if (no_quota_until_) return;
        window_began_ = now;
        passed_ = 0;
    }
    ++passed_;
    ++stood_;
    if (!rate_ || now - stood_since_ < patience_) return;
    if (stood_ >= proof || now - stood_since_ >= patience_max) begin_trial(now, ceiling);
}

void adaptive_rate::measured(steady_time now, double ceiling) {
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
    window_ = window;
    patience_ = std::max(patience_, patience_for(window, 2));
}

void adaptive_rate::begin_trial(steady_time now, double ceiling) {
    if (*rate_ >= ceiling) {
        *this = {};
        return;
    }
    if (proven_) {
        lowered_ = 1;
        patience_ = patience_for(window_, 2);
    }
    proven_ = rate_;
    rate_ = std::min(*rate_ * step, ceiling);
    stood_since_ = now;
    stood_ = 0;
}

void adaptive_rate::refused(steady_time now) {
    if (no_quota_until_ && now < *no_quota_until_) return;
    ++row_;
    stood_since_ = now;
    stood_ = 0;
    if (!proven_) return;
    rate_ = std::exchange(proven_, std::nullopt);
    patience_ = std::min(patience_ * 2, patience_max);
}

void adaptive_rate::named(steady_time now, const named_limit& limit, double ceiling) {
    if (!(limit.per_second > 0)) return;
    if (limit.per_second >= ceiling) {  // it is not this that holds us up
        *this = {};
        return;
    }
    const double known = proven_.value_or(rate_.value_or(0));
    const bool same = limit.per_second > known * 0.99 && limit.per_second < known * 1.01;
    if (!same)
        patience_ = patience_for(limit.window, windows_of_a_name);
    else if (proven_)
        patience_ = std::min(patience_ * 2, patience_max);
    const nanoseconds patience = patience_;
    *this = {};
    rate_ = limit.per_second;
    stood_since_ = now;
    window_ = limit.window;
    patience_ = patience;
}

std::optional<adaptive_rate::memory> adaptive_rate::remembered() const {
    if (!rate_) return std::nullopt;
    return memory{proven_.value_or(*rate_), window_, patience_};
}

void adaptive_rate::restore(const memory& known, steady_time now) {
    *this = {};
    rate_ = known.per_second;
    window_ = known.window;
    patience_ = std::clamp(known.patience, patience_min, patience_max);
    stood_since_ = now;
}

}  // namespace culld

#include "culld/core/traffic.hpp"

#include <algorithm>

namespace culld {

namespace {
// No answer may stop us for longer than this, however it came by its number.
constexpr nanoseconds pause_max = std::chrono::hours(1);
}  // namespace

traffic::traffic(const traffic_rules& rules, steady_time now, bool full)
    : rules_(rules), pace_(rules.per_second, rules.burst, now, full) {}

traffic::admission traffic::admit(steady_time now, std::uint32_t in_flight, std::uint32_t connecting) const {
    if (credentials_ == credential_state::refused) return {};
    const bool alone = credentials_ == credential_state::trial || breaker_open();
    if (alone && in_flight > 0) return {};
    steady_time at = pace_.ready_at(connecting);
    if (paused_until_) at = std::max(at, *paused_until_);
    if (breaker_open()) at = std::max(at, probe_at_);
    return {.go = at <= now, .at = at};
}

std::uint64_t traffic::sent(steady_time now) {
    return pace_.sent(now);
}

void traffic::went_well() {
    failures_ = 0;
    throttles_ = 0;
    if (credentials_ == credential_state::trial) credentials_ = credential_state::good;
}

bool traffic::went_badly(steady_time now) {
    const bool was_open = breaker_open();
    if (failures_ < rules_.breaker_failures) ++failures_;
    if (breaker_open()) probe_at_ = now + rules_.probe;
    return breaker_open() && !was_open;
}

steady_time traffic::throttled(steady_time now, std::optional<nanoseconds> pause, std::optional<double> limit,
                               double chance) {
    failures_ = 0;
    ++throttles_;
    const nanoseconds wait =
        std::clamp(pause ? *pause : rules_.throttle_backoff.delay(throttles_, chance), nanoseconds(0), pause_max);
    paused_until_ = std::max(paused_until_.value_or(now), now + wait);
    if (rules_.adaptive && limit && *limit > 0 && *limit < pace_.per_second()) {
        learned_ = limit;
        pace_.set(*limit, 1, now);
    }
    return *paused_until_;
}

void traffic::set_rules(const traffic_rules& rules, steady_time now) {
    rules_ = rules;
    const bool capped = rules_.adaptive && learned_ && *learned_ < rules_.per_second;
    pace_.set(capped ? *learned_ : rules_.per_second, capped ? 1 : rules_.burst, now);
}

}  // namespace culld

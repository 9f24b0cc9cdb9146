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

bool traffic::went_well(steady_time now) {
    failures_ = 0;
    throttles_ = 0;
    if (credentials_ == credential_state::trial) credentials_ = credential_state::good;
    if (!rules_.adaptive) return false;
    const double before = pace_.per_second();
    learned_.let_through(now, ceiling());
    keep_to_limits(now);
    return pace_.per_second() != before;
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
    // What was under way when the pause began is refused for the same reason: that is no second time.
    const bool again = !paused_until_ || now >= *paused_until_;
    if (again) ++throttles_;
    const nanoseconds wait =
        std::clamp(pause ? *pause : rules_.throttle_backoff.delay(throttles_, chance), nanoseconds(0), pause_max);
    paused_until_ = std::max(paused_until_.value_or(now), now + wait);
    if (!rules_.adaptive) return *paused_until_;
    if (limit && *limit > 0)
        named_ = std::min(*limit, named_.value_or(*limit));
    else if (again && !pause)
        learned_.refused(now);
    keep_to_limits(now);
    return *paused_until_;
}

void traffic::set_rules(const traffic_rules& rules, steady_time now) {
    rules_ = rules;
    if (!rules_.adaptive) learned_ = {};
    keep_to_limits(now);
}

double traffic::ceiling() const {
    return rules_.adaptive ? std::min(rules_.per_second, named_.value_or(rules_.per_second)) : rules_.per_second;
}

void traffic::keep_to_limits(steady_time now) {
    const double limit = std::min(ceiling(), learned_.get().value_or(ceiling()));
    const std::uint32_t burst = limit < rules_.per_second ? 1 : rules_.burst;
    if (limit != pace_.per_second() || burst != pace_.burst()) pace_.set(limit, burst, now);
}

}  // namespace culld

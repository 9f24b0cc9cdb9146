#include "culld/core/rate/send_gate.hpp"

#include <algorithm>

namespace culld {

namespace {
// No answer may stop us for longer than this, however it came by its number.
constexpr nanoseconds pause_max = std::chrono::hours(24);
constexpr nanoseconds first_probe = std::chrono::seconds(1);
}  // namespace

send_gate::send_gate(const traffic_rules& rules, steady_time now, bool full)
    : rules_(rules), pace_(rules.per_second, rules.burst, now, full) {}

send_gate::admission send_gate::admit(steady_time now, std::uint32_t in_flight, std::uint32_t connecting) const {
    if (credentials_ == credential_state::refused) return {};
    const bool alone = credentials_ == credential_state::trial || breaker_open();
    if (alone && in_flight > 0) return {};
    steady_time at = pace_.ready_at(connecting);
    if (paused_until_) at = std::max(at, *paused_until_);
    if (breaker_open())
        at = std::max(at, probe_at_);
    else if (backed_off_until_)
        at = std::max(at, *backed_off_until_);
    return {.go = at <= now, .at = at};
}

std::uint64_t send_gate::sent(steady_time now) {
    probing_ = breaker_open();
    return pace_.sent(now);
}

bool send_gate::on_request_done(steady_time now) {
    failures_ = 0;
    throttles_ = 0;
    overloads_ = 0;
    if (credentials_ == credential_state::trial) credentials_ = credential_state::good;
    if (!rules_.adaptive) return false;
    const double before = pace_.per_second();
    learned_.let_through(now, ceiling());
    keep_to_limits(now);
    return pace_.per_second() != before;
}

bool send_gate::on_request_failed(steady_time now) {
    const bool was_open = breaker_open();
    if (failures_ < rules_.breaker_failures) ++failures_;
    if (!breaker_open()) return false;
    // What was under way when it opened is no probe.
    if (!was_open)
        probe_wait_ = std::min(first_probe, rules_.probe);
    else if (probing_)
        probe_wait_ = std::min(2 * probe_wait_, rules_.probe);
    probing_ = false;
    probe_at_ = now + probe_wait_;
    return !was_open;
}

steady_time send_gate::throttled(steady_time now, std::optional<nanoseconds> pause, std::optional<named_limit> limit,
                                 double chance) {
    failures_ = 0;
    if (pause && *pause <= nanoseconds(0)) pause.reset();
    // What was under way when the pause began is refused for the same reason: that is no second time.
    const bool again = !paused_until_ || now >= *paused_until_;
    if (again) ++throttles_;
    const nanoseconds wait =
        std::clamp(pause ? *pause : rules_.throttle_backoff.delay(throttles_, chance), nanoseconds(0), pause_max);
    paused_until_ = std::max(paused_until_.value_or(now), now + wait);
    if (!rules_.adaptive) return *paused_until_;
    if (limit)
        learned_.named(now, *limit, ceiling());
    else if (again && !pause)
        learned_.refused(now);
    keep_to_limits(now);
    return *paused_until_;
}

void send_gate::overloaded(steady_time now, std::optional<nanoseconds> pause, double chance) {
    // What was under way when the pause began is refused for the same reason, as above.
    if (!backed_off_until_ || now >= *backed_off_until_) ++overloads_;
    const nanoseconds wait = std::max(rules_.throttle_backoff.delay(overloads_, chance),
                                      std::min(pause.value_or(nanoseconds(0)), rules_.throttle_backoff.cap));
    backed_off_until_ = std::max(backed_off_until_.value_or(now), now + wait);
}

send_gate::memory send_gate::remembered(steady_time now) const {
    return {.pause = paused_until_ ? std::max(*paused_until_ - now, nanoseconds(0)) : nanoseconds(0),
            .learned = learned_.remembered()};
}

void send_gate::restore(const memory& known, steady_time now) {
    if (known.pause > nanoseconds(0)) paused_until_ = now + std::min(known.pause, pause_max);
    if (!rules_.adaptive || !known.learned || known.learned->per_second >= ceiling()) return;
    learned_.restore(*known.learned, now);
    keep_to_limits(now);
}

void send_gate::set_rules(const traffic_rules& rules, steady_time now) {
    rules_ = rules;
    if (!rules_.adaptive) learned_ = {};
    keep_to_limits(now);
}

double send_gate::ceiling() const {
    return rules_.per_second;
}

void send_gate::keep_to_limits(steady_time now) {
    const double limit = std::min(ceiling(), learned_.get().value_or(ceiling()));
    const std::uint32_t burst = limit < rules_.per_second ? 1 : rules_.burst;
    if (limit != pace_.per_second() || burst != pace_.burst()) pace_.set(limit, burst, now);
}

}  // namespace culld

#include "emulator/faults/faults.hpp"

namespace culld::emulator {

faults::faults(const scenario& rules)
    : rules_(rules),
      dice_(rules.seed),
      poison_(rules.poison_ids.begin(), rules.poison_ids.end()),
      once_(rules.fail_ids.begin(), rules.fail_ids.end()),
      always_(rules.fail_always.begin(), rules.fail_always.end()) {}

faults::exchange_fault faults::of_request(std::uint64_t number) const {
    if (dice_.applies(rules_.lost_before_ratio, number, "lost before")) return {strike::lost_before};
    if (!rules_.status_ratio.empty()) {
        double drawn = dice_.fraction(number, "status");
        for (const auto& [status, ratio] : rules_.status_ratio) {
            if (drawn < ratio) return {strike::status, status};
            drawn -= ratio;
        }
    }
    if (dice_.applies(rules_.lost_ratio, number, "lost")) return {strike::lost_after};
    if (dice_.applies(rules_.cut_ratio, number, "cut")) return {strike::cut};
    return {};
}

nanoseconds faults::latency(std::uint64_t number) const {
    if (rules_.latency_jitter.count() == 0) return rules_.latency_fixed;
    const double share = dice_.fraction(number, "latency");
    const double jitter = share * static_cast<double>(rules_.latency_jitter.count());
    return rules_.latency_fixed + nanoseconds(static_cast<std::int64_t>(jitter));
}

const outage* faults::outage_at(std::uint64_t number, steady_time now) {
    if (next_outage_ >= rules_.outages.size()) return nullptr;
    const outage& o = rules_.outages[next_outage_];
    if (number <= o.after_requests) return nullptr;
    if (!outage_last_request_ && !outage_end_) {  // it begins
        if (o.for_requests) outage_last_request_ = number + *o.for_requests - 1;
        if (o.for_time) outage_end_ = now + *o.for_time;
    }
    const bool over = outage_last_request_ ? number > *outage_last_request_ : now >= *outage_end_;
    if (!over) return &o;
    outage_last_request_.reset();
    outage_end_.reset();
    ++next_outage_;
    return outage_at(number, now);
}

bool faults::refuses(std::uint64_t number, std::string_view id) {
    if (!once_.empty() || !always_.empty() || !rules_.fail_suffix.empty()) {
        const std::string name(id);
        if (always_.contains(name) || once_.erase(name) > 0) return true;
        if (!rules_.fail_suffix.empty() && id.ends_with(rules_.fail_suffix)) {
            std::uint64_t& count = refusals_[name];
            if (count < rules_.fail_suffix_times) {
                ++count;
                return true;
            }
        }
    }
    return dice_.applies(rules_.fail_ratio, number, "fail", id);
}

bool faults::hides(std::uint64_t number, std::string_view id) const {
    return dice_.applies(rules_.missing_ratio, number, "missing", id);
}

bool faults::contradicts(std::uint64_t number, std::string_view id) const {
    return dice_.applies(rules_.both_ratio, number, "both", id);
}

}  // namespace culld::emulator

// How ids come to their end: verdicts, asking, being stopped; and what a restart needs to know.
#include <algorithm>

#include "culld/core/plan/plan.hpp"
#include "plan_parts.hpp"

namespace culld {

namespace {

// So many asks in a row refused for what holds of all of them, and those that wait are not asked any more.
constexpr std::uint32_t telling_refusals = 3;

// Why an id failed that nobody could ask for, or was not to be asked for.
std::string_view failure_name(last_outcome last) {
    switch (last) {
        case last_outcome::refused:
        case last_outcome::doubted: return "refused";
        case last_outcome::rejected: return "rejected";
        case last_outcome::present: return "present";
        case last_outcome::reported: return "unverified";
        case last_outcome::unsent:
        case last_outcome::unanswered:
        case last_outcome::unaccounted:
        case last_outcome::withheld: break;
    }
    return "unknown";
}

}  // namespace

void plan::settle(std::vector<verdict>& out, verdict v) {
    const std::uint64_t n = count_of(v.at);
    if (n == 0) return;
    switch (v.kind) {
        case verdict_kind::deleted: counts_.deleted += n; break;
        case verdict_kind::absent: counts_.absent += n; break;
        case verdict_kind::failed: counts_.failed += n; break;
        case verdict_kind::skipped: counts_.skipped += n; break;
    }
    must_hold(counts_.sum() <= ids_, "more verdicts than ids");
    v.at = sorted(std::move(v.at));
    out.push_back(std::move(v));
}

void plan::skip(std::vector<verdict>& out, const spans& at) {
    settle(out, {.kind = verdict_kind::skipped, .reason = name_of(*stop_), .at = at});
}

void plan::try_again(std::vector<verdict>& out, key k, const spans& at, steady_time due) {
    if (stop_ || k.attempts >= rules_.max_attempts)
        exhaust_retries(out, k, at, due);
    else
        enqueue(again_, k, at, due);
}

void plan::fail_unasked(std::vector<verdict>& out, key k, const spans& at) {
    settle(out, {.kind = verdict_kind::failed, .reason = failure_name(k.last), .attempts = k.attempts, .at = at});
}

void plan::end_asks(std::vector<verdict>& out) {
    for (const auto& [due, b] : std::exchange(lookups_parked_, {})) {
        count_outstanding(0, b.count());
        fail_unasked(out, {b.attempt, b.last}, b.at);
    }
    for (const auto& [k, q] : std::exchange(lookups_, {})) {
        spans at;
        for (const waiting& w : q.entries) append(at, w.at);
        count_outstanding(0, count_of(at));
        fail_unasked(out, k, at);
    }
}

void plan::exhaust_retries(std::vector<verdict>& out, key k, const spans& at, steady_time due) {
    if (rules_.verify == verify_mode::none || asking_over_ || k.last == last_outcome::present)
        fail_unasked(out, k, at);
    else
        enqueue(lookups_, k, at, due);
}

// ---- ids refused alone while nothing has passed ----

bool plan::nothing_passes() const {
    if (passed_) return false;
    const bool nothing_else = flying_.empty() && parked_.empty() && again_.empty() && (full_ || !fresh_left());
    return all_refused_ || (!suspects_.empty() && nothing_else);
}

void plan::suspect(std::vector<verdict>& out, key k, const spans& at, steady_time now) {
    if (passed_ || stop_ || first_batch_ < 2) {
        exhaust_retries(out, k, at, now);
        return;
    }
    enqueue(suspects_, k, at, now);
    std::uint64_t ids = 0;
    for (const auto& [of, q] : suspects_) ids += q.ids;
    if (ids >= first_batch_) all_refused_ = true;
}

// Something passed. Where everything had been refused until then, that says nothing of these: they go once more.
void plan::clear_suspects(std::vector<verdict>& out, steady_time now) {
    for (auto& [k, q] : std::exchange(suspects_, {})) {
        count_outstanding(0, q.ids);
        spans at;
        for (const waiting& w : q.entries) append(at, w.at);
        at = sorted(std::move(at));
        if (all_refused_)
            park_whole({.attempt = k.attempts, .last = last_outcome::rejected, .sent_before = true}, std::move(at),
                       now);
        else
            exhaust_retries(out, k, at, now);
    }
}

std::vector<verdict> plan::on_lookup_answered(const batch* flying, presence answer, steady_time now, double chance) {
    const batch b = retrieve(flying);
    must_hold(b.what == batch::purpose::lookup, "a deletion was answered like an ask");
    asks_unanswered_.reset();
    asks_refused_ = 0;
    std::vector<verdict> out;
    const key k{b.attempt, b.last};
    if (answer == presence::gone) {
        const auto kind = b.last == last_outcome::reported ? verdict_kind::deleted : verdict_kind::absent;
        settle(out, {.kind = kind, .reason = "get", .attempts = b.attempt, .at = b.at});
    } else if (b.last == last_outcome::reported) {
        try_again(out, {b.attempt, last_outcome::present}, b.at, now + rules_.retry.delay(b.attempt, chance));
    } else if (b.last == last_outcome::withheld) {
        settle(out, {.kind = verdict_kind::skipped, .reason = name_of(skip_reason::protected_id), .at = b.at});
    } else if (stop_ && b.last == last_outcome::unanswered) {
        skip(out, b.at);
    } else if (b.last == last_outcome::doubted && !stop_ && b.attempt < rules_.max_attempts) {
        // Refused for itself: it has its tries left.
        enqueue(again_, {b.attempt, last_outcome::refused}, b.at, now + rules_.retry.delay(b.attempt, chance));
    } else if (b.last == last_outcome::unanswered || b.last == last_outcome::unaccounted) {
        settle(out, {.kind = verdict_kind::failed, .reason = "present", .attempts = b.attempt, .at = b.at});
    } else {
        fail_unasked(out, k, b.at);
    }
    return out;
}

std::vector<verdict> plan::on_lookup_refused(const batch* flying, bool for_all) {
    const batch b = retrieve(flying);
    must_hold(b.what == batch::purpose::lookup, "a deletion was answered like an ask");
    asks_unanswered_.reset();
    std::vector<verdict> out;
    fail_unasked(out, {b.attempt, b.last}, b.at);
    if (!for_all)
        asks_refused_ = 0;
    else if (++asks_refused_ >= telling_refusals)
        end_asks(out);
    return out;
}

std::vector<verdict> plan::end_asking() {
    std::vector<verdict> out;
    asking_over_ = true;
    end_asks(out);
    return out;
}

std::vector<verdict> plan::stop(skip_reason reason, steady_time now) {
    std::vector<verdict> out;
    if (stop_) return out;
    stop_ = reason;
    spans unsent = unsettled(next_, ids_);
    next_ = intended_ = ids_;
    presettled_at_ = presettled_.size();
    auto parked = std::exchange(parked_, {});
    for (auto& [due, b] : parked) {
        count_outstanding(0, b.count());
        if (b.last == last_outcome::unsent)
            for (const span& s : b.at) append(unsent, s);
        else
            exhaust_retries(out, {b.attempt - 1, b.last}, b.at, now);
    }
    for (queues* all : {&again_, &suspects_})
        for (auto& [k, q] : std::exchange(*all, {})) {
            count_outstanding(0, q.ids);
            spans at;
            for (const waiting& w : q.entries) append(at, w.at);
            exhaust_retries(out, k, at, now);
        }
    if (!unsent.empty()) skip(out, unsent);
    return out;
}

plan_state plan::state() const {
    plan_state out{.ids = ids_,
                   .intended = intended_,
                   .next_batch = next_batch_,
                   .counts = counts_,
                   .first_good = first_good_,
                   .first_bad = first_bad_,
                   .answered = false};
    std::map<std::pair<key, bool>, spans> open;
    // To a restart what is withheld is in doubt as anything else that is: it is held against the list again.
    const auto add = [&](key k, span s, bool declined = false) {
        if (k.last == last_outcome::withheld) k.last = last_outcome::unanswered;
        append(open[{k, declined}], s);
    };
    const auto add_batch = [&](const batch& b) {
        const bool made_it = b.what == batch::purpose::lookup || b.last == last_outcome::rejected;
        const std::uint32_t made = made_it ? b.attempt : b.attempt - 1;
        for (const span& s : b.at) add({made, b.last}, s, b.sent_before && b.last == last_outcome::unsent);
    };
    for (const auto& [p, b] : flying_) add_batch(*b);
    for (const auto& [due, b] : parked_) add_batch(b);
    for (const auto& [due, b] : lookups_parked_) add_batch(b);
    for (const queues* all : {&again_, &lookups_, &suspects_})
        for (const auto& [k, q] : *all)
            for (const waiting& w : q.entries) add(k, w.at);
    for (const span& s : unsettled(next_, std::max(next_, intended_))) add({0, last_outcome::unsent}, s);
    // From the first that ends beyond what is intended: the next fresh id may have gone past it already.
    std::size_t h = presettled_at_;
    while (h > 0 && presettled_[h - 1].end() > intended_) --h;
    for (; h < presettled_.size(); ++h)
        if (presettled_[h].end() > intended_) out.presettled.push_back(presettled_[h]);
    for (auto& [k, at] : open) out.open.push_back({k.first.attempts, k.first.last, sorted(std::move(at)), k.second});
    return out;
}

}  // namespace culld

#include "culld/core/plan/plan.hpp"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "plan_parts.hpp"

namespace culld {

namespace {

// The positions of `at` that neither of two ascending index lists names.
spans pick_rest(const spans& at, const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b) {
    spans out;
    std::size_t i = 0, j = 0;
    std::uint64_t index = 0;
    for (const span& s : at)
        for (std::uint64_t k = 0; k < s.count; ++k, ++index) {
            if (i < a.size() && a[i] == index)
                ++i;
            else if (j < b.size() && b[j] == index)
                ++j;
            else
                append(out, {s.first + k, 1});
        }
    return out;
}

}  // namespace

spans positions(const spans& at, const std::vector<std::uint32_t>& indices) {
    spans out;
    std::size_t run = 0;
    std::uint64_t before = 0;
    for (const std::uint32_t index : indices) {
        while (index - before >= at[run].count) before += at[run++].count;
        append(out, {at[run].first + (index - before), 1});
    }
    return out;
}

plan::plan(const plan_rules& rules, const plan_state& state, steady_time now)
    : rules_(rules),
      ids_(state.ids),
      intended_(state.intended),
      next_(state.intended),
      next_batch_(state.next_batch),
      presettled_(state.presettled),
      counts_(state.counts),
      first_good_(state.first_good),
      first_bad_(state.first_bad),
      first_batch_(std::min<std::uint64_t>(rules.batch_size, state.ids - count_of(state.presettled))),
      passed_(state.answered || state.counts.deleted > 0) {
    must_hold(rules_.batch_size >= 1 && rules_.max_attempts >= 1, "a plan needs a batch size and attempts");
    must_hold(rules_.window >= 2ULL * rules_.batch_size, "an intent must cover two batches");
    skip_presettled();
    for (const plan_state::open_ids& open : state.open) {
        const key k{open.attempts, open.last};
        if (open.last == last_outcome::unsent || open.last == last_outcome::unanswered) {
            // In doubt, or intended and no more.
            batch like{.attempt = open.attempts + 1};
            if (!open.never_sent) like.last = last_outcome::unanswered, like.sent_before = true, like.doubt_since = now;
            park_whole(like, open.at, now);
        } else if (open.last == last_outcome::rejected) {
            suspect(due_verdicts_, k, open.at, now);
        } else if (open.last == last_outcome::reported || open.last == last_outcome::doubted ||
                   open.last == last_outcome::withheld) {
            exhaust_retries(due_verdicts_, k, open.at, now);
        } else {
            try_again(due_verdicts_, k, open.at, now);
        }
    }
}

// ---- fresh ids ----

void plan::skip_presettled() {
    while (presettled_at_ < presettled_.size() && presettled_[presettled_at_].end() <= next_) ++presettled_at_;
    while (presettled_at_ < presettled_.size() && presettled_[presettled_at_].first <= next_)
        next_ = presettled_[presettled_at_++].end();
}

spans plan::unsettled(position from, position to, std::uint64_t most) const {
    spans out;
    for (std::size_t h = presettled_at_; from < to && most > 0; ++h) {
        const position end = h < presettled_.size() ? std::clamp(presettled_[h].first, from, to) : to;
        const std::uint64_t n = std::min(end - from, most);
        append(out, {from, n});
        most -= n;
        if (h == presettled_.size()) break;
        from = std::max(from, presettled_[h].end());
    }
    return out;
}

spans plan::wants_intent() {
    if (intent_open_ || stop_) return {};
    const position from = std::max(intended_, next_);
    const std::uint64_t ahead = from - next_;
    if (ahead >= rules_.window / 2 || from >= ids_) return {};
    spans out = unsettled(from, ids_, rules_.window - ahead);
    intent_open_ = !out.empty();
    return out;
}

void plan::intended(const spans& ranges) {
    must_hold(intent_open_ && !ranges.empty(), "an intent that was not asked for");
    intent_open_ = false;
    if (stop_) return;
    intended_ = ranges.back().end();
    if (unsettled(intended_, ids_, 1).empty()) intended_ = ids_;
}

bool plan::has_unsent() const {
    const auto unsent = [](const auto& due) {
        return due.second.last == last_outcome::unsent && !due.second.sent_before;
    };
    return next_ < intended_ || std::any_of(parked_.begin(), parked_.end(), unsent);
}

std::uint64_t plan::requests_left() const {
    const auto batches = [this](std::uint64_t ids) { return (ids + rules_.batch_size - 1) / rules_.batch_size; };
    const auto ids_of = [](const auto& in, const auto& ids) {
        return std::accumulate(in.begin(), in.end(), std::uint64_t{0},
                               [&](std::uint64_t sum, const auto& e) { return sum + ids(e); });
    };
    const auto whole = [](const auto& e) { return count_of(e.second.at); };
    const auto queued = [](const auto& e) { return e.second.ids; };
    std::uint64_t fresh = stop_ ? 0 : ids_ - next_;
    for (std::size_t i = presettled_at_; i < presettled_.size(); ++i) fresh -= std::min(fresh, presettled_[i].count);
    std::uint64_t out = batches(fresh) + flying_.size() + parked_.size() + lookups_parked_.size() +
                        ids_of(lookups_, queued) + ids_of(suspects_, queued);
    for (const auto& [k, q] : again_) out += batches(q.ids);
    if (rules_.verify == verify_mode::all) out += fresh + ids_of(parked_, whole) + ids_of(again_, queued);
    return out;
}

bool plan::fresh_ready() const {
    return next_ < intended_ && (intended_ == ids_ || intended_ - next_ >= rules_.batch_size);
}

batch plan::next_fresh(std::uint64_t room) {
    batch b{.number = next_batch_++};
    while (room > 0 && next_ < intended_) {
        position stop = std::min(intended_, next_ + room);
        if (presettled_at_ < presettled_.size()) stop = std::min(stop, presettled_[presettled_at_].first);
        append(b.at, {next_, stop - next_});
        room -= stop - next_;
        next_ = stop;
        skip_presettled();
    }
    return b;
}

// ---- choosing and taking ----

plan::choice plan::choose(steady_time now) const {
    if (nothing_passes()) {
        // Rather another id: those that were refused may be bad all of them, and nothing else be wrong.
        if (next_ < intended_) return {source::single, nullptr};
        if (!suspects_.empty()) return {source::suspect, &suspects_.begin()->first};
    }
    if (!parked_.empty() && parked_.begin()->first <= now) return {source::parked, nullptr};
    const bool fresh_waits = fresh_left() && !full_;
    for (const auto& [k, q] : again_) {
        if (q.entries.front().due > now) continue;
        if (!fresh_waits) return {source::again, &k};
        // While fresh ids are left, requests are too dear for half-empty batches.
        std::uint64_t due_ids = 0;
        for (const waiting& w : q.entries) {
            if (w.due > now || due_ids >= rules_.batch_size) break;
            due_ids += w.at.count;
        }
        if (due_ids >= rules_.batch_size) return {source::again, &k};
    }
    if (fresh_waits) return {fresh_ready() ? source::fresh : source::none, nullptr};
    if (!lookups_parked_.empty() && lookups_parked_.begin()->first <= now) return {source::lookup_parked, nullptr};
    for (const auto& [k, q] : lookups_)
        if (q.entries.front().due <= now) return {source::lookup, &k};
    return {};
}

bool plan::ready(steady_time now) const {
    return choose(now).from != source::none;
}

std::optional<steady_time> plan::due() const {
    std::optional<steady_time> first;
    const auto consider = [&](steady_time t) {
        if (!first || t < *first) first = t;
    };
    if (nothing_passes() && !suspects_.empty()) {
        consider(suspects_.begin()->second.entries.front().due);
        return first;
    }
    if (!parked_.empty()) consider(parked_.begin()->first);
    if (fresh_left() && !full_) {
        // A full batch of retries may become due; a partial one waits for the fresh ids to end.
        for (const auto& [k, q] : again_)
            if (q.ids >= rules_.batch_size) {
                std::uint64_t sum = 0;
                steady_time last{};
                for (const waiting& w : q.entries) {
                    sum += w.at.count;
                    last = std::max(last, w.due);
                    if (sum >= rules_.batch_size) break;
                }
                consider(last);
            }
        return first;
    }
    for (const auto& [k, q] : again_) consider(q.entries.front().due);
    if (!lookups_parked_.empty()) consider(lookups_parked_.begin()->first);
    for (const auto& [k, q] : lookups_) consider(q.entries.front().due);
    return first;
}

const batch* plan::take(steady_time now) {
    const choice c = choose(now);
    const auto unpark = [&](std::multimap<steady_time, batch>& from) {
        batch b = std::move(from.begin()->second);
        from.erase(from.begin());
        count_outstanding(0, b.count());
        return launch(std::move(b));
    };
    switch (c.from) {
        case source::none: return nullptr;
        case source::parked: return unpark(parked_);
        case source::lookup_parked: return unpark(lookups_parked_);
        case source::fresh: return launch(next_fresh(rules_.batch_size));
        case source::single: all_refused_ = true; return launch(next_fresh(1));
        case source::again: {
            const key of = *c.of;
            batch b = next_of(again_, of, batch::purpose::remove, rules_.batch_size, now);
            b.number = next_batch_++;
            b.attempt = of.attempts + 1;
            return launch(std::move(b));
        }
        case source::lookup: return launch(next_of(lookups_, key(*c.of), batch::purpose::lookup, 1, now));
        case source::suspect: {
            all_refused_ = true;
            batch b = next_of(suspects_, key(*c.of), batch::purpose::remove, 1, now);
            b.number = next_batch_++;
            return launch(std::move(b));
        }
    }
    return nullptr;
}

batch plan::next_of(queues& from, const key& of, batch::purpose what, std::uint64_t most, steady_time now) {
    const auto it = from.find(of);
    queue& q = it->second;
    batch b{.what = what, .attempt = of.attempts, .last = of.last, .sent_before = true};
    // All that is due, and what will be in a moment: that is worth a fuller batch.
    const steady_time until = std::max(now, q.entries.front().due + rules_.retry.base);
    spans parts;
    while (most > 0 && !q.entries.empty()) {
        waiting& w = q.entries.front();
        if (w.due > until) break;
        const span part{w.at.first, std::min(most, w.at.count)};
        parts.push_back(part);
        most -= part.count;
        q.ids -= part.count;
        w.at = {part.end(), w.at.count - part.count};
        if (w.at.count == 0) q.entries.pop_front();
    }
    // In the list's order: the answer is compared in one pass, and a run is one span.
    b.at = sorted(std::move(parts));
    count_outstanding(0, b.count());
    if (q.entries.empty()) from.erase(it);
    return b;
}

const batch* plan::launch(batch b) {
    must_hold(!b.at.empty(), "an empty batch");
    in_flight_ += b.count();
    auto owned = std::make_unique<batch>(std::move(b));
    const batch* out = owned.get();
    flying_.emplace(out, std::move(owned));
    return out;
}

batch plan::retrieve(const batch* b) {
    const auto it = flying_.find(b);
    must_hold(it != flying_.end(), "a batch that is not in flight was brought back");
    batch out = std::move(*it->second);
    flying_.erase(it);
    in_flight_ -= out.count();
    return out;
}

void plan::count_outstanding(std::uint64_t more, std::uint64_t fewer) {
    outstanding_ += more;
    must_hold(outstanding_ >= fewer, "more ids left the queues than were in them");
    outstanding_ -= fewer;
    if (outstanding_ >= rules_.outstanding_max)
        full_ = true;
    else if (outstanding_ <= rules_.outstanding_max / 2)
        full_ = false;
}

void plan::park(batch b, steady_time due) {
    count_outstanding(b.count(), 0);
    auto& where = b.what == batch::purpose::lookup ? lookups_parked_ : parked_;
    where.emplace(due, std::move(b));
}

// In whole batches, in order.
void plan::park_whole(const batch& like, spans rest, steady_time due) {
    std::reverse(rest.begin(), rest.end());
    while (!rest.empty()) {
        batch b = like;
        b.number = next_batch_++;
        for (std::uint64_t room = rules_.batch_size; room > 0 && !rest.empty();) {
            span& s = rest.back();
            const span part{s.first, std::min(room, s.count)};
            append(b.at, part);
            room -= part.count;
            s = {part.end(), s.count - part.count};
            if (s.count == 0) rest.pop_back();
        }
        park(std::move(b), due);
    }
}

void plan::enqueue(queues& to, key k, const spans& at, steady_time due) {
    if (at.empty()) return;
    queue& q = to[k];
    for (const span& s : at) {
        q.entries.push_back({due, s});
        q.ids += s.count;
        count_outstanding(s.count, 0);
    }
}

// ---- what came back ----

std::vector<verdict> plan::on_answered(const batch* flying, const judgement& j, steady_time now, double chance) {
    const batch b = retrieve(flying);
    must_hold(b.what == batch::purpose::remove && j.sent == b.count(), "an answer to another batch");
    asks_unanswered_.reset();
    std::vector<verdict> out;
    if (!std::exchange(passed_, true)) clear_suspects(out, now);
    const std::uint64_t bad = j.refused.size() + j.unknown.size();
    if (b.attempt == 1 && b.last != last_outcome::rejected) {
        first_good_ += j.deleted();
        first_bad_ += bad;
    }
    if (rules_.verify == verify_mode::all) {
        exhaust_retries(out, {b.attempt, last_outcome::reported}, pick_rest(b.at, j.refused, j.unknown), now);
    } else {
        counts_.deleted += j.deleted();
        must_hold(counts_.sum() <= ids_, "more verdicts than ids");
    }
    if (bad > 0) {
        const steady_time due = now + rules_.retry.delay(b.attempt, chance);
        // The request whose answer was lost may have deleted them: a check tells, where sending them again would not.
        const bool doubted = b.last == last_outcome::unanswered && rules_.verify != verify_mode::none;
        if (doubted)
            exhaust_retries(out, {b.attempt, last_outcome::doubted}, positions(b.at, j.refused), now);
        else if (!j.refused.empty())
            try_again(out, {b.attempt, last_outcome::refused}, positions(b.at, j.refused), due);
        if (!j.unknown.empty()) try_again(out, {b.attempt, last_outcome::unaccounted}, positions(b.at, j.unknown), due);
    }
    return out;
}

steady_time plan::retry_at(const batch& b, steady_time now, steady_time earliest, double chance) const {
    return std::max(earliest, now + rules_.retry.delay(b.tries + 1, chance));
}

std::vector<verdict> plan::on_failed(const batch* flying, miss how, steady_time now, steady_time earliest,
                                     double chance) {
    batch b = retrieve(flying);
    std::vector<verdict> out;
    const steady_time due = retry_at(b, now, earliest, chance);
    ++b.tries;
    if (how != miss::unsent) b.sent_before = true;
    const bool lookup = b.what == batch::purpose::lookup;
    if (how == miss::declined)
        asks_unanswered_.reset();
    else if (lookup && !asks_unanswered_)
        asks_unanswered_ = now;
    if (how == miss::in_doubt || (lookup && how == miss::unsent)) {
        if (!lookup) b.last = last_outcome::unanswered;
        if (!b.doubt_since) b.doubt_since = now;
    }
    if (how == miss::declined && lookup) b.doubt_since.reset();  // it was answered, if not with what was asked
    const auto too_long = [&](std::optional<steady_time> since) {
        return since && now - *since >= rules_.give_up_after;
    };
    const bool given_up = too_long(b.doubt_since);
    if (lookup) {
        const bool all = too_long(asks_unanswered_);
        if (given_up || all || asking_over_)
            fail_unasked(out, {b.attempt, b.last}, b.at);
        else
            park(std::move(b), due);
        if (all) end_asks(out);
        return out;
    }
    const key k{b.attempt - 1, b.last};
    if (stop_ && b.last == last_outcome::unsent) {
        skip(out, b.at);
    } else if (stop_ || given_up) {
        exhaust_retries(out, k, b.at, now);
    } else {
        park(std::move(b), due);
    }
    return out;
}

std::vector<verdict> plan::return_unsent(const batch* flying, steady_time now) {
    std::vector<verdict> out;
    put_back(out, retrieve(flying), now);
    return out;
}

void plan::put_back(std::vector<verdict>& out, batch b, steady_time now) {
    const key k{b.what == batch::purpose::lookup ? b.attempt : b.attempt - 1, b.last};
    if (b.what == batch::purpose::lookup) {
        if (asking_over_)
            fail_unasked(out, k, b.at);
        else
            park(std::move(b), now);
    } else if (!stop_) {
        park(std::move(b), now);
    } else if (b.last == last_outcome::unsent) {
        skip(out, b.at);
    } else {
        exhaust_retries(out, k, b.at, now);
    }
}

std::vector<verdict> plan::withhold(const batch* flying, const std::vector<std::uint32_t>& indices, steady_time now) {
    batch b = retrieve(flying);
    must_hold(b.what == batch::purpose::remove, "an ask deletes nothing");
    std::vector<verdict> out;
    const spans hits = positions(b.at, indices);
    if (b.last == last_outcome::unanswered)
        exhaust_retries(out, {b.attempt - 1, last_outcome::withheld}, hits, now);
    else if (b.last == last_outcome::unaccounted)
        exhaust_retries(out, {b.attempt - 1, b.last}, hits, now);
    else
        settle(out, {.kind = verdict_kind::skipped, .reason = name_of(skip_reason::protected_id), .at = hits});
    b.at = pick_rest(b.at, indices, {});
    if (!b.at.empty()) put_back(out, std::move(b), now);
    return out;
}

std::vector<verdict> plan::on_split(const batch* flying, steady_time now) {
    const batch b = retrieve(flying);
    must_hold(b.what == batch::purpose::remove, "an ask cannot be halved");
    asks_unanswered_.reset();
    std::vector<verdict> out;
    const std::uint64_t n = b.count();
    if (n == 1) {
        if (b.attempt == 1 && b.last != last_outcome::rejected) ++first_bad_;
        suspect(out, {b.attempt, last_outcome::rejected}, b.at, now);
        return out;
    }
    if (stop_) {
        if (b.last == last_outcome::unsent)
            skip(out, b.at);
        else
            exhaust_retries(out, {b.attempt - 1, b.last}, b.at, now);
        return out;
    }
    std::uint64_t left = n / 2;
    batch first{.number = next_batch_++,
                .attempt = b.attempt,
                .last = b.last,
                .sent_before = true,
                .doubt_since = b.doubt_since};
    batch second = first;
    second.number = next_batch_++;
    for (const span& s : b.at) {
        const std::uint64_t mine = std::min(left, s.count);
        append(first.at, {s.first, mine});
        append(second.at, {s.first + mine, s.count - mine});
        left -= mine;
    }
    park(std::move(first), now);
    park(std::move(second), now);
    return out;
}

}  // namespace culld

#include "culld/core/plan.hpp"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace culld {

namespace {

// A broken invariant here could delete what nobody asked for or judge an id twice: better dead than wrong.
void must_hold(bool ok, const char* what) {
    if (!ok) throw std::logic_error(what);
}

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

std::string_view failure_name(word last) {
    switch (last) {
        case word::refused: return "refused";
        case word::rejected: return "rejected";
        case word::present: return "present";
        case word::unsent:
        case word::lost:
        case word::unaccounted:
        case word::reported: break;
    }
    return "unknown";
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
      holes_(state.holes),
      counts_(state.counts),
      first_good_(state.first_good),
      first_bad_(state.first_bad) {
    must_hold(rules_.batch_size >= 1 && rules_.max_attempts >= 1, "a plan needs a batch size and attempts");
    must_hold(rules_.window >= 2ULL * rules_.batch_size, "an intent must cover two batches");
    skip_holes();
    for (const plan_state::open_ids& open : state.open) {
        const key k{open.attempts, open.last};
        if (open.last == word::unsent || open.last == word::lost) {
            // In doubt, or intended and no more: whole batches, in order.
            spans rest = open.at;
            std::reverse(rest.begin(), rest.end());
            while (!rest.empty()) {
                batch b{.number = next_batch_++, .attempt = open.attempts + 1};
                if (!open.never_sent) b.last = word::lost, b.sent_before = true, b.doubt_since = now;
                for (std::uint64_t room = rules_.batch_size; room > 0 && !rest.empty();) {
                    span& s = rest.back();
                    const span part{s.first, std::min(room, s.count)};
                    append(b.at, part);
                    room -= part.count;
                    s = {part.end(), s.count - part.count};
                    if (s.count == 0) rest.pop_back();
                }
                park(std::move(b), now);
            }
        } else if (open.last == word::reported) {
            enqueue(asks_, k, open.at, now);
        } else if (open.last == word::rejected) {
            doom(owed_, k, open.at, now);
        } else {
            try_again(owed_, k, open.at, now);
        }
    }
}

// ---- fresh ids ----

void plan::skip_holes() {
    while (hole_ < holes_.size() && holes_[hole_].end() <= next_) ++hole_;
    while (hole_ < holes_.size() && holes_[hole_].first <= next_) next_ = holes_[hole_++].end();
}

spans plan::unsettled(position from, position to, std::uint64_t most) const {
    spans out;
    for (std::size_t h = hole_; from < to && most > 0; ++h) {
        const position end = h < holes_.size() ? std::clamp(holes_[h].first, from, to) : to;
        const std::uint64_t n = std::min(end - from, most);
        append(out, {from, n});
        most -= n;
        if (h == holes_.size()) break;
        from = std::max(from, holes_[h].end());
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
    const auto unsent = [](const auto& due) { return due.second.last == word::unsent && !due.second.sent_before; };
    return next_ < intended_ || std::any_of(parked_.begin(), parked_.end(), unsent);
}

bool plan::fresh_ready() const {
    return next_ < intended_ && (intended_ == ids_ || intended_ - next_ >= rules_.batch_size);
}

batch plan::next_fresh() {
    batch b{.number = next_batch_++};
    std::uint64_t room = rules_.batch_size;
    while (room > 0 && next_ < intended_) {
        position stop = std::min(intended_, next_ + room);
        if (hole_ < holes_.size()) stop = std::min(stop, holes_[hole_].first);
        append(b.at, {next_, stop - next_});
        room -= stop - next_;
        next_ = stop;
        skip_holes();
    }
    return b;
}

// ---- choosing and taking ----

plan::choice plan::choose(steady_time now) const {
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
    if (!asks_parked_.empty() && asks_parked_.begin()->first <= now) return {source::ask_parked, nullptr};
    for (const auto& [k, q] : asks_)
        if (q.entries.front().due <= now) return {source::ask, &k};
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
    if (!asks_parked_.empty()) consider(asks_parked_.begin()->first);
    for (const auto& [k, q] : asks_) consider(q.entries.front().due);
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
        case source::ask_parked: return unpark(asks_parked_);
        case source::fresh: return launch(next_fresh());
        case source::again: {
            const key of = *c.of;
            batch b = next_of(again_, of, batch::purpose::remove, rules_.batch_size, now);
            b.number = next_batch_++;
            b.attempt = of.attempts + 1;
            return launch(std::move(b));
        }
        case source::ask: return launch(next_of(asks_, key(*c.of), batch::purpose::ask, 1, now));
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
    auto& where = b.what == batch::purpose::ask ? asks_parked_ : parked_;
    where.emplace(due, std::move(b));
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
        doom(out, k, at, due);
    else
        enqueue(again_, k, at, due);
}

void plan::end_asks(std::vector<verdict>& out) {
    const auto unknown = [&](std::uint32_t attempts, const spans& at) {
        count_outstanding(0, count_of(at));
        settle(out, {.kind = verdict_kind::failed, .reason = "unknown", .attempts = attempts, .at = at});
    };
    for (const auto& [due, b] : std::exchange(asks_parked_, {})) unknown(b.attempt, b.at);
    for (const auto& [k, q] : std::exchange(asks_, {})) {
        spans at;
        for (const waiting& w : q.entries) append(at, w.at);
        unknown(k.attempts, at);
    }
}

void plan::doom(std::vector<verdict>& out, key k, const spans& at, steady_time due) {
    if (rules_.verify == verify_mode::none || k.last == word::present)
        settle(out, {.kind = verdict_kind::failed, .reason = failure_name(k.last), .attempts = k.attempts, .at = at});
    else
        enqueue(asks_, k, at, due);
}

std::vector<verdict> plan::landed(const batch* flying, const judgement& j, steady_time now, double chance) {
    const batch b = retrieve(flying);
    must_hold(b.what == batch::purpose::remove && j.sent == b.count(), "an answer to another batch");
    asks_unanswered_.reset();
    std::vector<verdict> out;
    const std::uint64_t bad = j.refused.size() + j.unknown.size();
    if (b.attempt == 1) {
        first_good_ += j.deleted();
        first_bad_ += bad;
    }
    if (rules_.verify == verify_mode::all) {
        enqueue(asks_, {b.attempt, word::reported}, pick_rest(b.at, j.refused, j.unknown), now);
    } else {
        counts_.deleted += j.deleted();
        must_hold(counts_.sum() <= ids_, "more verdicts than ids");
    }
    if (bad > 0) {
        const steady_time due = now + rules_.retry.delay(b.attempt, chance);
        if (!j.refused.empty()) try_again(out, {b.attempt, word::refused}, positions(b.at, j.refused), due);
        if (!j.unknown.empty()) try_again(out, {b.attempt, word::unaccounted}, positions(b.at, j.unknown), due);
    }
    return out;
}

steady_time plan::retry_at(const batch& b, steady_time now, steady_time earliest, double chance) const {
    return std::max(earliest, now + rules_.retry.delay(b.tries + 1, chance));
}

std::vector<verdict> plan::missed(const batch* flying, miss how, steady_time now, steady_time earliest, double chance) {
    batch b = retrieve(flying);
    std::vector<verdict> out;
    const steady_time due = retry_at(b, now, earliest, chance);
    ++b.tries;
    if (how != miss::unsent) b.sent_before = true;
    const bool ask = b.what == batch::purpose::ask;
    if (how == miss::declined)
        asks_unanswered_.reset();
    else if (ask && !asks_unanswered_)
        asks_unanswered_ = now;
    if (how == miss::in_doubt || (ask && how == miss::unsent)) {
        if (!ask) b.last = word::lost;
        if (!b.doubt_since) b.doubt_since = now;
    }
    if (how == miss::declined && ask) b.doubt_since.reset();  // it was answered, if not with what was asked
    const auto too_long = [&](std::optional<steady_time> since) {
        return since && now - *since >= rules_.give_up_after;
    };
    const bool given_up = too_long(b.doubt_since);
    if (ask) {
        const bool all = too_long(asks_unanswered_);
        if (given_up || all)
            settle(out, {.kind = verdict_kind::failed, .reason = "unknown", .attempts = b.attempt, .at = b.at});
        else
            park(std::move(b), due);
        if (all) end_asks(out);
        return out;
    }
    const key k{b.attempt - 1, b.last};
    if (stop_ && b.last == word::unsent) {
        skip(out, b.at);
    } else if (stop_ || given_up) {
        doom(out, k, b.at, now);
    } else {
        park(std::move(b), due);
    }
    return out;
}

std::vector<verdict> plan::give_back(const batch* flying, steady_time now) {
    batch b = retrieve(flying);
    std::vector<verdict> out;
    const bool ask = b.what == batch::purpose::ask;
    if (stop_ && !ask && b.last == word::unsent)
        skip(out, b.at);
    else if (stop_ && !ask)
        doom(out, {b.attempt - 1, b.last}, b.at, now);
    else
        park(std::move(b), now);
    return out;
}

std::vector<verdict> plan::halved(const batch* flying, steady_time now) {
    const batch b = retrieve(flying);
    must_hold(b.what == batch::purpose::remove, "an ask cannot be halved");
    asks_unanswered_.reset();
    std::vector<verdict> out;
    const std::uint64_t n = b.count();
    if (n == 1) {
        doom(out, {b.attempt, word::rejected}, b.at, now);
        return out;
    }
    if (stop_) {
        if (b.last == word::unsent)
            skip(out, b.at);
        else
            doom(out, {b.attempt - 1, b.last}, b.at, now);
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

std::vector<verdict> plan::asked(const batch* flying, presence answer, steady_time now, double chance) {
    const batch b = retrieve(flying);
    must_hold(b.what == batch::purpose::ask, "a deletion was answered like an ask");
    asks_unanswered_.reset();
    std::vector<verdict> out;
    if (answer == presence::gone) {
        const auto kind = b.last == word::reported ? verdict_kind::deleted : verdict_kind::absent;
        settle(out, {.kind = kind, .reason = "get", .attempts = b.attempt, .at = b.at});
    } else if (b.last == word::reported) {
        try_again(out, {b.attempt, word::present}, b.at, now + rules_.retry.delay(b.attempt, chance));
    } else if (stop_ && b.last == word::lost) {
        skip(out, b.at);
    } else {
        const std::string_view reason =
            b.last == word::refused || b.last == word::rejected ? failure_name(b.last) : "present";
        settle(out, {.kind = verdict_kind::failed, .reason = reason, .attempts = b.attempt, .at = b.at});
    }
    return out;
}

std::vector<verdict> plan::stop(skip_reason reason, steady_time now) {
    std::vector<verdict> out;
    if (stop_) return out;
    stop_ = reason;
    spans unsent = unsettled(next_, ids_);
    next_ = intended_ = ids_;
    hole_ = holes_.size();
    auto parked = std::exchange(parked_, {});
    for (auto& [due, b] : parked) {
        count_outstanding(0, b.count());
        if (b.last == word::unsent)
            for (const span& s : b.at) append(unsent, s);
        else
            doom(out, {b.attempt - 1, b.last}, b.at, now);
    }
    auto again = std::exchange(again_, {});
    for (auto& [k, q] : again) {
        count_outstanding(0, q.ids);
        spans at;
        for (const waiting& w : q.entries) append(at, w.at);
        doom(out, k, at, now);
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
                   .first_bad = first_bad_};
    std::map<std::pair<key, bool>, spans> open;
    const auto add = [&](key k, span s, bool declined = false) { append(open[{k, declined}], s); };
    const auto add_batch = [&](const batch& b) {
        const std::uint32_t made = b.what == batch::purpose::ask ? b.attempt : b.attempt - 1;
        for (const span& s : b.at) add({made, b.last}, s, b.sent_before && b.last == word::unsent);
    };
    for (const auto& [p, b] : flying_) add_batch(*b);
    for (const auto& [due, b] : parked_) add_batch(b);
    for (const auto& [due, b] : asks_parked_) add_batch(b);
    for (const queues* all : {&again_, &asks_})
        for (const auto& [k, q] : *all)
            for (const waiting& w : q.entries) add(k, w.at);
    for (const span& s : unsettled(next_, std::max(next_, intended_))) add({0, word::unsent}, s);
    // From the first that ends beyond what is intended: the next fresh id may have gone past it already.
    std::size_t h = hole_;
    while (h > 0 && holes_[h - 1].end() > intended_) --h;
    for (; h < holes_.size(); ++h)
        if (holes_[h].end() > intended_) out.holes.push_back(holes_[h]);
    for (auto& [k, at] : open) out.open.push_back({k.first.attempts, k.first.last, sorted(std::move(at)), k.second});
    return out;
}

}  // namespace culld

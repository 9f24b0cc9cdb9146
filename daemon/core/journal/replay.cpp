#include "culld/core/journal/replay.hpp"

#include <fmt/format.h>

#include <charconv>
#include <tuple>

#include "culld/core/base/interval_set.hpp"

namespace culld {

namespace {

result<double> number(const json_value* v, std::string_view key) {
    double out = 0;
    if (v != nullptr && v->kind == json_kind::number) {
        const auto [end, ec] = std::from_chars(v->raw.data(), v->raw.data() + v->raw.size(), out);
        if (ec == std::errc{} && end == v->raw.data() + v->raw.size()) return out;
    }
    return fail(fmt::format("\"{}\" is no number", key));
}

std::optional<double> rate_of(const record_view& r) {
    const auto rate = number(r.find("requests_per_second"), "requests_per_second");
    return rate ? std::optional(*rate) : std::nullopt;
}

std::optional<skip_reason> skip_reason_named(std::string_view name) {
    for (const skip_reason r : {skip_reason::cancelled, skip_reason::aborted, skip_reason::deadline,
                                skip_reason::dry_run, skip_reason::protected_id})
        if (name_of(r) == name) return r;
    return std::nullopt;
}

result<verify_mode> verify_named(std::string_view name) {
    for (const verify_mode m : {verify_mode::none, verify_mode::failed, verify_mode::all})
        if (name_of(m) == name) return m;
    return fail(fmt::format("\"verify\" cannot be \"{}\"", name));
}

// The members of an object that is a record's member.
template <class Visit>
result<void> members(const json_value& object, Visit&& visit) {
    json_reader scan(object.raw);
    json_member m;
    while (scan.next(m))
        if (auto done = visit(m); !done) return done;
    if (scan.complaint().what != nullptr) return fail(scan.complaint().what);
    return {};
}

// Sets `to` from a result, or hands the problem on.
template <class T, class U>
result<void> put(T& to, result<U> from) {
    if (!from) return fail(std::move(from.error()));
    to = static_cast<T>(std::move(*from));
    return {};
}

template <class T>
result<void> put(std::optional<T>& to, result<T> from) {
    if (!from) return fail(std::move(from.error()));
    to = std::move(*from);
    return {};
}

result<std::uint32_t> small(const result<std::uint64_t>& n) {
    if (!n) return fail(n.error());
    if (*n > UINT32_MAX) return fail(fmt::format("{} is out of range", *n));
    return static_cast<std::uint32_t>(*n);
}
result<std::uint32_t> small(const json_value& v) {
    return small(v.u64());
}

result<wall_time> time_of(const result<std::string>& text) {
    if (!text) return fail(text.error());
    return parse_rfc3339(*text);
}

result<void> read_owner(const json_value& object, file_owner& out) {
    return members(object, [&](const json_member& m) -> result<void> {
        if (m.key == "uid") return put(out.uid, small(m.value));
        if (m.key == "gid") return put(out.gid, small(m.value));
        return {};
    });
}

// A name in active/: one component.
result<void> read_name(const result<std::string>& text, std::string& out) {
    if (text && (text->find('/') != std::string::npos || *text == "." || *text == ".."))
        return fail(fmt::format("\"{}\" is no file name", *text));
    return put(out, text);
}

result<void> read_source(const json_value& object, source_facts& out) {
    return members(object, [&](const json_member& m) -> result<void> {
        if (m.key == "file") return read_name(m.value.text(), out.file);
        if (m.key == "taken_as") return read_name(m.value.text(), out.taken_as);
        if (m.key == "owner") return read_owner(m.value, out.owner.emplace());
        if (m.key == "sha256") return put(out.sha256, m.value.text());
        if (m.key == "bytes") return put(out.bytes, m.value.u64());
        return {};
    });
}

result<void> read_options(const json_value& object, job_spec& out) {
    return members(object, [&](const json_member& m) -> result<void> {
        if (m.key == "batch_size") return put(out.batch_size, small(m.value));
        if (m.key == "max_attempts") return put(out.max_attempts, small(m.value));
        if (m.key == "priority") return put(out.priority, small(m.value));
        if (m.key == "not_before") return put(out.not_before, time_of(m.value.text()));
        if (m.key == "deadline") return put(out.deadline, time_of(m.value.text()));
        if (m.key == "dry_run") return put(out.dry_run, m.value.boolean());
        if (m.key == "expect_count") return put(out.expect_count, m.value.u64());
        if (m.key == "verify") {
            const auto name = m.value.text();
            if (!name) return fail(name.error());
            return put(out.verify, verify_named(*name));
        }
        if (m.key == "abort_when") {
            abort_rule rule;
            auto read = members(m.value, [&](const json_member& inner) -> result<void> {
                if (inner.key == "failed_ratio") return put(rule.failed_ratio, number(&inner.value, inner.key));
                if (inner.key == "after") return put(rule.after, inner.value.u64());
                return {};
            });
            out.abort_when = rule;
            return read;
        }
        return {};
    });
}

}  // namespace

result<void> replay::within(const spans& at) const {
    if (at.empty()) return fail("the record names no positions");
    for (const span& s : at)
        if (s.end() > job_.state.ids || s.count == 0)
            return fail(
                fmt::format("positions {} to {} are not in a list of {} ids", s.first, s.end(), job_.state.ids));
    return {};
}

result<void> replay::feed(const record_view& r) {
    if (!job_.accepted && r.type != record_type::job_accepted) return fail("the first record is not job.accepted");
    if (job_.status) return fail("a record follows job.finished");
    plan_state& s = job_.state;
    ++records_;
    at_rest_ = r.type == record_type::checkpoint && r.has("at_rest");
    if (is_order(r.type))
        if (const auto by = person_in(r)) job_.orders.push_back({name_of(r.type), r.seq, *by, rate_of(r)});
    switch (r.type) {
        case record_type::job_accepted: return accepted(r);
        case record_type::intent: return intent(r);
        case record_type::batch_result: return batch_result(r);
        case record_type::batch_error: return batch_error(r);
        case record_type::ids_absent: return verdict(r, s.counts.absent, "at");
        case record_type::ids_deleted: return verdict(r, s.counts.deleted, "at");
        case record_type::ids_failed: return verdict(r, s.counts.failed, "at");
        case record_type::ids_skipped: {
            const auto reason = r.text("reason");
            if (!reason) return fail(reason.error());
            // A stop is over only with the job: whatever crashed in between, it is still being stopped.
            const auto why = skip_reason_named(*reason);
            if (why && *why != skip_reason::protected_id) stop(*why);
            return verdict(r, s.counts.skipped, "at");
        }
        case record_type::job_paused:
            job_.paused = true;
            job_.said = r.text("reason").value_or("");
            job_.paused_by = person_in(r);
            return {};
        case record_type::job_resumed:
            job_.paused = false;
            job_.said.clear();
            return {};
        case record_type::job_cancelled:
            stop(skip_reason::cancelled);
            job_.said = r.text("reason").value_or("");
            return {};
        case record_type::job_rate: return put(job_.rate, number(r.find("requests_per_second"), "requests_per_second"));
        case record_type::checkpoint:
            // In the middle of a reading it says what is known already.
            return records_ == 2 ? checkpoint(r) : result<void>();
        case record_type::job_finished:
            if (auto done = put(job_.status, r.text("status")); !done) return done;
            if (auto done = put(job_.finished_at, time_of(r.text("finished_at"))); !done) return done;
            if (const json_value* totals = r.find("totals"); totals != nullptr)
                return put(job_.totals, read_totals(*totals));
            return fail("job.finished has no totals");
        case record_type::job_recovered: return recovered_before(r);
        case record_type::job_blocked:
        case record_type::job_unblocked:
        case record_type::unknown: return {};  // nothing about ids; a blocked job is tried again at a restart
        case record_type::job_rejected:
        case record_type::ledger_signed_from:
        case record_type::config_reloaded: break;
    }
    return fail("a record that belongs in the ledger");
}

result<void> replay::accepted(const record_view& r) {
    if (job_.accepted) return fail("a second job.accepted");
    job_.accepted = true;
    job_intake& in = job_.intake;
    const json_value* options = r.find("options");
    const json_value* owner = r.find("owner");
    const json_value* labels = r.find("labels");
    if (options == nullptr || owner == nullptr) return fail("job.accepted lacks options or owner");
    result<void> done;
    const auto step = [&](result<void> next) {
        if (done) done = std::move(next);
    };
    step(put(in.spec.id, r.text("job_id")));
    step(read_name(r.text("file"), in.source.file));
    if (r.has("taken_as")) step(read_name(r.text("taken_as"), in.source.taken_as));
    step(put(in.source.sha256, r.text("sha256")));
    step(put(in.source.bytes, r.u64("bytes")));
    if (const json_value* list = r.find("list")) {
        in.list.emplace();
        step(read_source(*list, *in.list));
        in.spec.ids_file = in.list->file;
    }
    file_owner submitter;
    step(read_owner(*owner, submitter));
    job_.uid = submitter.uid;
    job_.gid = submitter.gid;
    step(put(in.spec.resource, r.text("resource")));
    step(put(in.spec.project_id, r.text("project_id")));
    step(put(in.spec.workspace_id, r.text("workspace_id")));
    step(put(in.ids, r.u64("ids")));
    step(put(in.duplicates, r.u64("duplicates")));
    step(read_options(*options, in.spec));
    if (done && (in.spec.batch_size < 1 || in.spec.batch_size > 999 || in.spec.max_attempts < 1))
        return fail("the options of job.accepted lack batch_size or max_attempts");
    if (labels != nullptr)
        step(members(*labels, [&](const json_member& m) -> result<void> {
            std::string value;
            auto read = put(value, m.value.text());
            in.spec.labels.emplace_back(json_unescaped(m.key), std::move(value));
            return read;
        }));
    if (r.has("modified_at")) step(put(job_.modified_at, time_of(r.text("modified_at"))));
    step(put(job_.accepted_at, parse_rfc3339(r.ts)));
    job_.state.ids = in.ids;
    return done;
}

result<void> replay::intent(const record_view& r) {
    const auto at = r.positions();
    if (!at) return fail(at.error());
    if (auto ok = within(*at); !ok) return ok;
    for (const span& s : *at) {
        if (s.first < job_.state.intended) return fail(fmt::format("position {} is intended a second time", s.first));
        if (!ahead_.within(s).empty())
            return fail(fmt::format("a position from {} to {} is intended after its verdict", s.first, s.end()));
        // An intent leaves out what is settled, and nothing else: it would be forgotten.
        const span passed{job_.state.intended, s.first - job_.state.intended};
        std::uint64_t settled = 0;
        for (const auto& part : ahead_.within(passed)) settled += part.at.count;
        if (settled != passed.count)
            return fail(
                fmt::format("an intent from {} passes over ids from {} that have no verdict", s.first, passed.first));
        open_.assign(s, {});
        job_.state.intended = s.end();
    }
    return {};
}

void replay::count_request(const spans& at, std::uint32_t attempt) {
    ++job_.requests;
    const auto before = at.empty() ? std::nullopt : open_.at(at.front().first);
    if (attempt > 1 || (before && before->sent)) ++job_.retries;
}

result<void> replay::batch_result(const record_view& r) {
    const auto at = r.runs("at");
    const auto failed = r.runs("failed_at");
    const auto unknown = r.runs("unknown_at");
    const auto attempt = small(r.u64("attempt"));
    const auto number_of_batch = r.u64("batch");
    if (!at || !failed || !unknown || !attempt || !number_of_batch)
        return fail("batch.result lacks at, attempt or batch");
    if (auto ok = within(*at); !ok) return ok;
    interval_set rest;  // what neither list names
    rest.insert(*at);
    for (const spans* all : {&*failed, &*unknown})
        if (count_of(rest.erase(*all)) != count_of(*all))
            return fail("batch.result lists positions that are not among its own");
    plan_state& s = job_.state;
    s.next_batch = std::max(s.next_batch, *number_of_batch + 1);
    count_request(*at, *attempt);
    const std::uint32_t tries = *attempt;
    const std::uint64_t bad = count_of(*failed) + count_of(*unknown);
    const std::uint64_t good = rest.count();
    const auto before = at->empty() ? std::nullopt : open_.at(at->front().first);
    const last_outcome last = before ? before->last : last_outcome::unsent;  // of all of them
    const auto status = r.u64("http_status");
    if (status && *status == 200) s.answered = true;
    if (tries == 1 && last != last_outcome::rejected) {
        s.first_good += good;
        s.first_bad += bad;
    }
    const bool reported = r.has("reported");
    std::uint64_t were_open = 0;
    for (const span& run : *at) {
        were_open += open_.erase(run);
        if (reported) open_.assign(run, {tries, last_outcome::reported, true});
    }
    if (were_open != count_of(*at)) return fail("batch.result answers for ids that were not open");
    const bool doubted = last == last_outcome::unanswered && job_.intake.spec.verify != verify_mode::none;
    for (const span& run : *failed)
        open_.assign(run, {tries, doubted ? last_outcome::doubted : last_outcome::refused, true});
    for (const span& run : *unknown) open_.assign(run, {tries, last_outcome::unaccounted, true});
    if (!reported) s.counts.deleted += good;
    return {};
}

result<void> replay::batch_error(const record_view& r) {
    const auto at = r.positions();
    const auto attempt = small(r.u64("attempt"));
    const auto number_of_batch = r.u64("batch");
    const auto error_class = r.text("class");
    if (!at || !attempt || !number_of_batch || !error_class)
        return fail("batch.error lacks at, attempt, batch or class");
    if (auto ok = within(*at); !ok) return ok;
    for (const span& run : *at) {
        std::uint64_t are_open = 0;
        for (const auto& part : open_.within(run)) are_open += part.at.count;
        if (are_open != run.count) return fail("batch.error is about ids that are not open");
    }
    job_.state.next_batch = std::max(job_.state.next_batch, *number_of_batch + 1);
    if (*error_class == "connect" || *error_class == "tls") return {};  // nothing was sent
    count_request(*at, *attempt);
    if (*error_class == "throttled") ++job_.throttled;
    const auto status = r.has("http_status") ? r.u64("http_status") : result<std::uint64_t>(0U);
    if (*error_class == "rejected" && status && (*status == 400 || *status == 413) && count_of(*at) == 1 &&
        !r.has("retry_in_ms")) {
        // The one id that its request was refused for. What goes again was refused for something else: its job.
        const auto before = open_.at(at->front().first);
        if (*attempt == 1 && (!before || before->last != last_outcome::rejected)) ++job_.state.first_bad;
        open_.assign(at->front(), {*attempt, last_outcome::rejected, true});
        return {};
    }
    const bool declined = *error_class == "throttled" || *error_class == "auth" || *error_class == "rejected";
    for (const span& run : *at)
        for (const auto& part : open_.within(run)) {
            open_id v = part.value;
            v.sent = true;
            if (!declined) v.last = last_outcome::unanswered;
            open_.assign(part.at, v);
        }
    return {};
}

result<void> replay::verdict(const record_view& r, std::uint64_t& count, std::string_view at_key) {
    auto at = r.has(at_key) ? r.runs(at_key) : r.positions();
    if (!at) return fail(at.error());
    if (auto ok = within(*at); !ok) return ok;
    const position intended = job_.state.intended;
    for (const span& s : *at) {
        const span open{s.first, std::min(std::max(s.first, intended), s.end()) - s.first};
        const span ahead{open.end(), s.end() - open.end()};
        if (open_.erase(open) != open.count || !ahead_.within(ahead).empty())
            return fail(fmt::format("a position from {} to {} gets a second verdict", s.first, s.end()));
        ahead_.assign(ahead, true);
    }
    count += count_of(*at);
    if (job_.state.counts.sum() > job_.state.ids) return fail("more verdicts than ids");
    return {};
}

// What was in doubt then may have been in a request that nothing is known of: so the run that began then took it.
result<void> replay::recovered_before(const record_view& r) {
    const auto doubted = r.runs("open");
    if (!doubted) return fail(doubted.error());
    for (const span& run : *doubted)
        for (const auto& part : open_.within(run)) {
            open_id v = part.value;
            v.sent = true;
            if (v.last == last_outcome::unsent) v.last = last_outcome::unanswered;
            open_.assign(part.at, v);
        }
    return {};
}

// Whoever stops a paused job wants it to end.
void replay::stop(skip_reason why) {
    if (!job_.stopped) job_.paused = false;
    job_.stopped = why;
}

result<void> replay::checkpoint(const record_view& r) {
    plan_state s;
    s.ids = job_.state.ids;
    const auto intended = r.u64("intended");
    const auto next_batch = r.u64("next_batch");
    const auto presettled = r.runs("holes");
    const auto good = r.u64("first_good");
    const auto bad = r.u64("first_bad");
    const auto paused = r.boolean("paused");
    const json_value* open = r.find("open");
    const json_value* totals = r.find("totals");
    if (!intended || !next_batch || !presettled || !good || !bad || !paused || open == nullptr || totals == nullptr ||
        *intended > s.ids)
        return fail("the checkpoint is incomplete");
    const auto t = read_totals(*totals);
    if (!t) return fail(t.error());
    s.intended = *intended;
    s.next_batch = *next_batch;
    s.first_good = *good;
    s.first_bad = *bad;
    s.counts = {t->deleted, t->absent, t->failed, t->skipped};
    s.answered = r.has("answered");
    position_map<open_id> open_ids;
    json_elements each(*open);
    json_value element;
    while (each.next(element)) {
        open_id v;
        spans at;
        bool sent = false;
        auto read = members(element, [&](const json_member& m) -> result<void> {
            if (m.key == "attempts") return put(v.attempts, small(m.value));
            if (m.key == "at") return put(at, m.value.runs());
            if (m.key == "sent") return put(sent, m.value.boolean());
            if (m.key == "word") {
                const auto name = m.value.text();
                const auto w = name ? last_outcome_named(*name) : std::nullopt;
                if (!w) return fail("the checkpoint has a word nobody knows");
                v.last = *w;
            }
            return {};
        });
        if (!read) return read;
        if (auto ok = within(at); !ok) return ok;
        v.sent = sent || v.last != last_outcome::unsent;
        for (const span& run : at) {
            if (run.end() > s.intended || open_ids.erase(run) != 0)
                return fail(fmt::format("the checkpoint has positions from {} to {} open twice or not intended",
                                        run.first, run.end()));
            open_ids.assign(run, v);
        }
    }
    open_ = std::move(open_ids);
    ahead_ = {};
    for (const span& h : *presettled) {
        if (h.first < s.intended || h.end() > s.ids)
            return fail(fmt::format("the checkpoint has a hole from {} to {}, which is no fresh part of the list",
                                    h.first, h.end()));
        ahead_.assign(h, true);
    }
    // What is settled, open and fresh is the whole list, or some id would be forgotten or judged twice.
    std::uint64_t open_count = 0;
    for (const auto& run : open_.all()) open_count += run.at.count;
    const std::uint64_t fresh = s.ids - s.intended - std::min(s.ids - s.intended, count_of(*presettled));
    if (t->ids != s.ids || s.counts.sum() + open_count + fresh != s.ids)
        return fail(
            fmt::format("the checkpoint does not account for every id: {} settled, {} open and {} fresh are not {}",
                        s.counts.sum(), open_count, fresh, s.ids));
    job_.state = s;
    job_.requests = t->requests;
    job_.retries = t->retries;
    job_.throttled = t->throttled;
    job_.paused = *paused;
    job_.paused_by = person_in(r, "paused_by");
    if (r.has("requests_per_second"))
        if (auto done = put(job_.rate, number(r.find("requests_per_second"), "requests_per_second")); !done)
            return done;
    if (r.has("stopped")) {
        const auto name = r.text("stopped");
        job_.stopped = name ? skip_reason_named(*name) : std::nullopt;
        if (!job_.stopped) return fail("the checkpoint was stopped for a reason nobody knows");
    }
    if (r.has("reason")) return put(job_.said, r.text("reason"));
    return {};
}

recovered_job replay::finish() {
    plan_state& s = job_.state;
    std::map<std::tuple<std::uint32_t, last_outcome, bool>, spans> grouped;
    for (const auto& run : open_.all()) {
        const open_id& v = run.value;
        const bool never_sent = at_rest_ && v.last == last_outcome::unsent && !v.sent;
        append(grouped[{v.attempts, v.last, never_sent}], run.at);
        if (never_sent)
            job_.rested = true;
        else if (v.last == last_outcome::unsent || v.last == last_outcome::unanswered)
            append(job_.in_doubt, run.at);
    }
    for (auto& [k, at] : grouped)
        s.open.push_back(
            {.attempts = std::get<0>(k), .last = std::get<1>(k), .at = std::move(at), .never_sent = std::get<2>(k)});
    for (const auto& run : ahead_.all())
        if (run.at.end() > s.intended)
            append(s.presettled,
                   {std::max(run.at.first, s.intended), run.at.end() - std::max(run.at.first, s.intended)});
    if (s.intended + count_of(s.presettled) == s.ids) {  // nothing fresh is left, as the plan itself puts it
        s.intended = s.ids;
        s.presettled.clear();
    }
    return std::move(job_);
}

}  // namespace culld

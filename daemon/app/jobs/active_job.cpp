#include "culld/app/jobs/active_job.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "culld/io/os/log.hpp"

namespace culld {

namespace {

plan_rules rules_of(const job_spec& spec, const config& settings) {
    plan_rules out;
    out.batch_size = spec.batch_size;
    out.max_attempts = spec.max_attempts;
    out.verify = spec.verify;
    out.retry = {settings.retry.base_delay, settings.retry.max_delay};
    out.give_up_after = settings.retry.give_up_after;
    out.window = 8ULL * spec.batch_size * std::max<std::uint64_t>(1, settings.limits.concurrency);
    return out;
}

}  // namespace

active_job::active_job(daemon_context& with, job_state_record seed, std::optional<id_store> ids)
    : with_(with),
      intake_(std::move(seed.intake)),
      resource_(find_resource(intake_.spec.resource)),
      uid_(seed.uid),
      gid_(seed.gid),
      modified_at_(seed.modified_at),
      active_file_(std::move(seed.active_file)),
      active_list_(std::move(seed.active_list)),
      to_own_(seed.copied),
      chain_(seed.head),
      records_counted_(seed.head.seq),
      journal_(with.loop, with.disk, with.journals, intake_.spec.id + ".jsonl", std::move(seed.journal), seed.fresh,
               seed.journal_bytes),
      plan_(rules_of(intake_.spec, *with.settings), seed.state, steady_now()),
      state_(seed.paused ? job_state::paused : job_state::running),
      answered_(seed.state.answered),
      operator_reason_(std::move(seed.said)),
      paused_by_(seed.paused_by),
      requests_(seed.requests),
      retries_(seed.retries),
      throttled_(seed.throttled),
      fresh_(seed.fresh),
      told_before_(seed.told_before),
      to_end_(std::move(seed.to_end)),
      waits_(seed.fresh),
      in_doubt_(std::move(seed.in_doubt)),
      rested_(seed.rested),
      torn_bytes_(seed.torn_bytes),
      stop_reason_(seed.stopped),
      first_(std::move(seed.first)),
      status_(seed.status.value_or("")),
      accepted_at_(seed.accepted_at),
      finished_at_(seed.finished_at),
      final_(seed.totals),
      alive_(std::make_shared<bool>(true)) {
    if (ids) ids_.emplace(std::move(*ids), with.ids);
    if (seed.rate) own_pace_.emplace(*seed.rate, 1, steady_now(), false);
    checkpoint_at_ = with_.checkpoints.every - std::min(with_.checkpoints.every, seed.behind_checkpoint);
    journal_.on_commit = [this] {
        pending_ = count();
        failed_pending_ = failed_;
        with_.counted.journal_records += chain_.head().seq - std::exchange(records_counted_, chain_.head().seq);
    };
    journal_.on_synced = [this](nanoseconds took) {
        with_.counted.fsyncs.seen(std::chrono::duration<double>(took).count());
    };
    journal_.on_durable = [this] { on_durable(); };
    journal_.on_dead = [this](const problem& why) {
        ++with_.counted.journal_errors;
        log(log_level::error, "journal.failed", why.text(), {{"job_id", intake_.spec.id}});
        block(journal_trouble(why));
        note_evidence(why);
    };
    journal_.on_looked = [this] { ask_for_turn(); };
    journal_.on_quiet = [this] { with_.jobs_changed(); };
    for (const person_order& order : seed.orders) orders_.push_back({order, 0});
    shown_ = count();
    progress_.sample(steady_now(), shown_.settled(), answers_);
}

active_job::~active_job() {
    *alive_ = false;
}

void active_job::start() {
    const wall_time now = wall_now();
    std::string& out = journal_.buffer();
    if (!status_.empty()) {  // finished before; a crash came before the filing
        finishing_ = true;
        file_away();
        return;
    }
    if (fresh_) {
        write_accepted(chain_, out, now,
                       {.intake = &intake_,
                        .uid = uid_,
                        .gid = gid_,
                        .modified_at = modified_at_,
                        .config_sha256 = with_.config_sha256});
        first_ = hex(chain_.head().prev);
        if (!intake_.protected_at.empty())
            record_verdict({.kind = verdict_kind::skipped,
                            .reason = name_of(skip_reason::protected_id),
                            .attempts = 0,
                            .at = intake_.protected_at});
    } else if (!in_doubt_.empty() || torn_bytes_ > 0 || rested_) {
        write_recovered(chain_, out, now, in_doubt_, torn_bytes_);
        // Else a crash after the first request would leave a journal by which it was never sent.
        if (rested_) begins_at_ = journal_.appended();
    }
    record_verdicts(plan_.due_verdicts());
    if (to_end_ && !stop_reason_) {
        write_command(chain_, out, now, "job.cancelled", to_end_->by, to_end_->reason, std::nullopt);
        operator_reason_ = to_end_->reason;
        stop_reason_ = skip_reason::cancelled;
    }
    if (const auto stopped = stop_reason_) stop(*stopped);
    if (intake_.spec.dry_run) stop(skip_reason::dry_run);
    follow_up();
    journal_.commit_now();
    tell_ledger();
}

// ---- for the sender ----

bool active_job::ready(steady_time now) {
    if (!dispatchable() || journal_.dead()) return false;
    if (probe_at_ && (*probe_at_ > now || !plan_.idle())) return false;
    if (journal_lags()) {  // the commit that ends it may be the only thing still to happen
        held_up_ = true;
        return false;
    }
    if (intake_.spec.not_before && !plan_.stopping() && wall_now() < *intake_.spec.not_before) return false;
    if (own_pace_ && own_pace_->ready_at() > now) return false;
    if (!plan_.ready(now)) return false;
    if (journal_.looked_at(now)) return true;
    journal_.look_soon();  // and pump, where it still stands
    return false;
}

std::optional<steady_time> active_job::due(steady_time now) const {
    if (!dispatchable() || journal_.dead()) return std::nullopt;
    std::optional<steady_time> out;
    const auto at_wall = [&](wall_time w) { return now + std::max<nanoseconds>(w - wall_now(), nanoseconds(0)); };
    const auto& spec = intake_.spec;
    const bool early = spec.not_before && !plan_.stopping() && wall_now() < *spec.not_before;
    if (early)
        out = at_wall(*spec.not_before);
    else if (plan_.ready(now))
        out = own_pace_ && own_pace_->ready_at() > now && !journal_lags() ? std::optional(own_pace_->ready_at())
                                                                          : std::nullopt;
    else
        out = plan_.due();
    if (probe_at_ && (out || plan_.ready(now))) out = std::max(out.value_or(now), *probe_at_);
    if (probe_at_ && !plan_.idle()) out.reset();
    if (spec.deadline && !plan_.stopping()) {
        const steady_time end = at_wall(*spec.deadline);
        if (!out || end < *out) out = end;
    }
    return out;
}

const batch* active_job::take(steady_time now) {
    const batch* b = plan_.take(now);
    if (b == nullptr) return nullptr;
    if (own_pace_) own_pace_->sent(now);
    probing_ = probe_at_.has_value();
    taken_at_ = now;
    if (waits_) {  // its first
        waits_ = false;
        const wall_time since = std::max(accepted_at_, intake_.spec.not_before.value_or(accepted_at_));
        const std::chrono::duration<double> waited = wall_now() - since;
        with_.counted.waits_in_queue.seen(std::max(0.0, waited.count()));
    }
    // Taking may have made room for the next intent.
    if (intent_.empty()) follow_up();
    return b;
}

void active_job::count_request(const batch& b, const http_answer& answer) {
    if (!answer.sent) return;
    ++requests_;
    if (b.sent_before) ++retries_;
}

void active_job::on_answered(const batch* b, const judgement& j, const http_answer& answer, std::string_view sent) {
    if (journal_.dead()) return return_unsent(b);
    count_request(*b, answer);
    result_facts facts{.of = b,
                       .http_status = answer.status,
                       .code = j.code,
                       .request_ids = &answer.request_ids,
                       .ms = answer.took.count(),
                       .verdict = intake_.spec.verify != verify_mode::all,
                       .deleted = sent};
    if (!j.refused.empty() || !j.unknown.empty()) {
        sort_out(sent, j, sorted_);
        facts.deleted = sorted_.deleted;
        facts.failed = sorted_.refused;
        facts.unknown = sorted_.unknown;
        facts.failed_at = positions(b->at, j.refused);
        facts.unknown_at = positions(b->at, j.unknown);
    }
    write_result(chain_, journal_.buffer(), wall_now(), facts);
    if (j.unrequested_ids > 0)
        log(log_level::warn, "answer.strangers", "the answer names ids that were not asked for; they are not believed",
            {{"job_id", intake_.spec.id}, {"strangers", j.unrequested_ids}, {"batch", b->number}});
    if (answer.status == 200) answered_ = true;
    heard();
    ++answers_;
    record_verdicts(plan_.on_answered(b, j, steady_now(), with_.chance()));
    probe_ended(true);
    follow_up();
}

void active_job::append_error(const batch* b, std::string_view error_class, const http_answer& answer,
                              std::string_view code, std::string_view detail, std::optional<nanoseconds> retry_in,
                              std::string_view sent) {
    error_facts facts{.of = b,
                      .error_class = error_class,
                      .http_status = answer.status,
                      .code = code,
                      .detail = detail,
                      .ids = sent,
                      .request_ids = &answer.request_ids};
    if (retry_in) facts.retry_in_ms = std::chrono::duration_cast<milliseconds>(*retry_in).count();
    write_error(chain_, journal_.buffer(), wall_now(), facts);
}

void active_job::on_failed(const batch* b, plan::miss how, std::string_view error_class, const http_answer& answer,
                           std::string_view code, std::string_view detail, steady_time earliest,
                           std::string_view sent) {
    if (journal_.dead()) return return_unsent(b);
    count_request(*b, answer);
    if (error_class == "throttled") ++throttled_;
    const steady_time now = steady_now();
    const double chance = with_.chance();
    append_error(b, error_class, answer, code, detail, plan_.retry_at(*b, now, earliest, chance) - now, sent);
    heard();  // a deletion has come back, if without an answer: what is in doubt can be asked for from now on
    record_verdicts(plan_.on_failed(b, how, now, earliest, chance));
    probe_ended(false);
    follow_up();
}

void active_job::on_split(const batch* b, const http_answer& answer, const error_answer& why, std::string_view sent) {
    if (journal_.dead()) return return_unsent(b);
    count_request(*b, answer);
    append_error(b, why.error_class, answer, why.code, why.message, std::nullopt, sent);
    heard();
    ++answers_;
    record_verdicts(plan_.on_split(b, steady_now()));
    if (plan_.nothing_passes())
        block_for_all(why);
    else
        probe_ended(true);
    follow_up();
}

void active_job::return_unsent(const batch* b) {
    const std::vector<verdict> settled = plan_.return_unsent(b, steady_now());
    // Of ids that may still go, no record: on disk they are intended and without a verdict, which is what they are.
    // With a dead journal it is the next reading of it that counts.
    if (journal_.dead()) return;
    record_verdicts(settled);
    probing_ = false;
    follow_up();
}

// ---- records ----

job_totals active_job::count() const {
    if (final_) return *final_;
    const verdict_counts v = plan_.counts() - due_counts_;  // what has a record, or is about to
    return {.ids = intake_.ids,
            .deleted = v.deleted,
            .absent = v.absent,
            .failed = v.failed,
            .skipped = v.skipped,
            .duplicates = intake_.duplicates,
            .requests = requests_,
            .retries = retries_,
            .throttled = throttled_};
}

void active_job::follow_up() {
    if (journal_.dead() || finishing_) return;
    with_.wake(*this);
    apply_rules();
    if (plan_.done()) {
        if (due_.empty()) begin_finish();
        return;
    }
    // Not while an intent is on its way: the plan does not count its ids as intended yet, and the journal does.
    if (intent_.empty() && due_.empty() && journal_.appended() >= checkpoint_at_) checkpoint(false);
    if (intent_.empty()) {
        intent_ = plan_.wants_intent();
        for (const span& range : intent_) write_intent(chain_, journal_.buffer(), wall_now(), range);
        if (!intent_.empty()) {
            if (with_.few_jobs()) ids_->expect(intent_.front().first);
            intent_upto_ = journal_.appended();
            journal_.commit_now();
        }
    }
    journal_.commit_soon();
}

void active_job::checkpoint(bool at_rest) {
    checkpoint_at_ = journal_.appended() + with_.checkpoints.every;
    plan_state state = plan_.state();
    state.answered = answered_;
    const bool paused = state_ == job_state::paused || paused_before_block_;
    write_checkpoint(
        chain_, journal_.buffer(), wall_now(),
        {.state = &state,
         .totals = count(),
         .paused = paused,
         .rate = rate_limit(),
         .stopped = stop_reason_,
         .reason = paused || stop_reason_ == skip_reason::cancelled ? operator_reason_ : std::string_view(),
         .paused_by = paused ? paused_by_ : std::nullopt,
         .at_rest = at_rest});
}

void active_job::on_durable() {
    shown_ = pending_;
    failed_shown_ = failed_pending_;
    tell_ledger();
    if (std::exchange(to_own_, false)) own_files();  // job.accepted is what becomes durable first
    const std::uint64_t upto = journal_.durable_bytes();
    bool may_send = std::exchange(held_up_, false);
    if (!intent_.empty() && upto >= intent_upto_) {
        plan_.intended(intent_);
        intent_.clear();
        follow_up();
        may_send = true;
    }
    if (may_send) ask_for_turn();
    if (finish_upto_ && upto >= *finish_upto_) {
        finish_upto_.reset();
        file_away();
    }
    progress_.sample(steady_now(), shown_.settled(), answers_);
}

// From here on nobody but us has what the job was made of open. Should it fail, the filing makes up for it, or a
// restart.
void active_job::own_files() {
    auto work = [&files = with_.files, file = active_file_, list = active_list_]() -> result<void> {
        auto done = files.own(file);
        return done && !list.empty() ? files.own(list) : done;
    };
    with_.disk.post(std::move(work), [id = intake_.spec.id](const result<void>& done) {
        if (!done) log(log_level::warn, "spool.own", done.error().text(), {{"job_id", id}});
    });
}

void active_job::check_rules() {
    const bool stopping = plan_.stopping();
    apply_rules();
    if (!stopping && plan_.stopping()) follow_up();  // with nothing in flight nobody else would
}

void active_job::apply_rules() {
    const job_spec& spec = intake_.spec;
    if (plan_.stopping() || finishing_) return;
    if (spec.deadline && wall_now() >= *spec.deadline) {
        log(log_level::warn, "job.deadline", "the deadline is over: what is left is skipped", {{"job_id", spec.id}});
        stop(skip_reason::deadline);
    } else if (spec.abort_when) {
        const std::uint64_t answered = plan_.first_good() + plan_.first_bad();
        // Divided, a ratio is rounded as the one in the file was: 57 of 100 are not more than 0.57.
        if (answered >= spec.abort_when->after && answered > 0 &&
            static_cast<double>(plan_.first_bad()) / static_cast<double>(answered) > spec.abort_when->failed_ratio) {
            log(log_level::warn, "job.aborted",
                fmt::format("{} of {} ids answered for did not succeed: abort_when applies", plan_.first_bad(),
                            answered),
                {{"job_id", spec.id}});
            stop(skip_reason::aborted);
        }
    }
}

void active_job::stop(skip_reason reason) {
    if (plan_.stopping()) return;
    stop_reason_ = reason;
    record_verdicts(plan_.stop(reason, steady_now()));
    if (!ids_) record_verdicts(plan_.end_asking());  // its list is lost: nobody knows what to ask for
    leave_for_the_end();
}

// ---- the end ----

std::string_view active_job::final_status() const {
    if (stop_reason_) switch (*stop_reason_) {
            case skip_reason::cancelled: return "cancelled";
            case skip_reason::aborted: return "aborted";
            case skip_reason::deadline: return "expired";
            case skip_reason::dry_run: return "dry_run";
            case skip_reason::protected_id: break;
        }
    return plan_.counts().failed > 0 ? "completed_with_failures" : "completed";
}

void active_job::begin_finish() {
    finishing_ = true;
    const job_totals totals = count();
    if (totals.settled() != totals.ids) throw std::logic_error("a job ends with ids that have no verdict");
    status_ = final_status();
    const wall_time now = wall_now();
    finished_at_ = now;
    write_finished(chain_, journal_.buffer(), now, status_, totals, accepted_at_);
    finish_upto_ = journal_.appended();
    journal_.commit_now();
    with_.jobs_changed();
}

task<void> active_job::close(steady_time until) {
    if (journal_.dead()) co_return;
    auto written = co_await journal_.durable();
    // An intent on its way is not the plan's yet.
    while (written && !intent_.empty()) written = co_await journal_.durable();
    if (written && !finishing_ && due_.empty() && plan_.idle() && plan_.has_unsent() && steady_now() < until) {
        checkpoint(true);
        written = co_await journal_.durable();
    }
    if (!written) log(log_level::error, "journal.failed", written.error().text(), {{"job_id", intake_.spec.id}});
}

}  // namespace culld

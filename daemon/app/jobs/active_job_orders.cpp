// What people, and what is wrong, may do to a job: pause, resume, cancel, another rate; block and unblock.

#include <fmt/format.h>

#include <utility>

#include "culld/app/jobs/active_job.hpp"
#include "culld/app/jobs/job_recovery.hpp"
#include "culld/io/os/log.hpp"

namespace culld {

job_state active_job::state() const {
    if (state_ == job_state::running && intake_.spec.not_before && wall_now() < *intake_.spec.not_before)
        return job_state::waiting;
    return state_;
}

std::string active_job::reason() const {
    if (blocked_) return blocked_->code.empty() ? blocked_->detail : blocked_->code + ": " + blocked_->detail;
    switch (state()) {
        case job_state::paused: return operator_reason_;
        case job_state::waiting:
        case job_state::running: return stop_reason_ == skip_reason::cancelled ? operator_reason_ : std::string();
        case job_state::blocked:
        case job_state::finished: break;
    }
    return {};
}

void active_job::order(std::string_view type, person by, std::string_view reason, std::optional<double> rate) {
    const std::uint64_t record = chain_.head().seq;
    write_command(chain_, journal_.buffer(), wall_now(), type, by, reason, rate);
    orders_.push_back({{type, record, by, rate}, journal_.appended()});
}

bool active_job::pause(person by, std::string_view reason) {
    if (finishing_ || journal_.dead() || state_ == job_state::paused || state_ == job_state::finished) return false;
    order("job.paused", by, reason);
    operator_reason_ = reason;
    paused_by_ = by;
    journal_.commit_now();
    if (state_ == job_state::blocked)
        paused_before_block_ = true;
    else
        state_ = job_state::paused;
    with_.jobs_changed();
    return true;
}

bool active_job::resume(person by, std::string_view reason) {
    if (finishing_ || journal_.dead()) return false;
    if (state_ == job_state::blocked || state_ == job_state::paused) operator_reason_.clear();
    if (state_ == job_state::blocked) {
        paused_before_block_ = false;
        order("job.resumed", by, reason);
        unblock("resumed by an operator");
        return true;
    }
    if (state_ != job_state::paused) return false;
    order("job.resumed", by, reason);
    journal_.commit_now();
    state_ = job_state::running;
    with_.wake(*this);
    with_.jobs_changed();
    return true;
}

bool active_job::cancel(person by, std::string_view reason) {
    if (finishing_ || journal_.dead() || plan_.stopping()) return false;
    order("job.cancelled", by, reason);
    operator_reason_ = reason;
    stop(skip_reason::cancelled);
    go_on_to_the_end();
    return true;
}

void active_job::go_on_to_the_end() {
    follow_up();
    journal_.commit_now();
    with_.jobs_changed();
}

void active_job::check_deadline() {
    if (!intake_.spec.deadline || wall_now() < *intake_.spec.deadline) return;
    if (finishing_ || journal_.dead() || plan_.stopping()) return;
    check_rules();
    if (plan_.stopping()) go_on_to_the_end();
}

bool active_job::set_rate(person by, double per_second) {
    if (finishing_ || journal_.dead()) return false;
    order("job.rate", by, {}, per_second);
    journal_.commit_now();
    if (own_pace_)
        own_pace_->set(per_second, 1, steady_now());
    else
        own_pace_.emplace(per_second, 1, steady_now(), false);
    with_.wake(*this);
    with_.pump();
    return true;
}

std::optional<double> active_job::rate_limit() const {
    return own_pace_ ? std::optional(own_pace_->per_second()) : std::nullopt;
}

double active_job::rate_now(steady_time now) const {
    return progress_.rate(now);
}

std::optional<std::uint64_t> active_job::seconds_left(steady_time now) const {
    return progress_.seconds_left(now, plan_.requests_left());
}

// A restart could not see it in what lies there then.
void active_job::note_evidence(const problem& why) {
    const bool bent = journal_bent();
    if (!(bent || journal_.ended_by() == journal_end::gone) || journal_.durable_size() == 0) return;
    problem bare = why;
    bare.hint.clear();
    auto note = [&plans = with_.plans, id = intake_.spec.id,
                 what = evidence{bent, journal_.durable_size(), intake_.source.file, active_file_, active_list_,
                                 bare.text()}] { return leave_evidence(plans, id, what); };
    with_.disk.post(std::move(note), [id = intake_.spec.id](const result<void>& done) {
        if (!done) log(log_level::error, "journal.evidence", done.error().text(), {{"job_id", id}});
    });
}

// What a journal that died leaves to be done.
block_facts active_job::journal_trouble(problem why) const {
    std::string help = std::exchange(why.hint, {});
    if (journal_bent())
        help = evidence_help(with_.plans, intake_.spec.id);
    else if (help.empty())
        help =
            "nothing more of this job is deleted until its journal can be written: make room, or mend the disk; culld "
            "tries again by itself";
    return {"journal", "", why.text(), std::move(help)};
}

bool active_job::has_something_to_send(steady_time now) const {
    if (!dispatchable() || state() == job_state::waiting) return false;
    return plan_.in_flight() > 0 || (plan_.ready(now) && (!own_pace_ || own_pace_->ready_at() <= now));
}

job_outlook active_job::look_ahead(steady_time now, wall_time wall) const {
    job_outlook out{.under_way = plan_.in_flight() > 0, .priority = intake_.spec.priority};
    const auto at = [&](steady_time t) { return wall + std::chrono::duration_cast<wall_time::duration>(t - now); };
    if (intake_.spec.not_before && !plan_.stopping() && wall < *intake_.spec.not_before)
        out.not_before = intake_.spec.not_before;
    if (own_pace_) out.own_rate = at(own_pace_->ready_at());
    if (const auto due = plan_.due(); due && !plan_.ready(now)) out.next_try = at(*due);
    return out;
}

void active_job::block(block_facts why) {
    const bool disk = why.cause == block_cause::disk;
    if (blocked_by_disk() && !disk) return;  // what an answer in flight says does not mend it
    if (ending() && !disk) {                 // its deletions are over; what asks come to, each will hear for itself
        if (why.cause == block_cause::credentials && !journal_.dead()) {
            record_verdicts(plan_.end_asking());
            follow_up();
        }
        return;
    }
    probing_ = false;
    probe_at_.reset();
    if (why.cause == block_cause::answer || why.cause == block_cause::ids)
        probe_at_ = steady_now() + with_.settings->retry.blocked_probe;
    with_.wake(*this);
    if (state_ == job_state::blocked || state_ == job_state::finished) {
        blocked_ = std::move(why);
        return;
    }
    log(log_level::error, "job.blocked",
        fmt::format("{} {}: {}", why.code.empty() ? why.error_class : why.code, why.detail, why.help),
        {{"job_id", intake_.spec.id}, {"class", why.error_class}, {"code", why.code}});
    if (!journal_.dead() && !finishing_) {
        write_blocked(chain_, journal_.buffer(), wall_now(), why.error_class, why.code, why.detail, why.help);
        journal_.commit_soon();
    }
    paused_before_block_ = state_ == job_state::paused;
    state_ = job_state::blocked;
    blocked_ = std::move(why);
    with_.announce({.kind = notification_kind::blocked,
                    .job_id = intake_.spec.id,
                    .file = intake_.source.file,
                    .totals = shown_,
                    .labels = intake_.spec.labels,
                    .error_class = blocked_->error_class,
                    .code = blocked_->code,
                    .detail = blocked_->detail,
                    .help = blocked_->help});
    with_.jobs_changed();
}

void active_job::unblock(std::string_view why) {
    if (state_ != job_state::blocked || journal_.dead()) return;
    if (untold_) return tell_ledger();  // which comes back here
    blocked_.reset();
    probe_at_.reset();
    probing_ = false;
    state_ = paused_before_block_ ? job_state::paused : job_state::running;
    if (finishing_) {
        // Not before job.finished is durable, which calls it by itself.
        if (!finish_upto_) file_away();
        return;
    }
    log(log_level::info, "job.unblocked", why, {{"job_id", intake_.spec.id}});
    write_unblocked(chain_, journal_.buffer(), wall_now(), why);
    journal_.commit_now();
    read_due();
    follow_up();
    with_.jobs_changed();
}

}  // namespace culld

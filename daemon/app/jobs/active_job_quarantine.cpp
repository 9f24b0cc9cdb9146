// What keeps a job from going on, and how it goes on or ends all the same: the probes of a blocked job, asks,
// also those that are refused or that nobody answers, ids that are protected by now.

#include <fmt/format.h>

#include <utility>

#include "culld/app/jobs/active_job.hpp"
#include "culld/io/os/log.hpp"

namespace culld {

void active_job::on_lookup_answered(const batch* b, presence answer) {
    if (journal_.dead()) return return_unsent(b);
    answered_ = true;
    heard();
    ++answers_;
    record_verdicts(plan_.on_lookup_answered(b, answer, steady_now(), with_.chance()));
    probe_ended(true);
    follow_up();
}

void active_job::on_lookup_failed(const batch* b, plan::miss how, steady_time earliest) {
    if (journal_.dead()) return return_unsent(b);
    record_verdicts(plan_.on_failed(b, how, steady_now(), earliest, with_.chance()));
    probe_ended(false);
    follow_up();
}

void active_job::on_lookup_refused(const batch* b, bool for_all, std::string_view code, std::string_view detail) {
    if (journal_.dead()) return return_unsent(b);
    if (!std::exchange(asks_refused_, true)) {
        std::string singular = intake_.spec.resource;
        if (singular.ends_with('s')) singular.pop_back();
        log(log_level::warn, "asks.refused",
            fmt::format(
                "the API does not say whether an id is gone ({}{}{}): ids end as they would have without asking{}",
                code, code.empty() ? "" : ": ", detail,
                for_all ? fmt::format("; give this identity the permission secmaster:{}:get", singular) : ""),
            {{"job_id", intake_.spec.id}, {"code", code}});
    }
    heard();
    ++answers_;
    record_verdicts(plan_.on_lookup_refused(b, for_all));
    probe_ended(false);
    follow_up();
}

void active_job::withhold(const batch* b, const std::vector<std::uint32_t>& indices) {
    if (journal_.dead()) return return_unsent(b);
    log(log_level::warn, "ids.protected",
        fmt::format("{} ids of a batch are protected by now: they are not sent", indices.size()),
        {{"job_id", intake_.spec.id}});
    record_verdicts(plan_.withhold(b, indices, steady_now()));
    // On record before anything else is sent.
    withheld_due_ = !due_.empty();
    begins_at_ = journal_.appended();
    journal_.commit_now();
    probing_ = false;
    follow_up();
}

// A job that is being stopped has only its end before it: what may have been deleted is still asked for, paused or not,
// and whatever the API answered to a deletion. What nobody can be asked for ends as it is.
void active_job::leave_for_the_end() {
    heard();
    paused_before_block_ = false;
    if (state_ == job_state::paused) state_ = job_state::running;
    if (!blocked_ || blocked_by_disk()) return;
    if (blocked_->cause == block_cause::credentials) record_verdicts(plan_.end_asking());
    blocked_.reset();
    probe_at_.reset();
    probing_ = false;
    state_ = job_state::running;
    write_unblocked(chain_, journal_.buffer(), wall_now(), "the job is being ended");
}

void active_job::block_for_all(const error_answer& why) {
    block({std::string(why.error_class), why.code,
           "every id of the first batch was refused alone, and none has ever passed: " + why.message,
           "look whether workspace_id, the resource and the kind of ids are those that are meant", block_cause::ids});
}

void active_job::check_end() {
    if (!ending() || journal_.dead() || blocked_by_disk()) return;
    if (stop_reason_ != skip_reason::cancelled && stop_reason_ != skip_reason::deadline) return;
    // So long, and for as long as a few requests take.
    constexpr auto patience = std::chrono::seconds(30);
    const std::chrono::duration<double> some_requests(3 / with_.settings->limits.requests_per_second);
    if (steady_now() - heard_at_ < patience + std::chrono::duration_cast<nanoseconds>(some_requests)) return;
    if (!plan_.asking()) return;
    log(log_level::warn, "asks.unanswered", "nobody answers whether ids are gone, and the job is being ended without",
        {{"job_id", intake_.spec.id}});
    record_verdicts(plan_.end_asking());
    follow_up();
    journal_.commit_now();
}

void active_job::probe_ended(bool well) {
    if (!std::exchange(probing_, false) || state_ != job_state::blocked) return;
    if (well)
        unblock("the API takes requests again");
    else
        probe_at_ = steady_now() + with_.settings->retry.blocked_probe;
}

}  // namespace culld

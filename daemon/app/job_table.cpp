#include "culld/app/job_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "culld/app/sender.hpp"
#include "culld/core/exit_code.hpp"

namespace culld {

namespace {
constexpr std::size_t finished_max = 1000;  // the ledger knows the others
}  // namespace

void job_table::add(std::unique_ptr<job_run> job) {
    const std::string id = job->spec().id;
    stuck_.erase(id);
    running_[id] = std::move(job);
}

void job_table::set_aside(stuck_job job) {
    const std::string id = job.job_id;
    // What was told of it is durable, and stays so.
    if (const auto before = stuck_.find(id); before != stuck_.end()) job.totals = before->second.totals;
    stuck_[id] = std::move(job);
}

std::vector<std::string> job_table::reap(sender& from) {
    std::vector<std::string> to_recover;
    for (auto it = running_.begin(); it != running_.end();) {
        job_run& job = *it->second;
        const bool over = job.state() == job_state::finished;
        if (!(over || job.journal_dead()) || !job.idle() || !job.disk_quiet()) {
            ++it;
            continue;
        }
        from.remove(job);
        if (over) {
            finished_.push_back({job.spec().id, job.intake().source.file, job.status(), job.totals(), job.accepted_at(),
                                 job.finished_at().value_or(job.accepted_at())});
            if (finished_.size() > finished_max) finished_.pop_front();
            worst_ = std::max<int>(worst_, exit_code_of(job.status()));
            ++counted.finished[job.status()];
            const job_totals& t = job.totals();
            job_totals& sum = counted.ids;
            sum.ids += t.ids, sum.deleted += t.deleted, sum.absent += t.absent, sum.failed += t.failed,
                sum.skipped += t.skipped;
            for (const auto& [reason, n] : job.failed_by_reason()) counted.failed_by_reason[reason] += n;
            const std::chrono::duration<double> took = finished_.back().finished_at - job.accepted_at();
            counted.durations.seen(std::max(0.0, took.count()));
        } else {
            to_recover.push_back(it->first);
            set_aside({job.spec().id, job.intake().source.file,
                       job.blocked().value_or(block_facts{"journal", "", "", ""}), false, job.totals()});
        }
        it = running_.erase(it);
    }
    return to_recover;
}

job_run* job_table::find(std::string_view job_id) {
    const auto it = running_.find(job_id);
    return it == running_.end() ? nullptr : it->second.get();
}

void job_table::forget_stuck(std::string_view job_id) {
    if (const auto it = stuck_.find(job_id); it != stuck_.end()) stuck_.erase(it);
}

bool job_table::all_stuck() const {
    return std::all_of(running_.begin(), running_.end(), [](const auto& entry) {
        const job_run& job = *entry.second;
        return job.idle() && (job.state() == job_state::blocked || job.state() == job_state::paused);
    });
}

std::string job_table::status_line(steady_time now) const {
    std::uint64_t left = 0;
    const job_run* first = nullptr;
    for (const auto& [id, job] : running_) {
        left += job->totals().ids - job->totals().settled();
        if (first == nullptr && job->state() == job_state::running) first = job.get();
    }
    if (first == nullptr) return open() == 0 ? "idle" : fmt::format("{} jobs open, none running", open());
    const job_totals& t = first->totals();
    return fmt::format("{}: {}/{} ids, {} failed, {:.0f} ids/s; {} jobs open, {} ids left", first->spec().id,
                       t.settled(), t.ids, t.failed, first->rate_now(now), open(), left);
}

void job_table::disk_hangs(bool hangs) {
    for (const auto& [id, job] : running_) {
        if (hangs && !job->blocked())
            job->block({"journal", "", "the disk does not answer",
                        "look at the disk that journal.dir is on; culld goes on by itself when it answers"});
        else if (!hangs && job->waits_for_disk())
            job->unblock("the disk answers again");
    }
}

}  // namespace culld

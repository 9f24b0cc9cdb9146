#include "culld/app/jobs/job_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "culld/core/base/exit_code.hpp"
#include "culld/io/os/log.hpp"

namespace culld {

namespace {
constexpr std::size_t finished_max = 1000;  // the ledger knows the others

void add_verdicts(job_totals& to, const job_totals& of) {
    to.deleted += of.deleted;
    to.absent += of.absent;
    to.failed += of.failed;
    to.skipped += of.skipped;
}

void add_reasons(reason_counts& to, const reason_counts& of) {
    for (const auto& [reason, n] : of) to[reason] += n;
}
}  // namespace

notification notification_of(const quarantined_job& job) {
    return {.kind = notification_kind::blocked,
            .job_id = job.job_id,
            .file = job.file,
            .error_class = job.why.error_class,
            .code = job.why.code,
            .detail = job.why.detail,
            .help = job.why.help};
}

void job_table::add(std::unique_ptr<active_job> job) {
    const std::string id = job->spec().id;
    // One that comes back from being set aside keeps what it came with: nothing, where it was begun by us.
    const auto aside = quarantined_.find(id);
    const bool ran_here = aside != quarantined_.end() && aside->second.left;
    if (!job->fresh() && !ran_here) before_us_.try_emplace(id, job->totals());
    quarantined_.erase(id);
    ++open_of_[job->submitter()];
    running_[id] = std::move(job);
}

void job_table::quarantine(quarantined_job job) {
    const std::string id = job.job_id;
    // What was told of it is durable, and stays so.
    if (const auto before = quarantined_.find(id); before != quarantined_.end()) {
        job.totals = before->second.totals;
        job.accepted_at = before->second.accepted_at;
        if (job.file.empty()) {
            job.file = before->second.file;
            job.active_file = before->second.active_file;
            job.active_list = before->second.active_list;
        }
        if (!job.left) job.left = before->second.left;
        if (!job.uid) job.uid = before->second.uid;
        if (!job.to_end) job.to_end = before->second.to_end;
    }
    quarantined_[id] = std::move(job);
}

std::vector<std::string> job_table::reap(const std::function<void(active_job&)>& leaves) {
    std::vector<std::string> to_recover;
    for (auto it = running_.begin(); it != running_.end();) {
        active_job& job = *it->second;
        const bool over = job.state() == job_state::finished;
        if (!(over || job.journal_dead()) || !job.idle() || !job.disk_quiet()) {
            ++it;
            continue;
        }
        leaves(job);
        // The next run of it begins at none.
        add_reasons(counted.failed_by_reason, job.failed_by_reason());
        if (over) {
            finished_.push_back({job.spec().id, job.intake().source.file, job.status(), job.totals(), job.accepted_at(),
                                 job.finished_at().value_or(job.accepted_at()), job.submitter()});
            if (finished_.size() > finished_max) finished_.pop_front();
            add_verdicts(counted.verdicts, ours(it->first, job.totals()));
            before_us_.erase(it->first);
            if (!job.told_before()) {
                worst_ = std::max<int>(worst_, exit_code_of(job.status()));
                ++counted.finished[job.status()];
                const std::chrono::duration<double> took = finished_.back().finished_at - job.accepted_at();
                counted.durations.seen(std::max(0.0, took.count()));
            }
        } else {
            if (!job.journal_bent()) to_recover.push_back(it->first);
            quarantine({job.spec().id, job.intake().source.file,
                        job.blocked().value_or(block_facts{"journal", "", "", ""}), job.journal_bent(), job.totals(),
                        job.accepted_at(), job.active_file(), job.active_list(), job.leave_journal(), job.submitter()});
        }
        if (--open_of_[job.submitter()] == 0) open_of_.erase(job.submitter());
        it = running_.erase(it);
    }
    return to_recover;
}

std::size_t job_table::to_go_on_with() const {
    const auto entered = static_cast<std::size_t>(
        std::count_if(running_.begin(), running_.end(), [](const auto& job) { return job.second->told_before(); }));
    if (entered > 0)
        log(log_level::info, "ledger.entering",
            fmt::format("{} jobs that were over before have no line in the ledger, and get one", entered));
    return open() - entered;
}

std::size_t job_table::open_of(std::uint32_t uid) const {
    const auto it = open_of_.find(uid);
    return it == open_of_.end() ? 0 : it->second;
}

active_job* job_table::find(std::string_view job_id) {
    const auto it = running_.find(job_id);
    return it == running_.end() ? nullptr : it->second.get();
}

std::string job_table::forget_quarantined(std::string_view job_id) {
    const auto it = quarantined_.find(job_id);
    if (it == quarantined_.end()) return {};
    add_verdicts(counted.verdicts, ours(it->first, it->second.totals));
    before_us_.erase(it->first);
    std::string file = std::move(it->second.active_file);
    quarantined_.erase(it);
    return file;
}

std::optional<journal_mark> job_table::left_of(std::string_view job_id) const {
    const auto it = quarantined_.find(job_id);
    return it == quarantined_.end() ? std::nullopt : it->second.left;
}

void job_table::end_stuck(std::string_view job_id, end_order by) {
    if (const auto it = quarantined_.find(job_id); it != quarantined_.end() && !it->second.to_end)
        it->second.to_end = std::move(by);
}

std::optional<end_order> job_table::end_of(std::string_view job_id) const {
    const auto it = quarantined_.find(job_id);
    return it == quarantined_.end() ? std::nullopt : it->second.to_end;
}

job_totals job_table::ours(const std::string& job_id, const job_totals& all) const {
    const auto before = before_us_.find(job_id);
    if (before == before_us_.end()) return all;
    job_totals out = all;
    const auto less = [](std::uint64_t& n, std::uint64_t by) { n -= std::min(n, by); };
    less(out.deleted, before->second.deleted);
    less(out.absent, before->second.absent);
    less(out.failed, before->second.failed);
    less(out.skipped, before->second.skipped);
    return out;
}

job_totals job_table::verdicts() const {
    job_totals sum = counted.verdicts;
    for (const auto& [id, job] : running_) add_verdicts(sum, ours(id, job->totals()));
    for (const auto& [id, job] : quarantined_) add_verdicts(sum, ours(id, job.totals));
    return sum;
}

reason_counts job_table::failed_by_reason() const {
    reason_counts sum = counted.failed_by_reason;
    for (const auto& [id, job] : running_) add_reasons(sum, job->failed_by_reason());
    return sum;
}

bool job_table::all_stuck() const {
    return std::all_of(running_.begin(), running_.end(), [](const auto& entry) {
        const active_job& job = *entry.second;
        return job.idle() && (job.state() == job_state::blocked || job.state() == job_state::paused);
    });
}

std::string job_table::status_line(steady_time now) const {
    std::uint64_t left = 0;
    const active_job* first = nullptr;
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

// All jobs the daemon knows: those that run, those set aside because their journal cannot be trusted or read, and the
// last finished ones. Owns them. Loop thread.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culld/app/context/services.hpp"
#include "culld/app/jobs/active_job.hpp"
#include "culld/core/base/histogram.hpp"

namespace culld {

// A job that cannot run: its journal is damaged, or its disk does not answer.
struct quarantined_job {
    std::string job_id;
    std::string file;
    block_facts why;
    bool damaged = false;                       // never repaired, never tried again; else tried again every few seconds
    job_totals totals{};                        // as they were last told; none if this process never read its journal
    std::optional<wall_time> accepted_at = {};  // where that is known
    std::string active_file = {}, active_list = {};  // in active/; empty: its journal does not tell, or has none
    std::optional<journal_mark> left = {};           // what its next run must find
    std::optional<std::uint32_t> uid = {};           // the submitter's, likewise
    std::optional<end_order> to_end = {};            // it is ended as soon as its journal can be read
};

[[nodiscard]] notification notification_of(const quarantined_job& job);

// What is left of a job when it is over.
struct finished_job {
    std::string job_id, file, status;
    job_totals totals;
    wall_time accepted_at, finished_at;
    std::uint32_t uid = 0;  // the submitter's
};

class job_table {
  public:
    void add(std::unique_ptr<active_job> job);
    void quarantine(quarantined_job job);
    // Moves what is over out of the way; returns jobs whose journal is dead and which nobody uses any more: to be
    // recovered from the disk. `from` forgets them.
    std::vector<std::string> reap(const std::function<void(active_job&)>& leaves);

    [[nodiscard]] active_job* find(std::string_view job_id);
    [[nodiscard]] const std::map<std::string, std::unique_ptr<active_job>, std::less<>>& running() const {
        return running_;
    }
    [[nodiscard]] const std::map<std::string, quarantined_job, std::less<>>& quarantined() const {
        return quarantined_;
    }
    [[nodiscard]] const std::deque<finished_job>& finished() const { return finished_; }
    // It is a job no more, and will not be run either. Its file in active/, where that is known.
    std::string forget_quarantined(std::string_view job_id);
    // What the next run of a job that is set aside must find; none where nothing is known of it.
    [[nodiscard]] std::optional<journal_mark> left_of(std::string_view job_id) const;
    // Without those that were over before: a ledger that was begun anew gets their lines, and the log says so.
    [[nodiscard]] std::size_t to_go_on_with() const;
    void end_stuck(std::string_view job_id, end_order by);
    [[nodiscard]] std::optional<end_order> end_of(std::string_view job_id) const;
    [[nodiscard]] std::size_t open() const { return running_.size() + quarantined_.size(); }
    // Those that run, of one submitter.
    [[nodiscard]] std::size_t open_of(std::uint32_t uid) const;
    // So few that each may hold some of its ids before its turn comes.
    [[nodiscard]] bool few() const { return open() < 16; }
    // No job can get on by itself; so it is where there are none.
    [[nodiscard]] bool all_stuck() const;
    // One line for systemd's status: the first job that runs, and how much is left of all.
    [[nodiscard]] std::string status_line(steady_time now) const;
    // Nothing can be written, and no error says so: jobs that run are shown as what they are, until it can.
    void disk_hangs(bool hangs);

    // The worst of what finished jobs ask of --once's exit code: 0, 1, 2.
    [[nodiscard]] int worst() const { return worst_; }
    struct counters {
        std::uint64_t accepted = 0, rejected = 0;
        std::map<std::string, std::uint64_t> finished;  // by status
        job_totals verdicts;                            // of jobs that are not here any more, by this process
        reason_counts failed_by_reason;                 // of runs that are not
        histogram<job_steps> durations;                 // of finished jobs, from accepted to finished
    };
    counters counted;

    // Verdicts that this process recorded, of all jobs, whatever became of them: what was told once is told again, so
    // that neither sum ever falls; and what a process before this one told is not.
    [[nodiscard]] job_totals verdicts() const;
    [[nodiscard]] reason_counts failed_by_reason() const;  // of this process's runs

  private:
    [[nodiscard]] job_totals ours(const std::string& job_id, const job_totals& all) const;

    std::map<std::string, std::unique_ptr<active_job>, std::less<>> running_;
    std::map<std::string, quarantined_job, std::less<>> quarantined_;
    std::map<std::uint32_t, std::size_t> open_of_;
    std::map<std::string, job_totals, std::less<>> before_us_;  // of open jobs that a process before this one began
    std::deque<finished_job> finished_;
    int worst_ = 0;
};

}  // namespace culld

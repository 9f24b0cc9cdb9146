// Finding at start, and after a disk that failed, what a journal on disk says of its job, and making a run of it again
// (contract, promise 2). Blocking; any thread, the caller's turn only.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "culld/app/context/checkpoints.hpp"
#include "culld/app/jobs/active_job.hpp"
#include "culld/app/jobs/job_table.hpp"
#include "culld/io/ids/intake.hpp"

namespace culld {

// Jobs to be gone on with: journals whose jobs the ledger does not call finished, jobs that it calls accepted whether
// they have a journal or not, and finished ones whose filing was not completed.
[[nodiscard]] result<std::vector<std::string>> open_jobs(const folder& journals, const folder& plans,
                                                         const ledger_file& ledger);

struct ready_to_run {
    job_state_record seed;
    std::optional<id_store> ids;  // none for a job that only has to be filed, or to end without its list
};
struct never_accepted {};  // the journal holds no whole first record: nothing was ever sent, and it was removed

using recovered = std::variant<ready_to_run, never_accepted, quarantined_job>;

// Reads the journal (from its last checkpoint on, where it is large), opens the id store, or makes it anew from the
// job's files in active/ where it is gone or damaged. `left`: what the run before this one, of the same process, left.
// A journal that lacks some of that is damaged, however sound it looks; another file is waited for until it is, byte
// for byte, the one that was written. One that the ledger does not vouch for is damaged too (core/journal/acceptance).
// A job that has but to end (`to_end`, or by its journal or deadline, where the list is lost) needs no list.
[[nodiscard]] recovered recover_job(const std::string& job_id, const folder& journals, const ledger_file& ledger,
                                    const spool& files, const intake_surroundings& around,
                                    const checkpoint_rules& checkpoints,
                                    const std::optional<journal_mark>& left = std::nullopt,
                                    const std::optional<end_order>& to_end = std::nullopt);

// Files in active/ that are none of `of_jobs`: taken, but not accepted before the end. `all_known`: those are all jobs
// there are, so that copies which have not got their place by now are left over, and removed.
[[nodiscard]] result<std::vector<std::string>> files_without_job(const spool& files,
                                                                 const std::set<std::string>& of_jobs, bool all_known);

// A journal that was replaced or cut may look sound when it is read again, after a restart most of all, and one that
// was removed is no journal then: its job would begin anew. So a note is left beside the store. One that is bent is set
// aside until somebody removes the note; one that is gone until it is back.
struct evidence {
    bool bent = false;                           // else it is gone
    std::uint64_t bytes = 0;                     // were durable
    std::string file, active_file, active_list;  // of the job; the last may be empty
    std::string why;
};
[[nodiscard]] result<void> leave_evidence(const folder& plans, const std::string& job_id, const evidence& what);
[[nodiscard]] result<std::optional<evidence>> evidence_of(const folder& plans, const std::string& job_id);
[[nodiscard]] result<bool> forget_evidence(const folder& plans, const std::string& job_id);
[[nodiscard]] std::string evidence_help(const folder& plans, const std::string& job_id);

// To the log, and to whoever wants to be told.
void log_recovered(const job_state_record& job);
void tell_of_stuck(const daemon_context& with, const quarantined_job& job);
// What an operator should know of a ledger that was just opened goes to the log.
void warn_of(const ledger_file& ledger);
// A ledger line's hash, whatever log.level says: what lies in the log is out of our own reach. Any thread.
void log_ledger_line(const ledger_file::line& line);

// Files in active/ that are not taken, since one of them may belong to a job that cannot be read.
void say_left_alone(const std::vector<std::string>& files);

}  // namespace culld

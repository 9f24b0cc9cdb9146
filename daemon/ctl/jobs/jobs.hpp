// Jobs as the daemon tells of them, or, where it does not run, as journals and ledger do: the same answers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/journal/journal_folder.hpp"
#include "ctl/ui/context.hpp"
#include "culld/core/status/job_view.hpp"

namespace culld::ctl {

// GET /v1/jobs/ID (contract, section 7), or what the journals say.
struct job_facts : job_view {
    bool from_daemon = false;
    // The daemon tells of files, too, that it knows of and that are no jobs yet.
    [[nodiscard]] bool is_file() const { return job_id.empty() && !finished(); }
    std::string json;  // the object, as it came or in the same form
};

// Those the daemon tells of (it remembers the last finished ones), else those of the journals; the oldest
// first.
[[nodiscard]] outcome<std::vector<job_facts>> all_jobs(const context& with);
// Those of the journals, with the daemon's word where it has one.
[[nodiscard]] outcome<std::vector<job_facts>> all_jobs_ever(const context& with);
// Without asking the daemon. An open journal that is damaged shows as a blocked job; one that is not waits for a
// daemon.
[[nodiscard]] outcome<std::vector<job_facts>> jobs_from_journals(const context& with);

// The one that `name` means: a job's id, the file's name (its open job, else what became of the newest of that name:
// its job, or its rejection, which shows as finished with status "rejected"). Whole: an answer about another job must
// not pass for one about this.
[[nodiscard]] outcome<job_facts> find_job(const context& with, std::string_view name);

// A file that was rejected.
struct rejected_file {
    std::string file, job_id, error;  // job_id may be empty
    std::string at;                   // RFC 3339
};
// The newest first, at most `most`: by the ledger, else by rejected/, else none.
[[nodiscard]] std::vector<rejected_file> rejected_files(const context& with, std::size_t most);

// The id alone, for verbs that read journals: they need no daemon.
[[nodiscard]] outcome<std::string> find_journal(const context& with, const folder& dir, std::string_view name);

// A file in the drop box that is no job yet, as far as this user may look there, and why where that shows from here.
struct waiting_file {
    std::string file, why, since;  // since: RFC 3339
};
// The oldest first. `jobs`: those that are known.
[[nodiscard]] std::vector<waiting_file> waiting_files(const context& with, const std::vector<job_facts>& jobs);

// The place of the one that `name` means in `jobs`; jobs.size() if none, with `why`, which
// names those that begin so.
[[nodiscard]] std::size_t match(std::string_view name, const std::vector<job_facts>& jobs, problem& why);

[[nodiscard]] outcome<folder> open_journals(const context& with);

}  // namespace culld::ctl

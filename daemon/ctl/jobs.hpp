// Jobs as the daemon tells of them, or, where it does not run, as journals and ledger do: the same answers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "context.hpp"
#include "culld/core/totals.hpp"
#include "journal_folder.hpp"

namespace culld::ctl {

// GET /v1/jobs/ID (contract, section 7).
struct job_facts {
    std::string job_id;
    std::string file;
    std::string state;   // waiting, running, paused, blocked, finished
    std::string status;  // of a finished job, else empty
    job_totals totals;
    std::uint64_t in_flight = 0;
    std::uint64_t remaining = 0;
    double rate = 0;  // ids a second
    std::optional<double> eta_seconds;
    std::string reason;       // why it is paused, blocked or was cancelled; of a rejected file the error
    std::string help;         // of a blocked one: what to do about it
    std::string accepted_at;  // RFC 3339, may be empty
    std::string finished_at;
    bool from_daemon = false;
    std::string json;  // the object, as it came or in the same form

    [[nodiscard]] bool finished() const { return state == "finished"; }
};

// Those the daemon tells of (it remembers the last finished ones), else those of the journals; the oldest
// first.
[[nodiscard]] outcome<std::vector<job_facts>> all_jobs(const context& with);
// Those of the journals, with the daemon's word where it has one.
[[nodiscard]] outcome<std::vector<job_facts>> all_jobs_ever(const context& with);
// Without asking the daemon. An open journal that is damaged shows as a blocked job.
[[nodiscard]] outcome<std::vector<job_facts>> jobs_from_journals(const context& with);

// The one that `name` means: a job's id, the file's name (its newest job), or the beginning of exactly one
// id. A file that was rejected is found by its name too, as finished with status "rejected".
[[nodiscard]] outcome<job_facts> find_job(const context& with, std::string_view name);

// How a job may be named to find_journal.
enum class naming {
    by_beginning,  // as find_job has it
    in_full,       // its id or its file, whole: an answer about another job must not pass for one about this
};
// The id alone, for verbs that read journals: they need no daemon.
[[nodiscard]] outcome<std::string> find_journal(const context& with, const folder& dir, std::string_view name,
                                                naming rule = naming::by_beginning);

// `jobs` as a table for people.
void print_table(const context& with, const std::vector<job_facts>& jobs);
// One job in full, for people.
void print_job(const context& with, const job_facts& job);

[[nodiscard]] outcome<folder> open_journals(const context& with);

}  // namespace culld::ctl

// What a report tells about one job, gathered from its journal and the ledger in one reading. Memory holds sums,
// never ids: the rows of failed ids and of events are streamed by later readings (see read_again).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ctl/journal/journal_folder.hpp"
#include "ctl/ui/context.hpp"
#include "culld/core/base/widening_counts.hpp"
#include "culld/core/job/job_spec.hpp"

namespace culld::ctl {

struct named_text {
    std::string name, text;
};

enum class signature_state {
    no_key,      // no public key was given: nothing is known
    not_signed,  // the ledger's line has none
    good,
    bad,           // it is another's
    before_key,    // none: the line is from before signing began, which a signed line says
    not_finished,  // the ledger has no line about the job yet
};

enum class ledger_sight {
    open,
    withheld,  // the daemon handed out the journal alone, to the job's submitter
};

// What the report says of journal and ledger as a whole.
enum class trust {
    broken,      // something speaks against it
    unfinished,  // nothing does, but nothing vouches for the journal's end yet
    unvouched,   // nothing does; what vouches for its end is not this user's to read
    older,       // whole, and no signature of its own though a key is given: from before there was one
    intact,
};
[[nodiscard]] std::string_view text_of(trust t);

// Series of report_facts::verdicts and ::traffic.
enum : std::size_t { deleted_series, absent_series, failed_series, skipped_series, verdict_series };
enum : std::size_t { answered_series, throttled_series, error_series, traffic_series };

struct report_facts {
    std::string job_id;  // the journal's name; what the journal says of itself is in journal.summary

    // job.accepted
    std::string project_id, workspace_id, resource, culld, config_sha256, modified_at;
    std::optional<std::uint64_t> uid, gid;
    source_facts source;
    std::optional<source_facts> list;
    std::vector<named_text> options, labels;
    std::string options_json = "{}", labels_json = "{}";  // the same as they stand in the record

    // The whole journal.
    widening_counts verdicts{verdict_series};                      // ids
    widening_counts traffic{traffic_series};                       // requests
    std::map<std::string, std::uint64_t> failed, skipped, errors;  // by reason; requests by class
    std::uint64_t events = 0;                                      // see is_event
    journal_report journal;

    // The ledger.
    ledger_sight sight = ledger_sight::open;
    std::uint64_t ledger_records = 0;
    std::optional<ledger_entry> entry;
    signature_state signature = signature_state::not_finished;
    std::vector<problem> findings;  // whatever speaks against journal or ledger

    [[nodiscard]] bool sound() const { return findings.empty(); }
    [[nodiscard]] trust believed() const;
    [[nodiscard]] bool finished() const { return !journal.summary.finished_at.empty(); }
};

// The same checks as verify's about this job. What is wrong is in `findings`; a failure is the disk's, or the key's.
// `rules.keys` is set here.
[[nodiscard]] outcome<report_facts> gather_facts(const context& with, const folder& dir, const std::string& job_id,
                                                 ledger_rules rules, ledger_sight sight);

// Records that tell what people did, and what held the job up or broke it off.
[[nodiscard]] bool is_event(record_type type);

// Shows the records that `facts` rests on once more. Exit 75 if the journal is not the same any more.
[[nodiscard]] outcome<void> read_again(const folder& dir, const std::string& job_id, const report_facts& facts,
                                       const record_visitor& visit);

}  // namespace culld::ctl

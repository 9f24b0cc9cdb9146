// What a journal must hold to be believed, beyond its chain: a checker fed record by record that proves the
// promises of contract section 3 for one job. It needs the journal alone: neither the id list nor the daemon.
//
// Proved: job.accepted comes first and once; nothing was sent that was not intended before; every position
// has at most one verdict, in a finished job exactly one; the ids named agree in number with the positions
// named; nothing follows job.finished; totals and status are those the records add up to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/interval_set.hpp"
#include "culld/core/journal_read.hpp"
#include "culld/core/problem.hpp"

namespace culld {

// What one journal says, as far as it was fed.
struct audit_summary {
    std::string job_id;
    std::string file;
    std::string accepted_at;  // ts of job.accepted; empty before it
    std::string finished_at;  // empty: not finished
    std::string status;       // of job.finished
    job_totals totals;        // counted from the records; ids and duplicates from job.accepted
    std::string state;        // waiting, running, paused, blocked, finished: as the records leave it
    std::string reason;       // of the last pause, block or cancellation that is in force
    [[nodiscard]] std::uint64_t remaining() const {
        return totals.ids - totals.deleted - totals.absent - totals.failed - totals.skipped;
    }
};

class journal_audit {
  public:
    // The next record, in order; `line` counts from 1.
    void feed(const record_view& record, std::uint64_t line);
    // No further record comes. `must_be_finished`: the ledger names the job, so a journal that does not end
    // in job.finished was cut.
    void end(bool must_be_finished);

    // At most 100; `more` counts those left out.
    [[nodiscard]] const std::vector<problem>& findings() const { return findings_; }
    [[nodiscard]] std::uint64_t more() const { return more_; }
    [[nodiscard]] bool sound() const { return findings_.empty(); }
    [[nodiscard]] const audit_summary& summary() const { return summary_; }
    // Positions that have their verdict.
    [[nodiscard]] const interval_set& settled() const { return settled_; }

  private:
    void find(std::string what);
    void accepted(const record_view& record);
    void intent(const record_view& record);
    void batch_result(const record_view& record);
    void batch_error(const record_view& record);
    void verdict(const record_view& record, std::uint64_t& total, bool needs_intent);
    void finished(const record_view& record);
    // Settles `at`; complains of positions that have a verdict already.
    void settle(const spans& at, std::uint64_t& total);
    // Positions of a list of ids, number checked; empty after a complaint.
    spans positions_of(const record_view& record, std::string_view list, std::string_view at);
    bool within(const spans& at);
    void need_intent(const spans& at, std::string_view doing);
    void count_request(const spans& at, std::uint64_t attempt);

    std::uint64_t line_ = 0;
    bool accepted_ = false;
    bool finished_ = false;
    bool verify_all_ = false;
    bool dry_run_ = false;
    bool cancelled_ = false;
    std::string last_skip_;  // reason of the last ids.skipped other than protected and dry_run
    std::uint64_t skipped_other_ = 0;
    interval_set intended_;
    interval_set settled_;
    interval_set reported_;  // with verify: all, what the API calls deleted and awaits its check
    audit_summary summary_;
    std::vector<problem> findings_;
    std::uint64_t more_ = 0;
};

// What a ledger line says against what the journal it names holds; empty if they agree. `head` as hex.
[[nodiscard]] std::vector<problem> compare_with_ledger(const ledger_entry& entry,
                                                       const audit_summary& journal, std::uint64_t records,
                                                       std::string_view head);

}  // namespace culld

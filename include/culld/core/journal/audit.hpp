// What a journal must hold to be believed, beyond its chain: a checker fed record by record that proves the
// promises of contract section 3 for one job. It needs the journal alone: neither the id list nor the daemon.
//
// Proved: job.accepted comes first and once; nothing was sent that was not intended before; every position
// has at most one verdict, in a finished job exactly one; the ids named agree in number with the positions
// named; nothing follows job.finished; totals and status are those the records add up to.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/base/interval_set.hpp"
#include "culld/core/base/problem.hpp"
#include "culld/core/journal/journal_read.hpp"

namespace culld {

// What one journal says, as far as it was fed.
struct audit_summary {
    std::string job_id;
    std::string file;
    std::string accepted_at;          // ts of job.accepted; empty before it
    std::string finished_at;          // empty: not finished
    std::string status;               // of job.finished
    job_totals totals;                // counted from the records; ids and duplicates from job.accepted
    std::string state;                // waiting, running, paused, blocked, finished: as the records leave it
    std::string reason;               // of the last pause, block or cancellation that is in force
    std::string help;                 // while it is blocked: what would help
    std::optional<person> paused_by;  // of the last pause
    struct order {
        std::uint64_t record = 0;  // seq
        record_type type = record_type::unknown;
        person by;
    };
    std::vector<order> orders;  // what people ordered
    [[nodiscard]] std::uint64_t remaining() const { return totals.ids - std::min(totals.ids, totals.settled()); }
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
    // The value, or its default after a complaint.
    template <class T>
    T need(result<T> got);
    void accepted(const record_view& record);
    void intent(const record_view& record);
    void batch_result(const record_view& record);
    void batch_error(const record_view& record);
    void verdict(const record_view& record, std::uint64_t& total);
    void skipped(const record_view& record);
    void checkpoint(const record_view& record);
    void finished(const record_view& record);
    void status_fits();
    void counts_fit(const job_totals& claimed);
    // Settles `at`; complains of positions that have a verdict already.
    void settle(const spans& at, std::uint64_t& total);
    // The positions a record names: in range, as many as the ids listed under `list`.
    spans positions_of(const record_view& record, std::string_view list);
    // How many ids stand under `list`; complains if it is no list of strings.
    std::uint64_t listed(const record_view& record, std::string_view list);
    void need_intent(const spans& at);
    // A request for `at` that surely, or perhaps, went out.
    void count_request(const spans& at, bool surely);

    std::uint64_t line_ = 0;
    bool accepted_ = false;
    bool finished_ = false;
    bool verify_all_ = false;
    bool dry_run_ = false;
    bool has_deadline_ = false;
    bool has_abort_rule_ = false;
    bool cancelled_ = false;
    bool paused_ = false;
    bool blocked_ = false;
    std::uint64_t skipped_unprotected_ = 0;
    interval_set intended_;
    interval_set settled_;
    interval_set reported_;  // with verify: all, what the API called deleted at some time
    // Whether a batch.error's request went out cannot always be told from its record: counts have bounds.
    interval_set surely_sent_, perhaps_sent_;
    std::uint64_t requests_min_ = 0, requests_max_ = 0;
    std::uint64_t retries_min_ = 0, retries_max_ = 0;
    audit_summary summary_;
    std::vector<problem> findings_;
    std::uint64_t more_ = 0;
};

// What a ledger line says against what the journal it names holds; empty if they agree. `head` as hex.
[[nodiscard]] std::vector<problem> compare_with_ledger(const ledger_entry& entry, const audit_summary& journal,
                                                       std::uint64_t records, std::string_view head);

}  // namespace culld

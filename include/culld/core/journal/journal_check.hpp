// One journal, checked whole: its chain, what its records add up to, and whether it is the journal of the job whose
// name it bears. Verification, results and tests feed it line by line, from files or from memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/base/interval_set.hpp"
#include "culld/core/base/problem.hpp"
#include "culld/core/journal/audit.hpp"
#include "culld/core/journal/chain.hpp"
#include "culld/core/journal/journal_read.hpp"

namespace culld {

enum class expected_end {
    open,      // the job may go on: a torn last line is what a crash leaves, or a write under way
    finished,  // the ledger names it: it must be whole
};

struct journal_report {
    audit_summary summary;
    interval_set settled;           // positions that have their verdict
    std::vector<problem> findings;  // file and line set; empty: sound
    std::uint64_t findings_left_out = 0;
    std::uint64_t records = 0;  // good ones
    std::uint64_t bytes = 0;
    std::uint64_t torn_bytes = 0;  // of a last line that is not whole; no fault while the job is open
    std::string head;              // hex, of the last good record
    std::string first;             // hex, of the first one; empty where there is none
};

// "<job id>.jsonl"
[[nodiscard]] std::string journal_name(std::string_view job_id);

class journal_check {
  public:
    journal_check(std::string job_id, expected_end end)
        : job_id_(std::move(job_id)), end_(end), record_(std::make_unique<record_view>()) {}

    // The next line, without its newline; `ended` says whether it is whole (text_line::ended). The record, valid until
    // the next call and as long as `line`, if the chain vouches for it; null where nothing further can be believed:
    // stop then.
    const record_view* feed(std::string_view line, bool ended);
    // The same, where the line's SHA-256 was computed already.
    const record_view* feed(std::string_view line, bool ended, const digest& hash);

    // After the last line.
    [[nodiscard]] journal_report finish();

  private:
    bool torn(std::string_view line, bool ended);
    const record_view* take(result<void> fed);

    std::string job_id_;
    expected_end end_;
    chain_checker chain_;
    journal_audit audit_;
    std::unique_ptr<record_view> record_;  // a large value
    std::vector<problem> breaks_;          // of the chain: one at the most
    std::string first_;                    // journal_report::first
    std::uint64_t bytes_ = 0;
    std::uint64_t torn_bytes_ = 0;
};

// What the ledger says of the job's acceptance and of people's orders, against what its journal holds; empty if they
// agree.
[[nodiscard]] std::vector<problem> compare_with_ledger(const ledger_acceptance& accepted,
                                                       const std::vector<ledger_order>& orders,
                                                       const journal_report& journal);

}  // namespace culld

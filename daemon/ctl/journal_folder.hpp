// The journal folder read without a daemon: the ledger, and journals with all that can be checked about them.
// Shared by list, status, watch, result and verify.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "culld/core/audit.hpp"
#include "culld/core/chain.hpp"
#include "culld/core/interval_set.hpp"
#include "culld/core/journal_read.hpp"
#include "culld/io/file.hpp"

namespace culld::ctl {

inline constexpr const char* ledger_name = "ledger.jsonl";
inline constexpr const char* ledger_head_name = "ledger.head";

// "<job id>.jsonl"
[[nodiscard]] std::string journal_name(const std::string& job_id);

struct ledger_reading {
    bool there = false;
    std::vector<ledger_entry> entries;  // up to the first break
    std::vector<problem> findings;      // file and line set
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    std::string head;  // hex, of the last good line

    // The newest entry of a finished job; null if the ledger does not name it.
    [[nodiscard]] const ledger_entry* of_job(const std::string& job_id) const;
};
// An absent ledger is an empty one. Problems are the disk's; what is wrong with the ledger is in `findings`.
[[nodiscard]] result<ledger_reading> read_ledger(const folder& dir);

// Job ids that have a journal, in name order.
[[nodiscard]] result<std::vector<std::string>> journals_in(const folder& dir);

struct journal_reading {
    audit_summary summary;
    interval_set settled;
    std::vector<problem> findings;  // file and line set
    std::uint64_t findings_left_out = 0;
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    std::uint64_t torn_bytes = 0;  // of a last line that is not whole; no fault while the job is open
    std::string head;              // hex
};

enum class expected_end {
    open,      // the job may go on: a torn last line is what a crash leaves, or a write under way
    finished,  // the ledger names it: it must be whole
};

// Called for each record that the chain vouches for, in order; an error ends the reading.
using record_visitor = std::function<result<void>(const record_view&, std::uint64_t line)>;

// Reads the whole journal of `job_id`, checks chain and content, and shows each good record to `visit`.
[[nodiscard]] result<journal_reading> read_journal(const folder& dir, const std::string& job_id, expected_end end,
                                                   const record_visitor& visit = {});

// The first record alone: what was accepted. Empty if the journal holds no whole line.
struct first_record {
    std::string accepted_at, file;
};
[[nodiscard]] result<std::optional<first_record>> read_first_record(const folder& dir, const std::string& job_id);

}  // namespace culld::ctl

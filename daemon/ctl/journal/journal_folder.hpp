// The journal folder read without a daemon: the ledger, and journals with all that can be checked about them.
// Shared by list, status, watch, result and verify.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "culld/core/journal/journal_check.hpp"
#include "culld/core/journal/journal_read.hpp"
#include "culld/core/journal/ledger_check.hpp"
#include "culld/io/os/file.hpp"

namespace culld::ctl {

struct ledger_reading {
    ledger_check checked;
    bool there = false;
    std::uint64_t bytes = 0;
};
// The ledger's lines, fed to a check that is not ended. An absent ledger is an empty one. Problems are the disk's;
// what is wrong with the ledger is in `checked`.
[[nodiscard]] result<ledger_reading> read_ledger(const folder& dir, ledger_rules rules = {});
// What a file beside the ledger holds, ledger.head as a rule; none if there is no such file. `no_file` where something
// else bears the name.
struct head_file {
    std::optional<std::string> text;
    bool no_file = false;
};
[[nodiscard]] result<head_file> read_ledger_head_file(const folder& dir, const std::string& name);

// Job ids that have a journal, in name order.
[[nodiscard]] result<std::vector<std::string>> journals_in(const folder& dir);
// Job ids of which culld keeps a list that is made for sending: open ones, or on their way to it. None where that
// folder is not ours to read.
[[nodiscard]] std::vector<std::string> stores_in(const folder& dir);
// Job ids whose journal culld found gone or bent, with what it noted then.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> evidence_in(const folder& dir);

// Called for each record that the chain vouches for, in order; an error ends the reading.
using record_visitor = std::function<result<void>(const record_view&, std::uint64_t line)>;

// Reads the whole journal of `job_id`, checks chain and content, and shows each good record to `visit`. What is no
// regular file is a finding, and a line of no end too: culld writes no others.
[[nodiscard]] result<journal_report> read_journal(const folder& dir, const std::string& job_id, expected_end end,
                                                  const record_visitor& visit = {});

// The first record alone: what was accepted. Empty if the journal holds no whole line.
struct first_record {
    std::string accepted_at, file;
    std::optional<std::uint32_t> uid;  // the submitter's
};
[[nodiscard]] result<std::optional<first_record>> read_first_record(const folder& dir, const std::string& job_id);

}  // namespace culld::ctl

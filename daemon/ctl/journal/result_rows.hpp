// The rows of cullctl result: one an id, made from the journal's records as they pass. Memory holds only the
// ids that have an answer and no verdict yet (the daemon bounds those), not the job.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "culld/core/journal/journal_read.hpp"

namespace culld::ctl {

struct result_row {
    std::string_view id;
    std::string_view verdict;  // deleted, absent, failed, skipped, remaining
    std::string_view reason;   // why it failed or was skipped; get for one that was asked for
    std::uint64_t attempts = 0;
    std::uint64_t http_status = 0;  // of the last answer about it; 0: none
    std::string_view request_id;    // likewise
    std::string_view at;            // when the verdict was recorded
    std::string_view request_ids;   // of all answers about it, spaces between; the oldest ones go past 16
    std::string_view detail;        // "code: detail" of the last refusal of its batch, shortened
    bool as_before = false;         // all but the id is that of the row before
};
using row_sink = std::function<result<void>(const result_row&)>;
// Calls the sink for the ids at `at`, in order; for records that name positions only.
using id_lookup =
    std::function<result<void>(const spans& at, const std::function<result<void>(std::string_view)>& each)>;

class result_rows {
  public:
    // Verdicts other than `only` are left out, unless it is empty.
    result_rows(std::string only, row_sink sink, id_lookup lookup)
        : only_(std::move(only)), sink_(std::move(sink)), lookup_(std::move(lookup)) {}

    [[nodiscard]] result<void> feed(const record_view& record);

  private:
    // What was last heard about an id.
    struct answer {
        std::uint64_t http_status = 0, attempts = 0;
        std::string request_id;
        std::string request_ids, detail;
    };
    [[nodiscard]] bool wanted(std::string_view verdict) const { return only_.empty() || only_ == verdict; }
    result<void> batch_result(const record_view& record);
    void remember(const spans& at, const answer& heard);
    void forget(const spans& at);
    result<void> verdict(const record_view& record, std::string_view name);

    std::string only_;
    row_sink sink_;
    id_lookup lookup_;
    std::unordered_map<position, answer> heard_;
};

// Appends a cell of a table, made printable and filled up to `width` columns.
void append_cell(std::string& out, std::string_view text, std::size_t width);

// Appends a field of a CSV file: quoted where needed (RFC 4180); text that a spreadsheet would take for a formula
// gets an apostrophe in front (OWASP, CSV injection). Ids of [A-Za-z0-9_-] stay as they are: none of them is
// a formula that does anything, and the file can be dropped again as a list.
void append_csv_field(std::string& out, std::string_view text);

}  // namespace culld::ctl

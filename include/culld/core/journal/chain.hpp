// The hash chain of a journal or ledger, checked line by line: seq counts from 0 without gaps, prev is the
// SHA-256 of the bytes of the line before (newline left out; 64 zeros for the first). The first break is
// named; behind it nothing is believed, so nothing is checked.
#pragma once

#include <cstdint>
#include <string_view>

#include "culld/core/base/problem.hpp"
#include "culld/core/base/sha256.hpp"
#include "culld/core/journal/journal_read.hpp"

namespace culld {

class chain_checker {
  public:
    chain_checker() = default;
    // Goes on behind a known link: `records` lines went before, the last of them hashed to `head`.
    chain_checker(std::uint64_t records, const digest& head) : records_(records), head_(head) {}

    // The next line, without its newline; `ended` says whether it is whole (text_line::ended). On success `out` is the
    // record (views into `line`). On a break problem::line is the line's number (from 1) and what says how it
    // broke; every later call repeats it.
    [[nodiscard]] result<void> feed(std::string_view line, bool ended, record_view& out);
    // The same, where the line's SHA-256 was computed already (on another thread).
    [[nodiscard]] result<void> feed(std::string_view line, bool ended, const digest& hash, record_view& out);

    [[nodiscard]] std::uint64_t records() const { return records_; }  // good lines so far
    [[nodiscard]] const digest& head() const { return head_; }        // of the last good line; zeros before the first
    [[nodiscard]] bool broken() const { return broken_; }

  private:
    result<void> break_at(problem why);
    result<void> link(std::string_view line, bool ended, record_view& out);

    std::uint64_t records_ = 0;
    digest head_{};
    sha256 hash_;
    bool broken_ = false;
    problem why_;
};

}  // namespace culld

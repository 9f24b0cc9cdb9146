// The ledger on disk: one line for every finished or rejected job, chained over all jobs, and beside it ledger.head
// (contract, section 3). A job whose journal the ledger does not name is open: that is how a restart finds them.
//
// Blocking; opened at start, then used by the journal thread alone.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "culld/core/journal_read.hpp"
#include "culld/core/journal_write.hpp"
#include "culld/io/file.hpp"

namespace culld {

class ledger_file {
  public:
    // Reads and checks the whole ledger; a torn last line is cut off, a head that is behind is replaced. A broken
    // chain, or a head whose line is not there, is a problem: the ledger is never repaired, nothing is added to one
    // that cannot be trusted, and what proves it stays as it is. `dir` must outlive it.
    static result<ledger_file> open(const folder& dir);

    struct line {
        std::string hash;  // SHA-256 of the new line: for the log, out of our own reach
        std::uint64_t seq = 0;
    };
    // Appends a line, durably, and replaces ledger.head. A job that is in the ledger already is left as it is, and the
    // empty line handed back. After a failure the ledger is read again before anything is added.
    [[nodiscard]] result<line> append(const ledger_facts& facts, wall_time ts);

    // Is the job `id` finished and in the ledger?
    [[nodiscard]] bool holds(std::string_view id) const;
    [[nodiscard]] std::uint64_t torn_bytes() const { return torn_bytes_; }
    [[nodiscard]] std::uint64_t lines() const { return chain_.head().seq; }

  private:
    [[nodiscard]] result<void> load();
    [[nodiscard]] result<std::optional<ledger_head>> load_head() const;

    const folder* dir_ = nullptr;
    unique_fd fd_;
    chain_writer chain_;
    // The first half of the SHA-256 of each job id: nobody can make two ids look the same, and a job costs little.
    std::set<std::pair<std::uint64_t, std::uint64_t>> finished_;
    std::uint64_t torn_bytes_ = 0;
    bool trusted_ = false;
};

}  // namespace culld

// The ledger on disk: one line for every finished or rejected job, chained over all jobs, and beside it ledger.head
// (contract, section 3). A job whose journal the ledger does not name is open: that is how a restart finds them.
//
// With a signing key the ledger is also proof against whoever can write its folder but has no key, the daemon not
// turned into their tool: it signs only what follows from what was signed before. So when the ledger is read, its head
// must be there and signed by a known key, and the one line that a crash may leave behind the head must be the one that
// was signed before it was written (the staged head). A ledger that was never signed is signed from the next line on.
//
// Blocking; opened at start, then used by the journal thread alone.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "culld/core/journal_read.hpp"
#include "culld/core/journal_write.hpp"
#include "culld/io/file.hpp"
#include "culld/io/key_file.hpp"

namespace culld {

class ledger_file {
  public:
    // Reads and checks the whole ledger; a torn last line is cut off, a head that is behind is replaced. A broken
    // chain, or a head whose line is not there, is a problem: the ledger is never repaired, nothing is added to one
    // that cannot be trusted, and what proves it stays as it is. `dir` must outlive it.
    // `signing`: none to sign nothing.
    static result<ledger_file> open(const folder& dir, std::optional<ledger_signing> signing = std::nullopt);
    // The same key, another one, or none from the next line on.
    void sign_with(std::optional<ledger_signing> signing);

    struct line {
        std::string hash;  // SHA-256 of the new line: for the log, out of our own reach
        std::uint64_t seq = 0;
    };
    // Appends a line, durably, and replaces ledger.head. A job that is in the ledger already is left as it is, and the
    // empty line handed back. After a failure the ledger is read again before anything is added; the same facts with
    // the same `ts` are then found to be there where only what comes after the line had failed, and not written twice.
    [[nodiscard]] result<line> append(const ledger_facts& facts, wall_time ts);

    // Did one of the last lines (1,024 of them) that were there when it was opened say that a file of this name was
    // rejected, at `since` or later? Then a crash came between that line and the file's move.
    [[nodiscard]] bool rejected_since(std::string_view file, wall_time since) const;
    // Is the job `id` finished and in the ledger?
    [[nodiscard]] bool holds(std::string_view id) const;
    [[nodiscard]] std::uint64_t torn_bytes() const { return torn_bytes_; }
    [[nodiscard]] std::uint64_t lines() const { return chain_.head().seq; }
    // Lines that no signature vouched for when the first key came: cullctl verify wants to be told of them. And
    // whether there were signatures, but now there is no key to go on with.
    [[nodiscard]] std::uint64_t unsigned_lines() const { return unsigned_lines_; }
    [[nodiscard]] bool signing_ended() const { return was_signed_ && !signing_; }

  private:
    [[nodiscard]] result<void> load();
    [[nodiscard]] result<std::optional<ledger_head>> load_head(const std::string& name) const;
    // May this be gone on with, as far as signatures tell? True: the head of the last line lies staged yet.
    [[nodiscard]] result<bool> vouched_for(const std::optional<ledger_head>& head, std::uint64_t lines,
                                           const digest& last) const;
    [[nodiscard]] std::string signature_of(std::string_view text) const;

    const folder* dir_ = nullptr;
    std::optional<ledger_signing> signing_;
    unique_fd fd_;
    chain_writer chain_;
    // The first half of the SHA-256 of each job id: nobody can make two ids look the same, and a job costs little.
    std::set<std::pair<std::uint64_t, std::uint64_t>> finished_;
    struct rejected_file {
        std::string name;
        wall_time at;
    };
    std::deque<rejected_file> rejected_;  // in lines of runs before this one
    bool opened_ = false;
    std::uint64_t torn_bytes_ = 0;
    std::uint64_t unsigned_lines_ = 0;
    bool was_signed_ = false;  // a line or the head had a signature
    bool trusted_ = false;
    // The last line tried, with what it follows: it may be on disk though append() failed.
    struct {
        chain_head before;
        std::string text;
    } tried_;
};

}  // namespace culld

// The ledger on disk: one line for every job that was accepted, what a person ordered, every job that ended, every file
// that was rejected, and each reload that changed what may be deleted; chained over all jobs, and beside it ledger.head
// (contract, section 3). A journal whose job the ledger does not call finished is an open job's: that is how a restart
// finds them.
//
// With a signing key the ledger is also proof against whoever can write its folder but has no key, the daemon not
// turned into their tool: it signs only what follows from what was signed before. So when the ledger is read, its head
// must be there and signed by a known key, and the one line that a crash may leave behind the head must be the one that
// was signed before it was written (the staged head). A ledger that was never signed is signed from the next line on,
// and that line says so (ledger.signed_from); so does one where another key goes on.
//
// Before each line, and whenever it is asked, it is looked at whether ledger.jsonl and ledger.head are what was written
// here. If not, what is there is read anew, and gone on with only where every line that was written is in it and no
// other: by their hash, whatever file it is.
//
// Blocking; opened at start, then used by the journal thread alone.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culld/core/journal/acceptance.hpp"
#include "culld/core/journal/journal_read.hpp"
#include "culld/core/journal/journal_write.hpp"
#include "culld/io/journal/signing_key_file.hpp"
#include "culld/io/os/file.hpp"
#include "culld/io/os/folder_check.hpp"

namespace culld {

class ledger_file {
  public:
    // Reads and checks the whole ledger; a torn last line is cut off, a head that is behind is replaced. A broken
    // chain, or a head whose line is not there, is a problem: the ledger is never repaired, nothing is added to one
    // that cannot be trusted, and what proves it stays as it is. `dir` must outlive it.
    // `signing`: none to sign nothing.
    // `told`: called with each new line when it is durable, on the caller's thread, and at the opening with the last
    // one that is there, since a crash may have come before it was told. A copy of these hashes outside our own reach
    // is what proves the chain's end.
    struct line {
        std::string hash;  // SHA-256 of the line
        std::uint64_t seq = 0;
        std::string job_id{};  // may be empty
    };
    using tell_line = std::function<void(const line&)>;
    static result<ledger_file> open(const folder& dir, std::optional<ledger_signing> signing = std::nullopt,
                                    tell_line told = {});
    // The same key, another one, or none from the next line on. With a new key the ledger is read again, and its line
    // that says so is written; where that fails, append() tries it again.
    [[nodiscard]] result<void> sign_with(std::optional<ledger_signing> signing);

    // Appends a line, durably, and replaces ledger.head. A job that is in the ledger already is left as it is, and the
    // empty line handed back. So is a rejection of the same file (ledger_facts::node) that one of the last
    // 16,384 rejections tells already: a crash or a failure came between that line and the file's move.
    // After a failure the ledger is read again before anything is added.
    [[nodiscard]] result<line> append(const ledger_facts& facts, wall_time ts);

    // The same for a job that was accepted and for what people ordered, as they stand in its journal. Lines that are
    // there already are passed over: the job's, where it names the same first line, and orders up to the last one told.
    [[nodiscard]] result<void> tell_of(const acceptance_facts& job, std::span<const person_order> orders, wall_time ts);
    // The same for a reload.
    [[nodiscard]] result<void> tell_reload(const ruled_by& now, const ruled_by& before, wall_time ts);

    // Are the ledger and its head where they belong, and what was written to them? A problem says what is wrong:
    // nothing can be added then. True: they were not, but read anew they are whole. What was refused is read again when
    // it changes, and now and then.
    [[nodiscard]] result<bool> look();
    // Is the job `id` finished and in the ledger?
    [[nodiscard]] bool holds(std::string_view id) const;
    // What the ledger tells of `id`, of which a journal begins with the line whose SHA-256 is `first`, in hex.
    [[nodiscard]] acceptance acceptance_of(std::string_view id, std::string_view first) const;
    // Accepted, and not finished.
    struct open_job {
        std::string job_id, file;
        std::uint64_t orders_upto = 0;  // behind the last record of an order that was told
        std::string first;              // SHA-256 of its journal's first line
    };
    [[nodiscard]] const open_job* open_of(std::string_view id) const;
    [[nodiscard]] std::vector<std::string> open_ids() const;
    [[nodiscard]] std::uint64_t torn_bytes() const { return torn_bytes_; }
    [[nodiscard]] std::uint64_t lines() const { return chain_.head().seq; }
    // Whether there were signatures, but now there is no key to go on with.
    [[nodiscard]] bool signing_ended() const { return was_signed_ && !signing_; }

  private:
    [[nodiscard]] result<void> load();
    [[nodiscard]] result<void> read_all();
    // Looks at it, and reads it again where that is needed: something may be added then.
    [[nodiscard]] result<void> stand_ready();
    void learn(const record_view& record);
    void forget_open(std::string_view id);
    [[nodiscard]] bool stands() const;
    [[nodiscard]] tl::unexpected<problem> refuse(std::string what, std::string hint, const char* name = ledger_name,
                                                 std::uint64_t at_line = 0);
    struct both_seen {
        std::optional<inode_facts> ledger, head;
        bool operator==(const both_seen&) const = default;
    };
    [[nodiscard]] both_seen look_at_both() const;
    [[nodiscard]] result<std::optional<ledger_head>> load_head(const std::string& name) const;
    // May this be gone on with, as far as signatures tell? True: the head of the last line lies staged yet.
    [[nodiscard]] result<bool> vouched_for(const std::optional<ledger_head>& head, std::uint64_t lines,
                                           const digest& last) const;
    [[nodiscard]] std::string signature_of(std::string_view text) const;
    // The line that says from where on, and with which key, is signed; none where the ledger says it already.
    struct signing_so_far {
        std::optional<signing_begin> last;  // ledger.signed_from
        std::optional<std::uint64_t> from;  // what the first of those lines says
        std::uint64_t unsigned_end = 0;     // behind the last finished job's line without a signature
        const ledger_head* head = nullptr;  // as it was found; null if there was none
    };
    [[nodiscard]] std::optional<std::uint64_t> signing_to_say(const signing_so_far& found) const;
    [[nodiscard]] result<void> say_signing(std::uint64_t from);
    // Appends the line that `write` makes, durably, head and all.
    [[nodiscard]] result<line> put(const std::function<void(chain_writer&, std::string&)>& write, std::string job_id);
    void tell(const line& l);

    const folder* dir_ = nullptr;
    std::optional<ledger_signing> signing_;
    unique_fd fd_;
    chain_writer chain_;
    // The first half of the SHA-256 of each job id: nobody can make two ids look the same, and a job costs little.
    using short_hash = std::pair<std::uint64_t, std::uint64_t>;
    std::set<short_hash> finished_;
    std::map<std::string, open_job, std::less<>> open_;
    bool tells_of_accepted_ = false;
    std::deque<short_hash> rejected_;  // of the file
    static short_hash short_hash_of(std::string_view text);
    static short_hash rejected_key(const ledger_facts::rejected_file& node);
    void remember_rejected(const short_hash& key);
    tell_line told_;
    std::optional<std::uint64_t> told_upto_;  // seq behind the last line told
    std::uint64_t torn_bytes_ = 0;
    bool was_signed_ = false;  // a line or the head had a signature
    bool trusted_ = false;
    // What any reading must find: the lines that are durable, and behind them at most the one that was tried.
    std::optional<chain_head> known_;
    std::string tried_;  // its hash
    std::uint64_t bytes_ = 0;
    std::optional<inode_facts> head_file_;
    // Ledger or head are not what was written: nothing is added before a reading finds otherwise.
    bool wrong_ = false;
    // What the last reading refused: it would refuse it again, until that changes; now and then it is read all the
    // same.
    struct refusal {
        both_seen at;
        problem why;
        unsigned looks = 0;
    };
    std::optional<refusal> refused_;
};

}  // namespace culld

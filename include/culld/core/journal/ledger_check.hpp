// The ledger and ledger.head, checked as a whole: the chain, what each line must hold, no job named twice, the head's
// word about the last line, and with public keys every signature.
//
// A job is accepted, then people order it about, then it ends. A ledger of a version that told of ends alone has no
// line of the first two kinds; from its first job.accepted on every job must have one.
//
// What the signatures cover. A line about a finished job signs the head of that job's journal. A line about a rejected
// job has no journal and signs nothing of its own. ledger.head signs the hash of the last line, and with it, through
// the chain, every byte of every line before: so no line can be changed, left out or added without the key.
// Where signing begins is a line of its own (ledger.signed_from), signed by the key that begins there: what lies before
// is from before there was a key, and from there on no other key is believed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "culld/core/base/problem.hpp"
#include "culld/core/journal/chain.hpp"
#include "culld/core/journal/journal_read.hpp"
#include "culld/core/journal/ledger_signature.hpp"

namespace culld {

// What must hold beside the chain. Borrowed; outlives the check.
struct ledger_rules {
    const public_keys* keys = nullptr;  // null: signatures are not looked at
    // Lines before this one (from 1) are from before there was a key. None: as the ledger's own signed lines say, and
    // all of them where it has none. Where both say it, the stricter holds.
    std::optional<std::uint64_t> signed_from = std::nullopt;
    std::vector<std::string> anchors;  // hashes that were noted elsewhere: some line must have each
};

class ledger_check {
  public:
    explicit ledger_check(ledger_rules rules = {})
        : rules_(std::move(rules)), record_(std::make_unique<record_view>()) {}

    // The next line, without its newline; `ended` says whether it is whole (text_line::ended). False where nothing
    // further can be believed: stop then.
    bool feed(std::string_view line, bool ended);
    // The file cannot be read to its end, or is none: `what` keeps it from being believed.
    void refuse(std::string_view file, std::uint64_t line, std::string what, std::string hint = {});
    // After the last line: the whole content of ledger.head, none if there is no such file.
    void end(std::optional<std::string_view> head);

    [[nodiscard]] const std::vector<ledger_entry>& entries() const { return entries_; }
    // The entry of a finished job; null if the ledger does not name it.
    [[nodiscard]] const ledger_entry* of_job(const std::string& job_id) const;
    // How the job began; null if the ledger does not tell.
    [[nodiscard]] const ledger_acceptance* acceptance_of(const std::string& job_id) const;
    [[nodiscard]] const std::vector<ledger_order>& orders_of(const std::string& job_id) const;
    // Does it tell of every job that is accepted? An open journal without such a line is then none of culld's.
    [[nodiscard]] bool tells_of_accepted() const { return !accepted_.empty(); }
    [[nodiscard]] const std::unordered_map<std::string, ledger_acceptance>& accepted() const { return accepted_; }
    [[nodiscard]] const std::vector<problem>& findings() const { return findings_; }  // file and line set
    [[nodiscard]] std::uint64_t records() const { return chain_.records(); }
    [[nodiscard]] std::uint64_t signed_lines() const { return signed_lines_; }
    [[nodiscard]] bool torn() const { return torn_; }                // the last line is no whole one
    [[nodiscard]] bool head_signed() const { return head_signed_; }  // after end()
    // The first line (from 1) that must be signed, as the ledger itself says; none where no line says it. With keys
    // only what one of them signed counts.
    [[nodiscard]] std::optional<std::uint64_t> signing_begins() const { return begins_; }
    // Times of the first and the last line; empty where there is none.
    [[nodiscard]] const std::string& first_at() const { return first_at_; }
    [[nodiscard]] const std::string& last_at() const { return last_at_; }

  private:
    void find(std::string_view file, std::uint64_t line, std::string what, std::string hint = {});
    void check_entry(const ledger_entry& entry);
    void check_acceptance();
    void check_order();
    void check_begin(const chain_head& before);
    void find_unsigned();
    // Those that may have signed what comes next.
    [[nodiscard]] const public_keys& believed() const { return current_ ? *current_ : *rules_.keys; }
    void check_head(std::string_view text);

    ledger_rules rules_;
    chain_checker chain_;
    std::unique_ptr<record_view> record_;  // a large value
    std::vector<ledger_entry> entries_;
    std::unordered_map<std::string, std::size_t> finished_;
    std::unordered_map<std::string, ledger_acceptance> accepted_;
    std::unordered_map<std::string, std::vector<ledger_order>> orders_;
    std::vector<problem> findings_;
    std::uint64_t signed_lines_ = 0;
    std::string first_at_, last_at_;
    std::vector<std::uint64_t> unsigned_;  // lines (from 1) of finished jobs
    std::optional<std::uint64_t> begins_;
    std::optional<public_keys> current_;  // the key that the last ledger.signed_from names
    bool head_signed_ = false;
    bool head_refused_ = false;
    bool torn_ = false;
};

}  // namespace culld

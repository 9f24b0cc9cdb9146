// Writing journal records (contract, section 3): the one place that knows how a line looks.
//
//   {"seq":N,"ts":"…","type":"…", …fields…,"prev":"<64 hex>"}\n
//
// `prev` is the SHA-256 of the line before, its newline left out; 64 zeros for seq 0. Fields come in the contract's
// order; ours beyond the contract (`at` and its kin) come last. Appends to a buffer; no I/O. One strand.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "culld/core/base/sha256.hpp"
#include "culld/core/base/span.hpp"
#include "culld/core/base/time.hpp"
#include "culld/core/job/job_spec.hpp"
#include "culld/core/plan/plan.hpp"
#include "culld/core/text/json_writer.hpp"
#include "culld/core/verdict/job_totals.hpp"

namespace culld {

// Where a chain stands: what the next line must carry.
struct chain_head {
    std::uint64_t seq = 0;  // of the next line: how many there are
    digest prev{};          // of the last line; zeros before the first
};

// Appends lines to a buffer and keeps the chain.
class chain_writer {
  public:
    explicit chain_writer(chain_head head = {}) : head_(head) {}

    // `fields(json_object&)` writes the record's own members.
    template <class Fields>
    void append(std::string& out, std::string_view type, wall_time ts, Fields&& fields) {
        const std::size_t start = out.size();
        json_object line(out);
        line.member("seq", head_.seq);
        out += ",\"ts\":\"";
        append_rfc3339(out, ts);
        out += '"';
        line.member("type", type);
        fields(line);
        line.begin("prev").push_back('"');
        append_hex(out, head_.prev);
        out += "\"}";
        hash_.update(std::string_view(out).substr(start));
        head_ = {head_.seq + 1, hash_.finish()};
        out += '\n';
    }

    [[nodiscard]] const chain_head& head() const { return head_; }

  private:
    chain_head head_;
    sha256 hash_;
};

struct person {
    std::uint32_t uid = 0;
    std::int32_t pid = 0;
};

void append_spans(std::string& out, const spans& at);  // [[first,count],…]

struct accepted_facts {
    const job_intake* intake = nullptr;
    std::uint32_t uid = 0, gid = 0;
    wall_time modified_at;
    std::string_view config_sha256;
};
void write_accepted(chain_writer& chain, std::string& out, wall_time ts, const accepted_facts& facts);
void write_intent(chain_writer& chain, std::string& out, wall_time ts, span range);

// Lists of ids are handed over as they stand in the store: `"id","id",…`, without brackets.
struct result_facts {
    const batch* of = nullptr;
    unsigned http_status = 0;
    std::string_view code;
    const std::vector<std::string>* request_ids = nullptr;
    std::int64_t ms = 0;
    bool verdict = true;  // false: the key is `reported`
    std::string_view deleted, failed, unknown;
    spans failed_at, unknown_at;
};
void write_result(chain_writer& chain, std::string& out, wall_time ts, const result_facts& facts);

struct error_facts {
    const batch* of = nullptr;
    std::string_view error_class;
    unsigned http_status = 0;  // 0: none
    std::string_view code;     // may be empty
    std::string_view detail;
    std::optional<std::int64_t> retry_in_ms;
    std::string_view ids;                                   // needed where the batch is no single run
    const std::vector<std::string>* request_ids = nullptr;  // of an answer that came; may be empty
};
void write_error(chain_writer& chain, std::string& out, wall_time ts, const error_facts& facts);

// ids.deleted, ids.absent, ids.failed, ids.skipped. `ids` may be empty for a skipped single run.
void write_verdict(chain_writer& chain, std::string& out, wall_time ts, const verdict& v, std::string_view ids);

void write_recovered(chain_writer& chain, std::string& out, wall_time ts, const spans& open, std::uint64_t torn_bytes);
struct checkpoint_facts {
    const plan_state* state = nullptr;
    job_totals totals;
    bool paused = false;
    std::optional<double> rate;
    std::optional<skip_reason> stopped;
    std::string_view reason;  // of the pause or cancellation in force
    std::optional<person> paused_by;
    bool at_rest = false;  // nothing is under way, and nothing more is sent before job.recovered
};
// All that a restart needs: it begins here instead of at the first line.
void write_checkpoint(chain_writer& chain, std::string& out, wall_time ts, const checkpoint_facts& facts);
void write_blocked(chain_writer& chain, std::string& out, wall_time ts, std::string_view error_class,
                   std::string_view code, std::string_view detail, std::string_view help);
void write_unblocked(chain_writer& chain, std::string& out, wall_time ts, std::string_view why);
// job.paused, job.resumed, job.cancelled, job.rate (with its rate).
void write_command(chain_writer& chain, std::string& out, wall_time ts, std::string_view type, person by,
                   std::string_view reason, std::optional<double> rate);
void write_finished(chain_writer& chain, std::string& out, wall_time ts, std::string_view status,
                    const job_totals& totals, wall_time started_at);

// ---- the ledger ----

struct ledger_facts {
    std::string_view job_id, file, status;
    const job_totals* totals = nullptr;  // null for a rejected job
    std::string_view journal;            // file name
    std::string_view head;               // SHA-256 of the journal's last line
    std::uint64_t records = 0;
    std::string_view error;  // for a rejected job
    std::string_view sig;    // may be empty
    // Of a rejected job's file, where it is known: which file it was, whatever the clock said then.
    struct rejected_file {
        std::uint64_t inode = 0;
        wall_time changed_at;  // its ctime
    };
    std::optional<rejected_file> node{};
};
void write_ledger_line(chain_writer& chain, std::string& out, wall_time ts, const ledger_facts& facts);
// job.accepted in the ledger: what the job's journal begins with. It signs nothing of its own; ledger.head covers it.
struct acceptance_facts {
    std::string_view job_id, file;
    std::uint32_t uid = 0, gid = 0;  // the submitter
    std::uint64_t ids = 0;
    std::string_view sha256;       // of the job's file
    std::string_view list_sha256;  // of the list that it names; empty where it names none
    std::string_view journal;      // file name
    std::string_view first;        // SHA-256 of the journal's first line
};
void write_ledger_accepted(chain_writer& chain, std::string& out, wall_time ts, const acceptance_facts& facts);
// What a person ordered, as it stands in the job's journal: job.paused, .resumed, .cancelled or .rate.
struct person_order {
    std::string_view type;     // the record's
    std::uint64_t record = 0;  // its seq
    person by;
    std::optional<double> rate{};  // of job.rate
};
void write_ledger_order(chain_writer& chain, std::string& out, wall_time ts, std::string_view job_id,
                        const person_order& order);
// config.reloaded: what may be deleted from here on follows another configuration, or another protected list.
struct ruled_by {
    std::string config_sha256;
    std::optional<protected_facts> protect;  // none where no file names protected ids
    bool operator==(const ruled_by&) const = default;
};
void write_reloaded(chain_writer& chain, std::string& out, wall_time ts, const ruled_by& now, const ruled_by& before);
// `ledger.signed_from`: every finished job's line from number `from` on (counted as seq) is signed; from this line on
// by the key with the id `key` (ledger_signature.hpp), which signed this line too.
struct signing_facts {
    std::uint64_t from = 0;
    std::string_view key;
    std::string_view sig;  // of signed_from_text()
};
void write_signed_from(chain_writer& chain, std::string& out, wall_time ts, const signing_facts& facts);
// What the signature in such a line is over. No hash, so that it can stand for no other signature of the ledger.
[[nodiscard]] std::string signed_from_text(const chain_head& before, std::uint64_t from, std::string_view key);
// {"seq":N,"sha256":"…"} of the ledger's last line, with its newline.
[[nodiscard]] std::string ledger_head_text(const chain_head& head, std::string_view sig);

}  // namespace culld

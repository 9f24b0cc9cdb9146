// One line of a journal or of the ledger, read: {"seq":N,"ts":"…","type":"…", …fields…,"prev":"<64 hex>"}
// (contract, section 3). Checks what holds for every record: one JSON object, these keys at these places, no
// key twice. What a record's own fields must hold is the audit's (audit.hpp) and the recovery's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"
#include "culld/core/base/sha256.hpp"
#include "culld/core/base/span.hpp"
#include "culld/core/base/time.hpp"
#include "culld/core/journal/journal_write.hpp"
#include "culld/core/text/json_reader.hpp"
#include "culld/core/verdict/job_totals.hpp"

namespace culld {

enum class record_type {
    job_accepted,
    intent,
    batch_result,
    batch_error,
    ids_absent,
    ids_deleted,
    ids_failed,
    ids_skipped,
    job_paused,
    job_resumed,
    job_cancelled,
    job_rate,
    job_recovered,
    checkpoint,
    job_blocked,
    job_unblocked,
    job_finished,
    job_rejected,        // in the ledger only
    ledger_signed_from,  // likewise
    config_reloaded,     // likewise
    unknown,             // a type of a later version; its name is in record_view::type_name
};
// "job.accepted"; "unknown" for the last.
[[nodiscard]] std::string_view name_of(record_type type);

inline constexpr std::size_t record_members_max = 48;

// Views into the line, which must outlive it.
struct record_view {
    std::uint64_t seq = 0;
    std::string_view ts;  // 2026-11-25T01:02:03.123456Z, form checked
    record_type type = record_type::unknown;
    std::string_view type_name;
    digest prev{};
    json_style style;                                     // of the whole line
    std::array<json_member, record_members_max> members;  // those between type and prev, in order
    std::size_t member_count = 0;

    [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }
    // Null where the record has no such member.
    [[nodiscard]] const json_value* find(std::string_view key) const;

    // Each names the key where it is absent or of another kind.
    [[nodiscard]] result<std::string> text(std::string_view key) const;
    [[nodiscard]] result<std::uint64_t> u64(std::string_view key) const;
    [[nodiscard]] result<bool> boolean(std::string_view key) const;
    // Absent counts as no runs: a list that is empty need not name its positions.
    [[nodiscard]] result<spans> runs(std::string_view key) const;
    // Positions of an intent, batch.error or ids.skipped: first and count, or `at`.
    [[nodiscard]] result<spans> positions() const;
};

// `line` without its newline. Fills `out` (a large value: reuse it); problem::column is the byte at fault.
[[nodiscard]] result<void> read_record(std::string_view line, record_view& out);

// `by` of what a person ordered; nothing where it is missing.
[[nodiscard]] std::optional<person> person_in(const record_view& record, std::string_view key = "by");

// {"ids":…,"deleted":…,…}: every key once, in any order, others ignored.
[[nodiscard]] result<job_totals> read_totals(const json_value& object);

// A line of ledger.jsonl.
struct ledger_entry {
    std::uint64_t seq = 0;
    std::string ts;
    bool rejected = false;  // job.rejected: totals, journal and head are null
    std::string job_id;     // may be empty for a rejected file
    std::string file;
    std::string status;
    job_totals totals;
    std::string journal;  // file name beside the ledger
    std::string head;     // 64 hex: SHA-256 of the journal's last line
    std::uint64_t records = 0;
    std::string error;  // rejected: why
    std::string sig;    // base64, empty if not signed
};
[[nodiscard]] result<ledger_entry> read_ledger_entry(const record_view& record);

// job.accepted in the ledger (acceptance_facts).
struct ledger_acceptance {
    std::uint64_t seq = 0;
    std::string ts;
    std::string job_id;
    std::string file;
    std::uint64_t ids = 0;
    std::string journal;  // file name beside the ledger
    std::string first;    // 64 hex: SHA-256 of the journal's first line
};
[[nodiscard]] result<ledger_acceptance> read_ledger_acceptance(const record_view& record);

// Is it what a person ordered, in a journal or in the ledger?
[[nodiscard]] bool is_order(record_type type);
// Such a line of the ledger.
struct ledger_order {
    std::uint64_t seq = 0;
    std::string job_id;
    record_type type = record_type::unknown;
    std::uint64_t record = 0;  // seq of the journal's record
    person by;
};
[[nodiscard]] result<ledger_order> read_ledger_order(const record_view& record);

// Which file a job.rejected is about: none in lines of older versions.
[[nodiscard]] std::optional<ledger_facts::rejected_file> rejected_file_of(const record_view& record);

// Where signing begins, or goes on with another key (signing_facts).
struct signing_begin {
    std::uint64_t seq = 0;
    std::uint64_t from = 0;
    std::string key;  // 64 hex
    std::string sig;
};
[[nodiscard]] result<signing_begin> read_signing_begin(const record_view& record);

// {"seq":N,"sha256":"…","sig":"…"} of ledger.head.
struct ledger_head {
    std::uint64_t seq = 0;
    std::string sha256;
    std::string sig;  // empty if not signed
};
inline constexpr const char* ledger_name = "ledger.jsonl";
inline constexpr const char* ledger_head_name = "ledger.head";
// What is longer is no ledger.head: to read so much of the file is enough to find that out.
inline constexpr std::size_t ledger_head_bytes_max = 4096;
[[nodiscard]] result<ledger_head> read_ledger_head(std::string_view text);

}  // namespace culld

#include "culld/core/journal/journal_read.hpp"

#include <fmt/format.h>

#include <utility>

namespace culld {

namespace {

// In the order of record_type.
constexpr std::array<std::string_view, 21> type_names = {
    "job.accepted",       "intent",          "batch.result", "batch.error",   "ids.absent",    "ids.deleted",
    "ids.failed",         "ids.skipped",     "job.paused",   "job.resumed",   "job.cancelled", "job.rate",
    "job.recovered",      "checkpoint",      "job.blocked",  "job.unblocked", "job.finished",  "job.rejected",
    "ledger.signed_from", "config.reloaded", "unknown"};
static_assert(type_names[static_cast<std::size_t>(record_type::unknown)] == "unknown");

record_type record_type_of(std::string_view name) {
    for (std::size_t i = 0; i < type_names.size(); ++i)
        if (type_names[i] == name) return static_cast<record_type>(i);
    return record_type::unknown;
}

// What lies between the quotes of a string.
std::string_view inside(const json_value& string) {
    return string.raw.substr(1, string.raw.size() - 2);
}

bool is_timestamp(std::string_view s) {
    static constexpr std::string_view form = "0000-00-00T00:00:00.000000Z";
    if (s.size() != form.size()) return false;
    for (std::size_t i = 0; i < s.size(); ++i)
        if (form[i] == '0' ? s[i] < '0' || s[i] > '9' : s[i] != form[i]) return false;
    return true;
}

tl::unexpected<problem> at_column(std::string what, std::size_t offset) {
    return fail(problem{.what = std::move(what), .column = offset + 1});
}

tl::unexpected<problem> absent(std::string_view key) {
    return fail(fmt::format("\"{}\" is missing", key));
}

template <class T>
result<T> named(result<T> got, std::string_view key) {
    if (!got) got.error().what = fmt::format("\"{}\" {}", key, got.error().what);
    return got;
}

}  // namespace

std::string_view name_of(record_type type) {
    return type_names[static_cast<std::size_t>(type)];
}

const json_value* record_view::find(std::string_view key) const {
    for (std::size_t i = 0; i < member_count; ++i)
        if (members[i].key == key) return &members[i].value;
    return nullptr;
}

result<std::string> record_view::text(std::string_view key) const {
    const json_value* found = find(key);
    return found == nullptr ? absent(key) : named(found->text(), key);
}

result<std::uint64_t> record_view::u64(std::string_view key) const {
    const json_value* found = find(key);
    return found == nullptr ? absent(key) : named(found->u64(), key);
}

result<bool> record_view::boolean(std::string_view key) const {
    const json_value* found = find(key);
    return found == nullptr ? absent(key) : named(found->boolean(), key);
}

result<spans> record_view::runs(std::string_view key) const {
    const json_value* found = find(key);
    return found == nullptr ? spans{} : named(found->runs(), key);
}

result<spans> record_view::positions() const {
    if (has("at")) return runs("at");
    if (!has("first") && !has("count")) return spans{};
    const auto first = u64("first");
    if (!first) return fail(first.error());
    const auto count = u64("count");
    if (!count) return fail(count.error());
    constexpr std::uint64_t limit = std::uint64_t{1} << 63U;
    if (*first > limit || *count > limit - *first) return fail("\"first\" and \"count\" are out of range");
    spans out;
    append(out, {*first, *count});
    return out;
}

result<void> read_record(std::string_view line, record_view& out) {
    json_reader scanner(line);
    json_member member;
    out.member_count = 0;
    std::size_t index = 0;
    bool have_prev = false;
    const auto offset = [&](std::string_view part) { return static_cast<std::size_t>(part.data() - line.data()); };
    while (scanner.next(member)) {
        if (have_prev) return at_column("a member stands behind \"prev\"", offset(member.key));
        static constexpr std::array<std::string_view, 3> leading = {"seq", "ts", "type"};
        if (index < leading.size() && member.key != leading[index])
            return at_column(fmt::format("\"{}\" is not where it belongs", leading[index]), offset(member.key));
        const bool is_string = member.value.kind == json_kind::string;
        if (index == 0) {
            const auto seq = named(member.value.u64(), "seq");
            if (!seq) return at_column(seq.error().what, offset(member.value.raw));
            out.seq = *seq;
        } else if (index == 1) {
            if (!is_string || !is_timestamp(inside(member.value)))
                return at_column("\"ts\" is no time such as 2026-11-25T01:02:03.123456Z", offset(member.value.raw));
            out.ts = inside(member.value);
        } else if (index == 2) {
            if (!is_string) return at_column("\"type\" must be a string", offset(member.value.raw));
            out.type_name = inside(member.value);
            out.type = record_type_of(out.type_name);
        } else if (member.key == "prev") {
            if (!is_string || !parse_hex(inside(member.value), out.prev))
                return at_column("\"prev\" is not 64 lower-case hex digits", offset(member.value.raw));
            have_prev = true;
        } else {
            if (member.key == "seq" || member.key == "ts" || member.key == "type" || out.has(member.key))
                return at_column(fmt::format("\"{}\" stands twice", member.key), offset(member.key));
            if (out.member_count == out.members.size())
                return at_column(fmt::format("more than {} members", record_members_max), offset(member.key));
            out.members[out.member_count++] = member;
        }
        ++index;
    }
    if (scanner.complaint().what != nullptr)
        return at_column(fmt::format("not JSON: {}", scanner.complaint().what), scanner.complaint().offset);
    if (!have_prev) return at_column("\"prev\" is missing at the end", line.size());
    out.style = scanner.style();
    return {};
}

std::optional<person> person_in(const record_view& record, std::string_view key) {
    const json_value* by = record.find(key);
    if (by == nullptr || by->kind != json_kind::object) return std::nullopt;
    std::optional<std::uint64_t> uid;
    std::uint64_t pid = 0;
    json_reader scanner(by->raw);
    json_member member;
    while (scanner.next(member)) {
        if (member.key == "uid") uid = member.value.u64().value_or(UINT32_MAX);
        if (member.key == "pid") pid = member.value.u64().value_or(0);
    }
    if (!uid) return std::nullopt;
    return person{static_cast<std::uint32_t>(*uid), static_cast<std::int32_t>(pid)};
}

result<job_totals> read_totals(const json_value& object) {
    job_totals out;
    const std::array<std::pair<std::string_view, std::uint64_t*>, 9> fields = {{{"ids", &out.ids},
                                                                                {"deleted", &out.deleted},
                                                                                {"absent", &out.absent},
                                                                                {"failed", &out.failed},
                                                                                {"skipped", &out.skipped},
                                                                                {"duplicates", &out.duplicates},
                                                                                {"requests", &out.requests},
                                                                                {"retries", &out.retries},
                                                                                {"throttled", &out.throttled}}};
    unsigned seen = 0;
    json_reader scanner(object.raw);
    json_member member;
    while (scanner.next(member)) {
        for (std::size_t i = 0; i < fields.size(); ++i) {
            if (member.key != fields[i].first) continue;
            if ((seen >> i & 1U) != 0) return fail(fmt::format("\"{}\" stands twice", member.key));
            const auto value = named(member.value.u64(), member.key);
            if (!value) return fail(value.error());
            *fields[i].second = *value;
            seen |= 1U << i;
        }
    }
    if (scanner.complaint().what != nullptr) return fail("totals must be an object");
    for (std::size_t i = 0; i < fields.size(); ++i)
        if ((seen >> i & 1U) == 0) return fail(fmt::format("totals lack \"{}\"", fields[i].first));
    return out;
}

namespace {

result<void> take(const record_view& record, std::string_view key, std::string& to) {
    auto got = record.text(key);
    if (!got) return fail(std::move(got.error()));
    to = std::move(*got);
    return {};
}

result<void> take(const record_view& record, std::string_view key, std::uint64_t& to) {
    const auto got = record.u64(key);
    if (!got) return fail(got.error());
    to = *got;
    return {};
}

result<void> take_hash(const record_view& record, std::string_view key, std::string& to) {
    if (auto got = take(record, key, to); !got) return got;
    digest hash{};
    if (!parse_hex(to, hash)) return fail(fmt::format("\"{}\" is not 64 lower-case hex digits", key));
    return {};
}

// The name is opened beside the ledger: it must not lead anywhere else, nor to what is no journal.
result<void> take_journal(const record_view& record, const std::string& job_id, std::string& to) {
    if (auto got = take(record, "journal", to); !got) return got;
    if (to != job_id + ".jsonl" || to.find('/') != std::string::npos || to.starts_with('.') || to == ledger_name)
        return fail(fmt::format("\"journal\" is not {}.jsonl, or no journal has such a name", job_id));
    return {};
}

}  // namespace

result<ledger_acceptance> read_ledger_acceptance(const record_view& record) {
    ledger_acceptance out;
    out.seq = record.seq;
    out.ts = record.ts;
    if (auto got = take(record, "job_id", out.job_id); !got) return fail(std::move(got.error()));
    if (auto got = take(record, "file", out.file); !got) return fail(std::move(got.error()));
    if (auto got = take(record, "ids", out.ids); !got) return fail(std::move(got.error()));
    if (auto got = take_journal(record, out.job_id, out.journal); !got) return fail(std::move(got.error()));
    if (auto got = take_hash(record, "first", out.first); !got) return fail(std::move(got.error()));
    return out;
}

bool is_order(record_type type) {
    return type == record_type::job_paused || type == record_type::job_resumed || type == record_type::job_cancelled ||
           type == record_type::job_rate;
}

result<ledger_order> read_ledger_order(const record_view& record) {
    ledger_order out;
    out.seq = record.seq;
    out.type = record.type;
    if (auto got = take(record, "job_id", out.job_id); !got) return fail(std::move(got.error()));
    if (auto got = take(record, "record", out.record); !got) return fail(std::move(got.error()));
    const auto by = person_in(record);
    if (!by) return absent("by");
    out.by = *by;
    return out;
}

result<ledger_entry> read_ledger_entry(const record_view& record) {
    if (record.type != record_type::job_finished && record.type != record_type::job_rejected)
        return fail(fmt::format("\"{}\" is no type of the ledger", record.type_name));
    ledger_entry out;
    out.seq = record.seq;
    out.ts = record.ts;
    out.rejected = record.type == record_type::job_rejected;
    const auto is_null = [&](std::string_view key) {
        const json_value* found = record.find(key);
        return found == nullptr || found->kind == json_kind::null;
    };
    if (!(out.rejected && is_null("job_id")))
        if (auto got = take(record, "job_id", out.job_id); !got) return fail(std::move(got.error()));
    if (auto got = take(record, "file", out.file); !got) return fail(std::move(got.error()));
    if (auto got = take(record, "status", out.status); !got) return fail(std::move(got.error()));
    if (!is_null("sig"))
        if (auto got = take(record, "sig", out.sig); !got) return fail(std::move(got.error()));
    if (out.rejected) {
        for (const std::string_view key : {"totals", "journal", "head"})
            if (!is_null(key)) return fail(fmt::format("\"{}\" must be null in job.rejected", key));
        if (out.status != "rejected") return fail("\"status\" of job.rejected must be \"rejected\"");
        if (auto got = take(record, "error", out.error); !got) return fail(std::move(got.error()));
        return out;
    }
    if (auto got = take_journal(record, out.job_id, out.journal); !got) return fail(std::move(got.error()));
    if (auto got = take_hash(record, "head", out.head); !got) return fail(std::move(got.error()));
    if (auto got = take(record, "records", out.records); !got) return fail(std::move(got.error()));
    const json_value* totals = record.find("totals");
    if (totals == nullptr) return absent("totals");
    auto counted = read_totals(*totals);
    if (!counted) return fail(std::move(counted.error()));
    out.totals = *counted;
    return out;
}

std::optional<ledger_facts::rejected_file> rejected_file_of(const record_view& record) {
    const auto inode = record.u64("inode");
    const auto text = record.text("changed_at");
    if (!inode || !text) return std::nullopt;
    const auto changed_at = parse_rfc3339(*text);
    if (!changed_at) return std::nullopt;
    return ledger_facts::rejected_file{*inode, *changed_at};
}

result<signing_begin> read_signing_begin(const record_view& record) {
    signing_begin out{.seq = record.seq, .from = 0, .key = {}, .sig = {}};
    const auto from = record.u64("from");
    if (!from) return fail(from.error());
    out.from = *from;
    if (out.from > out.seq) return fail("\"from\" of ledger.signed_from names a line behind it");
    auto key = record.text("key");
    if (!key) return fail(std::move(key.error()));
    digest id{};
    if (!parse_hex(*key, id)) return fail("\"key\" is not 64 lower-case hex digits");
    out.key = std::move(*key);
    auto sig = record.text("sig");
    if (!sig) return fail(std::move(sig.error()));
    out.sig = std::move(*sig);
    return out;
}

result<ledger_head> read_ledger_head(std::string_view text) {
    ledger_head out;
    bool seq = false, hash = false;
    json_reader scanner(text);
    json_member member;
    while (scanner.next(member)) {
        if (member.key == "seq") {
            const auto got = named(member.value.u64(), "seq");
            if (!got) return fail(got.error());
            if (seq) return fail("\"seq\" stands twice");
            out.seq = *got;
            seq = true;
        } else if (member.key == "sha256") {
            auto got = named(member.value.text(), "sha256");
            if (!got) return fail(std::move(got.error()));
            digest parsed{};
            if (hash || !parse_hex(*got, parsed)) return fail("\"sha256\" is not 64 lower-case hex digits");
            out.sha256 = std::move(*got);
            hash = true;
        } else if (member.key == "sig" && member.value.kind != json_kind::null) {
            auto got = named(member.value.text(), "sig");
            if (!got) return fail(std::move(got.error()));
            out.sig = std::move(*got);
        }
    }
    if (scanner.complaint().what != nullptr)
        return at_column(fmt::format("not JSON: {}", scanner.complaint().what), scanner.complaint().offset);
    if (!seq) return absent("seq");
    if (!hash) return absent("sha256");
    return out;
}

}  // namespace culld

#include "culld/core/journal/record_form.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <span>

#include "culld/core/text/json_writer.hpp"

namespace culld {

namespace {

enum class kind {
    whole,      // a whole number that a double holds as well
    whole64,    // one that the kernel gives: up to 64 bits
    decimal,    // any other number
    boolean,    //
    text,       //
    base_name,  // a text: one path component
    texts,      // an array of texts
    runs,       // [[first,count],…]
    object,     // with the members of `inside`
    objects,    // an array of such
    labels,     // an object of texts, under any keys
    null,       //
};

struct form {
    std::string_view key;
    kind is;
    std::span<const form> inside = {};
    bool or_null = false;
};

constexpr form totals_form[] = {{"ids", kind::whole},      {"deleted", kind::whole}, {"absent", kind::whole},
                                {"failed", kind::whole},   {"skipped", kind::whole}, {"duplicates", kind::whole},
                                {"requests", kind::whole}, {"retries", kind::whole}, {"throttled", kind::whole}};
constexpr form owner_form[] = {{"uid", kind::whole}, {"gid", kind::whole}};
constexpr form protected_form[] = {{"sha256", kind::text}, {"count", kind::whole}};
constexpr form by_form[] = {{"uid", kind::whole}, {"pid", kind::whole}};
constexpr form list_form[] = {{"file", kind::base_name},
                              {"sha256", kind::text},
                              {"bytes", kind::whole},
                              {"owner", kind::object, owner_form},
                              {"taken_as", kind::base_name}};
constexpr form abort_form[] = {{"failed_ratio", kind::decimal}, {"after", kind::whole}};
constexpr form options_form[] = {
    {"batch_size", kind::whole}, {"max_attempts", kind::whole}, {"priority", kind::whole},
    {"not_before", kind::text},  {"deadline", kind::text},      {"dry_run", kind::boolean},
    {"verify", kind::text},      {"expect_count", kind::whole}, {"abort_when", kind::object, abort_form}};
constexpr form open_form[] = {
    {"attempts", kind::whole}, {"word", kind::text}, {"sent", kind::boolean}, {"at", kind::runs}};

constexpr form accepted_form[] = {{"job_id", kind::text},
                                  {"file", kind::base_name},
                                  {"sha256", kind::text},
                                  {"bytes", kind::whole},
                                  {"list", kind::object, list_form},
                                  {"owner", kind::object, owner_form},
                                  {"resource", kind::text},
                                  {"project_id", kind::text},
                                  {"workspace_id", kind::text},
                                  {"ids", kind::whole},
                                  {"duplicates", kind::whole},
                                  {"options", kind::object, options_form},
                                  {"labels", kind::labels},
                                  {"culld", kind::text},
                                  {"config_sha256", kind::text},
                                  {"modified_at", kind::text},
                                  {"taken_as", kind::base_name},
                                  {"protected", kind::object, protected_form}};
constexpr form intent_form[] = {
    {"first", kind::whole}, {"count", kind::whole}, {"ids", kind::texts}, {"at", kind::runs}};
constexpr form result_form[] = {{"batch", kind::whole},    {"attempt", kind::whole},     {"http_status", kind::whole},
                                {"code", kind::text},      {"request_ids", kind::texts}, {"ms", kind::whole},
                                {"deleted", kind::texts},  {"reported", kind::texts},    {"failed", kind::texts},
                                {"unknown", kind::texts},  {"at", kind::runs},           {"failed_at", kind::runs},
                                {"unknown_at", kind::runs}};
constexpr form error_form[] = {{"batch", kind::whole},       {"attempt", kind::whole}, {"class", kind::text},
                               {"http_status", kind::whole}, {"code", kind::text},     {"detail", kind::text},
                               {"retry_in_ms", kind::whole}, {"first", kind::whole},   {"count", kind::whole},
                               {"ids", kind::texts},         {"at", kind::runs},       {"request_ids", kind::texts}};
constexpr form gone_form[] = {{"ids", kind::texts}, {"how", kind::text}, {"at", kind::runs}};
constexpr form failed_form[] = {{"ids", kind::texts},   {"first", kind::whole},    {"count", kind::whole},
                                {"reason", kind::text}, {"attempts", kind::whole}, {"at", kind::runs}};
constexpr form skipped_form[] = {
    {"ids", kind::texts}, {"first", kind::whole}, {"count", kind::whole}, {"reason", kind::text}, {"at", kind::runs}};
constexpr form command_form[] = {{"by", kind::object, by_form}, {"reason", kind::text}};
constexpr form rate_form[] = {
    {"by", kind::object, by_form}, {"reason", kind::text}, {"requests_per_second", kind::decimal}};
constexpr form recovered_form[] = {{"open", kind::runs}, {"torn_bytes", kind::whole}};
constexpr form checkpoint_form[] = {{"intended", kind::whole},
                                    {"next_batch", kind::whole},
                                    {"open", kind::objects, open_form},
                                    {"holes", kind::runs},
                                    {"first_good", kind::whole},
                                    {"first_bad", kind::whole},
                                    {"paused", kind::boolean},
                                    {"requests_per_second", kind::decimal},
                                    {"stopped", kind::text},
                                    {"reason", kind::text},
                                    {"paused_by", kind::object, by_form},
                                    {"at_rest", kind::boolean},
                                    {"answered", kind::boolean},
                                    {"totals", kind::object, totals_form}};
constexpr form blocked_form[] = {
    {"class", kind::text}, {"code", kind::text}, {"detail", kind::text}, {"help", kind::text}};
constexpr form unblocked_form[] = {{"why", kind::text}};
constexpr form finished_form[] = {{"status", kind::text},
                                  {"totals", kind::object, totals_form},
                                  {"started_at", kind::text},
                                  {"finished_at", kind::text}};
constexpr form ledger_finished_form[] = {{"job_id", kind::text},       {"file", kind::base_name},
                                         {"status", kind::text},       {"totals", kind::object, totals_form},
                                         {"journal", kind::base_name}, {"head", kind::text},
                                         {"records", kind::whole},     {"sig", kind::text}};
constexpr form ledger_rejected_form[] = {
    {"job_id", kind::text, {}, true}, {"file", kind::base_name}, {"status", kind::text},   {"totals", kind::null},
    {"journal", kind::null},          {"head", kind::null},      {"records", kind::whole}, {"error", kind::text},
    {"inode", kind::whole64},         {"changed_at", kind::text}};

constexpr form ledger_accepted_form[] = {
    {"job_id", kind::text}, {"file", kind::base_name},   {"owner", kind::object, owner_form}, {"ids", kind::whole},
    {"sha256", kind::text}, {"list_sha256", kind::text}, {"journal", kind::base_name},        {"first", kind::text}};
constexpr form ledger_order_form[] = {{"job_id", kind::text}, {"record", kind::whole}, {"by", kind::object, by_form}};
constexpr form ledger_rate_form[] = {{"job_id", kind::text},
                                     {"record", kind::whole},
                                     {"by", kind::object, by_form},
                                     {"requests_per_second", kind::decimal}};
constexpr form ruled_by_form[] = {{"config_sha256", kind::text}, {"protected", kind::object, protected_form}};
constexpr form ledger_reloaded_form[] = {{"config_sha256", kind::text},
                                         {"protected", kind::object, protected_form},
                                         {"before", kind::object, ruled_by_form}};
constexpr form ledger_signed_from_form[] = {{"from", kind::whole}, {"key", kind::text}, {"sig", kind::text}};

std::span<const form> form_of(record_type type, record_place place) {
    if (place == record_place::ledger) {
        switch (type) {
            case record_type::job_finished: return ledger_finished_form;
            case record_type::job_rejected: return ledger_rejected_form;
            case record_type::ledger_signed_from: return ledger_signed_from_form;
            case record_type::job_accepted: return ledger_accepted_form;
            case record_type::job_paused:
            case record_type::job_resumed:
            case record_type::job_cancelled: return ledger_order_form;
            case record_type::job_rate: return ledger_rate_form;
            case record_type::config_reloaded: return ledger_reloaded_form;
            default: return {};
        }
    }
    switch (type) {
        case record_type::job_accepted: return accepted_form;
        case record_type::intent: return intent_form;
        case record_type::batch_result: return result_form;
        case record_type::batch_error: return error_form;
        case record_type::ids_absent:
        case record_type::ids_deleted: return gone_form;
        case record_type::ids_failed: return failed_form;
        case record_type::ids_skipped: return skipped_form;
        case record_type::job_paused:
        case record_type::job_resumed:
        case record_type::job_cancelled: return command_form;
        case record_type::job_rate: return rate_form;
        case record_type::job_recovered: return recovered_form;
        case record_type::checkpoint: return checkpoint_form;
        case record_type::job_blocked: return blocked_form;
        case record_type::job_unblocked: return unblocked_form;
        case record_type::job_finished: return finished_form;
        case record_type::job_rejected:
        case record_type::ledger_signed_from:
        case record_type::config_reloaded:
        case record_type::unknown: return {};
    }
    return {};
}

constexpr std::uint64_t whole_max = std::uint64_t{1} << 53U;  // above it doubles have gaps

bool is_written_as_ours(const json_value& text) {
    std::string again;
    append_json_string(again, json_unescaped(text.raw.substr(1, text.raw.size() - 2)));
    return again == text.raw;
}

bool is_base_name(std::string_view name) {
    return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
           name.find('\0') == std::string_view::npos;
}

bool is_decimal(const json_value& v) {
    double value = 0;
    const char* end = v.raw.data() + v.raw.size();
    const auto [stopped, ec] = std::from_chars(v.raw.data(), end, value);
    std::string again;
    append_number(again, value);
    return ec == std::errc() && stopped == end && again == v.raw;
}

// Looks through one record; a fault is named by the member it is in, "totals.ids".
class form_check {
  public:
    form_check(const json_style& style, std::vector<std::string>& out) : style_(style), out_(out) {}

    void member(const json_member& m, std::string_view in, std::span<const form> known) {
        const auto found = std::find_if(known.begin(), known.end(), [&](const form& f) { return f.key == m.key; });
        const std::string name = in.empty() ? std::string(m.key) : fmt::format("{}.{}", in, m.key);
        if (found != known.end()) return value(m.value, name, *found);
        out_.push_back(m.key.find('\\') != std::string_view::npos
                           ? fmt::format("the key \"{}\" is written with an escape", name)
                           : fmt::format("\"{}\" is no member that culld writes there", name));
    }

  private:
    void value(const json_value& v, const std::string& name, const form& f) {
        if (f.or_null && v.kind == json_kind::null) return;
        switch (f.is) {
            case kind::whole: {
                const auto n = v.u64();
                return must(n && *n <= whole_max, name, "a whole number, and no greater than 2^53");
            }
            case kind::whole64: return must(v.u64().has_value(), name, "a whole number");
            case kind::decimal:
                return must(v.kind == json_kind::number && is_decimal(v), name, "a number as culld writes it");
            case kind::boolean: return must(v.kind == json_kind::boolean, name, "true or false");
            case kind::text: return text(v, name);
            case kind::base_name:
                text(v, name);
                return must(v.kind != json_kind::string || is_base_name(v.text().value_or("")), name,
                            "a file name without a folder");
            case kind::texts: return texts(v, name);
            case kind::runs: return must(v.runs().has_value(), name, "runs of positions, [[first,count],…]");
            case kind::object: return object(v, name, f.inside);
            case kind::objects: {
                must(v.kind == json_kind::array, name, "an array");
                json_elements each(v);
                json_value one;
                while (each.next(one)) object(one, name, f.inside);
                return;
            }
            case kind::labels: return labels(v, name);
            case kind::null: return must(v.kind == json_kind::null, name, "null");
        }
    }

    void must(bool holds, const std::string& name, std::string_view what) {
        if (!holds) out_.push_back(fmt::format("\"{}\" must be {}", name, what));
    }

    void text(const json_value& v, const std::string& name) {
        must(v.kind == json_kind::string, name, "a text");
        if (style_.escapes && v.kind == json_kind::string && !is_written_as_ours(v))
            out_.push_back(fmt::format("\"{}\" is written with escapes that it does not need", name));
    }

    void texts(const json_value& v, const std::string& name) {
        if (v.kind != json_kind::array || !v.only_strings) return must(false, name, "a list of texts");
        if (!style_.escapes || v.raw.find('\\') == std::string_view::npos) return;
        json_elements each(v);
        json_value one;
        while (each.next(one))
            if (!is_written_as_ours(one))
                return out_.push_back(fmt::format("\"{}\" holds a text with escapes that it does not need", name));
    }

    // Each member of an object, none of them twice.
    template <class Each>
    void members(const json_value& v, const std::string& name, const Each& each) {
        if (v.kind != json_kind::object) return must(false, name, "an object");
        std::set<std::string_view> seen;
        json_reader scanner(v.raw);
        json_member m;
        while (scanner.next(m)) {
            if (!seen.insert(m.key).second) out_.push_back(fmt::format("\"{}.{}\" stands twice", name, m.key));
            each(m);
        }
    }

    void object(const json_value& v, const std::string& name, std::span<const form> known) {
        members(v, name, [&](const json_member& m) { member(m, name, known); });
    }

    void labels(const json_value& v, const std::string& name) {
        members(v, name, [&](const json_member& m) {
            if (m.key.find('\\') != std::string_view::npos)
                out_.push_back(fmt::format("the key \"{}.{}\" is written with an escape", name, m.key));
            text(m.value, fmt::format("{}.{}", name, m.key));
        });
    }

    const json_style& style_;
    std::vector<std::string>& out_;
};

}  // namespace

std::vector<std::string> form_faults(const record_view& record, record_place place) {
    std::vector<std::string> out;
    const auto known = form_of(record.type, place);
    if (known.empty()) {
        out.push_back(fmt::format("\"{}\" is no type of a record in {}", record.type_name,
                                  place == record_place::ledger ? "the ledger" : "a journal"));
        return out;
    }
    if (record.style.spaces) out.emplace_back("spaces stand between the parts of the line: culld writes none");
    form_check check(record.style, out);
    for (std::size_t i = 0; i < record.member_count; ++i) check.member(record.members[i], {}, known);
    return out;
}

std::vector<std::string_view> known_members(record_type type, record_place place) {
    std::vector<std::string_view> out;
    for (const form& f : form_of(type, place)) out.push_back(f.key);
    return out;
}

}  // namespace culld

#include "culld/core/job/job_document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "culld/core/base/ascii.hpp"
#include "culld/core/base/did_you_mean.hpp"
#include "culld/core/ids/id_text.hpp"
#include "culld/core/job/api_resource.hpp"
#include "culld/core/spool/file_kind.hpp"
#include "culld/core/text/json_writer.hpp"
#include "culld/core/text/visible_text.hpp"

namespace culld {

namespace {

constexpr std::array<std::string_view, 17> known_fields{
    "version",  "id",         "resource",     "project_id", "workspace_id", "ids",
    "ids_file", "batch_size", "max_attempts", "priority",   "not_before",   "deadline",
    "dry_run",  "verify",     "expect_count", "abort_when", "labels"};
constexpr std::array<std::string_view, 2> abort_fields{"failed_ratio", "after"};

bool name_byte(char c) {
    return ascii_alnum(c) || c == '.' || c == '_' || c == '-';
}

// [A-Za-z0-9-]{1,64}: project and workspace go into the URL's path as they are.
bool is_api_id(std::string_view text) {
    return !text.empty() && text.size() <= 64 &&
           std::ranges::all_of(text, [](char c) { return ascii_alnum(c) || c == '-'; });
}

// What stood there, short enough for a message and without control characters.
std::string shown(const scalar& v) {
    if (v.type != scalar::kind::text) return std::string(v.text.substr(0, 60));
    std::string out;
    append_json_string(out, v.text.size() > 60 ? std::string(v.text.substr(0, 60)) + "..." : std::string(v.text));
    return made_visible(out);
}

std::string listed(std::span<const std::string_view> names) {
    return fmt::format("{}", fmt::join(names, ", "));
}

template <class T>
bool read_number(std::string_view text, T& to) {
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), to);
    return ec == std::errc{} && end == text.data() + text.size();
}

// What every job needs, wherever it was read from.
result<job_spec> completed(job_spec spec, const job_rules& rules, place root) {
    const auto missing = [&](std::string field, std::string what, std::string hint) {
        return fail(problem{.what = std::move(what),
                            .hint = std::move(hint),
                            .line = root.line,
                            .column = root.column,
                            .field = std::move(field)});
    };
    const auto fill = [](auto& field, const auto& from) {
        if (field == std::remove_reference_t<decltype(field)>{}) field = from;
    };
    if (!rules.resources.empty()) fill(spec.resource, rules.resources.front());
    fill(spec.project_id, rules.settings.api.project_id);
    fill(spec.workspace_id, rules.settings.api.workspace_id);
    fill(spec.batch_size, rules.settings.batch.size);
    fill(spec.max_attempts, rules.settings.retry.max_attempts);
    if (spec.project_id.empty())
        return missing("project_id", "no project_id",
                       "set project_id in the job, or api.project_id in the configuration");
    if (spec.workspace_id.empty())
        return missing("workspace_id", "no workspace_id",
                       "set workspace_id in the job, or api.workspace_id in the configuration");
    const resource_profile* const what = find_resource(spec.resource);
    if (what != nullptr && !what->has_get) {
        if (spec.verify == verify_mode::all)
            return missing("verify",
                           fmt::format("verify: all, but the API has no way to ask for one of {}", what->name),
                           "leave verify out");
        spec.verify = verify_mode::none;
    }
    for (const std::string& label : rules.settings.jobs.require_labels)
        if (std::ranges::none_of(spec.labels, [&](const auto& l) { return l.first == label && !l.second.empty(); }))
            return missing("labels." + label, fmt::format("no label \"{}\"", label),
                           "the setting jobs.require_labels asks for it: write labels: {" + label +
                               ": ...} in a JSON or YAML job");
    return spec;
}

}  // namespace

job_document::job_document(job_rules rules, id_sink& sink) : rules_(rules), sink_(sink) {}

tl::unexpected<problem> job_document::wrong(std::string what, place at, std::string hint) const {
    return fail(problem{
        .what = std::move(what), .hint = std::move(hint), .line = at.line, .column = at.column, .field = field_});
}

tl::unexpected<problem> job_document::must_be(std::string_view what, const scalar& v, place at) const {
    // A number in quotes, or a text without them in YAML, is the likeliest slip.
    const bool quoted = v.type == scalar::kind::text && !v.text.empty() &&
                        std::ranges::all_of(v.text, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
    std::string hint;
    if (what.starts_with("a string") && (v.type == scalar::kind::number || v.type == scalar::kind::boolean))
        hint = "put it in quotes";
    else if (quoted && !what.starts_with("a string") && !what.starts_with("an RFC"))
        hint = "leave the quotes out";
    return wrong(fmt::format("{} must be {}, not {}", field_, what, shown(v)), at, std::move(hint));
}

result<void> job_document::begin_map(place at) {
    if (where_ == spot::start) {
        root_ = at;
        where_ = spot::fields;
        return {};
    }
    if (where_ == spot::fields && key_ == "labels") {
        where_ = spot::labels;
        seen_inside_.clear();
        return {};
    }
    if (where_ == spot::fields && key_ == "abort_when") {
        where_ = spot::abort_when;
        seen_inside_.clear();
        spec_.abort_when.emplace();
        return {};
    }
    if (where_ == spot::ids) return wrong("ids must hold strings, not an object", at, "write ids: [\"...\", \"...\"]");
    return wrong(fmt::format("{} must not be an object", field_), at);
}

result<void> job_document::begin_list(place at) {
    if (where_ == spot::start)
        return wrong("a job file must be an object with fields, not a list", at,
                     "a bare list of ids goes into a .txt, .csv or .jsonl file");
    if (where_ == spot::fields && key_ == "ids") {
        where_ = spot::ids;
        return {};
    }
    if (where_ == spot::ids) return wrong("ids must hold strings, not a list", at);
    return wrong(fmt::format("{} must not be a list", field_), at,
                 field_ == "labels" ? "names and texts, as in {ticket: SEC-1234}" : "");
}

result<void> job_document::end_list() {
    where_ = spot::fields;
    return {};
}

result<void> job_document::end_map() {
    if (where_ == spot::fields) {
        where_ = spot::end;
        return {};
    }
    if (where_ == spot::abort_when) {
        field_ = "abort_when";
        for (const std::string_view name : abort_fields)
            if (!seen_inside_.contains(name))
                return wrong(fmt::format("abort_when has no {}", name), key_at_,
                             "write abort_when: {failed_ratio: 0.5, after: 1000}");
    }
    where_ = spot::fields;
    return {};
}

result<void> job_document::key(std::string_view name, place at) {
    key_ = std::string(name);
    key_at_ = at;
    const bool top = where_ == spot::fields;
    const std::string outer = where_ == spot::labels ? "labels." : where_ == spot::abort_when ? "abort_when." : "";
    field_ = outer + key_.substr(0, label_key_bytes_max);
    const scalar quoted{scalar::kind::text, name};
    if (!(top ? seen_ : seen_inside_).insert(key_).second)
        return wrong(fmt::format("{} is there twice", shown(quoted)), at, "keep one of them");
    if (where_ == spot::labels) {
        if (name.empty() || name.size() > label_key_bytes_max || !std::ranges::all_of(name, name_byte))
            return wrong(fmt::format("{} is no name for a label", shown(quoted)), at,
                         fmt::format("1 to {} of A-Z a-z 0-9 . _ -", label_key_bytes_max));
        if (seen_inside_.size() > labels_max) return wrong(fmt::format("more than {} labels", labels_max), at);
        return {};
    }
    const std::span<const std::string_view> known =
        top ? std::span<const std::string_view>(known_fields) : std::span<const std::string_view>(abort_fields);
    if (std::ranges::find(known, name) == known.end()) {
        std::string hint = name == "<<" ? "merge keys are not allowed in a job file" : did_you_mean(name, known);
        if (hint.empty()) hint = "known are " + listed(known);
        return wrong(fmt::format("unknown field {}", shown(quoted)), at, std::move(hint));
    }
    if (top && (name == "ids" || name == "ids_file") && seen_.contains("ids") && seen_.contains("ids_file"))
        return wrong("both ids and ids_file", at, "a job has one of them");
    return {};
}

result<void> job_document::value(const scalar& v, place at) {
    switch (where_) {
        case spot::start: return wrong(fmt::format("a job file must be an object with fields, not {}", shown(v)), at);
        case spot::fields: return field(v, at);
        case spot::labels: return label(v, at);
        case spot::abort_when: return abort_field(v, at);
        case spot::ids:
            if (v.type != scalar::kind::text)
                return wrong(fmt::format("ids must hold strings, not {}", shown(v)), at,
                             v.type == scalar::kind::number ? "put it in quotes" : "");
            if (!sink_.take(trimmed(v.text))) {
                auto why = sink_.refusal();
                if (why.about_this_id) {
                    why.what.line = at.line;
                    why.what.column = at.column;
                }
                return fail(std::move(why.what));
            }
            return {};
        case spot::end: break;
    }
    return wrong("something follows the job", at);
}

result<std::string> job_document::text(const scalar& v, place at) const {
    if (v.type != scalar::kind::text) return must_be("a string", v, at);
    return std::string(v.text);
}

result<std::uint64_t> job_document::whole(const scalar& v, place at, std::uint64_t low, std::uint64_t high) const {
    std::uint64_t out = 0;
    if (v.type == scalar::kind::number && read_number(v.text, out) && out >= low && out <= high) return out;
    if (high == UINT64_MAX) return must_be(fmt::format("a whole number from {}", low), v, at);
    return must_be(fmt::format("a whole number, {} to {}", low, high), v, at);
}

result<bool> job_document::boolean(const scalar& v, place at) const {
    if (v.type != scalar::kind::boolean) return must_be("true or false", v, at);
    return v.text == "true";
}

result<std::optional<wall_time>> job_document::moment(const scalar& v, place at) const {
    if (v.type == scalar::kind::text)
        if (const auto parsed = parse_rfc3339(v.text)) return *parsed;
    return must_be("an RFC 3339 time like 2026-11-25T22:00:00Z (a month is 01 to 12, a day one that it has)", v, at);
}

result<void> job_document::field(const scalar& v, place at) {
    // Stores what was read, or hands its error on.
    const auto set = [](auto& to, auto&& read) -> result<void> {
        if (!read) return fail(std::move(read.error()));
        to = static_cast<std::remove_reference_t<decltype(to)>>(std::move(*read));
        return {};
    };
    const auto small = [&](std::uint32_t& to, std::uint64_t low, std::uint64_t high) {
        return set(to, whole(v, at, low, high));
    };
    const auto checked = [&](std::string& to, bool (*good)(std::string_view), std::string_view what) -> result<void> {
        if (v.type != scalar::kind::text || !good(v.text)) return must_be(what, v, at);
        to = std::string(v.text);
        return {};
    };

    if (key_ == "version") {
        if (v.type != scalar::kind::number || v.text != "1") return must_be("1", v, at);
        return {};
    }
    if (key_ == "id")
        return checked(spec_.id, is_job_id,
                       "a string of 1 to 100 of A-Z a-z 0-9 . _ -, with no dot or - in front (ledger is culld's own)");
    if (key_ == "project_id") return checked(spec_.project_id, is_api_id, "a string of 1 to 64 of A-Z a-z 0-9 -");
    if (key_ == "workspace_id") return checked(spec_.workspace_id, is_api_id, "a string of 1 to 64 of A-Z a-z 0-9 -");
    if (key_ == "ids_file")
        return checked(spec_.ids_file, is_sidecar_name, "a string, the bare name of a .ids, .ids.gz or .ids.zst file");
    if (key_ == "resource") {
        auto name = text(v, at);
        if (!name) return fail(std::move(name.error()));
        if (std::ranges::find(rules_.resources, *name) == rules_.resources.end()) {
            std::string hint = did_you_mean(*name, rules_.resources);
            if (hint.empty()) hint = "known are " + listed(rules_.resources);
            return wrong(fmt::format("unknown resource {}", shown(v)), at, std::move(hint));
        }
        spec_.resource = std::move(*name);
        return {};
    }
    if (key_ == "batch_size") return small(spec_.batch_size, 1, 999);
    if (key_ == "max_attempts") return small(spec_.max_attempts, 1, 100);
    if (key_ == "priority") return small(spec_.priority, 0, 9);
    if (key_ == "not_before") return set(spec_.not_before, moment(v, at));
    if (key_ == "deadline") {
        deadline_at_ = at;
        return set(spec_.deadline, moment(v, at));
    }
    if (key_ == "dry_run") return set(spec_.dry_run, boolean(v, at));
    if (key_ == "expect_count") return set(spec_.expect_count, whole(v, at, 0, UINT64_MAX));
    if (key_ == "verify") {
        const bool is_text = v.type == scalar::kind::text;
        if (is_text && v.text == "none")
            spec_.verify = verify_mode::none;
        else if (is_text && v.text == "failed")
            spec_.verify = verify_mode::failed;
        else if (is_text && v.text == "all")
            spec_.verify = verify_mode::all;
        else
            return must_be("none, failed or all", v, at);
        return {};
    }
    if (key_ == "ids") return must_be("a list of strings", v, at);
    if (key_ == "labels") return must_be("an object of names and strings", v, at);
    return must_be("an object like {failed_ratio: 0.5, after: 1000}", v, at);
}

result<void> job_document::label(const scalar& v, place at) {
    auto content = text(v, at);
    if (!content) return fail(std::move(content.error()));
    if (content->size() > label_value_bytes_max)
        return wrong(fmt::format("{} has {} bytes, not at most {}", field_, content->size(), label_value_bytes_max),
                     at);
    // Also what an escape stands for: people see labels in tables and pages.
    if (content->find_first_of("\n\r\t") != std::string::npos)
        return wrong(fmt::format("{} must be one line of text", field_), at);
    if (auto unseen = unseen_in(*content))
        return wrong(fmt::format("{} holds {}", field_, unseen->what), at, unseen->hint);
    spec_.labels.emplace_back(key_, std::move(*content));
    return {};
}

result<void> job_document::abort_field(const scalar& v, place at) {
    if (key_ == "after") {
        auto after = whole(v, at, 0, UINT64_MAX);
        if (!after) return fail(std::move(after.error()));
        spec_.abort_when->after = *after;
        return {};
    }
    double ratio = 0;
    if (v.type != scalar::kind::number || !read_number(v.text, ratio) || !(ratio >= 0 && ratio <= 1))
        return must_be("a number, 0 to 1", v, at);
    spec_.abort_when->failed_ratio = ratio;
    return {};
}

result<job_spec> job_document::finish() {
    field_.clear();
    if (where_ == spot::start) return wrong("the file is empty", {}, "a job has at least version and ids");
    const auto missing = [&](std::string_view field, std::string what, std::string hint) {
        field_ = std::string(field);
        return wrong(std::move(what), root_, std::move(hint));
    };
    if (where_ != spot::end) return missing("", "the job ends in the middle", "was the file cut?");
    if (!seen_.contains("version")) return missing("version", "no version", "write version: 1");
    if (!seen_.contains("ids") && !seen_.contains("ids_file"))
        return missing("ids", "neither ids nor ids_file", "a job names its ids in one of them");
    if (spec_.not_before && spec_.deadline && *spec_.not_before >= *spec_.deadline) {
        field_ = "deadline";
        return wrong("deadline is not after not_before", deadline_at_);
    }
    return completed(spec_, rules_, root_);
}

result<job_spec> bare_list_spec(const job_rules& rules) {
    return completed({}, rules, {});
}

bool is_job_id(std::string_view text) {
    return !text.empty() && text.size() <= 100 && text.front() != '.' && text.front() != '-' && text != "ledger" &&
           std::ranges::all_of(text, name_byte);
}

bool is_sidecar_name(std::string_view text) {
    const bool plain = text.find('/') == std::string_view::npos && text.size() <= 255 &&
                       text.find_first_of("\n\r\t") == std::string_view::npos && !unseen_in(text);
    return plain && type_of(text).kind == file_kind::sidecar;
}

std::string make_job_id(std::string_view stem, wall_time now, std::uint32_t chance) {
    std::string clean;
    for (const char c : stem)
        if (clean.size() < 60 && (name_byte(c) || !clean.ends_with('_'))) clean.push_back(name_byte(c) ? c : '_');
    // Nothing that hides a file, and nothing that a command takes for an option.
    clean.erase(0, std::min(clean.find_first_not_of(".-"), clean.size()));
    if (clean.empty()) clean = "job";
    return fmt::format("{}-{}-{:04x}", clean, basic_utc(now), chance & 0xFFFFU);
}

}  // namespace culld

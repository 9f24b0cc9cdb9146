#include "ctl/journal/result_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "ctl/ui/console.hpp"
#include "culld/core/ids/id_pattern.hpp"

namespace culld::ctl {

namespace {

std::string first_string(const record_view& record, std::string_view key) {
    const json_value* list = record.find(key);
    if (list == nullptr) return {};
    json_strings strings(*list);
    std::string_view raw;
    return strings.next(raw) ? json_unescaped(raw) : std::string();
}

// What nearly every id and field is; the quickest to tell.
bool is_plain(std::string_view text) {
    static const id_pattern plain = id_pattern::compile("[A-Za-z0-9_-]{1,256}").value();
    return plain.matches(text);
}

// Calls `use` with the ids of a list, until it fails.
template <class F>
result<void> for_each_id(const json_value& list, F&& use) {
    json_strings ids(list);
    std::string_view id;
    std::string unescaped;
    while (ids.next(id)) {
        if (ids.has_escapes()) id = unescaped = json_unescaped(id);
        if (auto done = use(id); !done) return done;
    }
    return {};
}

// What a refusal says, short enough to be kept for every id of its batch.
std::string detail_of(const record_view& record) {
    constexpr std::size_t bytes_max = 160;
    const std::string code = record.text("code").value_or("");
    std::string out = code.empty() ? "" : code + ": ";
    out += record.text("detail").value_or("");
    if (out.size() > bytes_max) out.resize(bytes_max);
    return out;
}

// The number of attempts has no bound worth the name; what is kept for an id must have one.
void append_request(std::string& all, std::string_view id) {
    constexpr std::ptrdiff_t kept_max = 16;
    if (!all.empty()) all += ' ';
    all += id;
    if (std::count(all.begin(), all.end(), ' ') >= kept_max) all.erase(0, all.find(' ') + 1);
}

// `at` without the parts in `without`, both ascending.
spans subtract(const spans& at, const spans& without) {
    spans out;
    std::size_t k = 0;
    for (span s : at) {
        while (s.count > 0) {
            while (k < without.size() && without[k].end() <= s.first) ++k;
            if (k == without.size() || without[k].first >= s.end()) {
                append(out, s);
                break;
            }
            if (without[k].first > s.first) append(out, {s.first, without[k].first - s.first});
            const position next = std::min(without[k].end(), s.end());
            s = {next, s.end() - next};
        }
    }
    return out;
}

}  // namespace

void result_rows::remember(const spans& at, const answer& heard) {
    for (const span& s : at)
        for (position p = s.first; p < s.end(); ++p) {
            answer& known = heard_[p];
            known.detail = heard.detail;
            // A request that never got an answer leaves what was heard before.
            if (heard.http_status == 0 && known.http_status != 0) continue;
            known.http_status = heard.http_status;
            known.attempts = heard.attempts;
            known.request_id = heard.request_id;
            if (!heard.request_id.empty()) append_request(known.request_ids, heard.request_id);
        }
}

void result_rows::forget(const spans& at) {
    if (heard_.empty()) return;
    if (count_of(at) < heard_.size()) {
        for (const span& s : at)
            for (position p = s.first; p < s.end(); ++p) heard_.erase(p);
        return;
    }
    std::erase_if(heard_, [&](const auto& entry) {
        const auto run =
            std::upper_bound(at.begin(), at.end(), entry.first, [](position p, const span& s) { return p < s.end(); });
        return run != at.end() && run->first <= entry.first;
    });
}

result<void> result_rows::feed(const record_view& record) {
    switch (record.type) {
        case record_type::batch_result: return batch_result(record);
        case record_type::batch_error: {
            const auto at = record.positions();
            if (!at) return fail(at.error());
            remember(*at, {.http_status = record.u64("http_status").value_or(0),
                           .attempts = 0,
                           .request_id = first_string(record, "request_ids"),
                           .request_ids = {},
                           .detail = detail_of(record)});
            return {};
        }
        case record_type::ids_deleted: return verdict(record, "deleted");
        case record_type::ids_absent: return verdict(record, "absent");
        case record_type::ids_failed: return verdict(record, "failed");
        case record_type::ids_skipped: return verdict(record, "skipped");
        default: return {};
    }
}

result<void> result_rows::batch_result(const record_view& record) {
    const auto at = record.runs("at"), failed = record.runs("failed_at"), unknown = record.runs("unknown_at");
    if (!at || !failed || !unknown) return fail("the record's positions cannot be read");
    const answer heard{.http_status = record.u64("http_status").value_or(0),
                       .attempts = record.u64("attempt").value_or(0),
                       .request_id = first_string(record, "request_ids"),
                       .request_ids = {},
                       .detail = {}};
    remember(*failed, heard);
    remember(*unknown, heard);
    const spans good = failed->empty() && unknown->empty() ? *at : subtract(subtract(*at, *failed), *unknown);
    const json_value* deleted = record.find("deleted");
    if (deleted == nullptr) {
        remember(good, heard);  // reported only: the verdict comes later
        return {};
    }
    forget(good);
    if (!wanted("deleted")) return {};
    result_row row{.id = {},
                   .verdict = "deleted",
                   .reason = {},
                   .attempts = heard.attempts,
                   .http_status = heard.http_status,
                   .request_id = heard.request_id,
                   .at = record.ts,
                   .request_ids = heard.request_id,
                   .detail = {}};
    return for_each_id(*deleted, [&](std::string_view id) {
        row.id = id;
        auto done = sink_(row);
        row.as_before = true;
        return done;
    });
}

result<void> result_rows::verdict(const record_view& record, std::string_view name) {
    const auto at = record.positions();
    if (!at) return fail(at.error());
    const bool show = wanted(name);
    const std::string reason = record.text("reason").value_or(record.text("how").value_or(""));
    const auto attempts = record.u64("attempts");
    std::size_t run = 0;
    std::uint64_t within = 0;
    const auto row = [&](std::string_view id) -> result<void> {
        // The list and its positions run side by side.
        while (run < at->size() && within == (*at)[run].count) {
            ++run;
            within = 0;
        }
        if (run == at->size()) return fail("more ids than positions");
        const position p = (*at)[run].first + within++;
        const auto found = heard_.find(p);
        const answer none;
        const answer& heard = found == heard_.end() ? none : found->second;
        result<void> done;
        if (show)
            done = sink_({.id = id,
                          .verdict = name,
                          .reason = reason,
                          .attempts = attempts.value_or(heard.attempts),
                          .http_status = heard.http_status,
                          .request_id = heard.request_id,
                          .at = record.ts,
                          .request_ids = heard.request_ids,
                          .detail = heard.detail});
        if (found != heard_.end()) heard_.erase(found);
        return done;
    };
    const json_value* ids = record.find("ids");
    if (ids == nullptr) {
        if (show) return lookup_(*at, row);
        forget(*at);
        return {};
    }
    return for_each_id(*ids, row);
}

void append_cell(std::string& out, std::string_view text, std::size_t width) {
    if (!is_plain(text)) {
        fmt::format_to(std::back_inserter(out), "{:{}}", printable(text), width);
        return;
    }
    out += text;
    if (text.size() < width) out.append(width - text.size(), ' ');
}

void append_csv_field(std::string& out, std::string_view text) {
    if (text.empty() || is_plain(text)) {
        out += text;
        return;
    }
    std::string field;
    if (std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos) field += '\'';
    field += text;
    if (field.find_first_of(",\"\r\n") == std::string::npos) {
        out += field;
        return;
    }
    out += '"';
    for (const char c : field) {
        if (c == '"') out += '"';
        out += c;
    }
    out += '"';
}

}  // namespace culld::ctl

// JSON Lines: *.jsonl and *.ndjson.
#include <fmt/format.h>

#include <boost/json/basic_parser_impl.hpp>
#include <string>

#include "culld/io/lists/list_lines.hpp"
#include "culld/io/lists/list_reader.hpp"

namespace culld {

namespace {

namespace json = boost::json;

// What basic_parser calls for one line. Only the line's own string, or the strings `id` and `incident_id` of
// its object, are kept; a key that comes twice is an error, since readers differ in which of the two they
// believe.
struct line_handler {
    static constexpr std::size_t max_object_size = SIZE_MAX;
    static constexpr std::size_t max_array_size = SIZE_MAX;
    static constexpr std::size_t max_key_size = SIZE_MAX;
    static constexpr std::size_t max_string_size = SIZE_MAX;

    enum class slot { none, whole, id, incident_id };
    std::string id, incident_id, key;
    bool has_id = false, has_incident_id = false, is_object = false;
    int depth = 0;
    slot next = slot::whole;  // where the next value goes
    std::string complaint;    // set when a callback says no

    void clear() {
        id.clear();
        incident_id.clear();
        key.clear();
        has_id = has_incident_id = is_object = false;
        depth = 0;
        next = slot::whole;
        complaint.clear();
    }
    bool no(json::error_code& ec, std::string why) {
        complaint = std::move(why);
        ec = json::error::syntax;
        return false;
    }
    // A value that is no string has come.
    bool other(json::error_code& ec, std::string_view what) {
        if (next == slot::whole) return no(ec, fmt::format("must be a string or an object, not {}", what));
        if (next == slot::id) return no(ec, fmt::format("id must be a string, not {}", what));
        if (next == slot::incident_id) return no(ec, fmt::format("incident_id must be a string, not {}", what));
        return true;
    }
    std::string* target() {
        if (next == slot::whole || next == slot::id) return &id;
        return next == slot::incident_id ? &incident_id : nullptr;
    }

    bool on_document_begin(json::error_code&) { return true; }
    bool on_document_end(json::error_code&) { return true; }
    bool on_object_begin(json::error_code& ec) {
        if (next == slot::whole)
            is_object = true;
        else if (!other(ec, "an object"))
            return false;
        next = slot::none;
        ++depth;
        return true;
    }
    bool on_object_end(std::size_t, json::error_code&) {
        --depth;
        next = slot::none;
        return true;
    }
    bool on_array_begin(json::error_code& ec) {
        if (!other(ec, "a list")) return false;
        ++depth;
        return true;
    }
    bool on_array_end(std::size_t, json::error_code&) {
        --depth;
        return true;
    }
    bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
        if (depth == 1) key.append(part.data(), part.size());
        return true;
    }
    bool on_key(json::string_view part, std::size_t, json::error_code& ec) {
        next = slot::none;
        if (depth != 1) return true;
        key.append(part.data(), part.size());
        const auto once = [&](bool& seen, slot where) {
            if (seen) return no(ec, fmt::format("{} is there twice", key));
            seen = true;
            next = where;
            return true;
        };
        bool good = true;
        if (key == "id") good = once(has_id, slot::id);
        if (key == "incident_id") good = once(has_incident_id, slot::incident_id);
        key.clear();
        return good;
    }
    bool on_string_part(json::string_view part, std::size_t, json::error_code&) {
        if (std::string* to = target()) to->append(part.data(), part.size());
        return true;
    }
    bool on_string(json::string_view part, std::size_t, json::error_code&) {
        if (std::string* to = target()) to->append(part.data(), part.size());
        if (next == slot::whole) has_id = true;
        next = slot::none;
        return true;
    }
    bool on_number_part(json::string_view, json::error_code&) { return true; }
    bool on_int64(std::int64_t, json::string_view, json::error_code& ec) { return other(ec, "a number"); }
    bool on_uint64(std::uint64_t, json::string_view, json::error_code& ec) { return other(ec, "a number"); }
    bool on_double(double, json::string_view, json::error_code& ec) { return other(ec, "a number"); }
    bool on_bool(bool, json::error_code& ec) { return other(ec, "true or false"); }
    bool on_null(json::error_code& ec) { return other(ec, "null"); }
    bool on_comment_part(json::string_view, json::error_code&) { return true; }
    bool on_comment(json::string_view, json::error_code&) { return true; }
};

// A string without escapes, as nearly every line is: the text between its quotes, else nothing.
std::optional<std::string_view> plain_string(std::string_view text) {
    if (text.size() < 2 || text.front() != '"' || text.find('"', 1) != text.size() - 1) return std::nullopt;
    const std::string_view inside = text.substr(1, text.size() - 2);
    for (const char c : inside)
        if (c == '\\' || c < 0x20) return std::nullopt;  // what is not ASCII is left to the parser as well
    return inside;
}

}  // namespace

result<void> read_jsonl(byte_source& from, id_sink& sink) {
    list_lines lines(from, sink, list_json_bytes_max);
    json::basic_parser<line_handler> parser(json::parse_options{});
    for (;;) {
        const auto line = lines.next();
        if (!line) return fail(line.error());
        if (!*line) return {};
        const std::string_view text = trimmed(**line);
        if (text.empty()) continue;
        const auto column_of = [&](const char* at) { return static_cast<std::uint64_t>(at - (*line)->data()) + 1; };
        const place start{lines.line(), column_of(text.data())};
        if (const auto plain = plain_string(text)) {
            if (!sink.take(trimmed(*plain))) return refused_at(sink, start);
            continue;
        }

        parser.reset();
        line_handler& found = parser.handler();
        found.clear();
        json::error_code ec;
        const std::size_t used = parser.write_some(false, text.data(), text.size(), ec);
        const auto wrong = [&](std::string what, std::uint64_t column) {
            return fail(problem{.what = std::move(what),
                                .hint = "each line is a JSON string, or an object with a string \"id\"",
                                .line = lines.line(),
                                .column = column});
        };
        const std::uint64_t here = column_of(text.data() + std::min(used, text.size() - 1));
        if (!found.complaint.empty()) return wrong(found.complaint, here);
        if (ec) return wrong(fmt::format("not JSON: {}", ec.message()), here);
        if (used < text.size()) return wrong("something follows the value", here);
        if (!found.has_id && !found.has_incident_id) return wrong("an object without \"id\"", start.column);
        if (!sink.take(trimmed(found.has_id ? found.id : found.incident_id))) return refused_at(sink, start);
    }
}

}  // namespace culld

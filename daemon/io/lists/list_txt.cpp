// One id a line: *.txt and *.ids.
#include <algorithm>

#include "culld/io/lists/list_lines.hpp"
#include "culld/io/lists/list_reader.hpp"

namespace culld {

namespace {

// `line` without its comment.
std::string_view without_comment(std::string_view line) {
    // A # belongs to a comment only at the start or behind a blank: "abc#def" must not become another id,
    // "abc".
    for (std::size_t at = line.find('#'); at != std::string_view::npos; at = line.find('#', at + 1))
        if (at == 0 || is_blank(line[at - 1])) return line.substr(0, at);
    return line;
}

}  // namespace

result<void> read_txt(byte_source& from, id_sink& sink) {
    list_lines lines(from, sink, list_line_bytes_max, '#');
    for (;;) {
        const auto line = lines.next();
        if (!line) return fail(line.error());
        if (!*line) return {};
        const std::string_view id = trimmed(lines.may_be_marked() ? without_comment(**line) : **line);
        if (!id.empty() && !sink.take(id))
            return refused_at(sink, {lines.line(), static_cast<std::uint64_t>(id.data() - (*line)->data()) + 1});
    }
}

result<void> read_list(byte_source& from, file_kind kind, id_sink& sink) {
    result<void> done;
    switch (kind) {
        case file_kind::list_csv: done = read_csv(from, sink); break;
        case file_kind::list_jsonl: done = read_jsonl(from, sink); break;
        case file_kind::list_txt:
        case file_kind::sidecar: done = read_txt(from, sink); break;
        case file_kind::ignored:
        case file_kind::job_json:
        case file_kind::job_yaml:
        case file_kind::unknown: done = fail("not a list"); break;
    }
    if (!done && done.error().file.empty()) done.error().file = from.name();
    return done;
}

tl::unexpected<problem> refused_at(id_sink& sink, place at) {
    auto why = sink.refusal();
    if (why.about_this_id) {
        why.what.line = at.line;
        why.what.column = at.column;
    }
    return fail(std::move(why.what));
}

}  // namespace culld

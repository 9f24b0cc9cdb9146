// YAML job files, through the strict layer's events.
#include <fmt/format.h>

#include <string>

#include "culld/core/base/time.hpp"
#include "culld/core/ids/id_text.hpp"
#include "culld/core/text/yaml_tree.hpp"
#include "culld/io/lists/job_reader.hpp"
#include "culld/io/lists/list_lines.hpp"

namespace culld {

namespace {

bool digits_at(std::string_view text, std::size_t& at) {
    const std::size_t from = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at > from;
}

// A number as JSON writes it: no octal, no 1_000, no .5, no .inf.
bool is_json_number(std::string_view text) {
    std::size_t at = text.starts_with('-') ? 1 : 0;
    const std::size_t whole = at;
    if (!digits_at(text, at) || (text[whole] == '0' && at > whole + 1)) return false;
    if (at < text.size() && text[at] == '.') {
        ++at;
        if (!digits_at(text, at)) return false;
    }
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        ++at;
        if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
        if (!digits_at(text, at)) return false;
    }
    return at == text.size();
}

// A cut UUID is none.
bool is_whole(std::string_view text) {
    return is_uuid(text) || parse_rfc3339(text).has_value();
}

class job_events final : public yaml_sink {
  public:
    explicit job_events(job_document& into) : into_(into) {}

    result<void> begin_map(place at) override { return into_.begin_map(at); }
    result<void> key(std::string_view name, place at) override {
        of_version_ = name == "version";  // which is never more than it is
        return into_.key(name, at);
    }
    result<void> end_map() override { return into_.end_map(); }
    result<void> begin_list(place at) override { return into_.begin_list(at); }
    result<void> end_list() override { return into_.end_list(); }
    result<void> value(const yaml_scalar& v, place at) override {
        if (v.null) return into_.value({scalar::kind::null, "null"}, at);
        if (!v.quoted && (v.text == "true" || v.text == "false"))
            return into_.value({scalar::kind::boolean, v.text}, at);
        if (v.at_end && !is_whole(v.text) && !of_version_)
            return fail(problem{.what = "the file ends in the middle of a line",
                                .hint = "was it cut? If not, put a newline at its end",
                                .line = at.line,
                                .column = at.column});
        if (v.quoted) return into_.value({scalar::kind::text, v.text}, at);
        if (is_json_number(v.text)) return into_.value({scalar::kind::number, v.text}, at);
        return into_.value({scalar::kind::text, v.text}, at);
    }

  private:
    job_document& into_;
    bool of_version_ = false;
};

}  // namespace

result<void> read_job_yaml(byte_source& from, job_document& into, id_sink& sink) {
    text_source blocks(from, sink);
    const yaml_bytes next = [&] { return blocks.next(); };
    job_events events(into);
    return read_strict_yaml(next, events, job_head_bytes_max);
}

result<job_spec> read_job(byte_source& from, file_kind kind, job_document& into, id_sink& sink) {
    const auto done = kind == file_kind::job_yaml ? read_job_yaml(from, into, sink) : read_job_json(from, into, sink);
    auto out = done ? into.finish() : result<job_spec>(fail(done.error()));
    if (!out && out.error().file.empty()) out.error().file = from.name();
    return out;
}

}  // namespace culld

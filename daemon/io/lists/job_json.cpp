// JSON job files.
//
// Boost.JSON's basic_parser checks the grammar, one byte at a time, so that the place of every event is known
// to the byte. It never sees what stands between the brackets of `ids`: that is the id_array's, which knows
// no more JSON than a list of strings has, and is as fast as finding the quotes.
#include <fmt/format.h>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value_to.hpp>
#include <optional>
#include <string>

#include "culld/io/lists/job_reader.hpp"
#include "culld/io/lists/list_lines.hpp"

namespace culld {

namespace {

namespace json = boost::json;

constexpr std::size_t string_bytes_max = 4096;

tl::unexpected<problem> wrong(std::string what, place at, std::string hint = {}, std::string field = {}) {
    return fail(problem{.what = std::move(what),
                        .hint = std::move(hint),
                        .line = at.line,
                        .column = at.column,
                        .field = std::move(field)});
}

// Knows where a byte stands.
struct cursor {
    place at{1, 0};  // of the byte that was passed last
    bool new_line = false;

    void pass(char c) {
        if (new_line) {
            ++at.line;
            at.column = 0;
        }
        ++at.column;
        new_line = c == '\n';
    }
    // `count` bytes at once, none of them a newline.
    void pass_plain(std::size_t count) {
        if (count == 0) return;
        pass(' ');
        at.column += count - 1;
    }
};

// Turns basic_parser's calls into the document's events.
struct document_handler {
    static constexpr std::size_t max_object_size = SIZE_MAX;
    static constexpr std::size_t max_array_size = SIZE_MAX;
    static constexpr std::size_t max_key_size = string_bytes_max;
    static constexpr std::size_t max_string_size = string_bytes_max;

    job_document& document;
    place token;    // of the string, number or word that an event ends
    place bracket;  // of the bracket that was just fed
    std::string text;
    std::optional<problem> trouble;
    bool at_ids = false;  // `ids` was just opened

    bool pass(result<void> done, json::error_code& ec) {
        text.clear();
        if (done) return true;
        trouble = std::move(done.error());
        ec = json::error::syntax;
        return false;
    }
    template <class View>
    bool part(View v) {
        text.append(v.data(), v.size());
        return true;
    }
    bool scalar_of(scalar::kind kind, json::error_code& ec) { return pass(document.value({kind, text}, token), ec); }

    bool on_document_begin(json::error_code&) { return true; }
    bool on_document_end(json::error_code&) { return true; }
    bool on_object_begin(json::error_code& ec) { return pass(document.begin_map(bracket), ec); }
    bool on_object_end(std::size_t, json::error_code& ec) { return pass(document.end_map(), ec); }
    bool on_array_begin(json::error_code& ec) {
        if (!pass(document.begin_list(bracket), ec)) return false;
        at_ids = document.in_ids();
        return true;
    }
    bool on_array_end(std::size_t, json::error_code& ec) { return pass(document.end_list(), ec); }
    bool on_key_part(json::string_view v, std::size_t, json::error_code&) { return part(v); }
    bool on_key(json::string_view v, std::size_t, json::error_code& ec) {
        part(v);
        const std::string name = std::exchange(text, {});
        return pass(document.key(name, token), ec);
    }
    bool on_string_part(json::string_view v, std::size_t, json::error_code&) { return part(v); }
    bool on_string(json::string_view v, std::size_t, json::error_code& ec) {
        part(v);
        return scalar_of(scalar::kind::text, ec);
    }
    bool on_number_part(json::string_view v, json::error_code&) { return part(v); }
    bool on_int64(std::int64_t, json::string_view v, json::error_code& ec) { return part(v) && number(ec); }
    bool on_uint64(std::uint64_t, json::string_view v, json::error_code& ec) { return part(v) && number(ec); }
    bool on_double(double, json::string_view v, json::error_code& ec) { return part(v) && number(ec); }
    bool number(json::error_code& ec) { return scalar_of(scalar::kind::number, ec); }
    bool on_bool(bool value, json::error_code& ec) {
        text = value ? "true" : "false";
        return scalar_of(scalar::kind::boolean, ec);
    }
    bool on_null(json::error_code& ec) {
        text = "null";
        return scalar_of(scalar::kind::null, ec);
    }
    bool on_comment_part(json::string_view, json::error_code&) { return true; }
    bool on_comment(json::string_view, json::error_code&) { return true; }
};

// The strings between the brackets of `ids`.
class id_array {
  public:
    id_array(id_sink& sink, cursor& here) : sink_(sink), here_(here) {}

    // Takes what belongs to the array off the front of `block`, up to its `]`, which is left there.
    // True once that was reached.
    result<bool> feed(std::string_view& block) {
        while (!block.empty()) {
            if (state_ == state::inside) {
                if (auto done = inside(block); !done) return fail(std::move(done.error()));
                continue;
            }
            const char c = block.front();
            if (c == ']' && state_ != state::after_comma) return true;
            block.remove_prefix(1);
            here_.pass(c);
            if (c == ' ' || c == '\t' || c == '\n' || c == '\r') continue;
            if (state_ == state::after_id) {
                if (c != ',') return wrong("a comma or ] must follow an id", here_.at, {}, "ids");
                state_ = state::after_comma;
                continue;
            }
            if (c == ']') return wrong("an id must follow a comma", here_.at, "take the last comma out", "ids");
            if (c != '"')
                return wrong(fmt::format("ids must hold strings, not {}", kind_of(c)), here_.at,
                             "write ids: [\"...\", \"...\"]", "ids");
            state_ = state::inside;
            quote_at_ = here_.at;
        }
        return false;
    }

  private:
    enum class state { start, inside, after_id, after_comma };

    static std::string_view kind_of(char c) {
        if (c == '{') return "an object";
        if (c == '[') return "a list";
        if (c == ',') return "nothing";
        if (c == '-' || (c >= '0' && c <= '9')) return "a number";
        return "a bare word";
    }

    result<void> inside(std::string_view& block) {
        const std::size_t quote = block.find('"');
        const std::string_view part = block.substr(0, quote);
        if (carried_.empty() && quote != std::string_view::npos && part.find('\\') == std::string_view::npos &&
            part.size() <= string_bytes_max) {
            block.remove_prefix(quote + 1);
            return take(part, quote + 1);
        }
        // It goes on in the next block, or has escapes: collected byte by byte up to the quote that ends it.
        while (!block.empty()) {
            const char c = block.front();
            block.remove_prefix(1);
            if (c == '"' && !escaped_) {
                const std::string raw = std::exchange(carried_, {});
                return take(raw, raw.size() + 1);
            }
            escaped_ = c == '\\' && !escaped_;
            carried_.push_back(c);
            if (carried_.size() > string_bytes_max)
                return wrong(fmt::format("an id of more than {} bytes", string_bytes_max), quote_at_, {}, "ids");
        }
        return {};
    }

    // `raw` as it stood between the quotes; `passed` bytes to where the closing one was.
    result<void> take(std::string_view raw, std::size_t passed) {
        state_ = state::after_id;
        std::string decoded;
        if (raw.find('\\') != std::string_view::npos) {
            json::error_code ec;
            const json::value v = json::parse(fmt::format("\"{}\"", raw), ec);
            if (ec) return wrong(fmt::format("not JSON: {}", ec.message()), quote_at_, {}, "ids");
            decoded.assign(v.as_string().begin(), v.as_string().end());
            raw = decoded;
        }
        if (!sink_.take(trimmed(raw))) return refused_at(sink_, quote_at_);
        // No newline: no pattern lets one into an id, and none is trimmed.
        here_.pass_plain(passed);
        return {};
    }

    id_sink& sink_;
    cursor& here_;
    state state_ = state::start;
    bool escaped_ = false;
    std::string carried_;
    place quote_at_;
};

class json_job {
  public:
    json_job(job_document& into, id_sink& sink)
        : parser_(json::parse_options{}, document_handler{into, {}, {}, {}, {}, false}), array_(sink, here_) {}

    result<void> feed(std::string_view block) {
        while (!block.empty()) {
            if (parser_.handler().at_ids) {
                const auto closed = array_.feed(block);
                if (!closed) return fail(closed.error());
                if (!*closed) return {};
                parser_.handler().at_ids = false;  // the ] itself is the parser's
            }
            if (auto done = byte(block.front()); !done) return done;
            block.remove_prefix(1);
        }
        return {};
    }

    result<void> end() {
        if (head_bytes_ == 0 || !started_) return wrong("the file is empty", {}, "a job has at least version and ids");
        json::error_code ec;
        if (!parser_.handler().at_ids && parser_.write_some(false, "", 0, ec) == 0 && parser_.done()) return {};
        if (parser_.handler().trouble) return fail(*parser_.handler().trouble);
        return wrong("the file ends in the middle", here_.at, "was it cut?");
    }

  private:
    result<void> byte(char c) {
        here_.pass(c);
        if (++head_bytes_ > job_head_bytes_max)
            return wrong(fmt::format("more than {} bytes beside the ids", job_head_bytes_max), here_.at);
        document_handler& handler = parser_.handler();
        const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        started_ = started_ || !blank;
        if (parser_.done()) {
            if (blank) return {};
            return wrong("something follows the job", here_.at, "a job file holds one object");
        }
        follow(c, blank);
        json::error_code ec;
        const std::size_t used = parser_.write_some(true, &c, 1, ec);
        if (handler.trouble) return fail(*handler.trouble);
        if (ec)
            return wrong(
                fmt::format("not JSON: {}", ec.message()), here_.at,
                "names and texts stand in double quotes, a comma between two members and none behind the last");
        // A byte that the parser left behind its end.
        if (used == 0 && !blank) return wrong("something follows the job", here_.at, "a job file holds one object");
        return {};
    }

    // Where the token began that the next event will be about.
    void follow(char c, bool blank) {
        if (in_string_) {
            in_string_ = escaped_ || c != '"';
            escaped_ = c == '\\' && !escaped_;
            return;
        }
        const bool structure = c == '{' || c == '}' || c == '[' || c == ']' || c == ',' || c == ':';
        if (structure) parser_.handler().bracket = here_.at;
        const bool word = !structure && !blank && c != '"';
        if (c == '"' || (word && !in_word_)) parser_.handler().token = here_.at;
        in_string_ = c == '"';
        escaped_ = false;
        in_word_ = word;
    }

    json::basic_parser<document_handler> parser_;
    cursor here_;
    id_array array_;
    std::uint64_t head_bytes_ = 0;
    bool started_ = false;
    bool in_string_ = false;
    bool escaped_ = false;
    bool in_word_ = false;
};

}  // namespace

result<void> read_job_json(byte_source& from, job_document& into, id_sink& sink) {
    text_source blocks(from, sink);
    json_job job(into, sink);
    for (;;) {
        const auto block = blocks.next();
        if (!block) return fail(block.error());
        if (block->empty()) return job.end();
        if (auto done = job.feed(*block); !done) return done;
    }
}

}  // namespace culld

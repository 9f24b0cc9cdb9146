#include "culld/core/strict_yaml.hpp"

#include <fmt/format.h>
#include <yaml.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <new>
#include <optional>

#include "culld/core/json_text.hpp"
#include "culld/core/utf8.hpp"
#include "culld/core/visible_text.hpp"

namespace culld {

namespace {

constexpr std::size_t levels_max = 100;

problem complaint(place at, std::string what, std::string hint = {}) {
    return problem{.what = std::move(what), .hint = std::move(hint), .line = at.line, .column = at.column};
}

// The text on its way into libyaml, which counts characters; ours are columns of bytes.
class yaml_input {
  public:
    yaml_input(const yaml_bytes& from, std::size_t between_max) : from_(from), between_max_(between_max) {}

    [[nodiscard]] const std::optional<problem>& trouble() const { return trouble_; }

    static int read(void* self, unsigned char* buffer, std::size_t room, std::size_t* got) {
        return static_cast<yaml_input*>(self)->fill(buffer, room, *got) ? 1 : 0;
    }

    place place_of(const yaml_mark_t& mark) {
        const std::size_t line_start = mark.index - mark.column;
        // Events come in the order of the text: what is before this line is not asked for again.
        while (!wide_.empty() && wide_.front().index < line_start) wide_.pop_front();
        std::uint64_t column = mark.column + 1;
        for (const wide& w : wide_) {
            if (w.index >= mark.index) break;
            column += w.more;
        }
        return {mark.line + 1, column};
    }
    void event_came() { since_event_ = 0; }
    // Whether the text ends at `mark`.
    [[nodiscard]] bool ends_at(const yaml_mark_t& mark) const { return ended_ && mark.index == characters_; }

  private:
    bool fill(unsigned char* buffer, std::size_t room, std::size_t& got) {
        got = 0;
        if (rest_.empty() && !ended_) {
            auto next = from_();
            if (!next) return no(std::move(next.error()));
            rest_ = *next;
            ended_ = rest_.empty();
        }
        got = std::min(room, rest_.size());
        since_event_ += got;
        if (since_event_ > between_max_)
            return no(problem{.what = fmt::format("more than {} bytes without a value", between_max_),
                              .hint = "is this YAML?"});
        for (std::size_t i = 0; i < got; ++i) {
            const auto u = static_cast<unsigned char>(rest_[i]);
            if ((u & 0xC0U) == 0x80U && !wide_.empty()) {
                ++wide_.back().more;
                continue;
            }
            if (u >= 0x80) wide_.push_back({characters_, 0});
            ++characters_;
        }
        if (got > 0) std::memcpy(buffer, rest_.data(), got);
        rest_.remove_prefix(got);
        return true;
    }
    bool no(problem why) {
        trouble_ = std::move(why);
        return false;
    }

    struct wide {  // a character of more than one byte
        std::size_t index;
        std::uint64_t more;
    };
    const yaml_bytes& from_;
    std::size_t between_max_;
    std::string_view rest_;
    std::deque<wide> wide_;
    std::size_t characters_ = 0;
    std::size_t since_event_ = 0;
    bool ended_ = false;
    std::optional<problem> trouble_;
};

struct end_event {
    void operator()(yaml_event_t* e) const noexcept { ::yaml_event_delete(e); }
};

std::string_view view_of(const yaml_char_t* text, std::size_t length) {
    return {reinterpret_cast<const char*>(text), length};
}
std::string anchor_text(const yaml_char_t* text) {
    return text == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(text));
}

bool is_nothing(std::string_view text) {
    return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

// One run of read_strict_yaml: the grammar is libyaml's, what is refused is decided here.
class strict_run {
  public:
    strict_run(const yaml_bytes& from, yaml_sink& into, std::size_t between_max)
        : input_(from, between_max), into_(into) {
        if (::yaml_parser_initialize(&parser_) == 0) throw std::bad_alloc();
        ::yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
        ::yaml_parser_set_input(&parser_, &yaml_input::read, &input_);
    }
    ~strict_run() { ::yaml_parser_delete(&parser_); }
    strict_run(const strict_run&) = delete;
    strict_run& operator=(const strict_run&) = delete;

    result<void> run() {
        for (;;) {
            yaml_event_t event;
            if (::yaml_parser_parse(&parser_, &event) == 0) return fail(syntax_error());
            const std::unique_ptr<yaml_event_t, end_event> owned(&event);
            input_.event_came();
            if (event.type == YAML_STREAM_END_EVENT) return {};
            if (auto done = take(event); !done) return done;
        }
    }

  private:
    struct level {
        bool map = false;
        bool at_key = true;                                       // of a map: a key comes next
        bool drop_value = false;                                  // of a key that was refused
        std::map<std::string, std::uint64_t, std::less<>> names;  // with their lines
    };

    problem syntax_error() {
        // What stopped the stream comes first: whatever libyaml says then is about a text cut there.
        if (input_.trouble()) return *input_.trouble();
        if (parser_.error == YAML_MEMORY_ERROR) throw std::bad_alloc();
        const std::string why = parser_.problem == nullptr ? "damaged" : parser_.problem;
        const bool context = parser_.context != nullptr;
        if (context && std::string_view(parser_.context) == "while scanning a quoted scalar" &&
            why == "found unexpected end of stream")
            return complaint(input_.place_of(parser_.context_mark),
                             "no valid YAML: the quote that opens here is never closed", "was the file cut?");
        problem out =
            complaint(input_.place_of(parser_.problem_mark),
                      fmt::format("no valid YAML: {}{}{}", context ? parser_.context : "", context ? ", " : "", why));
        if (context && parser_.context_mark.line != parser_.problem_mark.line)
            out.hint = fmt::format("see line {}", parser_.context_mark.line + 1);
        return out;
    }

    result<void> take(const yaml_event_t& event) {
        const place at = input_.place_of(event.start_mark);
        switch (event.type) {
            case YAML_DOCUMENT_START_EVENT:
                if (documents_++ == 0) return {};
                return into_.refused(complaint(at, "a second document begins here",
                                               "one file holds one document; remove the --- line or what follows it"));
            case YAML_ALIAS_EVENT:
                if (auto done = refuse(fmt::format("an alias, *{},", anchor_text(event.data.alias.anchor)), at); !done)
                    return done;
                return scalar({.text = {}, .null = true}, at, false);
            case YAML_SCALAR_EVENT: {
                const auto& s = event.data.scalar;
                if (auto done = check(s.anchor, s.tag, at); !done) return done;
                const std::string_view text = view_of(s.value, s.length);
                const bool quoted = s.style != YAML_PLAIN_SCALAR_STYLE;
                return scalar({.text = text,
                               .quoted = quoted,
                               .null = !quoted && is_nothing(text),
                               .at_end = !quoted && input_.ends_at(event.end_mark)},
                              at, true);
            }
            case YAML_SEQUENCE_START_EVENT:
                if (auto done = check(event.data.sequence_start.anchor, event.data.sequence_start.tag, at); !done)
                    return done;
                return open(false, at);
            case YAML_MAPPING_START_EVENT:
                if (auto done = check(event.data.mapping_start.anchor, event.data.mapping_start.tag, at); !done)
                    return done;
                return open(true, at);
            case YAML_SEQUENCE_END_EVENT:
            case YAML_MAPPING_END_EVENT: return close();
            case YAML_NO_EVENT:
            case YAML_STREAM_START_EVENT:
            case YAML_STREAM_END_EVENT:
            case YAML_DOCUMENT_END_EVENT: break;
        }
        return {};
    }

    result<void> refuse(std::string_view what, place at) {
        return into_.refused(complaint(at, fmt::format("{} is refused here", what),
                                       "write the value out; a text that begins with & * or ! needs quotes"));
    }
    result<void> check(const yaml_char_t* anchor, const yaml_char_t* tag, place at) {
        if (anchor != nullptr)
            if (auto done = refuse(fmt::format("anchor &{}", anchor_text(anchor)), at); !done) return done;
        if (tag == nullptr) return {};
        return refuse(fmt::format("tag {}", anchor_text(tag)), at);
    }

    [[nodiscard]] bool at_key() const { return !open_.empty() && open_.back().map && open_.back().at_key; }
    // Where the next value is one that nobody gets: of a second document, or of a key that was refused.
    [[nodiscard]] bool unwanted() const { return open_.empty() ? documents_ > 1 : open_.back().drop_value; }
    // A value is over: a key comes next.
    void value_over() {
        if (open_.empty()) return;
        open_.back().at_key = true;
        open_.back().drop_value = false;
    }

    result<void> scalar(const yaml_scalar& v, place at, bool named) {
        if (dropped_ > 0) return {};
        if (at_key()) return key(v, at, named);
        const bool unwanted_value = unwanted();
        value_over();
        return unwanted_value ? result<void>{} : into_.value(v, at);
    }

    result<void> key(const yaml_scalar& v, place at, bool named) {
        level& top = open_.back();
        top.at_key = false;
        top.drop_value = true;
        if (!named || v.null) return into_.refused(complaint(at, "a key must be a name"));
        if (v.text == "<<" && !v.quoted) return refuse("the merge key <<", at);
        const auto [same, fresh] = top.names.emplace(v.text, at.line);
        if (!fresh)
            return into_.refused(complaint(at, fmt::format("duplicate key \"{}\"", made_visible(v.text.substr(0, 100))),
                                           fmt::format("it stands in line {} already; keep one", same->second)));
        top.drop_value = false;
        return into_.key(v.text, at);
    }

    result<void> open(bool map, place at) {
        if (dropped_ > 0) {
            ++dropped_;
            return {};
        }
        if (at_key()) {
            open_.back().at_key = false;
            open_.back().drop_value = true;
            dropped_key_ = true;
            dropped_ = 1;
            return into_.refused(complaint(at, "a key must be a name, not a list or a map"));
        }
        if (unwanted()) {
            dropped_ = 1;
            return {};
        }
        if (open_.size() == levels_max) return fail(complaint(at, fmt::format("more than {} levels", levels_max)));
        open_.push_back({.map = map});
        return map ? into_.begin_map(at) : into_.begin_list(at);
    }

    result<void> close() {
        if (dropped_ > 0) {
            if (--dropped_ > 0) return {};
            if (!std::exchange(dropped_key_, false)) value_over();
            return {};
        }
        const bool map = open_.back().map;
        open_.pop_back();
        value_over();
        return map ? into_.end_map() : into_.end_list();
    }

    yaml_parser_t parser_{};
    yaml_input input_;
    yaml_sink& into_;
    std::vector<level> open_;
    std::size_t dropped_ = 0;   // depth inside a list or map that nobody gets
    bool dropped_key_ = false;  // which is a key
    int documents_ = 0;
};

// Builds the tree. The open nodes are a stack of pointers: a node's siblings are appended only after it was closed, so
// none of them moves while it is open.
class tree_builder final : public yaml_sink {
  public:
    yaml_node root;
    std::vector<problem> problems;

    result<void> begin_map(place at) override { return open(yaml_node::kind::map, at); }
    result<void> begin_list(place at) override { return open(yaml_node::kind::list, at); }
    result<void> end_map() override { return close(); }
    result<void> end_list() override { return close(); }
    result<void> key(std::string_view name, place at) override {
        open_.back()->members.push_back({std::string(name), at.line, at.column, {}});
        return {};
    }
    result<void> value(const yaml_scalar& v, place at) override {
        yaml_node& node = slot();
        node.type = v.null ? yaml_node::kind::none : yaml_node::kind::scalar;
        if (!v.null) node.text = v.text;
        node.quoted = v.quoted;
        node.line = at.line;
        node.column = at.column;
        return {};
    }
    result<void> refused(problem why) override {
        problems.push_back(std::move(why));
        return {};
    }

  private:
    // Where the next value goes.
    yaml_node& slot() {
        if (open_.empty()) return root;
        yaml_node& top = *open_.back();
        return top.type == yaml_node::kind::list ? top.items.emplace_back() : top.members.back().value;
    }
    result<void> open(yaml_node::kind type, place at) {
        yaml_node& node = slot();
        node.type = type;
        node.line = at.line;
        node.column = at.column;
        open_.push_back(&node);
        return {};
    }
    result<void> close() {
        open_.pop_back();
        return {};
    }

    std::vector<yaml_node*> open_;
};

}  // namespace

result<void> read_strict_yaml(const yaml_bytes& from, yaml_sink& into, std::size_t between_max) {
    return strict_run(from, into, between_max).run();
}

tl::expected<yaml_node, std::vector<problem>> parse_strict_yaml(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    if (auto unseen = unseen_in(text)) return tl::unexpected(std::vector{std::move(*unseen)});
    tree_builder builder;
    const yaml_bytes once = [&]() -> result<std::string_view> { return std::exchange(text, {}); };
    if (auto done = read_strict_yaml(once, builder, SIZE_MAX); !done)
        builder.problems.push_back(std::move(done.error()));
    if (!builder.problems.empty()) return tl::unexpected(std::move(builder.problems));
    return std::move(builder.root);
}

std::string source_excerpt(std::string_view text, std::uint64_t line, std::uint64_t column) {
    constexpr std::size_t width = 100;  // of the line shown
    if (line == 0) return {};
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    for (; line > 1; --line) {
        const std::size_t end = text.find('\n');
        if (end == std::string_view::npos) return {};
        text.remove_prefix(end + 1);
    }
    text = text.substr(0, text.find('\n'));
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (text.empty()) return {};
    std::size_t caret = column == 0 ? 0 : std::min<std::size_t>(column - 1, text.size());
    const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; };
    if (text.size() > width) {
        std::size_t from = caret > width / 2 ? caret - width / 2 : 0;
        while (from < text.size() && continues(text[from])) ++from;
        std::size_t to = std::min(text.size(), from + width);
        while (to < text.size() && continues(text[to])) ++to;
        text = text.substr(from, to - from);
        caret -= std::min(caret, from);
    }
    std::string out = "  ";
    std::string below = "\n  ";
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t n = std::max<std::size_t>(utf8_sequence(text.substr(i)), 1);
        const std::string_view c = text.substr(i, n);
        if (c == "\t")
            out += c;
        else
            out += utf8_sequence(c) > 0 && is_visible(utf8_character(c)) ? c : std::string_view("?");
        // A tab below a tab, one space below a character of several bytes.
        if (i < caret) below.push_back(c == "\t" ? '\t' : ' ');
        i += n;
    }
    return column == 0 ? out : out + below + "^";
}

}  // namespace culld

#include "culld/core/text/yaml_tree.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <istream>
#include <map>
#include <optional>
#include <streambuf>

#include "culld/core/text/json_writer.hpp"
#include "culld/core/text/utf8.hpp"
#include "culld/core/text/visible_text.hpp"

namespace culld {

namespace {

constexpr std::size_t levels_max = 100;

problem complaint(place at, std::string what, std::string hint = {}) {
    return problem{.what = std::move(what), .hint = std::move(hint), .line = at.line, .column = at.column};
}

// How a problem gets out of yaml-cpp, which knows only exceptions; caught in strict_run.
struct stopped {
    problem why;
};
void pass(result<void> done) {
    if (!done) throw stopped{std::move(done.error())};
}

// A piece as yaml-cpp wants to read it. What ended the text is thrown at its end: what yaml-cpp made of a text that
// seems to end there would be wrong.
class piece_stream final : public std::streambuf {
  public:
    explicit piece_stream(yaml_piece& piece) : piece_(piece) {
        char* const begin = piece.text.data();
        setg(begin, begin, begin + piece.text.size());
    }

  protected:
    int_type underflow() override {
        if (piece_.trouble) throw stopped{*piece_.trouble};
        return traits_type::eof();
    }
    // No more than what is there: the throw must not come before it.
    std::streamsize xsgetn(char* to, std::streamsize room) override {
        const std::streamsize n = std::min(room, egptr() - gptr());
        if (n == 0) static_cast<void>(underflow());
        std::copy_n(gptr(), n, to);
        gbump(static_cast<int>(n));
        return n;
    }

  private:
    yaml_piece& piece_;
};

bool is_nothing(std::string_view text) {
    return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}
bool is_folded_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// Whether the quote that `text` begins with is closed in it: yaml-cpp takes the end of a text for one.
bool quote_closes(std::string_view text) {
    const char quote = text.front();
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (quote == '"' && text[i] == '\\') {
            ++i;
        } else if (text[i] == quote) {
            if (quote == '"' || i + 1 >= text.size() || text[i + 1] != quote) return true;
            ++i;
        }
    }
    return false;
}

// Whether `text` is the scalar `folded` and nothing else: a line end in it is a blank there.
bool is_all_of(std::string_view text, std::string_view folded) {
    std::size_t i = 0;
    for (const char c : text) {
        if (is_folded_space(c)) continue;
        while (i < folded.size() && is_folded_space(folded[i])) ++i;
        if (i == folded.size() || folded[i++] != c) return false;
    }
    return i == folded.size() && !text.empty() && !is_folded_space(text.back());
}

// Whether nothing stands behind a scalar that no quote ends, not even the end of its line.
bool ends_the_text(std::string_view rest, std::string_view folded, bool quoted) {
    if (!quoted) return is_all_of(rest, folded);
    if (!rest.starts_with('|') && !rest.starts_with('>')) return false;
    const std::size_t line_end = rest.find('\n');
    if (line_end == std::string_view::npos) return true;
    rest.remove_prefix(line_end);
    return std::ranges::all_of(rest, is_folded_space) || is_all_of(rest, folded);
}

// One run of read_strict_yaml: the grammar is yaml-cpp's, what is refused is decided here.
class strict_run final : YAML::EventHandler {
  public:
    strict_run(const yaml_bytes& from, yaml_sink& into, std::size_t between_max)
        : pieces_(from, between_max == SIZE_MAX ? SIZE_MAX : piece_min, between_max), into_(into) {}

    result<void> run() {
        do {
            piece_ = pieces_.next();
            seen_ = 0;
            seen_at_ = piece_.at;
            last_value_.reset();
            last_key_.reset();
            put_in_front_ = piece_.resumes ? 4 : 0;
            if (auto done = read(); !done) return done;
        } while (piece_.cut);
        return {};
    }

  private:
    static constexpr std::size_t piece_min = std::size_t{16} << 10U;

    struct level {
        bool map = false;
        bool flow = false;                                        // in brackets
        std::uint64_t indent = 0;                                 // its column
        bool at_key = true;                                       // of a map: a key comes next
        bool drop_value = false;                                  // of a key that was refused
        std::map<std::string, std::uint64_t, std::less<>> names;  // with their lines
    };

    result<void> read() {
        try {
            piece_stream bytes(piece_);
            std::istream in(&bytes);
            YAML::Parser parser(in);
            // One more would be refused like the second.
            while (documents_ < 2 && parser.HandleNextDocument(*this)) {
            }
            if (piece_.trouble) return fail(*piece_.trouble);
            if (piece_.cut) return keep_open();
            close_all();
        } catch (const stopped& s) {
            return fail(s.why);
        } catch (const YAML::Exception& e) {
            return fail(syntax_error(e));
        }
        return {};
    }

    // What was put behind the cut closes the list and its map. Where yaml-cpp saw something else in the text than
    // yaml_pieces did, nothing can be said of what follows.
    result<void> keep_open() {
        const bool as_cut = closings_ == 2 && dropped_ == 0 && open_.size() == 2 && open_[0].map && !open_[1].map &&
                            open_[1].flow == (piece_.text.size() > piece_.front + piece_.size) && last_value_ &&
                            last_value_ == piece_.item;
        closings_ = 0;
        if (as_cut) return {};
        return fail(complaint(place_of(piece_.size), "a long list that is too unlike a plain one to be read",
                              "write each item on a line of its own, as - \"...\""));
    }

    problem syntax_error(const YAML::Exception& e) {
        if (piece_.quote && (e.mark.is_null() || offset(e.mark) >= *piece_.quote)) return never_closed(*piece_.quote);
        if (piece_.open && (e.mark.is_null() || offset(e.mark) >= *piece_.open)) return bracket_open();
        return complaint(
            place_of(e.mark.is_null() ? piece_.size : offset(e.mark)),
            fmt::format("no valid YAML: {}", made_visible(e.msg)),
            "look at this line and the one before: indentation by blanks, a blank behind each :, closed quotes "
            "and brackets");
    }
    problem never_closed(std::size_t quote) {
        return complaint(place_of(quote), "no valid YAML: the quote that opens here is never closed",
                         "was the file cut?");
    }

    problem bracket_open() {
        return complaint(place_of(piece_.size), "no valid YAML: a bracket is open at the end", "was the file cut?");
    }

    [[nodiscard]] std::size_t offset(const YAML::Mark& mark) const {
        const auto at = static_cast<std::size_t>(std::max(mark.pos, 0));
        return std::min(at - std::min(at, piece_.front), piece_.size);
    }
    // Events come in the order of the text: each byte is looked at once.
    place place_of(std::size_t at) {
        if (at < seen_) {
            seen_ = 0;
            seen_at_ = piece_.at;
        }
        seen_at_ = moved(seen_at_, piece_.own().substr(seen_, at - seen_));
        seen_ = at;
        return seen_at_;
    }

    void OnDocumentStart(const YAML::Mark& mark) override {
        if (opens_again()) return;
        close_all();
        if (documents_++ == 0) return;
        pass(into_.refused(complaint(place_of(offset(mark)), "a second document begins here",
                                     "one file holds one document; remove the --- line or what follows it")));
    }
    void OnDocumentEnd() override {}
    void OnAnchor(const YAML::Mark& mark, const std::string& name) override {
        close_all();
        pass(refuse(fmt::format("anchor &{}", name), place_of(offset(mark))));
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
        close_all();
        const place at = place_of(offset(mark));
        pass(refuse("an alias", at));
        pass(scalar({.text = {}, .null = true}, at, false));
    }
    void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
        close_all();
        std::size_t at = offset(mark);
        const std::string_view own = piece_.own();
        const std::string_view here = own.substr(at, 4);
        const bool written = here.starts_with('~') || (!here.empty() && is_nothing(here));
        // What yaml-cpp lets pass: [a, , b], and a line in a map that is no more than a name.
        if (!written && !open_.empty() && dropped_ == 0) {
            if (!open_.back().map && own.substr(at).starts_with(','))
                throw stopped{complaint(place_of(at), "no valid YAML: nothing stands before this comma")};
            if (open_.back().map && !at_key() && last_key_ == at)
                throw stopped{complaint(place_of(at), "no valid YAML: no : follows this key", "was the file cut?")};
        }
        last_value_ = at;
        // What is not written has the place of what comes next; it belongs behind what came before.
        while (!written && at > 0 && is_folded_space(own[at - 1])) --at;
        pass(scalar({.text = {}, .null = true}, place_of(at), true));
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& text) override {
        if (opens_again()) return;
        close_all();
        const std::size_t at = offset(mark);
        last_value_ = at;
        if (at_key()) last_key_ = at;
        pass(indented(at));
        pass(check(tag, at));
        const bool quoted = tag == "!";
        const std::string_view rest = piece_.own().substr(at);
        if (rest.starts_with('"') || rest.starts_with('\''))
            if (!quote_closes(rest)) throw stopped{never_closed(at)};
        pass(scalar({.text = text,
                     .quoted = quoted,
                     .at_end = !piece_.cut && !piece_.trouble && ends_the_text(rest, text, quoted)},
                    place_of(at), true));
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                         YAML::EmitterStyle::value style) override {
        if (opens_again()) return;
        begin(false, style == YAML::EmitterStyle::Flow, tag, offset(mark));
    }
    void OnSequenceEnd() override { ++closings_; }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                    YAML::EmitterStyle::value style) override {
        if (opens_again()) return;
        begin(true, style == YAML::EmitterStyle::Flow, tag, offset(mark));
    }
    void OnMapEnd() override { ++closings_; }

    // The document, map, key and list that stand in front of a piece which goes on in a list.
    bool opens_again() {
        if (put_in_front_ == 0) return false;
        --put_in_front_;
        return true;
    }
    void begin(bool map, bool flow, const std::string& tag, std::size_t at) {
        close_all();
        last_value_.reset();
        // The last scalar before the end is a key to yaml-cpp, where a : might have followed.
        if (map && piece_.open && at >= *piece_.open) throw stopped{bracket_open()};
        if (map || flow) pass(indented(at));
        pass(check(tag, at));
        pass(open(map, flow, place_of(at)));
    }
    // yaml-cpp takes a line that is indented like the key above it for its value.
    result<void> indented(std::size_t offset_at) {
        if (open_.empty() || !open_.back().map || open_.back().flow || at_key() || dropped_ > 0) return {};
        const place at = place_of(offset_at);
        if (at.line == key_line_ || at.column > open_.back().indent) return {};
        return fail(complaint(at, "no valid YAML: this is indented like the key that it would belong to"));
    }
    // Where something follows, what ended did so in the text.
    void close_all() {
        for (; closings_ > 0; --closings_) {
            pass(close());
            last_value_.reset();
        }
    }

    result<void> refuse(std::string_view what, place at) {
        return into_.refused(complaint(at, fmt::format("{} is refused here", what),
                                       "write the value out; a text that begins with & * or ! needs quotes"));
    }
    // yaml-cpp says "?" of what has no tag, and "!" where it is a scalar that is not plain.
    result<void> check(const std::string& tag, std::size_t at) {
        const std::string_view own = piece_.own();
        if (tag != "?" && (tag != "!" || (at < own.size() && own[at] == '!')))
            return refuse(fmt::format("tag {}", made_visible(tag)), place_of(at));
        return {};
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
        key_line_ = at.line;
        if (!named || v.null) return into_.refused(complaint(at, "a key must be a name"));
        if (v.text == "<<" && !v.quoted) return refuse("the merge key <<", at);
        const auto [same, fresh] = top.names.emplace(v.text, at.line);
        if (!fresh)
            return into_.refused(complaint(at, fmt::format("duplicate key \"{}\"", made_visible(v.text.substr(0, 100))),
                                           fmt::format("it stands in line {} already; keep one", same->second)));
        top.drop_value = false;
        return into_.key(v.text, at);
    }

    result<void> open(bool map, bool flow, place at) {
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
        open_.push_back({.map = map, .flow = flow, .indent = at.column, .names = {}});
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

    yaml_pieces pieces_;
    yaml_sink& into_;
    yaml_piece piece_;
    std::size_t seen_ = 0;  // of the piece, and its place
    place seen_at_;
    std::optional<std::size_t> last_value_;  // where the last event was one
    std::optional<std::size_t> last_key_;
    std::uint64_t key_line_ = 0;
    int put_in_front_ = 0;  // events of what was put in front of the piece, still to come
    int closings_ = 0;      // lists and maps that ended, not closed yet
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

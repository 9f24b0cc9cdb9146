#include "culld/core/strict_yaml.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>

#include "culld/core/json_text.hpp"

namespace culld {

namespace {

struct text_place {
    std::uint64_t line = 0;
    std::uint64_t column = 0;
};

// yaml-cpp counts from 0, and says -1 where it knows no place.
text_place place_of(const YAML::Mark& mark) {
    if (mark.is_null()) return {};
    return {static_cast<std::uint64_t>(mark.line) + 1, static_cast<std::uint64_t>(mark.column) + 1};
}

problem complaint(text_place at, std::string what, std::string hint = {}) {
    return problem{.what = std::move(what), .hint = std::move(hint), .line = at.line, .column = at.column};
}

// Builds the tree from yaml-cpp's events. The open nodes are a stack of pointers: a node's siblings are
// appended only after it was closed, so none of them moves while it is open.
class tree_builder final : public YAML::EventHandler {
  public:
    explicit tree_builder(std::string_view text) : text_(text) {}

    yaml_node root;
    std::vector<problem> problems;

    void OnDocumentStart(const YAML::Mark& mark) override {
        if (++documents_ == 2)
            problems.push_back(complaint(place_of(mark), "a second document begins here",
                                         "one file holds one document; remove the --- line or what follows it"));
    }
    void OnDocumentEnd() override {}
    void OnAnchor(const YAML::Mark& mark, const std::string& name) override {
        refuse(mark, fmt::format("anchor &{}", name));
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
        refuse(mark, "an alias");
        place(mark, yaml_node::kind::none, {}, false);
    }
    void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { place(mark, yaml_node::kind::none, {}, false); }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& text) override {
        // "?" is what yaml-cpp says of a plain scalar, "!" of one in quotes or in a block.
        check_tag(mark, tag);
        if (tag == "!" && !quotes_close(mark))
            problems.push_back(complaint(place_of(mark), "no valid YAML: the quote that opens here is never closed"));
        place(mark, yaml_node::kind::scalar, text, tag == "!");
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {
        check_tag(mark, tag);
        open(mark, yaml_node::kind::list);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {
        check_tag(mark, tag);
        open(mark, yaml_node::kind::map);
    }
    void OnMapEnd() override { close(); }

  private:
    void refuse(const YAML::Mark& mark, std::string_view what) {
        problems.push_back(
            complaint(place_of(mark), fmt::format("{} is refused here", what), "write the value out in full"));
    }
    void check_tag(const YAML::Mark& mark, const std::string& tag) {
        if (tag != "?" && tag != "!" && !tag.empty()) refuse(mark, fmt::format("tag {}", tag));
    }

    // yaml-cpp 0.7 takes the end of the text for a closing quote, so a file that was cut off would pass.
    [[nodiscard]] bool quotes_close(const YAML::Mark& mark) const {
        std::size_t at = static_cast<std::size_t>(std::max(mark.pos, 0));
        if (at >= text_.size() || (text_[at] != '"' && text_[at] != '\'')) return true;  // a block, no quotes
        const char quote = text_[at];
        for (++at; at < text_.size(); ++at) {
            if (quote == '"' && text_[at] == '\\') {
                ++at;
            } else if (text_[at] == quote) {
                if (quote == '"' || at + 1 >= text_.size() || text_[at + 1] != quote) return true;
                ++at;
            }
        }
        return false;
    }

    // Whether the next event is a key of the innermost open map.
    [[nodiscard]] bool at_key() const {
        return !open_.empty() && open_.back().node->type == yaml_node::kind::map && !open_.back().has_key;
    }

    // Where the next value goes; null if it is to be dropped (a second document, the value of a bad key).
    yaml_node* slot() {
        if (open_.empty()) return documents_ == 1 ? &root : nullptr;
        frame& top = open_.back();
        if (top.node->type == yaml_node::kind::list) return &top.node->items.emplace_back();
        top.has_key = false;
        return top.drop_value ? nullptr : &top.node->members.back().value;
    }

    void place(const YAML::Mark& mark, yaml_node::kind type, const std::string& text, bool quoted) {
        if (dropped_ > 0) return;
        if (at_key()) return key(mark, type, text, quoted);
        yaml_node* node = slot();
        if (node == nullptr) return;
        node->type = type;
        node->text = text;
        node->quoted = quoted;
        node->line = place_of(mark).line;
        node->column = place_of(mark).column;
    }

    void key(const YAML::Mark& mark, yaml_node::kind type, const std::string& text, bool quoted) {
        frame& top = open_.back();
        top.has_key = true;
        top.drop_value = true;
        const text_place at = place_of(mark);
        if (type != yaml_node::kind::scalar) {
            problems.push_back(complaint(at, "a key must be a name"));
        } else if (text == "<<" && !quoted) {
            refuse(mark, "the merge key <<");
        } else {
            const auto same = std::find_if(top.node->members.begin(), top.node->members.end(),
                                           [&](const yaml_node::member& m) { return m.name == text; });
            if (same != top.node->members.end()) {
                problems.push_back(complaint(at, fmt::format("duplicate key \"{}\"", text),
                                             fmt::format("it stands in line {} already; keep one", same->line)));
                return;
            }
            top.node->members.push_back({text, at.line, at.column, {}});
            top.drop_value = false;
        }
    }

    void open(const YAML::Mark& mark, yaml_node::kind type) {
        if (dropped_ > 0) {
            ++dropped_;
            return;
        }
        if (at_key()) {
            open_.back().has_key = open_.back().drop_value = true;
            problems.push_back(complaint(place_of(mark), "a key must be a name, not a list or a map"));
            dropped_ = 1;
            return;
        }
        yaml_node* node = slot();
        if (node == nullptr) {
            dropped_ = 1;
            return;
        }
        node->type = type;
        node->line = place_of(mark).line;
        node->column = place_of(mark).column;
        open_.push_back({node});
    }

    void close() {
        if (dropped_ > 0)
            --dropped_;
        else
            open_.pop_back();
    }

    struct frame {
        yaml_node* node = nullptr;
        bool has_key = false;     // the next value belongs to the last key
        bool drop_value = false;  // of a key that was refused
    };
    std::string_view text_;
    std::vector<frame> open_;
    std::size_t dropped_ = 0;  // depth inside a list or map that is not kept
    int documents_ = 0;
};

// yaml-cpp guesses UTF-16 and UTF-32 from NUL bytes and lets other bytes through; we take UTF-8 only.
std::vector<problem> unreadable_bytes(std::string_view text) {
    text_place at{1, 1};
    for (std::size_t i = 0; i < text.size(); ++i, ++at.column) {
        const auto c = static_cast<unsigned char>(text[i]);
        if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F)
            return {complaint(at, fmt::format("control character 0x{:02x}", c), "remove it, or write it as \"\\x..\"")};
        if (c >= 0x80) {
            std::size_t n = 1;
            while (n < 4 && i + n < text.size() && (static_cast<unsigned char>(text[i + n]) & 0xC0U) == 0x80U) ++n;
            if (!is_utf8(text.substr(i, n))) return {complaint(at, "not UTF-8", "save the file as UTF-8")};
            i += n - 1;
            at.column += n - 1;
        }
        if (c == '\n') at = {at.line + 1, 0};
    }
    return {};
}

}  // namespace

tl::expected<yaml_node, std::vector<problem>> parse_strict_yaml(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    if (auto bad = unreadable_bytes(text); !bad.empty()) return tl::unexpected(std::move(bad));
    tree_builder builder(text);
    try {
        std::istringstream stream{std::string(text)};
        YAML::Parser parser(stream);
        if (parser.HandleNextDocument(builder)) static_cast<void>(parser.HandleNextDocument(builder));
    } catch (const YAML::Exception& e) {
        builder.problems.push_back(complaint(place_of(e.mark), fmt::format("no valid YAML: {}", e.msg)));
    }
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
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const auto u = static_cast<unsigned char>(c);
        out.push_back(c == '\t' ? '\t' : u < 0x20 || u == 0x7F ? '?' : c);
        // A tab below a tab, one space below a character of several bytes.
        if (i < caret && !continues(c)) below.push_back(c == '\t' ? '\t' : ' ');
    }
    if (!is_utf8(out)) return {};
    return column == 0 ? out : out + below + "^";
}

}  // namespace culld

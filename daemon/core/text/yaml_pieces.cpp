#include "culld/core/text/yaml_pieces.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace culld {

namespace {

constexpr std::size_t brackets_max = 100;

bool parts_words(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

}  // namespace

place moved(place at, std::string_view over) {
    const auto lines = static_cast<std::uint64_t>(std::ranges::count(over, '\n'));
    if (lines == 0) return {at.line, at.column + over.size()};
    return {at.line + lines, over.size() - over.rfind('\n')};
}

yaml_piece yaml_pieces::next() {
    yaml_piece piece = begin_piece();
    for (;;) {
        if (rest_.empty()) {
            auto block = from_();
            if (!block) piece.trouble = std::move(block.error());
            if (!block || block->empty()) break;
            rest_ = *block;
        }
        const char c = rest_.front();
        rest_.remove_prefix(1);
        piece.text.push_back(c);
        if (step(c, piece.size++)) {
            cut(piece);
            return piece;
        }
        if (root_at_) {
            // Behind a --- on its line no key can begin, so that no token waits for the end of it all.
            piece.at = moved(piece.at, piece.own().substr(0, *root_at_));
            piece.text = "--- ";
            piece.text.push_back(c);
            piece.front = 4;
            piece.size = 1;
            root_at_.reset();
        }
        const bool deep = brackets_.size() > brackets_max;
        if (!deep && piece.size <= piece_max_) continue;
        const place here = moved(piece.at, piece.own());
        piece.trouble = problem{.what = deep ? fmt::format("more than {} levels", brackets_max)
                                             : fmt::format("more than {} bytes without a value", piece_max_),
                                .hint = deep ? "" : "is this YAML?",
                                .line = here.line,
                                .column = here.column};
        break;
    }
    if (spot_ == spot::single || spot_ == spot::twofold) piece.quote = word_at_;
    if (!brackets_.empty()) piece.open = word_at_;
    return piece;
}

yaml_piece yaml_pieces::begin_piece() {
    yaml_piece piece;
    piece.at = at_;
    piece.resumes = resumes_;
    if (resumes_)
        piece.text =
            root_ == root::flow ? "--- {k: [" : std::string(root_indent_, ' ') + (brackets_.empty() ? "k:\n" : "k: [");
    piece.front = piece.text.size();
    piece.text += carried_;
    piece.size = carried_.size();
    carried_.clear();
    return piece;
}

void yaml_pieces::cut(yaml_piece& piece) {
    const bool block = brackets_.empty();
    if (block) {
        carried_ = piece.own().substr(line_at_);
        piece.size = line_at_;
        piece.text.resize(piece.front + piece.size);
    } else {
        piece.text += root_ == root::flow ? "\n]}\n" : "\n]\n";
    }
    piece.cut = true;
    piece.item = std::exchange(item_, std::nullopt);
    at_ = moved(piece.at, piece.own());
    resumes_ = true;
    line_at_ = line_blank_ ? carried_.size() : 0;
}

bool yaml_pieces::step(char c, std::size_t at) {
    const char before = std::exchange(before_, c);
    if (c == '\n') {
        const bool ends = blank(before, at);
        escaped_ = false;
        if (!ends) line_at_ = at + 1;
        line_blank_ = true;
        const bool quoted = spot_ == spot::single || spot_ == spot::twofold;
        if (spot_ == spot::skipped || (brackets_.empty() && !quoted)) spot_ = spot::start;
        return ends;
    }
    if (spot_ == spot::skipped) return false;
    if (spot_ == spot::single || spot_ == spot::twofold) {
        const bool escaped = std::exchange(escaped_, spot_ == spot::twofold && c == '\\' && !escaped_);
        if (!escaped && c == (spot_ == spot::single ? '\'' : '"')) spot_ = spot::closed;
        return false;
    }
    if (parts_words(c)) return blank(before, at);
    if (spot_ == spot::closed && c == '\'' && before == '\'') {  // '' is one quote
        spot_ = spot::single;
        return false;
    }
    if (line_blank_ && brackets_.empty()) begin_line(c, at);
    if (spot_ != spot::skipped && c == '#' && (spot_ != spot::plain || parts_words(before))) spot_ = spot::skipped;
    if (spot_ == spot::skipped) return false;
    if (root_ == root::unknown) begin_root(c, at);

    const bool flow = !brackets_.empty();
    const bool start = spot_ == spot::start;
    if (flow && c == ',') return comma(at);
    if ((flow && (c == ']' || c == '}')) || ((flow || start) && (c == '[' || c == '{'))) return bracket(c, at);
    if (start && (c == '\'' || c == '"')) {
        begin_word(c == '"' ? spot::twofold : spot::single, at);
    } else if (start && !flow && (c == '|' || c == '>')) {
        text_indent_ = line_indent_;
        spot_ = spot::skipped;
    } else if (spot_ == spot::closed && c == ':') {
        spot_ = spot::start;
    } else if (spot_ != spot::plain) {
        begin_word(spot::plain, at);
    }
    return false;
}

// A blank ends what is no scalar: `- `, `? `, `--- `, `key: `.
bool yaml_pieces::blank(char before, std::size_t at) {
    if (spot_ != spot::plain) return false;
    const std::size_t length = at - word_at_;
    const bool dash = before == '-' && length == 1;
    if (before == ':' || dash || (before == '?' && length == 1) || (before == '-' && length == 3)) spot_ = spot::start;
    if (!dash || !brackets_.empty() || word_at_ != line_at_ + line_indent_) return false;
    if (!list_indent_) {
        list_indent_ = line_indent_;
        item_.reset();
    }
    if (line_indent_ != *list_indent_) return false;
    if (line_at_ >= piece_min_ && item_ && *item_ < line_at_) return true;
    item_.reset();
    return false;
}

void yaml_pieces::begin_line(char c, std::size_t at) {
    line_blank_ = false;
    const std::size_t indent = at - line_at_;
    if (text_indent_ && indent > *text_indent_) {
        spot_ = spot::skipped;
        return;
    }
    text_indent_.reset();
    if (c == '#') return;
    line_indent_ = indent;
    if (list_indent_ && (indent < *list_indent_ || (indent == *list_indent_ && c != '-'))) {
        list_indent_.reset();
        item_.reset();
    }
    if (root_ == root::unknown && c == '%') {
        preamble_ = true;
        spot_ = spot::skipped;
    }
}

void yaml_pieces::begin_root(char c, std::size_t at) {
    if (c == '-') {  // of ---, or of a list
        preamble_ = true;
    } else if (c == '[' || c == '{') {
        root_ = root::flow;
        if (!preamble_) root_at_ = at;
    } else if (spot_ == spot::start) {
        root_ = root::block;
        root_indent_ = line_indent_;
    }
}

bool yaml_pieces::bracket(char c, std::size_t at) {
    if (c == '[' || c == '{') {
        if (in_flow_list() && !item_) item_ = at;
        brackets_.push_back(c);
        spot_ = spot::start;
        if (in_flow_list()) item_.reset();
    } else {
        if (in_flow_list()) item_.reset();
        brackets_.pop_back();
        spot_ = spot::closed;
    }
    return false;
}

bool yaml_pieces::comma(std::size_t at) {
    spot_ = spot::start;
    if (!in_flow_list()) return false;
    if (item_ && at >= piece_min_) return true;
    item_.reset();
    return false;
}

void yaml_pieces::begin_word(spot what, std::size_t at) {
    spot_ = what;
    word_at_ = at;
    const bool listed = brackets_.empty() ? list_indent_.has_value() : in_flow_list();
    if (listed && !item_) item_ = at;
}

}  // namespace culld

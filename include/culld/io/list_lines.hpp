// A stream of bytes cut into lines, in fixed memory: what the list formats have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "culld/core/id_sink.hpp"
#include "culld/core/problem.hpp"
#include "culld/io/byte_source.hpp"

namespace culld {

[[nodiscard]] inline bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

// Without spaces, tabs and CR on either side.
[[nodiscard]] inline std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

// The blocks of `from`, the first without its UTF-8 byte order mark; a UTF-16 one is an error that says so.
class text_source {
  public:
    explicit text_source(byte_source& from) : from_(from) {}
    // Valid until the next call; empty at the end.
    [[nodiscard]] result<std::string_view> next();

  private:
    byte_source& from_;
    bool started_ = false;
};

class list_lines {
  public:
    // A line of more than `limit` bytes is an error.
    list_lines(byte_source& from, std::size_t limit, char mark = '\n') : from_(from), limit_(limit), mark_(mark) {}

    // The next line without its newline, valid until the next call; nothing at the end. A last line needs no
    // newline.
    [[nodiscard]] result<std::optional<std::string_view>> next();
    // Whether the line that next() gave may hold the mark: false proves that it does not. (Looked for in a block at
    // once: most lists hold none.)
    [[nodiscard]] bool may_be_marked() const { return marked_ || !carried_.empty(); }
    // Number of the line that next() gave, from 1.
    [[nodiscard]] std::uint64_t line() const { return line_; }

  private:
    [[nodiscard]] tl::unexpected<problem> too_long() const;

    text_source from_;
    std::size_t limit_;
    char mark_;
    bool marked_ = false;     // the block, as a whole
    std::string_view block_;  // not handed out yet
    std::string carried_;     // start of a line that goes on in the next block
    std::uint64_t line_ = 0;
    bool ended_ = false;
};

// The error for an id that `sink` refused, with the place where that is about the id.
[[nodiscard]] tl::unexpected<problem> refused_at(id_sink& sink, place at);

}  // namespace culld

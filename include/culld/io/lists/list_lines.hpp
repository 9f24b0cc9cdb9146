// A stream of bytes cut into lines, in fixed memory: what the list formats have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"
#include "culld/core/ids/id_sink.hpp"
#include "culld/core/ids/id_text.hpp"
#include "culld/core/text/visible_text.hpp"
#include "culld/io/lists/byte_source.hpp"

namespace culld {

// How much text there may be for so many ids. What says more is no list: it costs time and tells nothing.
inline constexpr std::uint64_t text_bytes_free = std::uint64_t{64} << 20U;  // with no id at all
inline constexpr std::uint64_t text_bytes_an_id = std::uint64_t{64} << 10U;
inline constexpr std::uint64_t text_lines_free = 1'000'000;
inline constexpr std::uint64_t text_lines_an_id = 100;

// The blocks of `from` as text that can be seen whole (visible_text): the first without its UTF-8 byte order mark, and
// no byte behind what is refused. A UTF-16 file is an error that says so, and so is text that is too much for the ids
// that `sink` took.
class text_source {
  public:
    text_source(byte_source& from, const id_sink& sink) : from_(from), sink_(sink) {}
    // Valid until the next call; empty at the end.
    [[nodiscard]] result<std::string_view> next();

  private:
    [[nodiscard]] result<std::string_view> first();
    [[nodiscard]] std::optional<problem> too_much() const;

    byte_source& from_;
    const id_sink& sink_;
    visible_text check_;
    std::string head_;  // where the first blocks were too short to hold a mark
    std::uint64_t bytes_ = 0;
    bool started_ = false;
};

class list_lines {
  public:
    // A line of more than `limit` bytes is an error.
    list_lines(byte_source& from, const id_sink& sink, std::size_t limit, char mark = '\n')
        : from_(from, sink), limit_(limit), mark_(mark) {}

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

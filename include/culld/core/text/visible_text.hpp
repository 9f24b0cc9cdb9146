// Nothing may stand where people see one thing and culld another: the one rule about characters, for every kind of
// file that people write (jobs, lists, configuration, scenarios), and for everything that culld shows to them.
//
// Text is UTF-8 with LF or CRLF line ends. What cannot be seen is refused: a CR anywhere but at the end of a line,
// control characters (C0 but the tab, DEL, C1), spaces that are no space (NBSP and the like), characters of no width,
// of direction (U+202E) and of format, and what is not UTF-8.
//
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"
#include "culld/core/ids/id_sink.hpp"

namespace culld {

// Whether people can see `c`, as themselves or as the space that it is: the space, but no other blank.
[[nodiscard]] bool is_visible(char32_t c);

// Looks through a text that comes in blocks, at some bytes a cycle where there is nothing but ASCII.
class visible_text {
  public:
    // Bytes at the front of `block` that may be read. Fewer than all: trouble() tells what stands behind them, and
    // nothing more may be fed. A CR, or a character that the block's end cuts, is judged with the next block.
    [[nodiscard]] std::size_t feed(std::string_view block);
    // At the end of the text: false if it ends in the middle of a character.
    [[nodiscard]] bool end();

    [[nodiscard]] const std::optional<problem>& trouble() const { return trouble_; }
    // Lines begun so far.
    [[nodiscard]] std::uint64_t lines() const { return at_.line; }

  private:
    [[nodiscard]] std::size_t refuse(std::string_view block, std::size_t from, std::size_t at, std::string what,
                                     std::string hint);
    void pass(std::string_view text, std::uint64_t newlines);

    place at_{1, 1};   // of the next byte
    std::string cut_;  // the start of a character that goes on in the next block
    bool cr_ = false;  // the last byte was a CR
    place cr_at_;      // of the first of them
    std::optional<problem> trouble_;
};

// What is wrong with a whole text, a byte order mark at its front included.
[[nodiscard]] std::optional<problem> unseen_in(std::string_view text);

// `text` on one line, in a form that a terminal, a log and a page show as it is: what cannot be seen stands escaped,
// as \n, \t, \x1b, \u202e, and so does a byte that is no UTF-8.
[[nodiscard]] std::string made_visible(std::string_view text);

}  // namespace culld

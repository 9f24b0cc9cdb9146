// A YAML text cut into pieces, each for a parser of its own, so that a list of any length is read in fixed memory.
//
// yaml-cpp reads a stream, but keeps a marker for each scalar of a block list, and all tokens of a flow collection that
// might turn out to be a key, as long as one parser lives. So a list in the root map is cut between two of its items:
// the piece before the cut gets the brackets that close it, the one behind a key in front (`k:`, `k: [`) that opens
// such a list again. Where items begin is found out with little knowledge of YAML. That is safe because the parser's
// word is what counts: whoever reads a piece that was cut sees to it that the list was open there, after that item.
//
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"
#include "culld/core/ids/id_sink.hpp"

namespace culld {

// The next bytes of the text, valid until the next call; empty at its end, and then always.
using yaml_bytes = std::function<result<std::string_view>()>;

// Offsets count from the piece's own first byte.
struct yaml_piece {
    std::string text;                  // what a parser shall read
    std::size_t front = 0;             // bytes that were put in front of its own
    std::size_t size = 0;              // bytes of its own; what closes a list follows
    place at{1, 1};                    // of the first of its own
    bool resumes = false;              // the list in the root map that it begins in was begun by a piece before
    bool cut = false;                  // that list goes on in the next piece
    std::optional<std::size_t> item;   // the item that stands before the cut, where that is known
    std::optional<std::size_t> quote;  // opens at this byte and is not closed by the end
    std::optional<std::size_t> open;   // the last scalar in it, if a bracket is open at the end
    std::optional<problem> trouble;    // what the text ended with, if that was not its end

    [[nodiscard]] std::string_view own() const { return std::string_view(text).substr(front, size); }
};

class yaml_pieces {
  public:
    // Pieces have at least `piece_min` bytes where they can be cut at all, and more than `piece_max` are trouble.
    yaml_pieces(const yaml_bytes& from, std::size_t piece_min, std::size_t piece_max)
        : from_(from), piece_min_(piece_min), piece_max_(piece_max) {}

    [[nodiscard]] yaml_piece next();

  private:
    enum class spot {
        start,    // where a value or a key may begin
        plain,    // in a scalar without quotes
        single,   // in a scalar in '
        twofold,  // in a scalar in "
        closed,   // behind a closing quote or bracket
        skipped,  // to the end of the line: a comment, a directive, text of a block scalar
    };
    enum class root { unknown, block, flow };

    // What the byte at `at` of the piece does. True: the piece ends here.
    bool step(char c, std::size_t at);
    bool blank(char before, std::size_t at);
    bool bracket(char c, std::size_t at);
    bool comma(std::size_t at);
    void begin_line(char c, std::size_t at);
    void begin_root(char c, std::size_t at);
    void begin_word(spot what, std::size_t at);
    [[nodiscard]] bool in_flow_list() const { return brackets_ == (root_ == root::flow ? "{[" : "["); }
    [[nodiscard]] yaml_piece begin_piece();
    void cut(yaml_piece& piece);

    const yaml_bytes& from_;
    std::size_t piece_min_, piece_max_;
    std::string_view rest_;  // of the block that from_ gave
    std::string carried_;    // begins the next piece; step() has seen it
    place at_{1, 1};         // of the next piece
    bool resumes_ = false;

    spot spot_ = spot::start;
    root root_ = root::unknown;
    std::size_t root_indent_ = 0;
    bool preamble_ = false;                   // something stands before the root
    std::optional<std::size_t> root_at_;      // of a flow root without a preamble, just found
    std::string brackets_;                    // that are open
    char before_ = '\n';                      // the byte before
    bool escaped_ = false;                    // in "
    bool line_blank_ = true;                  // nothing but blanks in this line so far
    std::size_t line_at_ = 0;                 // where this line begins
    std::size_t line_indent_ = 0;             // of this line, if it is not blank
    std::size_t word_at_ = 0;                 // where this scalar begins, with its quote
    std::optional<std::size_t> list_indent_;  // of the block list that this is in
    std::optional<std::size_t> text_indent_;  // lines that are indented more are text of a block scalar
    std::optional<std::size_t> item_;         // of a list: where this item begins
};

[[nodiscard]] place moved(place at, std::string_view over);

}  // namespace culld

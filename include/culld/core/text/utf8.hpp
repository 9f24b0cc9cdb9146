// UTF-8, one character at a time (RFC 3629).
//
// Pure.
#pragma once

#include <cstddef>
#include <string_view>

namespace culld {

// Bytes of the well-formed sequence at the front of `text`, 0 if there is none.
[[nodiscard]] std::size_t utf8_sequence(std::string_view text);

// The character that a well-formed sequence of one to four bytes stands for.
[[nodiscard]] char32_t utf8_character(std::string_view sequence);

}  // namespace culld

// What an answer's body says where something on the way has packed it, though we ask for none of that (zlib). Pure but
// for its memory.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"

namespace culld {

// `coding`: the header's value, Content-Encoding or what Transfer-Encoding holds beside `chunked`. gzip is known by its
// first bytes, whatever the header says; deflate may be with zlib's frame or without (RFC 9110, section 8.4.1.2). A
// problem where it is packed in another way, is cut or damaged, or would be more than `most` bytes.
[[nodiscard]] result<std::string> decompress(std::string_view coding, std::string_view body, std::size_t most);

// Whether there is anything to unpack.
[[nodiscard]] bool is_packed(std::string_view coding, std::string_view body);

}  // namespace culld

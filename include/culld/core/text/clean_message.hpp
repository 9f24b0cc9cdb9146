// What servers, proxies and commands say, in a form that a log line, a record and a page can hold.
//
// Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "culld/core/text/redact.hpp"

namespace culld {

// One line, no control characters, cut to `limit` bytes at a character's edge. What stands where the gateway would echo
// a credential, by the header's name, is [redacted].
[[nodiscard]] std::string clean_message(std::string_view text, std::size_t limit = 512);
// The same for what others say: without our secrets, which are found before anything is cut.
[[nodiscard]] std::string clean_message(std::string_view text, const redactor& secrets, std::size_t limit = 512);

// As much of a text as a message can be in, however it is spelt: 4 KiB, cut at a character's edge.
[[nodiscard]] std::string_view beginning_of_message(std::string_view text);

}  // namespace culld

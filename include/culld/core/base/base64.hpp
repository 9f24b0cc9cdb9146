// Base64 in one line, with padding (RFC 4648, section 4).
#pragma once

#include <span>
#include <string>

namespace culld {

// At most 1 GiB.
[[nodiscard]] std::string base64(std::span<const unsigned char> bytes);

}  // namespace culld

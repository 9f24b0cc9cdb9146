// Percent-encoding of what stands between slashes (RFC 3986). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace culld {

[[nodiscard]] std::string percent_encoded(std::string_view text);
// None where it is no such text.
[[nodiscard]] std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace culld

// The name under which a file is put away where its own name is taken: cleanup.json, cleanup.1.json,
// cleanup.2.json.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace culld {

// The file system's limit for one name, in bytes.
inline constexpr std::size_t name_bytes_max = 255;

// The `attempt`th name to try for `name`, 0 being `name` itself; its number goes before the suffix (.txt.gz
// is one suffix). Whatever `name`, the result has at most `bytes_max` bytes (at least 64): the stem is cut,
// at a character boundary where it is UTF-8, and never ends up empty.
[[nodiscard]] std::string unused_name(std::string_view name, std::uint64_t attempt,
                                      std::size_t bytes_max = name_bytes_max);

// What `name` was before unused_name(…, attempt) made it of it; `name` itself where that did not, or had to cut it.
[[nodiscard]] std::string name_before(std::string_view name, std::uint64_t attempt);

// How many names somebody who looks for a file, or for a free name, tries before giving up.
inline constexpr std::uint32_t names_tried = 1000;

}  // namespace culld

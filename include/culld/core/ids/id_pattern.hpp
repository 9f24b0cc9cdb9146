// The setting ids.pattern, compiled: which ids a list may hold.
//
// Whatever the pattern says, an id is 1 to 256 bytes of printable ASCII without space " \ / ? # and %. So it
// stands in JSON and in a URL path exactly as it stood in the list, and its bytes never need escaping on the
// way.
//
// The form [class]{m,n} (also {m}, {m,}, +, and with ^…$ around it) is checked from a table, a 36-byte id in
// about 5 ns; any other pattern is an ECMAScript regular expression that must match the whole id, some 1,000
// times slower.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <regex>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"

namespace culld {

inline constexpr std::size_t id_bytes_max = 256;

// Immutable once compiled; may be read from several threads.
class id_pattern {
  public:
    // Fails, naming ids.pattern, where the pattern is no regular expression or can match no id at all.
    static result<id_pattern> compile(std::string_view pattern);

    [[nodiscard]] bool matches(std::string_view id) const;
    // What is wrong with an id that does not match: `"a b" is no id: byte 2 is not allowed`, the pattern as
    // hint.
    [[nodiscard]] problem refusal(std::string_view id) const;

    [[nodiscard]] const std::string& text() const { return text_; }
    // True if the table alone decides.
    [[nodiscard]] bool is_fast() const { return regex_ == nullptr; }

  private:
    [[nodiscard]] bool all_allowed(const char* bytes, std::size_t count) const;

    std::string text_;
    std::array<bool, 256> allowed_{};           // bytes that an id may have
    std::array<std::uint8_t, 16> by_nibble_{};  // the same for SSSE3: bit h of entry l stands for byte h * 16 + l
    std::size_t shortest_ = 1;
    std::size_t longest_ = id_bytes_max;
    bool vectors_ = false;                     // the processor has SSSE3
    std::shared_ptr<const std::regex> regex_;  // only where the table cannot say it; shared by copies, never changed
};

}  // namespace culld

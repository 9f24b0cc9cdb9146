#include "culld/core/spool/unused_name.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "culld/core/spool/file_kind.hpp"
#include "culld/core/text/json_writer.hpp"

namespace culld {

namespace {

// Past this a "suffix" is part of the name: cutting before it would leave no stem worth reading.
constexpr std::size_t suffix_bytes_max = 16;

// Where the stem ends: before all suffixes of a kind we know, else before the last dot.
std::size_t stem_bytes(std::string_view name) {
    const file_type type = type_of(name);
    std::size_t stem = type.stem.size();
    if (stem == name.size()) {
        const std::size_t dot = name.rfind('.');
        if (dot != std::string_view::npos && dot != 0) stem = dot;
    }
    return name.size() - stem <= suffix_bytes_max ? stem : name.size();
}

// The longest start of `text` with at most `bytes` bytes that does not end within a UTF-8 character.
std::string_view cut(std::string_view text, std::size_t bytes) {
    if (text.size() <= bytes) return text;
    std::size_t end = bytes;
    if (is_utf8(text))
        while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    return text.substr(0, end);
}

}  // namespace

std::string unused_name(std::string_view name, std::uint64_t attempt, std::size_t bytes_max) {
    if (attempt == 0 && name.size() <= bytes_max) return std::string(name);
    const std::size_t stem = stem_bytes(name);
    const std::string number = attempt == 0 ? std::string() : fmt::format(".{}", attempt);
    const std::string_view suffix = name.substr(stem);
    return fmt::format("{}{}{}", cut(name.substr(0, stem), bytes_max - number.size() - suffix.size()), number, suffix);
}

std::string name_before(std::string_view name, std::uint64_t attempt) {
    const std::string number = fmt::format(".{}", attempt);
    const std::size_t stem = stem_bytes(name);
    const std::string_view before = name.substr(0, stem);
    if (attempt == 0 || before.size() <= number.size() || !before.ends_with(number)) return std::string(name);
    std::string out(before.substr(0, before.size() - number.size()));
    out += name.substr(stem);
    return unused_name(out, attempt) == name ? out : std::string(name);
}

}  // namespace culld

#include "culld/core/text/utf8.hpp"

namespace culld {

// RFC 3629, the table in section 4.
std::size_t utf8_sequence(std::string_view s) {
    const auto at = [&](std::size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0U; };
    const auto continues = [&](std::size_t i) { return (at(i) & 0xC0U) == 0x80U; };
    const unsigned lead = at(0);
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead <= 0xDF) return continues(1) ? 2 : 0;
    if (lead >= 0xE0 && lead <= 0xEF) {
        if (!continues(1) || !continues(2)) return 0;
        if (lead == 0xE0 && at(1) < 0xA0) return 0;
        if (lead == 0xED && at(1) > 0x9F) return 0;
        return 3;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        if (!continues(1) || !continues(2) || !continues(3)) return 0;
        if (lead == 0xF0 && at(1) < 0x90) return 0;
        if (lead == 0xF4 && at(1) > 0x8F) return 0;
        return 4;
    }
    return 0;
}

char32_t utf8_character(std::string_view sequence) {
    const auto at = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(sequence[i])); };
    const auto six = [&](std::size_t i) { return at(i) & 0x3FU; };
    switch (sequence.size()) {
        case 1: return at(0);
        case 2: return (at(0) & 0x1FU) << 6U | six(1);
        case 3: return (at(0) & 0x0FU) << 12U | six(1) << 6U | six(2);
        default: return (at(0) & 0x07U) << 18U | six(1) << 12U | six(2) << 6U | six(3);
    }
}

}  // namespace culld

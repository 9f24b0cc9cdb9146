#include "culld/core/text/visible_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>
#include <utility>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "culld/core/text/utf8.hpp"

namespace culld {

namespace {

struct span_of_code {
    char32_t first, last;
};

// Unicode 15: Zs but the space, Zl, Zp, Cc, Cf, Default_Ignorable_Code_Point, and two that are drawn as nothing
// (U+2800, U+1D159). Ascending. Noncharacters (the last two of each plane) are found by arithmetic.
constexpr std::array unseen_codes{
    span_of_code{0x00, 0x1F},       span_of_code{0x7F, 0xA0},       span_of_code{0xAD, 0xAD},
    span_of_code{0x34F, 0x34F},     span_of_code{0x600, 0x605},     span_of_code{0x61C, 0x61C},
    span_of_code{0x6DD, 0x6DD},     span_of_code{0x70F, 0x70F},     span_of_code{0x890, 0x891},
    span_of_code{0x8E2, 0x8E2},     span_of_code{0x115F, 0x1160},   span_of_code{0x1680, 0x1680},
    span_of_code{0x17B4, 0x17B5},   span_of_code{0x180B, 0x180F},   span_of_code{0x2000, 0x200F},
    span_of_code{0x2028, 0x202F},   span_of_code{0x205F, 0x206F},   span_of_code{0x2800, 0x2800},
    span_of_code{0x3000, 0x3000},   span_of_code{0x3164, 0x3164},   span_of_code{0xFDD0, 0xFDEF},
    span_of_code{0xFE00, 0xFE0F},   span_of_code{0xFEFF, 0xFEFF},   span_of_code{0xFFA0, 0xFFA0},
    span_of_code{0xFFF0, 0xFFFB},   span_of_code{0x110BD, 0x110BD}, span_of_code{0x110CD, 0x110CD},
    span_of_code{0x13430, 0x1343F}, span_of_code{0x1BCA0, 0x1BCA3}, span_of_code{0x1D159, 0x1D159},
    span_of_code{0x1D173, 0x1D17A}, span_of_code{0xE0000, 0xE0FFF},
};

std::string_view common_name(char32_t c) {
    if (c >= 0x2000 && c <= 0x200A) return "a space of another width";
    if ((c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069)) return "it turns the direction of the text";
    switch (c) {
        case 0xA0: return "no-break space";
        case 0xAD: return "soft hyphen";
        case 0x200B: return "zero width space";
        case 0x200C: return "zero width non-joiner";
        case 0x200D: return "zero width joiner";
        case 0x200E: return "left-to-right mark";
        case 0x200F: return "right-to-left mark";
        case 0x2028: return "line separator";
        case 0x2029: return "paragraph separator";
        case 0x202F: return "narrow no-break space";
        case 0x2060: return "word joiner";
        case 0x3000: return "ideographic space";
        case 0xFEFF: return "a byte order mark that is not at the start";
        default: return {};
    }
}

// How many bytes the character that `lead` begins should have; 0 if it begins none.
std::size_t sequence_of(char lead) {
    const auto u = static_cast<unsigned char>(lead);
    if (u < 0x80) return 1;
    if (u < 0xC2 || u > 0xF4) return 0;
    return u < 0xE0 ? 2 : u < 0xF0 ? 3 : 4;
}

// Whether the whole of `text` is but the start of a character.
bool is_cut(std::string_view text) {
    return !text.empty() && text.size() < sequence_of(text.front()) &&
           std::all_of(text.begin() + 1, text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; });
}

bool is_plain(char c) {
    return (c >= 0x20 && c < 0x7F) || c == '\n' || c == '\t';
}

#if defined(__x86_64__)
// How many blocks of 128 bytes at the front of `text` hold printable ASCII and newlines alone; their newlines are added
// to `newlines`. What is no printable ASCII is counted in each lane, and so are newlines: equal counts are well.
// Measured: 8 instructions for a line with a UUID, which is what this may cost.
__attribute__((target("avx2"))) std::size_t plain_blocks(std::string_view text, std::uint64_t& newlines) {
    const __m256i turn = _mm256_set1_epi8(0x60);  // 0x20 becomes the least of signed bytes, 0x7E becomes -34
    const __m256i last = _mm256_set1_epi8(-34);
    const __m256i newline = _mm256_set1_epi8('\n');
    const __m256i none = _mm256_setzero_si256();
    __m256i sums = none;
    const std::size_t blocks = text.size() / 128;
    std::size_t block = 0;
    for (; block < blocks; ++block) {
        const auto* const at = reinterpret_cast<const __m256i*>(text.data() + 128 * block);
        __m256i odd = none;
        __m256i lines = none;
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
            const __m256i bytes = _mm256_loadu_si256(at + i);
            odd = _mm256_sub_epi8(odd, _mm256_cmpgt_epi8(_mm256_add_epi8(bytes, turn), last));
            lines = _mm256_sub_epi8(lines, _mm256_cmpeq_epi8(bytes, newline));
        }
        const __m256i differ = _mm256_xor_si256(odd, lines);
        if (_mm256_testz_si256(differ, differ) == 0) break;
        sums = _mm256_add_epi64(sums, _mm256_sad_epu8(lines, none));
    }
    alignas(32) std::array<std::uint64_t, 4> parts{};
    _mm256_store_si256(reinterpret_cast<__m256i*>(parts.data()), sums);
    newlines += parts[0] + parts[1] + parts[2] + parts[3];
    return block;
}
#endif

// The first byte of `text` from `from` on that is not plain, or its end; newlines before it are counted.
std::size_t plain_until(std::string_view text, std::size_t from, std::uint64_t& newlines) {
    std::size_t at = from;
#if defined(__x86_64__)
    static const bool wide = __builtin_cpu_supports("avx2") != 0;
    if (wide) at += 128 * plain_blocks(text.substr(at), newlines);
#endif
#if defined(__SSE2__)
    const __m128i turn = _mm_set1_epi8(0x60);  // 0x20 becomes the least of signed bytes, 0x7E becomes -34
    const __m128i last = _mm_set1_epi8(-34);
    const __m128i newline = _mm_set1_epi8('\n');
    const auto load = [&](std::size_t i) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at + i));
    };
    const auto wrong_of = [&](__m128i bytes, __m128i line) {
        return _mm_andnot_si128(line, _mm_cmpgt_epi8(_mm_add_epi8(bytes, turn), last));
    };
    while (text.size() - at >= 16) {
        const __m128i bytes = load(0);
        const __m128i line = _mm_cmpeq_epi8(bytes, newline);
        const auto wrong = static_cast<unsigned>(_mm_movemask_epi8(wrong_of(bytes, line)));
        const auto lines = static_cast<unsigned>(_mm_movemask_epi8(line));
        const unsigned good = wrong == 0 ? 16U : static_cast<unsigned>(std::countr_zero(wrong));
        newlines += static_cast<std::uint64_t>(std::popcount(lines & ((1U << good) - 1)));
        at += good;
        if (good < 16 && text[at] != '\t') return at;
        if (good < 16) ++at;
    }
#endif
    for (; at < text.size() && is_plain(text[at]); ++at)
        if (text[at] == '\n') ++newlines;
    return at;
}

}  // namespace

bool is_visible(char32_t c) {
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) || (c & 0xFFFEU) == 0xFFFEU) return false;
    const auto* const found = std::ranges::lower_bound(unseen_codes, c, {}, &span_of_code::last);
    return found == unseen_codes.end() || c < found->first;
}

void visible_text::pass(std::string_view text, std::uint64_t newlines) {
    if (newlines == 0) {
        at_.column += text.size();
        return;
    }
    at_.line += newlines;
    at_.column = text.size() - text.rfind('\n');
}

// What stands at `at` is refused; `from` is where at_ is.
std::size_t visible_text::refuse(std::string_view block, std::size_t from, std::size_t at, std::string what,
                                 std::string hint) {
    const std::string_view before = block.substr(from, at - from);
    pass(before, static_cast<std::uint64_t>(std::ranges::count(before, '\n')));
    trouble_ = problem{.what = std::move(what), .hint = std::move(hint), .line = at_.line, .column = at_.column};
    return at;
}

std::size_t visible_text::feed(std::string_view block) {
    std::size_t at = 0;
    std::size_t from = 0;     // at_ stands here
    std::size_t cr_from = 0;  // of the CR that came last, in this block
    const auto judge = [&](std::string_view sequence) -> std::optional<std::pair<std::string, std::string>> {
        const std::size_t n = utf8_sequence(sequence);
        if (n == 0)
            return std::pair(fmt::format("byte 0x{:02x} is not UTF-8", static_cast<unsigned char>(sequence.front())),
                             std::string("save the file as UTF-8"));
        const char32_t c = utf8_character(sequence.substr(0, n));
        if (is_visible(c)) return std::nullopt;
        const bool control = c < 0xA0;
        const std::string_view name = common_name(c);
        return std::pair(
            control ? fmt::format("control character 0x{:02x}", static_cast<std::uint32_t>(c))
                    : fmt::format("an invisible character, U+{:04X}{}", static_cast<std::uint32_t>(c),
                                  name.empty() ? "" : fmt::format(" ({})", name)),
            std::string(control ? "the file must be plain text" : "delete it, and type what belongs there"));
    };
    if (!cut_.empty()) {
        // The character that the last block cut: completed, or wrong at the place where it began.
        const std::size_t had = cut_.size();
        while (at < block.size() && is_cut(cut_)) cut_.push_back(block[at++]);
        if (is_cut(cut_)) return at;
        if (auto wrong = judge(cut_)) {
            trouble_ = problem{.what = std::move(wrong->first),
                               .hint = std::move(wrong->second),
                               .line = at_.line,
                               .column = at_.column};
            return 0;
        }
        at_.column += had;  // the rest of it is this block's, from `from` on
        cut_.clear();
    }
    std::uint64_t newlines = 0;
    for (;;) {
        if (cr_ && at < block.size()) {
            const char c = block[at];
            if (c != '\n' && c != '\r') {
                trouble_ = problem{.what = "a carriage return (CR) that ends no line",
                                   .hint = "a terminal hides what stands before it; end lines with LF or CRLF",
                                   .line = cr_at_.line,
                                   .column = cr_at_.column};
                return cr_from;
            }
            cr_ = c == '\r';
            if (!cr_) ++newlines;
            ++at;
            continue;
        }
        at = plain_until(block, at, newlines);
        if (at == block.size()) break;
        if (block[at] == '\r') {
            const std::string_view before = block.substr(from, at - from);
            pass(before, newlines);
            newlines = 0;
            from = at;
            cr_at_ = at_;
            cr_ = true;
            cr_from = at;
            ++at;
            continue;
        }
        const std::string_view rest = block.substr(at);
        if (is_cut(rest)) {
            pass(block.substr(from, at - from), newlines);
            cut_ = rest;
            return block.size();
        }
        if (auto wrong = judge(rest)) return refuse(block, from, at, std::move(wrong->first), std::move(wrong->second));
        at += utf8_sequence(rest);
    }
    pass(block.substr(from), newlines);
    return block.size();
}

bool visible_text::end() {
    if (trouble_) return false;
    if (cut_.empty()) return true;
    trouble_ = problem{.what = "the file ends in the middle of a character",
                       .hint = "was it cut?",
                       .line = at_.line,
                       .column = at_.column};
    return false;
}

std::optional<problem> unseen_in(std::string_view text) {
    visible_text check;
    static_cast<void>(check.feed(text));
    static_cast<void>(check.end());
    return check.trouble();
}

std::string made_visible(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        std::size_t n = utf8_sequence(text);
        const auto byte = static_cast<unsigned char>(text.front());
        if (n == 0) {
            fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
            n = 1;
        } else if (const char32_t c = utf8_character(text.substr(0, n)); is_visible(c)) {
            out.append(text.substr(0, n));
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else if (c == '\r') {
            out += "\\r";
        } else if (c < 0x80) {
            fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<std::uint32_t>(c));
        } else if (c < 0x10000) {
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<std::uint32_t>(c));
        } else {
            fmt::format_to(std::back_inserter(out), "\\U{:08x}", static_cast<std::uint32_t>(c));
        }
        text.remove_prefix(n);
    }
    return out;
}

}  // namespace culld

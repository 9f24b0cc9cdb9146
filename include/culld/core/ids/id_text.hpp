// How an id is written in a file, and when two ids are one: UUIDs are compared without regard to case, everything else
// byte by byte.
//
// Pure.
#pragma once

#include <array>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace culld {

[[nodiscard]] inline bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

// Without spaces, tabs and CR on either side.
[[nodiscard]] inline std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

inline constexpr std::size_t uuid_bytes = 36;
inline constexpr std::size_t bare_uuid_bytes = 32;  // without its hyphens

// 8-4-4-4-12 hexadecimal digits in either case, or the 32 of them bare: the service writes both
// (secmaster-api.md, 1.1).
[[nodiscard]] bool is_uuid(std::string_view text);

// An id in the form in which it is compared: itself, but a UUID in lower case. Borrows `id`.
class compared_id {
  public:
    explicit compared_id(std::string_view id) : text_(id) {
        if (id.size() == uuid_bytes ? may_have_capitals(id.data()) : id.size() == bare_uuid_bytes) fold();
    }
    compared_id(const compared_id&) = delete;
    compared_id& operator=(const compared_id&) = delete;

    [[nodiscard]] std::string_view text() const { return text_; }

  private:
    // Of 36 bytes of ASCII. False for nearly every id there is, so it is here: digits, the hyphen and small letters all
    // have bit 5, capitals do not.
    [[nodiscard]] static bool may_have_capitals(const char* bytes) {
#if defined(__SSE2__)
        const auto load = [&](int from) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + from)); };
        const __m128i all = _mm_and_si128(_mm_and_si128(load(0), load(16)), load(20));
        return _mm_movemask_epi8(_mm_slli_epi16(all, 2)) != 0xFFFF;
#else
        for (std::size_t i = 0; i < uuid_bytes; ++i)
            if ((bytes[i] & 0x20) == 0) return true;
        return false;
#endif
    }
    void fold();

    std::string_view text_;
    std::array<char, uuid_bytes> lowered_;
};

}  // namespace culld

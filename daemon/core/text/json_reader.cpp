#include "culld/core/text/json_reader.hpp"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <bit>
#include <cstring>
#include <limits>

#include "culld/core/base/ascii.hpp"
#include "culld/core/text/json_writer.hpp"

namespace culld {

namespace {

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Bytes from `at` on that are plain inside a string: no quote, backslash, control character or byte above
// 0x7F. Sixteen at a time where the machine has SSE2, which every x86-64 has; else, and for the end of the text,
// eight: each term below has the high bit of a byte set if that byte stops the run; borrows make false alarms only
// in bytes above the first true one, and only the first is looked at.
std::size_t plain_run(std::string_view text, std::size_t at) {
    constexpr std::uint64_t ones = 0x0101010101010101U, highs = 0x8080808080808080U;
    static_assert(std::endian::native == std::endian::little, "the first byte is taken from the low end");
    const std::size_t begin = at;
#ifdef __SSE2__
    const __m128i quotes = _mm_set1_epi8('"'), backslashes = _mm_set1_epi8('\\'), spaces = _mm_set1_epi8(0x20);
    while (text.size() - at >= 16) {
        __m128i bytes;
        std::memcpy(&bytes, text.data() + at, sizeof bytes);
        // Signed: bytes above 0x7F are below a space as well.
        const __m128i stop =
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quotes), _mm_cmpeq_epi8(bytes, backslashes)),
                         _mm_cmplt_epi8(bytes, spaces));
        const auto mask = static_cast<unsigned>(_mm_movemask_epi8(stop));
        if (mask != 0) return at - begin + static_cast<std::size_t>(std::countr_zero(mask));
        at += 16;
    }
#endif
    while (text.size() - at >= 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, text.data() + at, 8);
        const std::uint64_t quote = word ^ (ones * '"'), backslash = word ^ (ones * '\\');
        const std::uint64_t stop = ((quote - ones) | (backslash - ones) | (word - ones * 0x20U) | word) & highs;
        if (stop != 0) return at - begin + static_cast<std::size_t>(std::countr_zero(stop)) / 8;
        at += 8;
    }
    while (at < text.size()) {
        const auto c = static_cast<unsigned char>(text[at]);
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') break;
        ++at;
    }
    return at - begin;
}

// Four hex digits at the front of `s`; -1 if they are not there.
int code_unit(std::string_view s) {
    if (s.size() < 4) return -1;
    int value = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        const int digit = hex_value(s[i]);
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

// One pass over a value: checks its syntax, counts its elements. Every function leaves `at` behind what it
// read, or on the byte at fault with `complaint` set.
class value_walk {
  public:
    value_walk(std::string_view text, std::size_t& at, json_complaint& complaint, json_style& style)
        : text_(text), at_(at), complaint_(complaint), style_(style) {}

    bool value(json_value& out, unsigned depth) {
        const std::size_t begin = at_;
        if (at_ >= text_.size()) return wrong("a value is missing");
        bool good = false;
        switch (text_[at_]) {
            case '"':
                out.kind = json_kind::string;
                good = string();
                break;
            case '{':
                out.kind = json_kind::object;
                good = object(out, depth);
                break;
            case '[':
                out.kind = json_kind::array;
                good = array(out, depth);
                break;
            case 't':
                out.kind = json_kind::boolean;
                good = word("true");
                break;
            case 'f':
                out.kind = json_kind::boolean;
                good = word("false");
                break;
            case 'n':
                out.kind = json_kind::null;
                good = word("null");
                break;
            default: out.kind = json_kind::number; good = number();
        }
        if (good) out.raw = text_.substr(begin, at_ - begin);
        return good;
    }

    bool string() {
        if (at_ >= text_.size() || text_[at_] != '"') return wrong("a string is missing");
        const std::size_t begin = ++at_;
        bool ascii = true;
        for (;;) {
            at_ += plain_run(text_, at_);
            if (at_ >= text_.size()) return wrong("a string has no end");
            const auto c = static_cast<unsigned char>(text_[at_]);
            if (c == '"') break;
            if (c == '\\') {
                if (!escape()) return false;
            } else if (c < 0x20) {
                return wrong("a control character stands in a string");
            } else {
                ascii = false;
                ++at_;
            }
        }
        if (!ascii && !is_utf8(text_.substr(begin, at_ - begin))) {
            at_ = begin;
            return wrong("a string is not UTF-8");
        }
        ++at_;
        return true;
    }

    void spaces() {
        for (; at_ < text_.size() && is_space(text_[at_]); ++at_) style_.spaces = true;
    }

    bool wrong(const char* what) {
        complaint_ = {.what = what, .offset = at_};
        return false;
    }

    bool at(char c) const { return at_ < text_.size() && text_[at_] == c; }

    bool key_and_colon() {
        if (!string()) return false;
        spaces();
        if (!at(':')) return wrong("a colon is missing");
        ++at_;
        spaces();
        return true;
    }

  private:
    bool escape() {
        style_.escapes = true;
        ++at_;
        if (at_ >= text_.size()) return wrong("a string has no end");
        if (text_[at_] != 'u') {
            if (std::string_view("\"\\/bfnrt").find(text_[at_]) == std::string_view::npos)
                return wrong("an escape is not known");
            ++at_;
            return true;
        }
        const int unit = code_unit(text_.substr(at_ + 1));
        if (unit < 0) return wrong("\\u needs four hex digits");
        if (unit >= 0xDC00 && unit <= 0xDFFF) return wrong("half of a surrogate pair");
        if (unit >= 0xD800 && unit <= 0xDBFF) {
            const std::string_view rest = text_.substr(at_ + 5);
            const int low = rest.starts_with("\\u") ? code_unit(rest.substr(2)) : -1;
            if (low < 0xDC00 || low > 0xDFFF) return wrong("half of a surrogate pair");
            at_ += 6;
        }
        at_ += 5;
        return true;
    }

    bool word(std::string_view expected) {
        if (text_.substr(at_, expected.size()) != expected) return wrong("a value is not JSON");
        at_ += expected.size();
        return true;
    }

    bool digits() {
        if (at_ >= text_.size() || !is_digit(text_[at_])) return wrong("a digit is missing");
        while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
        return true;
    }

    bool number() {
        if (at('-'))
            ++at_;
        else if (!is_digit(text_[at_]))
            return wrong("a value is not JSON");
        if (at('0')) {
            ++at_;
            if (at_ < text_.size() && is_digit(text_[at_])) return wrong("a number begins with 0");
        } else if (!digits()) {
            return false;
        }
        if (at('.')) {
            ++at_;
            if (!digits()) return false;
        }
        if (at('e') || at('E')) {
            ++at_;
            if (at('+') || at('-')) ++at_;
            if (!digits()) return false;
        }
        return true;
    }

    // Ids one behind the other, nearly all there is: goes on behind the comma of the last plain string that one
    // follows.
    void plain_strings(std::uint64_t& items) {
        while (at('"')) {
            const std::size_t end = at_ + 1 + plain_run(text_, at_ + 1);
            if (end + 1 >= text_.size() || text_[end] != '"' || text_[end + 1] != ',') return;
            ++items;
            at_ = end + 2;
        }
        spaces();
    }

    bool array(json_value& out, unsigned depth) {
        if (depth >= json_depth_max) return wrong("nested too deep");
        ++at_;
        spaces();
        if (at(']')) {
            ++at_;
            return true;
        }
        for (;;) {
            plain_strings(out.items);
            if (at('"')) {
                if (!string()) return false;
            } else {
                json_value element;
                if (!value(element, depth + 1)) return false;
                out.only_strings = false;
            }
            ++out.items;
            spaces();
            if (at(']')) break;
            if (!at(',')) return wrong("a comma or ] is missing");
            ++at_;
            spaces();
        }
        ++at_;
        return true;
    }

    bool object(json_value& out, unsigned depth) {
        if (depth >= json_depth_max) return wrong("nested too deep");
        ++at_;
        spaces();
        if (at('}')) {
            ++at_;
            return true;
        }
        for (;;) {
            json_value member;
            if (!key_and_colon() || !value(member, depth + 1)) return false;
            ++out.items;
            spaces();
            if (at('}')) break;
            if (!at(',')) return wrong("a comma or } is missing");
            ++at_;
            spaces();
        }
        ++at_;
        return true;
    }

    std::string_view text_;
    std::size_t& at_;
    json_complaint& complaint_;
    json_style& style_;
};

// A decimal number at the front of `s`, taken off it. False if there is none or it does not fit.
bool take_u64(std::string_view& s, std::uint64_t& out) {
    if (s.empty() || !is_digit(s[0]) || (s[0] == '0' && s.size() > 1 && is_digit(s[1]))) return false;
    out = 0;
    while (!s.empty() && is_digit(s[0])) {
        const auto digit = static_cast<std::uint64_t>(s[0] - '0');
        if (out > (std::numeric_limits<std::uint64_t>::max() - digit) / 10) return false;
        out = out * 10 + digit;
        s.remove_prefix(1);
    }
    return true;
}

void skip_spaces(std::string_view& s) {
    while (!s.empty() && is_space(s[0])) s.remove_prefix(1);
}

bool take(std::string_view& s, char c) {
    skip_spaces(s);
    if (s.empty() || s[0] != c) return false;
    s.remove_prefix(1);
    skip_spaces(s);
    return true;
}

void append_utf8(std::string& out, std::uint32_t c) {
    const auto byte = [&](std::uint32_t b) { out.push_back(static_cast<char>(static_cast<unsigned char>(b))); };
    if (c < 0x80) {
        byte(c);
    } else if (c < 0x800) {
        byte(0xC0U | c >> 6U);
        byte(0x80U | (c & 0x3FU));
    } else if (c < 0x10000) {
        byte(0xE0U | c >> 12U);
        byte(0x80U | (c >> 6U & 0x3FU));
        byte(0x80U | (c & 0x3FU));
    } else {
        byte(0xF0U | c >> 18U);
        byte(0x80U | (c >> 12U & 0x3FU));
        byte(0x80U | (c >> 6U & 0x3FU));
        byte(0x80U | (c & 0x3FU));
    }
}

}  // namespace

bool json_reader::next(json_member& out) {
    if (ended_ || complaint_.what != nullptr) return false;
    value_walk walk(text_, at_, complaint_, style_);
    walk.spaces();
    if (!begun_) {
        if (!walk.at('{')) return walk.wrong("an object is missing");
        begun_ = true;
        ++at_;
        walk.spaces();
        ended_ = walk.at('}');
    } else {
        ended_ = walk.at('}');
        if (!ended_) {
            if (!walk.at(',')) return walk.wrong("a comma or } is missing");
            ++at_;
            walk.spaces();
        }
    }
    if (ended_) {
        ++at_;
        walk.spaces();
        if (at_ != text_.size()) return walk.wrong("something stands behind the object");
        return false;
    }
    const std::size_t begin = at_ + 1;
    if (!walk.string()) return false;
    out.key = text_.substr(begin, at_ - 1 - begin);
    walk.spaces();
    if (!walk.at(':')) return walk.wrong("a colon is missing");
    ++at_;
    walk.spaces();
    out.value = {};
    return walk.value(out.value, 1);
}

bool json_elements::next(json_value& out) {
    if (rest_.empty()) return false;
    rest_.remove_prefix(1);  // the bracket, or the comma
    std::size_t at = 0;
    json_complaint complaint;
    json_style style;
    value_walk walk(rest_, at, complaint, style);
    walk.spaces();
    out = {};
    if (walk.at(']') || !walk.value(out, 1)) {
        rest_ = {};
        return false;
    }
    walk.spaces();
    rest_.remove_prefix(at);
    return true;
}

bool json_strings::next(std::string_view& raw) {
    // The text is well-formed: an element follows a bracket or a comma.
    if (rest_.empty()) return false;
    rest_.remove_prefix(1);
    if (rest_.empty() || rest_[0] != '"') skip_spaces(rest_);
    if (rest_.empty() || rest_[0] != '"') {
        rest_ = {};
        return false;
    }
    std::size_t end = rest_.find('"', 1);
    if (escapes_)
        for (end = 1; end < rest_.size() && rest_[end] != '"'; ++end)
            if (rest_[end] == '\\') ++end;
    if (end >= rest_.size()) {
        rest_ = {};
        return false;
    }
    raw = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    if (!rest_.empty() && rest_[0] != ',') skip_spaces(rest_);
    return true;
}

std::string json_unescaped(std::string_view raw) {
    std::string out;
    out.reserve(raw.size());
    for (std::size_t i = 0; i < raw.size(); ++i) {
        if (raw[i] != '\\' || i + 1 == raw.size()) {
            out.push_back(raw[i]);
            continue;
        }
        switch (raw[++i]) {
            case 'b': out.push_back('\b'); break;
            case 'f': out.push_back('\f'); break;
            case 'n': out.push_back('\n'); break;
            case 'r': out.push_back('\r'); break;
            case 't': out.push_back('\t'); break;
            case 'u': {
                const int unit = code_unit(raw.substr(i + 1));
                if (unit < 0) break;  // cannot be: the string was checked
                i += 4;
                auto c = static_cast<std::uint32_t>(unit);
                if (c >= 0xD800 && c <= 0xDBFF && raw.size() > i + 2) {
                    const int low = code_unit(raw.substr(i + 3));
                    if (low >= 0xDC00 && low <= 0xDFFF) {
                        c = 0x10000U + ((c - 0xD800U) << 10U) + (static_cast<std::uint32_t>(low) - 0xDC00U);
                        i += 6;
                    }
                }
                append_utf8(out, c);
                break;
            }
            default: out.push_back(raw[i]);
        }
    }
    return out;
}

result<std::string> json_value::text() const {
    if (kind != json_kind::string) return fail("must be a string");
    return json_unescaped(raw.substr(1, raw.size() - 2));
}

result<std::uint64_t> json_value::u64() const {
    std::string_view rest = raw;
    std::uint64_t out = 0;
    if (kind != json_kind::number || !take_u64(rest, out) || !rest.empty())
        return fail("must be a whole number from 0 to 18446744073709551615");
    return out;
}

result<bool> json_value::boolean() const {
    if (kind != json_kind::boolean) return fail("must be true or false");
    return raw == "true";
}

result<spans> json_value::runs() const {
    static constexpr const char* form = "must be runs of positions, [[first,count],…], ascending";
    if (kind != json_kind::array) return fail(form);
    spans out;
    out.reserve(items);
    std::string_view rest = raw.substr(1);
    skip_spaces(rest);
    if (rest == "]") return out;
    for (;;) {
        span s;
        if (!take(rest, '[') || !take_u64(rest, s.first) || !take(rest, ',') || !take_u64(rest, s.count) ||
            !take(rest, ']'))
            return fail(form);
        constexpr std::uint64_t limit = std::uint64_t{1} << 63U;
        if (s.count == 0 || s.first > limit || s.count > limit - s.first) return fail(form);
        if (!out.empty() && s.first < out.back().end()) return fail(form);
        append(out, s);
        if (rest == "]") return out;
        if (!take(rest, ',')) return fail(form);
    }
}

}  // namespace culld

#include "culld/core/json_text.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace culld {

namespace {

// Length of the well-formed UTF-8 sequence at the front of `s`, 0 if there is none (RFC 3629, table in section 4).
std::size_t sequence(std::string_view s) {
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

bool plain(char c) {
    const auto u = static_cast<unsigned char>(c);
    return u >= 0x20 && u < 0x7F && c != '"' && c != '\\';
}

template <class T>
void append_charconv(std::string& out, T value) {
    std::array<char, 32> text{};
    const auto [end, ec] = std::to_chars(text.data(), text.data() + text.size(), value);
    static_cast<void>(ec);  // 32 bytes hold any of them
    out.append(text.data(), end);
}

}  // namespace

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const std::size_t n = sequence(text);
        if (n == 0) return false;
        text.remove_prefix(n);
    }
    return true;
}

void append_json_string(std::string& out, std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    out.push_back('"');
    while (!text.empty()) {
        std::size_t run = 0;
        while (run < text.size() && plain(text[run])) ++run;
        out.append(text.substr(0, run));
        text.remove_prefix(run);
        if (text.empty()) break;
        const char c = text.front();
        const std::size_t n = sequence(text);
        if (n == 0) {
            out += "\xEF\xBF\xBD";
            text.remove_prefix(1);
            continue;
        }
        if (n > 1) {
            out.append(text.substr(0, n));
            text.remove_prefix(n);
            continue;
        }
        switch (c) {
            case '"': out += "\\\""; break;
            case '\\': out += "\\\\"; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\t': out += "\\t"; break;
            default:
                out += "\\u00";
                out.push_back(digits[static_cast<unsigned char>(c) >> 4U]);
                out.push_back(digits[static_cast<unsigned char>(c) & 15U]);
        }
        text.remove_prefix(1);
    }
    out.push_back('"');
}

void append_number(std::string& out, std::uint64_t value) {
    append_charconv(out, value);
}
void append_number(std::string& out, std::int64_t value) {
    append_charconv(out, value);
}
void append_number(std::string& out, double value) {
    append_charconv(out, std::isfinite(value) ? value : 0.0);
}

std::string& json_object::begin(std::string_view key) {
    if (!first_) out_.push_back(',');
    first_ = false;
    out_.push_back('"');
    out_.append(key);
    out_.append("\":");
    return out_;
}

json_object& json_object::member(std::string_view key, std::string_view text) {
    append_json_string(begin(key), text);
    return *this;
}

json_object& json_object::member(std::string_view key, double value) {
    append_number(begin(key), value);
    return *this;
}

json_object& json_object::raw(std::string_view key, std::string_view json) {
    begin(key).append(json);
    return *this;
}

}  // namespace culld

#include "culld/core/text/json_writer.hpp"

#include <array>
#include <charconv>
#include <cmath>

#include "culld/core/text/utf8.hpp"
#include "culld/core/text/visible_text.hpp"

namespace culld {

namespace {

bool plain(char c) {
    const auto u = static_cast<unsigned char>(c);
    return u >= 0x20 && u < 0x7F && c != '"' && c != '\\';
}

void append_unit(std::string& out, char32_t unit) {
    static constexpr char digits[] = "0123456789abcdef";
    out += "\\u";
    for (const unsigned shift : {12U, 8U, 4U, 0U}) out.push_back(digits[(unit >> shift) & 15U]);
}

void append_as_units(std::string& out, char32_t c) {
    if (c < 0x10000) return append_unit(out, c);
    append_unit(out, 0xD800 + ((c - 0x10000) >> 10U));
    append_unit(out, 0xDC00 + ((c - 0x10000) & 0x3FFU));
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
        const std::size_t n = utf8_sequence(text);
        if (n == 0) return false;
        text.remove_prefix(n);
    }
    return true;
}

void append_json_string(std::string& out, std::string_view text) {
    out.push_back('"');
    while (!text.empty()) {
        std::size_t run = 0;
        while (run < text.size() && plain(text[run])) ++run;
        out.append(text.substr(0, run));
        text.remove_prefix(run);
        if (text.empty()) break;
        const char c = text.front();
        const std::size_t n = utf8_sequence(text);
        if (n == 0) {
            out += "\xEF\xBF\xBD";
            text.remove_prefix(1);
            continue;
        }
        if (n > 1) {
            // The same text to programs, and nothing that moves a cursor or turns the text for people.
            if (const char32_t u = utf8_character(text.substr(0, n)); is_visible(u))
                out.append(text.substr(0, n));
            else
                append_as_units(out, u);
            text.remove_prefix(n);
            continue;
        }
        switch (c) {
            case '"': out += "\\\""; break;
            case '\\': out += "\\\\"; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\t': out += "\\t"; break;
            default: append_unit(out, static_cast<unsigned char>(c));
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

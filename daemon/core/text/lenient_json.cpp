#include "culld/core/text/lenient_json.hpp"

#include <cstring>

#include "culld/core/base/ascii.hpp"
#include "culld/core/text/json_reader.hpp"

namespace culld {

namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

bool is_json_blank(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

}  // namespace

lenient_json::lenient_json(std::string_view text) : text_(text) {
    if (text_.starts_with(byte_order_mark)) text_.remove_prefix(byte_order_mark.size());
}

bool lenient_json::breaks(const char* why) {
    if (broken_ == nullptr) broken_ = why;
    at_ = text_.size();
    return false;
}

void lenient_json::blanks() {
    while (at_ < text_.size() && is_json_blank(text_[at_])) ++at_;
}

lenient_json::kind lenient_json::what() {
    blanks();
    if (at_ >= text_.size()) return kind::nothing;
    switch (text_[at_]) {
        case '{': return kind::object;
        case '[': return kind::array;
        case '"': return kind::string;
        case '}':
        case ']':
        case ',':
        case ':': return kind::nothing;
        default: return kind::other;
    }
}

void lenient_json::enter() {
    ++at_;
    fresh_ = true;
}

// Before a member or an element: behind the comma, if one is due. False at the end, or where it is broken.
bool lenient_json::separated(char end, const char* missing) {
    if (broken_ != nullptr) return false;
    blanks();
    const bool first = fresh_;
    fresh_ = false;
    if (stands(end)) {
        ++at_;
        return false;
    }
    if (!first) {
        if (!stands(',')) return breaks(missing);
        ++at_;
        blanks();
    }
    return true;
}

bool lenient_json::next_member(std::string_view& key) {
    if (!separated('}', "a comma or } is missing")) return false;
    if (!stands('"')) return breaks("a member has no name");
    key = string();
    blanks();
    if (!stands(':')) return breaks("a colon is missing");
    ++at_;
    return true;
}

bool lenient_json::next_element() {
    return separated(']', "a comma or ] is missing");
}

std::string_view lenient_json::string() {
    const std::size_t begin = ++at_;
    std::size_t quote = text_.find('"', at_);
    while (quote != std::string_view::npos) {
        const void* const escape = std::memchr(text_.data() + at_, '\\', quote - at_);
        if (escape == nullptr) {
            at_ = quote + 1;
            return text_.substr(begin, quote - begin);
        }
        at_ = static_cast<std::size_t>(static_cast<const char*>(escape) - text_.data()) + 2;
        if (at_ > quote) quote = text_.find('"', at_);  // it was escaped
    }
    static_cast<void>(breaks("a string has no end"));
    return {};
}

std::string_view lenient_json::skip() {
    const kind here = what();
    const std::size_t begin = at_;
    switch (here) {
        case kind::nothing: static_cast<void>(breaks("a value is missing")); return {};
        case kind::string: static_cast<void>(string()); break;
        case kind::other:
            while (at_ < text_.size() && !is_json_blank(text_[at_]) &&
                   std::string_view("\"{}[],:").find(text_[at_]) == std::string_view::npos)
                ++at_;
            break;
        case kind::object:
        case kind::array: {
            std::string closing;  // of what is open, the innermost last
            do {
                if (at_ >= text_.size()) {
                    static_cast<void>(breaks("a bracket is not closed"));
                    return {};
                }
                const char c = text_[at_];
                if (c == '"') {
                    static_cast<void>(string());
                    continue;
                }
                ++at_;
                if (c == '{' || c == '[') {
                    closing.push_back(c == '{' ? '}' : ']');
                } else if (c == '}' || c == ']') {
                    if (closing.back() != c) {
                        static_cast<void>(breaks("a bracket is closed by another"));
                        return {};
                    }
                    closing.pop_back();
                }
            } while (!closing.empty());
        }
    }
    return broken_ == nullptr ? text_.substr(begin, at_ - begin) : std::string_view();
}

bool lenient_json::take(std::string_view exact) {
    if (text_.substr(at_, exact.size()) != exact) return false;
    at_ += exact.size();
    fresh_ = false;
    return true;
}

bool lenient_json::ended() {
    if (broken_ != nullptr) return false;
    blanks();
    return at_ == text_.size() || breaks("something stands behind the end");
}

std::string loosely_unescaped(std::string_view raw) {
    constexpr std::string_view replacement = "\\ufffd";
    std::string sound;  // escaped as it should be
    const auto unit = [&](std::size_t at) -> unsigned {
        unsigned value = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            const int digit = at + i < raw.size() ? hex_value(raw[at + i]) : -1;
            if (digit < 0) return 0x110000;
            value = value * 16 + static_cast<unsigned>(digit);
        }
        return value;
    };
    for (std::size_t i = 0; i < raw.size();) {
        if (raw[i] != '\\') {
            sound.push_back(raw[i++]);
            continue;
        }
        std::size_t length = 2;
        bool good = i + 1 < raw.size() && std::string_view("\"\\/bfnrt").find(raw[i + 1]) != std::string_view::npos;
        if (i + 1 < raw.size() && raw[i + 1] == 'u') {
            const unsigned first = unit(i + 2);
            if (first < 0xD800 || (first > 0xDFFF && first < 0x110000)) {
                good = true;
                length = 6;
            } else if (first <= 0xDFFF) {
                length = 6;  // half of a pair, or both
                const bool low_follows = raw.substr(i + 6).starts_with("\\u") && (unit(i + 8) & ~0x3FFU) == 0xDC00;
                good = first <= 0xDBFF && low_follows;
                if (good) length = 12;
            }
        }
        sound.append(good ? raw.substr(i, length) : replacement);
        i += length;
    }
    return json_unescaped(sound);
}

bool is_loose_object(std::string_view text) {
    lenient_json json(text);
    if (json.what() != lenient_json::kind::object) return false;
    static_cast<void>(json.skip());
    return json.ended();
}

}  // namespace culld

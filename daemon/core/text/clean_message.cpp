#include "culld/core/text/clean_message.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "culld/core/base/ascii.hpp"

namespace culld {

namespace {

// Where UTF-8 text can be cut so that at most `limit` bytes are left, and no part of a character.
std::size_t edge_before(std::string_view text, std::size_t limit) {
    if (text.size() <= limit) return text.size();
    while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0U) == 0x80U) --limit;
    return limit;
}

// Where a header's value begins, its name having ended at `after`: `name: v`, `name=v`, `"name":"v"`. None if none
// follows.
std::optional<std::size_t> value_of(std::string_view text, std::size_t after) {
    const std::size_t sign = text.find_first_not_of(" \"'", after);
    if (sign == std::string_view::npos || (text[sign] != ':' && text[sign] != '=')) return std::nullopt;
    return std::min(text.find_first_not_of(" \"'", sign + 1), text.size());
}

struct secret_header {
    std::string_view name;
    std::string_view end;  // what ends its value: an Authorization has commas and semicolons in it
};
constexpr std::array<secret_header, 4> secret_headers{{
    {"x-auth-token", "|,;\"'"},
    {"x-security-token", "|,;\"'"},
    {"x-subject-token", "|,;\"'"},
    {"authorization", "|\""},
}};

}  // namespace

std::string_view beginning_of_message(std::string_view text) {
    return text.substr(0, edge_before(text, 4096));
}

std::string clean_message(std::string_view text, std::size_t limit) {
    // The request id of every answer: one word holds neither blanks nor a header and its value.
    const auto of_a_word = [](char c) { return ascii_alnum(c) || c == '-' || c == '_' || c == '.'; };
    if (text.size() <= limit && std::ranges::all_of(text, of_a_word)) return std::string(text);
    std::string out;
    out.reserve(std::min(text.size(), limit));
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto u = static_cast<unsigned char>(text[i]);
        // U+0080 to U+009F are control characters too: C2 80 to C2 9F.
        const bool c1 = u == 0xC2 && i + 1 < text.size() && (static_cast<unsigned char>(text[i + 1]) & 0xE0U) == 0x80U;
        const bool space = u <= 0x20 || u == 0x7F || c1;
        if (c1) ++i;
        if (!space)
            out.push_back(text[i]);
        else if (!out.empty() && out.back() != ' ')
            out.push_back(' ');
    }
    // A 401 echoes the canonical request, header values and all, with `|` for newlines.
    std::string low(out);
    std::transform(low.begin(), low.end(), low.begin(), ascii_lower);
    for (const secret_header& header : secret_headers)
        for (std::size_t at = low.find(header.name); at != std::string::npos; at = low.find(header.name, at)) {
            at += header.name.size();
            const auto value = value_of(low, at);
            if (!value) continue;
            const std::size_t end = std::min(low.find_first_of(header.end, *value), low.size());
            out.replace(*value, end - *value, "[redacted]");
            low.replace(*value, end - *value, "[redacted]");
        }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    out.resize(edge_before(out, limit));
    return out;
}

std::string clean_message(std::string_view text, const redactor& secrets, std::size_t limit) {
    const std::string hidden = secrets(beginning_of_message(text));
    std::string out = clean_message(hidden, limit);
    if (out == hidden) return out;
    // What was taken out may have stood in the midst of a secret.
    out = secrets(out);
    out.resize(edge_before(out, limit));
    return out;
}

}  // namespace culld

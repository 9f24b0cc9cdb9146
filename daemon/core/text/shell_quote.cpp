#include "culld/core/text/shell_quote.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "culld/core/text/visible_text.hpp"

namespace culld {

namespace {

bool means_nothing(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._-/:@%+,").find(c) != std::string_view::npos;
}

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

}  // namespace

std::string shell_quoted(std::string_view text) {
    if (!text.empty() && std::ranges::all_of(text, means_nothing)) return std::string(text);
    std::string out;
    if (std::ranges::none_of(text, is_control) && !unseen_in(text)) {
        out += '\'';
        for (const char c : text) out += c == '\'' ? std::string_view("'\\''") : std::string_view(&c, 1);
        return out.append("'");
    }
    out += "$'";
    for (const char c : text) {
        // The quote in digits too: to a sh that does not know $'…' it would end the word.
        if (is_control(c) || static_cast<unsigned char>(c) >= 0x80 || c == '\'' || c == '\\')
            fmt::format_to(std::back_inserter(out), "\\{:03o}", static_cast<unsigned char>(c));
        else
            out.push_back(c);
    }
    return out.append("'");
}

std::string shell_file(std::string_view name) {
    return shell_quoted((name.starts_with('-') ? "./" : "") + std::string(name));
}

}  // namespace culld

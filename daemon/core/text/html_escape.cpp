#include "culld/core/text/html_escape.hpp"

#include "culld/core/base/sha256.hpp"
#include "culld/core/text/utf8.hpp"
#include "culld/core/text/visible_text.hpp"

namespace culld {

namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

// RFC 4648, of a whole digest: 32 bytes, 44 characters.
std::string base64(const digest& d) {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < d.size(); i += 3) {
        const auto byte = [&](std::size_t k) {
            return i + k < d.size() ? static_cast<std::uint32_t>(d[i + k]) : 0U;  // NOLINT: k is at most 2
        };
        const std::uint32_t three = byte(0) << 16U | byte(1) << 8U | byte(2);
        for (std::size_t k = 0; k < 4; ++k) out += k > d.size() - i ? '=' : alphabet[three >> (18U - 6U * k) & 63U];
    }
    return out;
}

}  // namespace

void append_html(std::string& out, std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        switch (c) {
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '&': out += "&amp;"; break;
            case '"': out += "&quot;"; break;
            case '\'': out += "&#39;"; break;
            case '\n':
            case '\t': out += c; break;
            default: {
                const auto u = static_cast<unsigned char>(c);
                if (u >= 0x80) {
                    const std::size_t n = utf8_sequence(text.substr(i));
                    out += n == 0 ? std::string(replacement) : made_visible(text.substr(i, n));
                    if (n > 1) i += n - 1;
                } else if (u < 0x20 || u == 0x7F) {
                    out += replacement;
                } else {
                    out += c;
                }
            }
        }
    }
}

std::string html(std::string_view text) {
    std::string out;
    append_html(out, text);
    return out;
}

std::string csp_hash(std::string_view text) {
    sha256 hash;
    hash.update(text);
    return "'sha256-" + base64(hash.finish()) + "'";
}

}  // namespace culld

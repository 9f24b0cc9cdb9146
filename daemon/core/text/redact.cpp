#include "culld/core/text/redact.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "culld/core/base/ascii.hpp"

namespace culld {

namespace {

constexpr std::size_t window_bytes = 8;
constexpr std::size_t secret_bytes_min = 4;
constexpr std::string_view hidden_mark = "[redacted]";
constexpr std::string_view base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr int layers_max = 3;  // of escapes over one another

static_assert(std::endian::native == std::endian::little, "a window's first byte is its lowest");

std::uint64_t load(const char* from, std::size_t size = window_bytes) {
    std::uint64_t out = 0;
    std::memcpy(&out, from, size);
    return out;
}

std::size_t slot_of(std::uint64_t window, std::size_t slots) {
    return static_cast<std::size_t>((window * 0x9E3779B97F4A7C15U) >> 32U) & (slots - 1);
}

// -1: none of either alphabet.
int base64_value(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

bool continues_character(char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

// The number that `digits` hex digits at the front of `text` are; none if they are not there.
bool take_hex(std::string_view text, std::size_t digits, std::uint32_t& out) {
    if (text.size() < digits) return false;
    out = 0;
    for (std::size_t i = 0; i < digits; ++i) {
        const int value = hex_value(text[i]);
        if (value < 0) return false;
        out = out * 16 + static_cast<std::uint32_t>(value);
    }
    return true;
}

void append_character(std::string& out, std::uint32_t c) {
    const auto byte = [&](std::uint32_t b) { out.push_back(static_cast<char>(static_cast<unsigned char>(b))); };
    if (c < 0x80) return byte(c);
    if (c < 0x800) {
        byte(0xC0U | c >> 6U);
    } else {
        if (c < 0x10000) {
            byte(0xE0U | c >> 12U);
        } else {
            byte(0xF0U | c >> 18U);
            byte(0x80U | (c >> 12U & 0x3FU));
        }
        byte(0x80U | (c >> 6U & 0x3FU));
    }
    byte(0x80U | (c & 0x3FU));
}

// `&lt;`, `&#43;` or `&#x2B;` at the front of `text`: its length, and what it stands for in `out`. 0: none.
std::size_t entity(std::string_view text, std::string& out) {
    constexpr std::pair<std::string_view, char> names[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    for (const auto& [name, character] : names)
        if (text.starts_with(name)) {
            out.push_back(character);
            return name.size();
        }
    if (!text.starts_with("&#")) return 0;
    const bool hex = text.size() > 2 && ascii_lower(text[2]) == 'x';
    const std::size_t first = hex ? 3 : 2;
    std::size_t at = first;
    std::uint32_t value = 0;
    for (; at < text.size() && at < first + 7; ++at) {
        const int digit = hex_value(text[at]);
        if (digit < 0 || (!hex && digit > 9)) break;
        value = value * (hex ? 16 : 10) + static_cast<std::uint32_t>(digit);
    }
    if (at == first || at >= text.size() || text[at] != ';' || value > 0x10FFFF) return 0;
    append_character(out, value);
    return at + 1;
}

// An escape at the front of `text`, likewise.
std::size_t unescape(std::string_view text, std::string& out) {
    std::uint32_t value = 0;
    if (text[0] == '&') return entity(text, out);
    if (text[0] == '%') {
        if (!take_hex(text.substr(1), 2, value)) return 0;
        out.push_back(static_cast<char>(static_cast<unsigned char>(value)));
        return 3;
    }
    if (text[0] != '\\' || text.size() < 2) return 0;
    switch (text[1]) {
        case '"':
        case '\'':
        case '\\':
        case '/': out.push_back(text[1]); return 2;
        case 'b': out.push_back('\b'); return 2;
        case 'f': out.push_back('\f'); return 2;
        case 'n': out.push_back('\n'); return 2;
        case 'r': out.push_back('\r'); return 2;
        case 't': out.push_back('\t'); return 2;
        case 'x':
            if (!take_hex(text.substr(2), 2, value)) return 0;
            out.push_back(static_cast<char>(static_cast<unsigned char>(value)));
            return 4;
        case 'u': {
            if (!take_hex(text.substr(2), 4, value)) return 0;
            std::uint32_t low = 0;
            if ((value & ~0x3FFU) == 0xD800 && text.substr(6).starts_with("\\u") && take_hex(text.substr(8), 4, low) &&
                (low & ~0x3FFU) == 0xDC00) {
                append_character(out, 0x10000U + ((value - 0xD800U) << 10U) + (low - 0xDC00U));
                return 12;
            }
            append_character(out, value);
            return 6;
        }
        default: return 0;
    }
}

}  // namespace

struct redactor::reading_of {
    std::string bytes;
    std::vector<span_of> from;  // of each byte

    static reading_of text(std::string_view t) {
        reading_of out{std::string(t), {}};
        out.from.reserve(t.size());
        for (std::uint32_t i = 0; i < t.size(); ++i) out.from.push_back({i, i + 1});
        return out;
    }

    // One layer of escapes taken off; the same text where there are none.
    [[nodiscard]] reading_of unescaped() const {
        reading_of out;
        out.bytes.reserve(bytes.size());
        out.from.reserve(bytes.size());
        const std::string_view all(bytes);
        for (std::size_t i = 0; i < all.size();) {
            std::size_t length = unescape(all.substr(i), out.bytes);
            if (length == 0) {
                out.bytes.push_back(all[i]);
                length = 1;
            }
            out.from.resize(out.bytes.size(), span_of{from[i].begin, from[i + length - 1].end});
            i += length;
        }
        return out;
    }
};

redactor::redactor(std::shared_ptr<const redactor> also, std::pmr::memory_resource* memory)
    : also_(std::move(also)), table_(memory), short_(memory) {}

void redactor::add(std::string_view secret) {
    add_form(secret);
    if (secret.find(' ') == std::string_view::npos) return;
    std::pmr::string form(secret, table_.get_allocator().resource());  // application/x-www-form-urlencoded
    std::replace(form.begin(), form.end(), ' ', '+');
    add_form(form);
}

void redactor::add_form(std::string_view secret) {
    if (secret.size() < secret_bytes_min) return;
    if (secret.size() < window_bytes) {
        short_.push_back({load(secret.data(), secret.size()), secret.size()});
        return;
    }
    const std::size_t windows = secret.size() - window_bytes + 1;
    grow(used_ + windows + 4 * secret.size());
    for (std::size_t i = 0; i < windows; ++i) insert(load(secret.data() + i));
    for (std::size_t before = 0; before < 3; ++before) add_base64(secret, before);
}

// The characters that the secret alone decides where so many bytes stand before it. A piece that holds 8 of its bytes
// has 9 of them.
void redactor::add_base64(std::string_view secret, std::size_t before) {
    const auto bits_of = [&](std::size_t bit) {  // 16 of them, from the one that is `bit` bits into the secret
        const auto byte = [&](std::size_t i) -> unsigned {
            return i < secret.size() ? static_cast<unsigned char>(secret[i]) : 0U;
        };
        return byte(bit / 8) << 8U | byte(bit / 8 + 1);
    };
    std::uint64_t window = 0;
    std::size_t seen = 0;
    for (std::size_t at = (before * 8 + 5) / 6 * 6; at + 6 <= 8 * (before + secret.size()); at += 6) {
        const std::size_t bit = at - 8 * before;
        const unsigned value = bits_of(bit) >> (10 - bit % 8) & 63U;
        window = window >> 8U | static_cast<std::uint64_t>(static_cast<unsigned char>(base64url[value])) << 56U;
        if (++seen >= window_bytes) insert(window);
    }
}

void redactor::grow(std::size_t windows) {
    if (windows * 3 <= table_.size() * 2) return;
    std::pmr::vector<std::uint64_t> before(std::bit_ceil(windows * 3 / 2 + 1), 0, table_.get_allocator());
    before.swap(table_);
    used_ = 0;
    for (const std::uint64_t window : before)
        if (window != 0) insert(window);
}

void redactor::insert(std::uint64_t window) {
    if (window == 0) return;  // no secret holds zeros: it would be no line
    std::size_t slot = slot_of(window, table_.size());
    for (; table_[slot] != 0; slot = (slot + 1) & (table_.size() - 1))
        if (table_[slot] == window) return;
    table_[slot] = window;
    ++used_;
}

bool redactor::holds(std::uint64_t window) const {
    if (table_.empty()) return false;
    for (std::size_t slot = slot_of(window, table_.size()); table_[slot] != 0; slot = (slot + 1) & (table_.size() - 1))
        if (table_[slot] == window) return true;
    return false;
}

// Of what is searched for; 0: nothing is.
std::size_t redactor::shortest() const {
    std::size_t out = used_ > 0 ? window_bytes : 0;
    for (const short_secret& s : short_) out = out == 0 ? s.size : std::min(out, s.size);
    const std::size_t other = also_ ? also_->shortest() : 0;
    return out == 0 || other == 0 ? std::max(out, other) : std::min(out, other);
}

void redactor::search(const reading_of& in, std::vector<bool>& hidden) const {
    const auto hide = [&](std::size_t first, std::size_t count) {
        std::fill(hidden.begin() + in.from[first].begin, hidden.begin() + in.from[first + count - 1].end, true);
    };
    const std::string_view bytes = in.bytes;
    for (const redactor* r = this; r != nullptr; r = r->also_.get()) {
        for (std::size_t i = 0; i + window_bytes <= bytes.size(); ++i)
            if (r->holds(load(bytes.data() + i))) hide(i, window_bytes);
        for (const short_secret& s : r->short_)
            for (std::size_t i = 0; i + s.size <= bytes.size(); ++i)
                if (load(bytes.data() + i, s.size) == s.bytes) hide(i, s.size);
    }
}

// Every run of the alphabet is read as if it began at each of the four places of a group: what stood before it may have
// been cut off.
void redactor::search_base64(const reading_of& in, std::vector<bool>& hidden) const {
    const std::size_t run_min = (shortest() * 8 + 5) / 6;
    reading_of plain;
    for (std::size_t begin = 0; begin < in.bytes.size();) {
        std::size_t end = begin;
        while (end < in.bytes.size() && base64_value(in.bytes[end]) >= 0) ++end;
        for (unsigned shift = 0; end - begin >= run_min && shift < 4; ++shift) {
            plain.bytes.clear();
            plain.from.clear();
            for (std::size_t i = begin + 1; i < end; ++i) {
                const unsigned in_group = (static_cast<unsigned>(i - begin) + shift) % 4;
                if (in_group == 0) continue;
                const auto before = static_cast<unsigned>(base64_value(in.bytes[i - 1]));
                const auto here = static_cast<unsigned>(base64_value(in.bytes[i]));
                const unsigned byte = (before << 2 * in_group | here >> (6 - 2 * in_group)) & 0xFFU;
                plain.bytes.push_back(static_cast<char>(static_cast<unsigned char>(byte)));
                plain.from.push_back({in.from[i - 1].begin, in.from[i].end});
            }
            search(plain, hidden);
        }
        begin = end + 1;
    }
}

// Nearly every request id and code ends here: no escapes, none of base64's other letters, and no piece.
bool redactor::holds_any(std::string_view text) const {
    for (const char c : text)
        if (c == '%' || c == '\\' || c == '&' || c == '+' || c == '/') return true;
    for (const redactor* r = this; r != nullptr; r = r->also_.get()) {
        if (!r->short_.empty()) return true;
        if (r->table_.empty()) continue;
        for (std::size_t i = 0; i + window_bytes <= text.size(); ++i)
            if (r->holds(load(text.data() + i))) return true;
    }
    return false;
}

std::string redactor::operator()(std::string_view text) const {
    if (shortest() == 0 || !holds_any(text)) return std::string(text);
    std::vector<bool> hidden(text.size());
    reading_of layer = reading_of::text(text);
    for (int depth = 0; depth <= layers_max; ++depth) {
        search(layer, hidden);
        search_base64(layer, hidden);
        if (depth == layers_max || layer.bytes.find_first_of("%\\&") == std::string::npos) break;
        reading_of next = layer.unescaped();
        if (next.bytes.size() == layer.bytes.size()) break;
        layer = std::move(next);
    }
    std::string out;
    std::size_t shown = 0;  // where what is shown begins
    for (std::size_t i = 0; i < text.size();) {
        if (!hidden[i]) {
            out.push_back(text[i++]);
            continue;
        }
        for (std::size_t begin = i; begin > shown && continues_character(text[begin]); --begin) out.pop_back();
        while (i < text.size() && (hidden[i] || continues_character(text[i]))) ++i;
        out.append(hidden_mark);
        shown = i;
    }
    return out;
}

std::string_view signature_in(std::string_view head) {
    // Ours end with it: `…, Signature=<64 hex>`.
    constexpr std::string_view before = "Signature=", after = "\r\n\r\n", name = "authorization:";
    constexpr std::size_t hex_bytes = 64, all = before.size() + hex_bytes + after.size();
    if (head.size() > all && head.substr(head.size() - all, before.size()) == before)
        return head.substr(head.size() - hex_bytes - after.size(), hex_bytes);
    while (!head.empty()) {
        const std::string_view line = head.substr(0, head.find("\r\n"));
        head.remove_prefix(std::min(head.size(), line.size() + 2));
        if (line.size() > name.size() && same_ignoring_case(line.substr(0, name.size()), name))
            return line.substr(line.find_last_of(" =", line.find_last_not_of(" =")) + 1);
    }
    return {};
}

bool may_repeat(std::string_view text, std::string_view secret) {
    std::array<std::uint64_t, 32> filter{};
    const auto bit_of = [](const char* at) { return load(at) * 0x9E3779B97F4A7C15U >> 53U; };
    if (text.size() < window_bytes || secret.size() < window_bytes) return false;
    for (std::size_t i = 0; i + window_bytes <= text.size(); ++i) {
        const std::uint64_t bit = bit_of(text.data() + i);
        filter[bit / 64] |= std::uint64_t{1} << bit % 64;
    }
    for (std::size_t i = 0; i + window_bytes <= secret.size(); ++i) {
        const std::uint64_t bit = bit_of(secret.data() + i);
        if ((filter[bit / 64] >> bit % 64 & 1U) == 0) continue;
        if (text.find(secret.substr(i, window_bytes)) != std::string_view::npos) return true;
    }
    return false;
}

}  // namespace culld

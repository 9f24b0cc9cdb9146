// What an answer to a deletion says, read a second time in the slowest way there is: into tokens, then into sets.
// Shares nothing with judge but what both are to mean.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace culld::slow {

struct token {
    char kind = 0;     // { } [ ] : , or s (string) or x (anything else)
    std::string text;  // of a string: what it means; \x01 for what means nothing
};

inline void append_utf8(std::string& out, unsigned c) {
    const auto put = [&](unsigned b) { out.push_back(static_cast<char>(static_cast<unsigned char>(b))); };
    if (c < 0x80) return put(c);
    if (c < 0x800) return put(0xC0 | c >> 6), put(0x80 | (c & 63));
    if (c < 0x10000) return put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 63)), put(0x80 | (c & 63));
    put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 63)), put(0x80 | (c >> 6 & 63)), put(0x80 | (c & 63));
}

inline std::optional<unsigned> hex4(std::string_view raw, std::size_t at) {
    unsigned out = 0;
    for (std::size_t i = at; i < at + 4; ++i) {
        if (i >= raw.size() || std::isxdigit(static_cast<unsigned char>(raw[i])) == 0) return std::nullopt;
        out = out * 16 + static_cast<unsigned>(std::stoul(std::string(1, raw[i]), nullptr, 16));
    }
    return out;
}

inline std::string meaning(std::string_view raw) {
    std::string out;
    for (std::size_t i = 0; i < raw.size(); ++i) {
        if (raw[i] != '\\') {
            out.push_back(raw[i]);
            continue;
        }
        ++i;
        const std::size_t known = i < raw.size() ? std::string_view("\"\\/bfnrt").find(raw[i]) : std::string_view::npos;
        if (known != std::string_view::npos) {
            out.push_back("\"\\/\b\f\n\r\t"[known]);
            continue;
        }
        const auto unit = i < raw.size() && raw[i] == 'u' ? hex4(raw, i + 1) : std::nullopt;
        if (!unit) {
            out.push_back('\x01');
            continue;
        }
        i += 4;
        if (*unit < 0xD800 || *unit > 0xDFFF) {
            append_utf8(out, *unit);
            continue;
        }
        const auto low = raw.substr(std::min(raw.size(), i + 1)).starts_with("\\u") ? hex4(raw, i + 3) : std::nullopt;
        if (*unit > 0xDBFF || !low || *low < 0xDC00 || *low > 0xDFFF) {
            out.push_back('\x01');
            continue;
        }
        append_utf8(out, 0x10000 + ((*unit - 0xD800) << 10) + (*low - 0xDC00));
        i += 6;
    }
    return out;
}

// None where a string has no end.
inline std::optional<std::vector<token>> tokens_of(std::string_view text) {
    constexpr std::string_view marks = "{}[]:,", blanks = " \t\r\n";
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    std::vector<token> out;
    for (std::size_t i = 0; i < text.size();) {
        if (blanks.find(text[i]) != std::string_view::npos) {
            ++i;
        } else if (marks.find(text[i]) != std::string_view::npos) {
            out.push_back({text[i++], {}});
        } else if (text[i] == '"') {
            std::string raw;
            for (++i; i < text.size() && text[i] != '"'; ++i) {
                raw.push_back(text[i]);
                if (text[i] == '\\' && ++i < text.size()) raw.push_back(text[i]);
            }
            if (i >= text.size()) return std::nullopt;
            ++i;
            out.push_back({'s', meaning(raw)});
        } else {
            i = std::min(text.find_first_of("{}[]:,\" \t\r\n", i), text.size());
            out.push_back({'x', {}});
        }
    }
    return out;
}

struct lists {
    std::multiset<std::string> success, error;
    bool any = false;
};

struct answer {
    lists data, top;
    bool repeated = false;
};

class reading {
  public:
    // None where the answer cannot be read.
    static std::optional<answer> of(std::string_view body) {
        auto tokens = tokens_of(body);
        if (!tokens) return std::nullopt;
        tokens->push_back({'.', {}});
        reading r(*std::move(tokens));
        if (!r.members(true) || r.here().kind != '.') return std::nullopt;
        return r.out_;
    }

  private:
    explicit reading(std::vector<token> tokens) : tokens_(std::move(tokens)) {}
    [[nodiscard]] const token& here() const { return tokens_[at_]; }
    bool pass(char kind) {
        if (here().kind != kind) return false;
        ++at_;
        return true;
    }

    bool skip() {
        if (pass('s') || pass('x')) return true;
        std::string open;
        do {
            const char kind = here().kind;
            if (kind == '.') return false;
            if (open.empty() && kind != '{' && kind != '[') return false;
            if (kind == '{' || kind == '[') open.push_back(kind);
            if (kind == '}' || kind == ']') {
                if (open.back() != (kind == '}' ? '{' : '[')) return false;
                open.pop_back();
            }
            ++at_;
        } while (!open.empty());
        return true;
    }

    bool list(std::multiset<std::string>& names, bool& any) {
        if (here().kind == 's') {
            any = true;
            names.insert(here().text);
            return skip();
        }
        if (here().kind != '[') return skip();
        any = true;
        ++at_;
        if (pass(']')) return true;
        do {
            if (here().kind == 's') names.insert(here().text);
            if (!skip()) return false;
        } while (pass(','));
        return pass(']');
    }

    bool members(bool top) {
        if (!pass('{')) return false;
        if (pass('}')) return true;
        lists& mine = top ? out_.top : out_.data;
        std::set<std::string> seen;
        do {
            const std::string key = here().text;
            if (!pass('s') || !pass(':')) return false;
            const bool counts = key == "success_ids" || key == "error_ids" || (top && key == "data");
            const bool again = counts && !seen.insert(key).second;
            out_.repeated = out_.repeated || again;
            bool good = false;
            if (key == "success_ids")
                good = list(mine.success, mine.any);
            else if (key == "error_ids")
                good = list(mine.error, mine.any);
            else if (top && key == "data" && here().kind == '{' && !again)
                good = members(false);
            else
                good = skip();
            if (!good) return false;
        } while (pass(','));
        return pass('}');
    }

    std::vector<token> tokens_;
    std::size_t at_ = 0;
    answer out_;
};

struct verdicts {
    std::vector<std::uint32_t> refused, unknown;
    std::uint64_t unrequested_ids = 0;
};

// Ids are compared as they are.
inline verdicts judge_slowly(const std::vector<std::string>& sent, const answer& said) {
    verdicts out;
    const auto in = [](const std::multiset<std::string>& list, const std::string& id) { return list.contains(id); };
    const std::set<std::string> ours(sent.begin(), sent.end());
    for (const auto* list : {&said.data.success, &said.data.error, &said.top.success, &said.top.error})
        for (const std::string& name : *list) out.unrequested_ids += ours.contains(name) ? 0 : 1;
    for (std::uint32_t i = 0; i < sent.size(); ++i) {
        const std::string& id = sent[i];
        const lists& speaks = said.data.any ? said.data : said.top;
        const bool good = in(speaks.success, id), bad = in(speaks.error, id);
        const bool doubted = (good && in(said.top.error, id)) || (bad && in(said.top.success, id));
        if (said.repeated || good == bad || doubted)
            out.unknown.push_back(i);
        else if (bad)
            out.refused.push_back(i);
    }
    return out;
}

}  // namespace culld::slow

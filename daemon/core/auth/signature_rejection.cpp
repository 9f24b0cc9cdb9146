#include "culld/core/auth/signature_rejection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "culld/core/auth/request_signature.hpp"
#include "culld/core/base/ascii.hpp"
#include "culld/core/text/clean_message.hpp"

namespace culld {

namespace {

bool has(std::string_view text, std::string_view what) {
    return text.find(what) != std::string_view::npos;
}

std::string_view behind(std::string_view text, std::string_view key) {
    const std::size_t at = text.find(key);
    return at == std::string_view::npos ? std::string_view() : text.substr(at + key.size());
}

// Cuts the next line off; lines end with `end`.
std::string_view take_line(std::string_view& text, std::string_view end) {
    const std::size_t at = text.find(end);
    const std::string_view line = text.substr(0, at);
    text.remove_prefix(at == std::string_view::npos ? text.size() : at + end.size());
    return line;
}

std::vector<std::string_view> lines_of(std::string_view text, std::string_view end) {
    std::vector<std::string_view> out;
    for (;;) {
        const bool last = text.find(end) == std::string_view::npos;
        out.push_back(take_line(text, end));
        if (last) return out;
    }
}

bool is_secret(std::string_view name) {
    return same_ignoring_case(name, "x-security-token") || same_ignoring_case(name, "x-auth-token") ||
           same_ignoring_case(name, "authorization");
}

// The canonical request of a whole request of ours, over the headers that its Authorization names.
std::optional<std::string> canonical_of(std::string_view sent) {
    const std::size_t head_end = sent.find("\r\n\r\n");
    if (head_end == std::string_view::npos) return std::nullopt;
    const std::string_view body = sent.substr(head_end + 4);
    std::string_view head = sent.substr(0, head_end);
    std::string_view first = take_line(head, "\r\n");
    const std::string_view method = take_line(first, " ");
    const std::string_view target = take_line(first, " ");
    std::vector<header_view> all, chosen;
    std::string_view names;
    while (!head.empty()) {
        std::string_view value = take_line(head, "\r\n");
        const std::string_view name = take_line(value, ":");
        all.push_back({name, value});
        if (same_ignoring_case(name, "authorization") && has(value, signing_algorithm))
            names = behind(value, "SignedHeaders=");
    }
    names = names.substr(0, names.find(','));
    if (names.empty()) return std::nullopt;
    for (const std::string_view name : lines_of(names, ";"))
        for (const header_view& h : all)
            if (same_ignoring_case(h.name, name)) chosen.push_back(h);
    request_signer signer;
    return signer.canonicalize({.method = method, .target = target, .headers = chosen, .body = {&body, 1}});
}

// The lines of a canonical request: method, path, query, headers, an empty line, names, hash.
std::string difference(std::size_t line, std::string_view ours, std::string_view theirs, bool in_headers,
                       const redactor& secrets) {
    const auto shown = [&](std::string_view text) { return fmt::format("\"{}\"", clean_message(text, secrets, 200)); };
    if (line == 0) return fmt::format("the gateway sees method {}, we signed {}", shown(theirs), shown(ours));
    if (line == 1) return fmt::format("the gateway sees path {}, we signed {}", shown(theirs), shown(ours));
    if (line == 2) return fmt::format("the gateway sees query {}, we signed {}", shown(theirs), shown(ours));
    if (!in_headers)
        return ours.size() == 64
                   ? std::string("the gateway sees another body: something on the way changes it")
                   : fmt::format("the gateway sees signed headers {}, we signed {}", shown(theirs), shown(ours));
    const std::string_view name = ours.substr(0, ours.find(':'));
    const std::string_view their_name = theirs.substr(0, theirs.find(':'));
    if (name != their_name)
        return fmt::format("the gateway sees header {} where we signed {}", shown(their_name), shown(name));
    if (is_secret(name)) return fmt::format("the gateway sees another value of header {}", name);
    return fmt::format("the gateway sees header {} as {}, we signed {}", name, shown(theirs.substr(name.size() + 1)),
                       shown(ours.substr(name.size() + 1)));
}

}  // namespace

signature_rejection read_refusal(std::string_view code, std::string_view message) {
    signature_rejection out;
    if (has(message, "signature expired") || has(message, "server time:")) {
        out.kind = refusal_kind::wrong_clock;
        out.server_time = parse_basic_utc(trimmed_header(behind(message, "server time:")).substr(0, 16));
    } else if (has(message, "verify aksk signature fail")) {
        out.kind = refusal_kind::wrong_signature;
        out.canonical = behind(message, "canonicalRequest:");
    } else if (has(message, "access failed to reach the limit")) {
        out.kind = refusal_kind::locked_key;
    } else if (has(message, "ak not exist") || (has(message, "ak ") && has(message, " not exist"))) {
        out.kind = refusal_kind::unknown_key;
    } else if (has(message, "token expires") || has(message, "token must be updated") || code.ends_with("0307")) {
        out.kind = refusal_kind::old_token;
    } else if (has(message, "decrypt token fail")) {
        out.kind = refusal_kind::bad_token;
    }
    return out;
}

std::string_view help_for(refusal_kind kind) {
    switch (kind) {
        case refusal_kind::wrong_signature:
            return "the secret key does not belong to the access key, or something on the way changes requests; "
                   "cullctl sign shows what is signed";
        case refusal_kind::wrong_clock: return "set this host's clock: signatures are good for 15 minutes";
        case refusal_kind::unknown_key:
            return "the access key was deleted or disabled, or belongs to another site (.eu, .com)";
        case refusal_kind::locked_key:
            return "failed signatures lock a key for five minutes: find who signs with a wrong secret key, then "
                   "`cullctl resume`";
        case refusal_kind::old_token: return "the token is too old: replace it";
        case refusal_kind::bad_token: return "the token is cut short, or was made for another region";
        case refusal_kind::other: break;
    }
    return "check the credentials; culld tries again when they change";
}

std::optional<std::string> first_difference(std::string_view sent, std::string_view theirs, const redactor& secrets) {
    if (theirs.empty()) return std::nullopt;
    const auto mine = canonical_of(sent);
    if (!mine) return std::nullopt;
    const auto ours = lines_of(*mine, "\n");
    auto other = lines_of(theirs, "|");
    bool in_headers = false;
    for (std::size_t i = 0; i < ours.size(); ++i) {
        if (i == 3) in_headers = true;
        if (in_headers && ours[i].empty()) in_headers = false;
        // What stands behind the hash is no part of the request.
        if (i + 1 == ours.size() && i < other.size()) other[i] = other[i].substr(0, ours[i].size());
        if (i >= other.size())
            return fmt::format("the gateway's canonical request ends after {} lines, ours has {}", other.size(),
                               ours.size());
        if (ours[i] != other[i]) return difference(i, ours[i], other[i], in_headers, secrets);
    }
    return "the gateway sees the very request that we signed: the secret key is another than the one it knows";
}

}  // namespace culld

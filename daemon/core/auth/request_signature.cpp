#include "culld/core/auth/request_signature.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "culld/core/base/ascii.hpp"

namespace culld {

namespace {

constexpr std::string_view unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

// What of a path stands in the canonical request as it is: nearly always all of it.
constexpr auto plain_in_path = [] {
    std::array<bool, 256> out{};
    for (const char c : unreserved) out[static_cast<unsigned char>(c)] = true;
    out['/'] = true;
    return out;
}();

void append_escaped(std::string& out, char c) {
    static constexpr char digits[] = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(c);
    if (plain_in_path[byte] && c != '/') {
        out.push_back(c);
        return;
    }
    out.push_back('%');
    out.push_back(digits[byte >> 4U]);
    out.push_back(digits[byte & 15U]);
}

// Takes one character off the front, unescaped; a % without two hex digits behind it stands for itself.
char take_character(std::string_view& text) {
    if (text.front() == '%' && text.size() > 2) {
        const int high = hex_value(text[1]), low = hex_value(text[2]);
        if (high >= 0 && low >= 0) {
            text.remove_prefix(3);
            return static_cast<char>(high << 4 | low);
        }
    }
    const char c = text.front();
    text.remove_prefix(1);
    return c;
}

void append_path(std::string& out, std::string_view path) {
    while (!path.empty()) {
        const auto plain =
            std::ranges::find_if_not(path, [](char c) { return plain_in_path[static_cast<unsigned char>(c)]; });
        const auto run = static_cast<std::size_t>(plain - path.begin());
        out.append(path.substr(0, run));
        path.remove_prefix(run);
        if (!path.empty()) append_escaped(out, take_character(path));  // an escaped / stays escaped: it ends no segment
    }
    if (out.back() != '/') out.push_back('/');  // in the canonical request only, never in the URL
}

std::string decoded(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        if (text.front() == '+') {
            out.push_back(' ');
            text.remove_prefix(1);
        } else {
            out.push_back(take_character(text));
        }
    }
    return out;
}

bool by_name(const header_view* a, const header_view* b) {
    return std::ranges::lexicographical_compare(a->name, b->name, {}, ascii_lower, ascii_lower);
}

}  // namespace

std::string_view trimmed_header(std::string_view value) {
    const std::size_t first = value.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return value.substr(first, value.find_last_not_of(" \t") - first + 1);
}

void request_signer::append_query(std::string_view query) {
    query_.clear();
    while (!query.empty()) {
        const std::string_view part = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), part.size() + 1));
        if (part.empty()) continue;
        const std::size_t sign = std::min(part.find('='), part.size());
        query_.emplace_back(decoded(part.substr(0, sign)), decoded(part.substr(std::min(sign + 1, part.size()))));
    }
    std::sort(query_.begin(), query_.end());
    for (std::size_t i = 0; i < query_.size(); ++i) {
        if (i > 0) canonical_.push_back('&');
        for (const char c : query_[i].first) append_escaped(canonical_, c);
        canonical_.push_back('=');
        for (const char c : query_[i].second) append_escaped(canonical_, c);
    }
}

const std::string& request_signer::canonicalize(const signable& request) {
    canonical_.clear();
    signed_headers_.clear();
    for (const char c : request.method) canonical_.push_back(ascii_upper(c));
    canonical_.push_back('\n');
    const std::size_t question = std::min(request.target.find('?'), request.target.size());
    append_path(canonical_, request.target.substr(0, question));
    canonical_.push_back('\n');
    if (question < request.target.size()) append_query(request.target.substr(question + 1));
    canonical_.push_back('\n');

    order_.clear();
    const header_view* hash_given = nullptr;
    for (const header_view& h : request.headers) {
        order_.push_back(&h);
        if (same_ignoring_case(h.name, "x-sdk-content-sha256")) hash_given = &h;
    }
    std::sort(order_.begin(), order_.end(), by_name);
    for (const header_view* h : order_) {
        if (!signed_headers_.empty()) signed_headers_.push_back(';');
        for (const char c : h->name) {
            canonical_.push_back(ascii_lower(c));
            signed_headers_.push_back(ascii_lower(c));
        }
        canonical_.push_back(':');
        canonical_.append(trimmed_header(h->value));
        canonical_.push_back('\n');
    }
    canonical_.push_back('\n');
    canonical_.append(signed_headers_).push_back('\n');

    if (hash_given != nullptr) {
        canonical_.append(trimmed_header(hash_given->value));
    } else {
        for (const std::string_view piece : request.body) hash_.update(piece);
        append_hex(canonical_, hash_.finish());
    }
    return canonical_;
}

void request_signer::sign(const signable& request, std::string_view access_key, std::string_view secret_key) {
    const auto date = std::ranges::find_if(
        request.headers, [](const header_view& h) { return same_ignoring_case(h.name, "x-sdk-date"); });
    if (date == request.headers.end()) throw std::logic_error("a request is to be signed without X-Sdk-Date");
    canonicalize(request);

    to_sign_.assign(signing_algorithm).push_back('\n');
    to_sign_.append(trimmed_header(date->value)).push_back('\n');
    hash_.update(canonical_);
    append_hex(to_sign_, hash_.finish());

    authorization_.assign(signing_algorithm).append(" Access=").append(access_key);
    authorization_.append(", SignedHeaders=").append(signed_headers_).append(", Signature=");
    append_hex(authorization_, mac_(secret_key, to_sign_));
}

}  // namespace culld

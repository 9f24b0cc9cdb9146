#include "emulator/auth/signature_check.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "culld/core/base/ascii.hpp"
#include "culld/core/base/sha256.hpp"

namespace culld::emulator {

namespace {

constexpr std::string_view scheme = "SDK-HMAC-SHA256";
constexpr auto tolerance = std::chrono::minutes(15);

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Undoes percent-encoding; a "%" that is not followed by two hex digits stands for itself. `plus` is what a "+" stands
// for: itself in a path, a space in a query (the Node SDK sends it for one).
std::string decode(std::string_view text, char plus = '+') {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
            out.push_back(static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2])));
            i += 2;
        } else {
            out.push_back(text[i] == '+' ? plus : text[i]);
        }
    }
    return out;
}

void encode(std::string& out, std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (ascii_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~') {
            out.push_back(c);
        } else {
            out.push_back('%');
            out.push_back(digits[byte >> 4]);
            out.push_back(digits[byte & 15]);
        }
    }
}

// Calls `visit` for each part of `text` between separators.
template <class Visit>
void split(std::string_view text, char separator, Visit visit) {
    for (;;) {
        const auto end = text.find(separator);
        visit(text.substr(0, end));
        if (end == std::string_view::npos) return;
        text.remove_prefix(end + 1);
    }
}

void append_path(std::string& out, std::string_view path) {
    bool first = true;
    split(path, '/', [&](std::string_view segment) {
        if (!std::exchange(first, false)) out.push_back('/');
        encode(out, decode(segment));
    });
    if (out.back() != '/') out.push_back('/');
}

void append_query(std::string& out, std::string_view query) {
    if (query.empty()) return;
    std::vector<std::pair<std::string, std::string>> parameters;
    split(query, '&', [&](std::string_view part) {
        if (part.empty()) return;
        const auto equals = part.find('=');
        const std::string_view value = equals == std::string_view::npos ? "" : part.substr(equals + 1);
        parameters.emplace_back(decode(part.substr(0, equals), ' '), decode(value, ' '));
    });
    std::sort(parameters.begin(), parameters.end());
    bool first = true;
    for (const auto& [name, value] : parameters) {
        if (!std::exchange(first, false)) out.push_back('&');
        encode(out, name);
        out.push_back('=');
        encode(out, value);
    }
}

std::string sha256_hex(std::string_view bytes) {
    sha256 hash;
    hash.update(bytes);
    return hex(hash.finish());
}

// "20260115T081530Z"
std::optional<wall_time> parse_date(std::string_view text) {
    if (text.size() != 16) return std::nullopt;
    const auto extended = fmt::format("{}-{}-{}T{}:{}:{}{}", text.substr(0, 4), text.substr(4, 2), text.substr(6, 2),
                                      text.substr(9, 2), text.substr(11, 2), text.substr(13, 2), text.substr(15, 1));
    const auto time = parse_rfc3339(extended);
    if (!time || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
    return *time;
}

struct authorization {
    std::string_view access, signed_headers, signature;
};

std::optional<authorization> parse_authorization(std::string_view value) {
    authorization a;
    split(value.substr(scheme.size()), ',', [&](std::string_view part) {
        part = trim(part);
        const auto equals = part.find('=');
        if (equals == std::string_view::npos) return;
        const std::string_view name = part.substr(0, equals);
        if (name == "Access") a.access = part.substr(equals + 1);
        if (name == "SignedHeaders") a.signed_headers = part.substr(equals + 1);
        if (name == "Signature") a.signature = part.substr(equals + 1);
    });
    if (a.access.empty() || a.signed_headers.empty() || a.signature.empty()) return std::nullopt;
    return a;
}

bool is_named(std::string_view signed_headers, std::string_view name) {
    bool found = false;
    split(signed_headers, ';', [&](std::string_view part) { found = found || same_ignoring_case(part, name); });
    return found;
}

std::string hmac_hex(std::string_view key, std::string_view text) {
    digest mac{};
    unsigned length = 0;
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes, text.size(), mac.data(), &length) ==
            nullptr ||
        length != mac.size())
        throw std::runtime_error("HMAC-SHA256 is not to be had from the crypto library");
    return hex(mac);
}

}  // namespace

const header* find_header(std::span<const header> headers, std::string_view name) {
    const auto found =
        std::find_if(headers.begin(), headers.end(), [&](const header& h) { return same_ignoring_case(h.name, name); });
    return found == headers.end() ? nullptr : &*found;
}

std::string canonical_request(const signed_request& request, std::string_view signed_headers) {
    const auto question = request.target.find('?');
    std::string out(request.method);
    std::ranges::transform(out, out.begin(), ascii_upper);
    out.push_back('\n');
    append_path(out, request.target.substr(0, question));
    out.push_back('\n');
    if (question != std::string_view::npos) append_query(out, request.target.substr(question + 1));
    out.push_back('\n');
    split(signed_headers, ';', [&](std::string_view name) {
        const header* h = find_header(request.headers, name);
        std::transform(name.begin(), name.end(), std::back_inserter(out), ascii_lower);
        out.push_back(':');
        if (h != nullptr) out.append(trim(h->value));
        out.push_back('\n');
    });
    out.push_back('\n');
    out.append(signed_headers);
    out.push_back('\n');
    const header* given = find_header(request.headers, "x-sdk-content-sha256");
    out.append(given != nullptr ? std::string(trim(given->value)) : sha256_hex(request.body));
    return out;
}

signature_verdict check_signature(const signed_request& request, const key_pair& keys, wall_time now) {
    using outcome = signature_verdict::outcome;
    signature_verdict verdict;
    const header* value = find_header(request.headers, "authorization");
    if (value == nullptr || !value->value.starts_with(scheme)) return verdict;
    verdict.what = outcome::malformed;
    const auto given = parse_authorization(value->value);
    const header* date = find_header(request.headers, "x-sdk-date");
    if (!given || date == nullptr || !is_named(given->signed_headers, "x-sdk-date")) return verdict;
    verdict.access = given->access;
    verdict.date = trim(date->value);
    const auto when = parse_date(verdict.date);
    if (!when) return verdict;
    if (verdict.access != keys.ak) {
        verdict.what = outcome::unknown_key;
        return verdict;
    }
    if (*when > now + tolerance || *when < now - tolerance) {
        verdict.what = outcome::expired;
        return verdict;
    }
    std::string canonical = canonical_request(request, given->signed_headers);
    const std::string to_sign = fmt::format("{}\n{}\n{}", scheme, verdict.date, sha256_hex(canonical));
    const std::string expected = hmac_hex(keys.sk, to_sign);
    if (given->signature.size() == expected.size() &&
        CRYPTO_memcmp(given->signature.data(), expected.data(), expected.size()) == 0) {
        verdict.what = outcome::good;
        return verdict;
    }
    verdict.what = outcome::wrong;
    verdict.canonical = std::move(canonical);
    return verdict;
}

}  // namespace culld::emulator

#include "culld/core/net/proxy.hpp"

#include <arpa/inet.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "culld/core/base/ascii.hpp"
#include "culld/core/base/base64.hpp"
#include "culld/core/text/percent_escape.hpp"

namespace culld {

namespace {

// The value of Proxy-Authorization (RFC 7617).
std::string basic(std::string_view login) {
    return "Basic " + base64({reinterpret_cast<const unsigned char*>(login.data()), login.size()});
}

// No control characters: it becomes a header line. A user's name has no colon (RFC 7617).
bool is_login(std::string_view login) {
    const std::size_t colon = login.find(':');
    return colon != 0 && colon != std::string_view::npos && login.size() <= 4096 &&
           std::none_of(login.begin(), login.end(),
                        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

struct ip_address {
    std::array<unsigned char, 16> bytes{};
    std::size_t size = 0;  // 4 or 16
};

std::optional<ip_address> parse_address(std::string_view text) {
    ip_address out;
    const std::string zero_terminated(text);
    if (::inet_pton(AF_INET, zero_terminated.c_str(), out.bytes.data()) == 1)
        out.size = 4;
    else if (::inet_pton(AF_INET6, zero_terminated.c_str(), out.bytes.data()) == 1)
        out.size = 16;
    else
        return std::nullopt;
    return out;
}

bool in_network(std::string_view network, const ip_address& address) {
    const std::size_t slash = network.find('/');
    const auto base = parse_address(network.substr(0, slash));
    if (!base || base->size != address.size) return false;
    std::size_t bits = 8 * base->size;
    if (slash != std::string_view::npos) {
        const char* const last = network.data() + network.size();
        const auto [end, ec] = std::from_chars(network.data() + slash + 1, last, bits);
        if (ec != std::errc{} || end != last || bits > 8 * base->size) return false;
    }
    const std::size_t whole = bits / 8;
    if (std::memcmp(base->bytes.data(), address.bytes.data(), whole) != 0) return false;
    if (bits % 8 == 0) return true;
    const unsigned mask = 0xFFU << (8 - bits % 8);
    return ((base->bytes.at(whole) ^ address.bytes.at(whole)) & mask & 0xFFU) == 0;
}

bool names(std::string_view exception, std::string_view host, std::string_view port) {
    if (exception == "*") return true;
    // An address of version 6 without brackets has colons of its own.
    const bool bare_v6 = std::count(exception.begin(), exception.end(), ':') > 1 && !exception.starts_with('[');
    if (const std::size_t colon = exception.rfind(':'); !bare_v6 && colon != std::string_view::npos) {
        const std::string_view only = exception.substr(colon + 1);
        if (!exception.ends_with(']')) {
            if (only != port) return false;
            exception = exception.substr(0, colon);
        }
    }
    if (exception.starts_with('[') && exception.ends_with(']')) exception = exception.substr(1, exception.size() - 2);
    if (const auto address = parse_address(host)) return in_network(exception, *address);
    if (exception.starts_with("*.")) exception.remove_prefix(1);
    if (exception.starts_with('.')) exception.remove_prefix(1);
    if (exception.empty()) return false;
    if (same_ignoring_case(exception, host)) return true;
    if (host.size() <= exception.size()) return false;
    const std::size_t cut = host.size() - exception.size();
    return host[cut - 1] == '.' && same_ignoring_case(host.substr(cut), exception);
}

}  // namespace

result<proxy_endpoint> parse_proxy(std::string_view url, bool with_login) {
    // The text itself may hold a password: no message repeats it.
    const auto refuse = [](std::string_view why) {
        return fail("the proxy " + std::string(why), "write it like http://host:port");
    };
    if (!url.starts_with("http://")) return refuse("does not begin with http://");
    std::string_view authority = url.substr(7);
    if (authority.ends_with('/')) authority.remove_suffix(1);
    proxy_endpoint out;
    if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
        if (!with_login)
            return fail("the proxy must not hold a user or password: secrets come by file only",
                        "write user:password into a file that api.proxy_login_file names");
        auto login = percent_decoded(authority.substr(0, at));
        if (!login || !is_login(*login)) return refuse("has a login that is not user:password");
        out.authorization = basic(*login);
        ::OPENSSL_cleanse(login->data(), login->size());
        authority = authority.substr(at + 1);
    }
    const auto where = parse_host_port(authority);
    if (!where || where->port == 0U) return refuse("names no valid host or port");
    out.host = std::string(where->host);
    out.port = std::to_string(where->port.value_or(80));
    return out;
}

bool is_excepted(std::string_view no_proxy, std::string_view host, std::string_view port) {
    for (std::size_t begin = 0; begin <= no_proxy.size();) {
        const std::size_t end = std::min(no_proxy.find_first_of(", ", begin), no_proxy.size());
        if (end > begin && names(no_proxy.substr(begin, end - begin), host, port)) return true;
        begin = end + 1;
    }
    return false;
}

result<std::optional<proxy_endpoint>> choose_proxy(std::string_view configured, std::string_view login,
                                                   const proxy_environment& environment, const api_endpoint& to) {
    if (!configured.empty()) {
        auto out = parse_proxy(configured, false);
        if (!out) return tl::unexpected(std::move(out.error()));
        if (!login.empty()) {
            if (!is_login(login)) return fail("the login of the proxy is not user:password");
            out->authorization = basic(login);
        }
        return std::optional(std::move(*out));
    }
    const bool ours = is_loopback(to.host) || is_excepted(environment.no_proxy, to.host, to.port);
    if (environment.https_proxy.empty() || !to.tls || ours) return std::optional<proxy_endpoint>();
    auto out = parse_proxy(environment.https_proxy, true);
    if (!out) {
        out.error().what += ", says https_proxy in the environment";
        return tl::unexpected(std::move(out.error()));
    }
    return std::optional(std::move(*out));
}

}  // namespace culld

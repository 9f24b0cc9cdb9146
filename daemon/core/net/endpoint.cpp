#include "culld/core/net/endpoint.hpp"

#include <algorithm>
#include <charconv>

#include "culld/core/base/ascii.hpp"

namespace culld {

namespace {

bool is_name(std::string_view host) {
    return std::all_of(host.begin(), host.end(), [](char c) { return ascii_alnum(c) || c == '.' || c == '-'; });
}

// Four plain numbers and nothing else.
bool is_ipv4(std::string_view host) {
    for (int parts = 1;; ++parts) {
        const std::string_view part = host.substr(0, host.find('.'));
        unsigned value = 0;
        const auto [end, ec] = std::from_chars(part.data(), part.data() + part.size(), value);
        if (part.empty() || part.size() > 3 || ec != std::errc{} || end != part.data() + part.size() || value > 255)
            return false;
        if (part.size() == host.size()) return parts == 4;
        host.remove_prefix(part.size() + 1);
    }
}

}  // namespace

std::optional<host_port> parse_host_port(std::string_view text) {
    host_port out;
    std::string_view rest;
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos) return {};
        out.host = text.substr(1, end - 1);
        rest = text.substr(end + 1);
        if (out.host.size() < 2 || out.host.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos)
            return {};
    } else {
        const std::size_t colon = std::min(text.find(':'), text.size());
        out.host = text.substr(0, colon);
        rest = text.substr(colon);
        if (out.host.empty() || out.host.size() > 253 || !is_name(out.host) || out.host.front() == '.' ||
            out.host.front() == '-')
            return {};
    }
    if (rest.empty()) return out;
    unsigned port = 0;
    const char* const last = rest.data() + rest.size();
    const auto [end, ec] = std::from_chars(rest.data() + 1, last, port);
    if (rest.front() != ':' || ec != std::errc{} || end != last || port > 65535) return {};
    out.port = port;
    return out;
}

bool is_loopback(std::string_view host) {
    return host == "localhost" || host == "::1" || (host.starts_with("127.") && is_ipv4(host));
}

namespace {

bool on_this_link(std::string_view host) {
    return is_loopback(host) || (host.starts_with("169.254.") && is_ipv4(host));
}

result<api_endpoint> parse(std::string_view url, bool (*plain_allowed)(std::string_view host), std::string_view to) {
    const auto refuse = [&](std::string_view why) {
        return fail("\"" + std::string(url) + "\" " + std::string(why), "write it like https://host[:port]");
    };
    const bool plain = url.starts_with("http://");
    if (!plain && !url.starts_with("https://")) return refuse("does not begin with https://");
    std::string_view authority = url.substr(plain ? 7 : 8);
    if (authority.find('@') != std::string_view::npos) return refuse("holds a user or password");
    if (authority.find_first_of("/?#") != std::string_view::npos) return refuse("goes on behind the host");
    if (authority.ends_with(':')) authority.remove_suffix(1);  // an empty port is the scheme's (RFC 3986, 3.2.3)
    const auto where = parse_host_port(authority);
    if (!where || where->port == 0U) return refuse("names no valid host or port");
    if (plain && !plain_allowed(where->host))
        return fail("\"" + std::string(url) + "\" is not https",
                    "plain http is allowed to " + std::string(to) + " only");
    const unsigned usual = plain ? 80 : 443;
    const unsigned port = where->port.value_or(usual);
    const bool v6 = where->host.find(':') != std::string_view::npos;
    api_endpoint out{
        .tls = !plain, .host = std::string(where->host), .port = std::to_string(port), .authority = {}, .via = {}};
    out.authority = v6 ? "[" + out.host + "]" : out.host;
    if (port != usual) out.authority += ":" + out.port;
    return out;
}

}  // namespace

result<api_endpoint> parse_endpoint(std::string_view url) {
    return parse(url, is_loopback, "loopback");
}

result<api_endpoint> parse_metadata_endpoint(std::string_view url) {
    if (url.starts_with("https://"))
        return fail("the metadata service speaks http", "write it like http://host[:port]");
    return parse(url, on_this_link, "loopback and the metadata service's own link");
}

result<webhook_endpoint> parse_webhook(std::string_view url) {
    constexpr std::string_view hint = "write it like https://host[:port]/path";
    if (!url.starts_with("https://") && !url.starts_with("http://"))
        return fail("it does not begin with https://", std::string(hint));
    const std::size_t path = std::min(url.find_first_of("/?#", url.find("//") + 2), url.size());
    const std::string_view rest = url.substr(path);
    if (url.substr(0, path).find('@') != std::string_view::npos)
        return fail("it holds a user or password", "see notify.header_file for how to log in");
    if (rest.find('#') != std::string_view::npos) return fail("it has a fragment (#)", std::string(hint));
    if (!std::all_of(rest.begin(), rest.end(), [](char c) { return c > 0x20 && c < 0x7F; }))
        return fail("its path holds a space, or what is not ASCII", "write such a character as %20");
    auto to = parse(url.substr(0, path), [](std::string_view) { return true; }, {});
    if (!to) return tl::unexpected(std::move(to.error()));
    return webhook_endpoint{std::move(*to), (rest.starts_with('/') ? "" : "/") + std::string(rest)};
}

}  // namespace culld

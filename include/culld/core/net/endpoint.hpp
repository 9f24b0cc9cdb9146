// Where the API is: the one reading of host, port and "is this our own machine", for the configuration's check and for
// whoever connects. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"

namespace culld {

struct host_port {
    std::string_view host;  // without brackets
    std::optional<unsigned> port;
};
// host, host:port, [v6], [v6]:port; port 0 to 65535. Views into `text`.
[[nodiscard]] std::optional<host_port> parse_host_port(std::string_view text);

// 127.0.0.0/8 as four plain numbers ("127.0.0.1.evil.example" is a name), ::1, localhost.
[[nodiscard]] bool is_loopback(std::string_view host);

struct proxy_endpoint {
    std::string host;           // without brackets
    std::string port;           // decimal
    std::string authorization;  // what Proxy-Authorization says, may be empty; secret
};

struct api_endpoint {
    bool tls = true;
    std::string host;       // without brackets
    std::string port;       // decimal
    std::string authority;  // for the Host header: the port only where it is not the scheme's
    std::optional<proxy_endpoint> via = {};
};
// `https://host[:port]`, nothing behind it, or http to loopback only.
[[nodiscard]] result<api_endpoint> parse_endpoint(std::string_view url);
// The metadata service: http, on this machine or its own link (169.254.0.0/16).
[[nodiscard]] result<api_endpoint> parse_metadata_endpoint(std::string_view url);

// `https://host[:port][/path][?query]`, or http: to any host, since what a webhook is told is no secret; whoever sends
// a secret along sees to it that it is not `plain()`. No message holds the path or the query, which may be secrets.
struct webhook_endpoint {
    api_endpoint to;
    std::string target;  // path and query

    // Over the network in the clear.
    [[nodiscard]] bool plain() const { return !to.tls && !is_loopback(to.host); }
};
[[nodiscard]] result<webhook_endpoint> parse_webhook(std::string_view url);

}  // namespace culld

// Which HTTP proxy, if any, stands between us and the API. Pure; the environment comes in from outside.
//
// A configured api.proxy is always used. Where there is none, https_proxy counts as curl and Go read it: no_proxy names
// exceptions, and our own machine is one. Everything goes through the proxy as a tunnel (CONNECT, RFC 9110 section
// 9.3.6), so it sees a host and a port and never a token.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"
#include "culld/core/net/endpoint.hpp"

namespace culld {

struct proxy_environment {
    std::string https_proxy;
    std::string no_proxy;
};

// `http://host[:port]`, port 80 where none is named, a final `/` allowed. With `user:password@` only where
// `with_login`; both parts may be percent-encoded.
[[nodiscard]] result<proxy_endpoint> parse_proxy(std::string_view url, bool with_login);

// Whether `no_proxy` excepts this host: a comma-separated list of `*`, names (with or without a leading dot, they mean
// their subdomains too), addresses, networks (10.0.0.0/8), each with `:port` where only that port is meant.
[[nodiscard]] bool is_excepted(std::string_view no_proxy, std::string_view host, std::string_view port);

// `configured` is api.proxy, `login` the content of api.proxy_login_file (`user:password`); both may be empty.
[[nodiscard]] result<std::optional<proxy_endpoint>> choose_proxy(std::string_view configured, std::string_view login,
                                                                 const proxy_environment& environment,
                                                                 const api_endpoint& to);

}  // namespace culld

// How a service of the cloud is reached: its address, the proxy before it, and TLS, as the configuration says.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "culld/core/config/config.hpp"
#include "culld/core/net/endpoint.hpp"
#include "culld/core/net/proxy.hpp"
#include "culld/io/http/tls_context.hpp"
#include "culld/io/secrets/secret_file.hpp"

namespace culld {

struct route {
    api_endpoint to;
    std::unique_ptr<boost::asio::ssl::context> tls;  // null for plain http
};

// https_proxy and no_proxy of this process, in small letters or else in capitals.
[[nodiscard]] proxy_environment read_proxy_environment();

// Reads the files that it needs: blocking, at start and on reload only.
[[nodiscard]] result<route> find_route(std::string_view url, const config& settings, const secret_access& secrets,
                                       const proxy_environment& environment);
[[nodiscard]] result<route> find_route(api_endpoint to, const config& settings, const secret_access& secrets,
                                       const proxy_environment& environment);

}  // namespace culld

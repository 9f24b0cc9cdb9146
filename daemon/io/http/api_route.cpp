#include "culld/io/http/api_route.hpp"

#include <openssl/evp.h>

#include <cstdlib>

#include "culld/io/secrets/known_secrets.hpp"
#include "culld/io/secrets/secret_file.hpp"

namespace culld {

namespace {

result<secret> read_if_named(const std::string& name, const secret_access& secrets, secret_form form,
                             std::string_view setting) {
    auto out = name.empty() ? result<secret>() : read_secret(name, secrets, form);
    if (!out) out.error().field = setting;
    return out;
}

// `Basic …` (RFC 7617): as it is sent, and the password in it.
void make_login_known(std::string_view authorization) {
    const std::string_view sent = authorization.substr(authorization.find(' ') + 1);
    if (sent.empty()) return;
    make_known("proxy login", sent, 4);
    std::string login(sent.size(), '\0');
    const int size =
        ::EVP_DecodeBlock(reinterpret_cast<unsigned char*>(login.data()),
                          reinterpret_cast<const unsigned char*>(sent.data()), static_cast<int>(sent.size()));
    if (size > 0) {
        std::string_view password = std::string_view(login).substr(0, static_cast<std::size_t>(size));
        while (password.ends_with('\0')) password.remove_suffix(1);  // where the padding was
        make_known("proxy login", password.substr(password.find(':') + 1), 4);
    }
    wipe(login);
}

}  // namespace

proxy_environment read_proxy_environment() {
    const auto either = [](const char* small, const char* capital) {
        const char* value = std::getenv(small);
        if (value == nullptr || *value == '\0') value = std::getenv(capital);
        return std::string(value == nullptr ? "" : value);
    };
    return {.https_proxy = either("https_proxy", "HTTPS_PROXY"), .no_proxy = either("no_proxy", "NO_PROXY")};
}

result<route> find_route(std::string_view url, const config& settings, const secret_access& secrets,
                         const proxy_environment& environment) {
    auto to = parse_endpoint(url);
    if (!to) return tl::unexpected(std::move(to.error()));
    return find_route(std::move(*to), settings, secrets, environment);
}

result<route> find_route(api_endpoint to, const config& settings, const secret_access& secrets,
                         const proxy_environment& environment) {
    const auto& api = settings.api;
    route out{.to = std::move(to), .tls = nullptr};
    const auto login = read_if_named(api.proxy_login_file, secrets, secret_form::line, "api.proxy_login_file");
    if (!login) return tl::unexpected(login.error());
    auto via = choose_proxy(api.proxy, login->view(), environment, out.to);
    if (!via) return tl::unexpected(std::move(via.error()));
    out.to.via = std::move(*via);
    if (out.to.via) make_login_known(out.to.via->authorization);
    if (out.to.tls) {
        const auto key = read_if_named(api.client_key_file, secrets, secret_form::text, "api.client_key_file");
        if (!key) return tl::unexpected(key.error());
        auto tls = make_tls_context(api.ca_file, {.chain_file = api.client_cert_file, .key = key->view()});
        if (!tls) return tl::unexpected(std::move(tls.error()));
        out.tls = std::move(*tls);
    }
    return out;
}

}  // namespace culld

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "culld/io/http/http_client.hpp"
#include "support/certificates.hpp"
#include "support/hostile_server.hpp"
#include "support/loop_fixture.hpp"

namespace culld {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using victim = hostile_server::victim;
using enum transport_failure;

constexpr auto proxy_patience = milliseconds(500);
const std::string proxied_request = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";

// As a proxy: the way is free, and what follows on this connection is for the API.
bool tunnel_stands(const victim& client) {
    return client.send("HTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n");
}

class HttpClientProxy : public testing::Test {
  protected:
    http_answer ask(hostile_server& proxy, const std::string& authorization = {}) {
        const api_endpoint to{.tls = false,
                              .host = "api.invalid",
                              .port = "8080",
                              .authority = "api.invalid:8080",
                              .via = proxy_endpoint{"127.0.0.1", proxy.port(), authorization}};
        http_connection connection(loop_.executor(), to, nullptr, proxy_patience, proxy_patience);
        http_answer answer = loop_.wait(connection.exchange(proxied_request));
        body_ = std::string(answer.body);
        return answer;
    }
    void expect_no_way(const hostile_server::behaviour& what, const std::string& why) {
        hostile_server proxy({what});
        const http_answer answer = ask(proxy);
        EXPECT_EQ(name_of(answer.failure), "connect") << answer.detail;
        EXPECT_FALSE(answer.sent);
        EXPECT_THAT(answer.detail, HasSubstr(why));
        EXPECT_EQ(proxy.requests().size(), 1U) << "the API's request went to the proxy";
    }

    looped loop_;
    std::string body_;
};

TEST_F(HttpClientProxy, AsksForATunnelAndSendsTheRequestThroughIt) {
    hostile_server proxy({tunnel_stands, good_answer("through")});
    const http_answer answer = ask(proxy, "Basic QTpi");
    EXPECT_EQ(answer.status, 200U) << answer.detail;
    EXPECT_EQ(body_, "through");
    const auto seen = proxy.requests();
    ASSERT_EQ(seen.size(), 2U);
    EXPECT_THAT(seen[0], StartsWith("CONNECT api.invalid:8080 HTTP/1.1\r\nHost: api.invalid:8080\r\n"));
    EXPECT_THAT(seen[0], HasSubstr("Proxy-Authorization: Basic QTpi\r\n"));
    EXPECT_EQ(seen[1], proxied_request) << "the proxy's login is not for the API";
}

TEST_F(HttpClientProxy, WithoutALoginSendsNone) {
    hostile_server proxy({tunnel_stands, good_answer("through")});
    EXPECT_EQ(ask(proxy).status, 200U);
    EXPECT_THAT(proxy.requests().at(0), Not(HasSubstr("Authorization")));
}

TEST_F(HttpClientProxy, AProxyThatRefusesIsNoConnection) {
    const auto says = [](const char* text) {
        return [text](const victim& client) { return client.send(text), false; };
    };
    expect_no_way(says("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"), "wants a login");
    expect_no_way(says("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"), "wants a login (401)");
    expect_no_way(says("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), "api.invalid:8080: 403 Forbidden");
    expect_no_way(says("HTTP/1.1 302 Found\r\nLocation: http://evil.test/\r\n\r\n"), "302");
    expect_no_way(says("HTTP/1.1 100 Continue\r\n\r\n"), "100");
    expect_no_way(says("SSH-2.0-OpenSSH\r\n\r\n"), "read its answer");
    expect_no_way(says(""), "read its answer");
    expect_no_way(says("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n"), "before we spoke");
}

TEST_F(HttpClientProxy, AProxyThatSaysNothingIsGivenUpInTime) {
    expect_no_way([](const victim& client) { return client.wait_for_the_end(), false; }, "read its answer");
    expect_no_way([](const victim& client) { return client.drip(std::string(200, 'H')), false; }, "read its answer");
}

TEST_F(HttpClientProxy, OneThatIsNotThereIsNamed) {
    std::string port;
    {
        hostile_server gone({tunnel_stands});
        port = gone.port();
    }
    const api_endpoint to{.tls = false,
                          .host = "api.invalid",
                          .port = "80",
                          .authority = "api.invalid",
                          .via = proxy_endpoint{"127.0.0.1", port, {}}};
    http_connection connection(loop_.executor(), to, nullptr, proxy_patience, proxy_patience);
    const http_answer answer = loop_.wait(connection.exchange(proxied_request));
    EXPECT_EQ(name_of(answer.failure), "connect");
    EXPECT_THAT(answer.detail, StartsWith("connect to the proxy 127.0.0.1 port " + port));
}

TEST_F(HttpClientProxy, TlsIsWithTheApiAndItsNameIsChecked) {
    scratch_folder here;
    const certificate authority = make_certificate({.name = "Test CA"});
    write_certificate(authority, here.path("ca.pem"));
    const auto trusting = std::move(make_tls_context(here.path("ca.pem")).value());
    for (const char* name : {"DNS:api.invalid", "DNS:proxy.invalid"}) {
        const auto tls = server_context(make_certificate({.alternative = name}, &authority));
        hostile_server server({good_answer("secret")}, tls.get());
        hostile_server proxy({[&](const victim& client) {
            client.send("HTTP/1.1 200 OK\r\n\r\n");
            client.relay(server.port());
            return false;
        }});
        const api_endpoint to{.tls = true,
                              .host = "api.invalid",
                              .port = "443",
                              .authority = "api.invalid",
                              .via = proxy_endpoint{"127.0.0.1", proxy.port(), {}}};
        http_connection connection(loop_.executor(), to, trusting.get(), proxy_patience * 4, proxy_patience);
        const http_answer answer = loop_.wait(connection.exchange(proxied_request));
        if (std::string_view(name) == "DNS:api.invalid") {
            EXPECT_EQ(answer.body, "secret") << answer.detail;
            EXPECT_EQ(server.server_name(), "api.invalid");
        } else {
            EXPECT_EQ(name_of(answer.failure), "tls") << "the proxy's own certificate is not the API's";
            EXPECT_EQ(server.requests().size(), 0U);
        }
    }
}

}  // namespace
}  // namespace culld

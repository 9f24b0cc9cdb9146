#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "culld/io/http/http_client.hpp"
#include "support/certificates.hpp"
#include "support/hostile_server.hpp"
#include "support/loop_fixture.hpp"

namespace culld {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using victim = hostile_server::victim;
using enum transport_failure;

constexpr auto handshake_patience = milliseconds(500);
const std::string get_request = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";

class HttpClientTls : public testing::Test {
  protected:
    HttpClientTls() {
        write_certificate(authority_, scratch_.path("ca.pem"));
        trusting_ = std::move(make_tls_context(scratch_.path("ca.pem")).value());
    }
    http_answer ask(http_connection& connection) { return loop_.wait(connection.exchange(get_request)); }
    // One exchange with a server that has this certificate.
    http_answer ask(SSL_CTX* server_tls, const std::string& host, bool v6 = false) {
        hostile_server server({good_answer("secret")}, server_tls, v6);
        const api_endpoint to{.tls = true, .host = host, .port = server.port(), .authority = host};
        http_connection connection(loop_.executor(), to, trusting_.get(), handshake_patience * 4, handshake_patience);
        const http_answer answer = ask(connection);
        server_name_ = server.server_name();
        requests_ = server.requests().size();
        return answer.failure == none ? http_answer{.sent = true, .status = answer.status} : answer;
    }
    void expect_refused(const certificate& shown, const std::string& host, const std::string& why) {
        const auto tls = server_context(shown);
        const http_answer answer = ask(tls.get(), host);
        EXPECT_EQ(name_of(answer.failure), "tls");
        EXPECT_FALSE(answer.sent);
        EXPECT_EQ(requests_, 0U);
        EXPECT_THAT(answer.detail, HasSubstr(why));
    }

    scratch_folder scratch_;
    looped loop_;
    certificate authority_ = make_certificate({.name = "Test CA"});
    std::unique_ptr<asio::ssl::context> trusting_;
    std::string server_name_;
    std::size_t requests_ = 0;
};

TEST_F(HttpClientTls, AcceptsTheRightHostFromTheRightAuthorityAndNamesIt) {
    const auto shown = make_certificate({.alternative = "DNS:localhost"}, &authority_);
    const auto tls = server_context(shown);
    const http_answer answer = ask(tls.get(), "localhost");
    EXPECT_EQ(answer.status, 200U) << answer.detail;
    EXPECT_EQ(server_name_, "localhost");
}

TEST_F(HttpClientTls, AcceptsAnAddressInTheCertificateAndSendsNoNameForIt) {
    const auto shown = make_certificate({.alternative = "IP:127.0.0.1,IP:::1"}, &authority_);
    const auto tls = server_context(shown);
    EXPECT_EQ(ask(tls.get(), "127.0.0.1").status, 200U);
    EXPECT_EQ(server_name_, "");
    EXPECT_EQ(ask(tls.get(), "::1", true).status, 200U);
    EXPECT_EQ(server_name_, "");
}

TEST_F(HttpClientTls, RefusesACertificateForAnotherHost) {
    expect_refused(make_certificate({.alternative = "DNS:evil.test"}, &authority_), "localhost", "not for localhost");
    expect_refused(make_certificate({.alternative = "IP:127.0.0.2"}, &authority_), "127.0.0.1", "not for 127.0.0.1");
    expect_refused(make_certificate({.alternative = "DNS:localhost"}, &authority_), "127.0.0.1", "not for 127.0.0.1");
}

// RFC 9525: the subject names nobody, whether there are alternative names or not.
TEST_F(HttpClientTls, RefusesACertificateThatNamesTheHostInItsSubjectOnly) {
    const std::string why = "it must name it as a subject alternative name";
    expect_refused(make_certificate({.name = "localhost", .name_only = true}, &authority_), "localhost", why);
    expect_refused(make_certificate({.name = "127.0.0.1", .name_only = true}, &authority_), "127.0.0.1", why);
    expect_refused(make_certificate({.name = "localhost", .alternative = "IP:127.0.0.1"}, &authority_), "localhost",
                   why);
    expect_refused(make_certificate({.alternative = "DNS:127.0.0.1"}, &authority_), "127.0.0.1", "not for 127.0.0.1");
}

TEST_F(HttpClientTls, AWildcardIsAWholeLabelAndNoMore) {
    for (const char* other : {"DNS:local*", "DNS:*host", "DNS:l*t", "DNS:*", "DNS:*.localhost", "DNS:localhost.*"})
        expect_refused(make_certificate({.alternative = other}, &authority_), "localhost", "not for localhost");
}

TEST_F(HttpClientTls, RefusesOneThatIsSelfSignedExpiredOrNotYetValid) {
    expect_refused(make_certificate({.alternative = "DNS:localhost"}), "localhost", "self-signed certificate");
    expect_refused(make_certificate({.alternative = "DNS:localhost", .from_days = -9, .to_days = -1}, &authority_),
                   "localhost", "expired");
    expect_refused(make_certificate({.alternative = "DNS:localhost", .from_days = 1}, &authority_), "localhost",
                   "not yet valid");
}

TEST_F(HttpClientTls, RefusesAnAuthorityItWasNotToldOf) {
    const auto other = make_certificate({.name = "Other CA"});
    expect_refused(make_certificate({.alternative = "DNS:localhost"}, &other), "localhost", "issuer");
}

// What the system trusts: a folder with a name for each, and a file with all of them.
class SystemAuthorities : public HttpClientTls {
  protected:
    ~SystemAuthorities() override {
        ::unsetenv("SSL_CERT_FILE");
        ::unsetenv("SSL_CERT_DIR");
    }
    void trust(const std::string& file, const std::string& folder) {
        ::setenv("SSL_CERT_FILE", scratch_.path(file).c_str(), 1);
        ::setenv("SSL_CERT_DIR", scratch_.path(folder).c_str(), 1);
        trusting_ = std::move(make_tls_context("").value());
    }
    std::string in_folder(const certificate& authority) {
        const std::string folder = "certs";
        std::filesystem::create_directory(scratch_.path(folder));
        write_certificate(
            authority,
            scratch_.path(folder +
                          fmt::format("/{:08x}.0", ::X509_NAME_hash_ex(::X509_get_subject_name(authority.x509.get()),
                                                                       nullptr, nullptr, nullptr))));
        return folder;
    }
};

TEST_F(SystemAuthorities, AreFoundInTheFolderAndInTheFile) {
    const auto other = make_certificate({.name = "Other CA"});
    const auto ours = make_certificate({.alternative = "DNS:localhost"}, &authority_);
    const auto others = make_certificate({.alternative = "DNS:localhost"}, &other);
    const auto ours_tls = server_context(ours), others_tls = server_context(others);
    const std::string folder = in_folder(other);
    for (int order = 0; order < 2; ++order) {  // the file is read for the first of ours, and asked again for the second
        trust("ca.pem", folder);
        for (int time = 0; time < 2; ++time) {
            EXPECT_EQ(ask(order == 0 ? ours_tls.get() : others_tls.get(), "localhost").status, 200U);
            EXPECT_EQ(ask(order == 0 ? others_tls.get() : ours_tls.get(), "localhost").status, 200U);
        }
    }
}

TEST_F(SystemAuthorities, ThatAreNotThereAreNotTrusted) {
    const auto other = make_certificate({.name = "Other CA"});
    trust("ca.pem", "nowhere");
    for (int time = 0; time < 2; ++time)
        expect_refused(make_certificate({.alternative = "DNS:localhost"}, &other), "localhost", "issuer");
    trust("no.pem", in_folder(other));
    expect_refused(make_certificate({.alternative = "DNS:localhost"}, &authority_), "localhost", "issuer");
    expect_refused(make_certificate({.alternative = "DNS:localhost"}), "localhost", "self-signed certificate");
    trust("no.pem", "nowhere");
    expect_refused(make_certificate({.alternative = "DNS:localhost"}, &other), "localhost", "issuer");
}

// A server may itself show what is in the file.
TEST_F(SystemAuthorities, AServersOwnCertificateMayBeOne) {
    const auto shown = make_certificate({.alternative = "DNS:localhost"});
    write_certificate(shown, scratch_.path("own.pem"));
    trust("own.pem", "nowhere");
    const auto tls = server_context(shown);
    EXPECT_EQ(ask(tls.get(), "localhost").status, 200U);
}

TEST_F(HttpClientTls, RefusesTls11AndSpeaksTls12) {
    const auto shown = make_certificate({.alternative = "DNS:localhost"}, &authority_);
    const auto old = server_context(shown, TLS1_1_VERSION);
    const http_answer refused = ask(old.get(), "localhost");
    EXPECT_EQ(name_of(refused.failure), "tls");
    EXPECT_FALSE(refused.sent);
    const auto newer = server_context(shown, TLS1_2_VERSION);
    const http_answer answer = ask(newer.get(), "localhost");
    EXPECT_EQ(answer.status, 200U) << answer.detail;
}

TEST_F(HttpClientTls, RefusesAServerThatSpeaksNoTlsOrNothing) {
    for (const char* greeting : {"HTTP/1.1 400 Bad Request\r\n\r\n", ""}) {
        const unique_fd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        ASSERT_EQ(::bind(listening.get(), reinterpret_cast<sockaddr*>(&at), size), 0);
        ASSERT_EQ(::listen(listening.get(), 1), 0);
        ASSERT_EQ(::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&at), &size), 0);
        std::thread server([&] {
            const unique_fd fd(::accept(listening.get(), nullptr, nullptr));
            const hostile_server::victim client(fd.get(), nullptr);
            client.send(greeting);
            client.wait_for_the_end();
        });
        const api_endpoint to{
            .tls = true, .host = "127.0.0.1", .port = std::to_string(ntohs(at.sin_port)), .authority = "h"};
        {
            http_connection connection(loop_.executor(), to, trusting_.get(), handshake_patience, handshake_patience);
            const http_answer answer = ask(connection);
            EXPECT_EQ(name_of(answer.failure), "tls") << answer.detail;
            EXPECT_EQ(answer.detail.find("does not speak TLS") != std::string::npos, *greeting != '\0')
                << answer.detail;
            EXPECT_FALSE(answer.sent);
            EXPECT_LT(answer.took, handshake_patience + std::chrono::seconds(2));
        }
        server.join();
    }
}

// Behind TLS a stray answer may have been read from the socket already and wait, still encrypted, in the
// library.
TEST_F(HttpClientTls, AnswerThatNobodyAskedForDoesNotAnswerTheNextRequest) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const auto shown = make_certificate({.alternative = "DNS:localhost"}, &authority_);
        const auto tls = server_context(shown, version);
        const auto twice = [](const victim& client) {
            client.cork(1);  // both records in one segment
            client.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
            client.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale");
            client.cork(0);
            return true;
        };
        hostile_server server({good_answer("first"), twice, good_answer("fresh")}, tls.get());
        const api_endpoint to{.tls = true, .host = "localhost", .port = server.port(), .authority = "h"};
        http_connection connection(loop_.executor(), to, trusting_.get(), handshake_patience * 4, handshake_patience);
        EXPECT_EQ(ask(connection).body, "first");
        EXPECT_EQ(ask(connection).body, "{}");
        EXPECT_EQ(server.connections(), 1) << "session tickets are no stray bytes";
        const http_answer next = ask(connection);
        EXPECT_EQ(next.body, "fresh") << next.detail;
        EXPECT_EQ(server.connections(), 2);
    }
}

TEST_F(HttpClientTls, AnswerWithoutALengthThatEndsWithoutACloseNotifyIsNoAnswer) {
    const auto shown = make_certificate({.alternative = "DNS:localhost"}, &authority_);
    const auto tls = server_context(shown);
    const auto cut = [](const victim& client) {
        client.send("HTTP/1.1 200 OK\r\n\r\n{\"half\":");
        return false;
    };
    hostile_server server({cut}, tls.get());
    const api_endpoint to{.tls = true, .host = "localhost", .port = server.port(), .authority = "h"};
    http_connection connection(loop_.executor(), to, trusting_.get(), handshake_patience * 4, handshake_patience);
    const http_answer answer = ask(connection);
    EXPECT_EQ(name_of(answer.failure), "transport") << answer.detail;
    EXPECT_TRUE(answer.sent);
}

TEST_F(HttpClientTls, DripInsideTlsEndsInTime) {
    const auto shown = make_certificate({.alternative = "DNS:localhost"}, &authority_);
    const auto tls = server_context(shown);
    const auto drip = [](const victim& client) {
        return client.drip("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"), false;
    };
    hostile_server server({drip, good_answer("fresh")}, tls.get());
    const api_endpoint to{.tls = true, .host = "localhost", .port = server.port(), .authority = "h"};
    http_connection connection(loop_.executor(), to, trusting_.get(), handshake_patience * 4, handshake_patience);
    const http_answer answer = ask(connection);
    EXPECT_EQ(name_of(answer.failure), "timeout") << answer.detail;
    EXPECT_EQ(ask(connection).body, "fresh");
}

// More than the kernel takes at once, either way, and many records of TLS.
TEST_F(HttpClientTls, BigRequestsAndAnswersArriveWhole) {
    std::string body(8 << 20, '\0');
    for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i * 7919 % 26);
    const std::string answered = body.substr(0, 3 << 20);
    const std::string request =
        "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const auto shown = make_certificate({.alternative = "DNS:localhost"}, &authority_);
        const auto tls = server_context(shown, version);
        hostile_server server({good_answer(answered)}, tls.get());
        const api_endpoint to{.tls = true, .host = "localhost", .port = server.port(), .authority = "h"};
        http_connection connection(loop_.executor(), to, trusting_.get(), handshake_patience * 4, hang_limit);
        for (int i = 0; i < 2; ++i) {
            const http_answer answer = loop_.wait(connection.exchange(request));
            EXPECT_EQ(answer.status, 200U) << answer.detail;
            EXPECT_TRUE(answer.body == answered);
        }
        EXPECT_EQ(server.connections(), 1);
        for (const std::string& got : server.requests()) EXPECT_TRUE(got == request);
    }
}

TEST_F(HttpClientTls, RequestNobodyReadsEndsInTime) {
    const auto shown = make_certificate({.alternative = "DNS:localhost"}, &authority_);
    const auto tls = server_context(shown);
    // Reads the head, takes it for the whole request, and no more.
    const auto deaf = [](const victim& client) {
        while (client.idle(1)) {
        }
        std::this_thread::sleep_for(handshake_patience * 2);
        return false;
    };
    hostile_server server({deaf}, tls.get());
    const api_endpoint to{.tls = true, .host = "localhost", .port = server.port(), .authority = "h"};
    http_connection connection(loop_.executor(), to, trusting_.get(), handshake_patience * 4, handshake_patience);
    const std::string endless = get_request + std::string(64 << 20, 'x');
    const http_answer answer = loop_.wait(connection.exchange(endless));
    EXPECT_EQ(name_of(answer.failure), "timeout") << answer.detail;
    EXPECT_TRUE(answer.sent);
    EXPECT_LT(answer.took, handshake_patience + std::chrono::seconds(2));
}

TEST_F(HttpClientTls, ASessionIsTakenUpAgainByTheNextConnection) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const auto shown = make_certificate({.alternative = "DNS:localhost"}, &authority_);
        const auto tls = server_context(shown, version);
        const auto last = [](const victim& client) {
            client.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}");
            return false;
        };
        hostile_server server({last}, tls.get());
        const api_endpoint to{.tls = true, .host = "localhost", .port = server.port(), .authority = "h"};
        http_connection connection(loop_.executor(), to, trusting_.get(), handshake_patience * 4, handshake_patience);
        for (int i = 0; i < 4; ++i) {
            const http_answer answer = ask(connection);
            EXPECT_EQ(answer.status, 200U) << answer.detail;
        }
        EXPECT_EQ(server.connections(), 4);
        EXPECT_EQ(server.resumed(), 3);
    }
}

TEST_F(HttpClientTls, AServerThatWantsACertificateGetsOurs) {
    const auto shown = make_certificate({.alternative = "DNS:localhost"}, &authority_);
    const auto ours = make_certificate({.name = "culld", .alternative = "DNS:culld"}, &authority_);
    write_certificate(ours, scratch_.path("ours.pem"));
    const std::string key = key_pem(ours);
    const auto tls = server_context(shown);
    ::SSL_CTX_set_verify(tls.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    ASSERT_EQ(::SSL_CTX_load_verify_locations(tls.get(), scratch_.path("ca.pem").c_str(), nullptr), 1);
    EXPECT_NE(ask(tls.get(), "localhost").failure, none);
    const client_certificate who{.chain_file = scratch_.path("ours.pem"), .key = key};
    trusting_ = std::move(make_tls_context(scratch_.path("ca.pem"), who).value());
    const http_answer answer = ask(tls.get(), "localhost");
    EXPECT_EQ(answer.status, 200U) << answer.detail;

    const std::string others_key = key_pem(shown);
    EXPECT_FALSE(make_tls_context({}, {.chain_file = scratch_.path("ours.pem"), .key = others_key}));
    EXPECT_FALSE(make_tls_context({}, {.chain_file = scratch_.path("ours.pem"), .key = "no key"}));
    EXPECT_FALSE(make_tls_context({}, {.chain_file = scratch_.path("absent.pem"), .key = key}));
}

TEST_F(HttpClientTls, ContextNeedsAFileOfCertificates) {
    EXPECT_FALSE(make_tls_context(scratch_.path("absent.pem")));
    EXPECT_FALSE(make_tls_context("/dev/null"));
    EXPECT_TRUE(make_tls_context({}));
}

// ---- endpoints ----

TEST(Endpoint, SaysWhereToConnectAndWhatTheHostHeaderHolds) {
    const struct {
        const char *url, *host, *port, *authority;
        bool tls;
    } cases[] = {
        {"https://secmaster.cn-north-4.myhuaweicloud.com", "secmaster.cn-north-4.myhuaweicloud.com", "443",
         "secmaster.cn-north-4.myhuaweicloud.com", true},
        {"https://api.test:8443", "api.test", "8443", "api.test:8443", true},
        {"https://api.test:443", "api.test", "443", "api.test", true},
        {"https://api.test:", "api.test", "443", "api.test", true},
        {"https://[2001:db8::1]:8443", "2001:db8::1", "8443", "[2001:db8::1]:8443", true},
        {"http://127.0.0.1:9000", "127.0.0.1", "9000", "127.0.0.1:9000", false},
        {"http://127.9.8.7", "127.9.8.7", "80", "127.9.8.7", false},
        {"http://[::1]:80", "::1", "80", "[::1]", false},
        {"http://localhost:1", "localhost", "1", "localhost:1", false},
    };
    for (const auto& c : cases) {
        const auto got = parse_endpoint(c.url);
        ASSERT_TRUE(got) << c.url << " " << got.error().text();
        EXPECT_EQ(got->host, c.host) << c.url;
        EXPECT_EQ(got->port, c.port) << c.url;
        EXPECT_EQ(got->authority, c.authority) << c.url;
        EXPECT_EQ(got->tls, c.tls) << c.url;
    }
}

TEST(Endpoint, IsRefusedWhereCredentialsWouldGoAstray) {
    for (const char* url :
         {"", "api.test", "https://", "https:///x", "ftp://api.test", "http://api.test", "http://10.0.0.1",
          "http://127.0.0.1.evil.test", "http://127.evil.test", "http://localhost.evil.test",
          "https://user:pass@api.test", "https://api.test/v1", "https://api.test?x", "https://api.test#x",
          "https://api.test:0", "https://api.test:65536", "https://api.test:x", "https://api .test"})
        EXPECT_FALSE(parse_endpoint(url)) << url;
}

}  // namespace
}  // namespace culld

#include "culld/io/http/http_client.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "support/certificates.hpp"
#include "support/deflated.hpp"
#include "support/hostile_server.hpp"
#include "support/loop_fixture.hpp"

namespace {

std::atomic<bool> release_lookup = false;

}  // namespace

// A name server that does not answer: Asio's resolver thread calls this one, and has to wait for "slow.test".
extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints, addrinfo** out) {
    if (name != nullptr && std::strcmp(name, "slow.test") == 0) {
        for (int i = 0; i < 5000 && !release_lookup; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return EAI_AGAIN;
    }
    using real = int(const char*, const char*, const addrinfo*, addrinfo**);
    static real* const libc = reinterpret_cast<real*>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    return libc(name, service, hints, out);
}

namespace culld {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using victim = hostile_server::victim;

constexpr auto patience = milliseconds(300);
// What a busy machine may add to a deadline.
constexpr auto slack = milliseconds(1500);

const std::string ok_head = "HTTP/1.1 200 OK\r\n";
const std::string some_request = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody";

hostile_server::behaviour sends(std::string bytes, bool go_on = true) {
    return [bytes = std::move(bytes), go_on](const victim& client) {
        client.send(bytes);
        return go_on;
    };
}

hostile_server::behaviour sends(std::string (*make)()) {
    return [make](const victim& client) {
        client.send(make());
        return true;
    };
}

class HttpClient : public testing::Test {
  protected:
    api_endpoint endpoint(const hostile_server& server, std::string host = "127.0.0.1", bool tls = false) {
        return {.tls = tls, .host = std::move(host), .port = server.port(), .authority = "h"};
    }
    http_answer ask(http_connection& connection, std::string_view request = some_request) {
        return loop_.wait(connection.exchange(request));
    }

    looped loop_;
};

// A host that drops what is sent to it: its queue is full, so that no further handshake of TCP is answered.
TEST_F(HttpClient, AConnectionThatNobodyAnswersIsGivenUpInTime) {
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    ASSERT_EQ(::bind(server, reinterpret_cast<const sockaddr*>(&at), size), 0);
    ASSERT_EQ(::listen(server, 0), 0);
    ASSERT_EQ(::getsockname(server, reinterpret_cast<sockaddr*>(&at), &size), 0);
    const int first = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::connect(first, reinterpret_cast<const sockaddr*>(&at), size), 0);

    const api_endpoint to{
        .tls = false, .host = "127.0.0.1", .port = std::to_string(ntohs(at.sin_port)), .authority = "h"};
    http_connection connection(loop_.executor(), to, nullptr, patience, std::chrono::minutes(1));
    const steady_time begun = steady_now();
    const http_answer answer = loop_.wait(connection.open());
    EXPECT_EQ(answer.failure, transport_failure::connect);
    EXPECT_THAT(answer.detail, HasSubstr("timeout"));
    EXPECT_GE(steady_now() - begun, patience);
    EXPECT_LT(steady_now() - begun, patience + slack);
    ::close(first);
    ::close(server);
}

// ---- what servers do; after each, an ordinary answer must be got ----

struct mischief {
    const char* name;
    hostile_server::behaviour act;
    transport_failure failure;
    unsigned status = 0;
    bool reused = false;
    milliseconds limit = patience;
};

void PrintTo(const mischief& m, std::ostream* out) {
    *out << m.name;
}

std::string repeated(std::string_view what, std::size_t times) {
    std::string out;
    out.reserve(what.size() * times);
    for (std::size_t i = 0; i < times; ++i) out += what;
    return out;
}

std::string packed(std::string_view coding, const std::string& body) {
    return ok_head + fmt::format("Content-Encoding: {}\r\nContent-Length: {}\r\n\r\n{}", coding, body.size(), body);
}

const std::string chunked_head = ok_head + "Transfer-Encoding: chunked\r\n\r\n";
using enum transport_failure;

const mischief all_mischief[] = {
    {"Silent", [](const victim& c) { return c.wait_for_the_end(), false; }, timeout},
    {"Close", sends("", false), transport},
    {"Reset", [](const victim& c) { return c.reset(), false; }, transport},
    {"DripHeaders", [](const victim& c) { return c.drip(ok_head + "Content-Length: 2\r\n\r\n{}"), false; }, timeout},
    {"DripBody",
     [](const victim& c) {
         c.send(ok_head + "Content-Length: 100\r\n\r\n");
         c.drip(std::string(100, 'x'));
         return false;
     },
     timeout},
    {"DripContinues", [](const victim& c) { return c.drip(repeated("HTTP/1.1 100 Continue\r\n\r\n", 3)), false; },
     timeout},
    {"NeverEnding",
     [](const victim& c) {
         c.send(ok_head + "\r\n");
         const std::string block(65536, 'x');
         while (c.send(block)) {
         }
         return false;
     },
     protocol, 0, false, std::chrono::seconds(5)},
    {"NeverEndingBlanks",
     [](const victim& c) {
         const std::string block(65536, ' ');
         while (c.send(block)) {
         }
         return false;
     },
     protocol},
    {"HugeLength", sends(ok_head + "Content-Length: 4194305\r\n\r\n{}"), protocol},
    // Made when they are sent: this table is made anew in the process of each test.
    {"HugeHeader", sends([] { return ok_head + "X: " + std::string(1 << 20, 'a') + "\r\n\r\n"; }), protocol},
    {"ManyHeaders", sends([] { return ok_head + repeated("a:b\r\n", 200'000) + "\r\n"; }), protocol},
    {"ShortBody", sends(ok_head + "Content-Length: 100\r\n\r\n{", false), transport},
    {"StuckBody",
     [](const victim& c) {
         c.send(ok_head + "Content-Length: 100\r\n\r\n{");
         c.wait_for_the_end();
         return false;
     },
     timeout},
    {"LongBody", sends(ok_head + "Content-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale"), none,
     200},
    {"TwoLengths", sends(ok_head + "Content-Length: 2\r\nContent-Length: 5\r\n\r\n{}"), protocol},
    {"LengthAndChunks", sends(ok_head + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
     protocol},
    {"ChunksAndLength", sends(ok_head + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
     protocol},
    {"ChunkExtension", sends([] { return chunked_head + "2;" + std::string(8 << 20, 'e') + "\r\n{}\r\n0\r\n\r\n"; }),
     protocol},
    {"ManyChunks", sends(chunked_head + repeated("1\r\nx\r\n", 10'000) + "0\r\n\r\n"), none, 200, true},
    {"ChunkOverflow", sends(chunked_head + "FFFFFFFFFFFFFFFFF\r\n"), protocol},
    {"ChunkNegative", sends(chunked_head + "-1\r\n"), protocol},
    {"ChunksCut", sends(chunked_head + "2\r\n{}\r\n", false), transport},
    {"Redirect", sends("HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"), none, 307,
     true},
    {"Continue", sends("HTTP/1.1 100 Continue\r\n\r\n" + ok_head + "Content-Length: 2\r\n\r\n{}"), none, 200, true},
    {"ContinueFlood",
     [](const victim& c) {
         while (c.send("HTTP/1.1 100 Continue\r\n\r\n")) {
         }
         return false;
     },
     protocol},
    {"SwitchingProtocols", sends("HTTP/1.1 101 S\r\n\r\n"), protocol},
    {"Http09", sends("{\"ok\":true}", false), protocol},
    {"Http2", sends("HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"), protocol},
    {"BareLf", sends("HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"), protocol},
    {"NoContent", sends("HTTP/1.1 204 N\r\n\r\n"), none, 204, true},
    {"Status999", sends("HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n"), none, 999, true},
    {"Status000", sends("HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n"), protocol},
    {"DoneThenReset",
     [](const victim& c) {
         c.send(ok_head + "Content-Length: 2\r\n\r\n{}");
         c.reset();
         return false;
     },
     none, 200},
    {"ConnectionClose", sends(ok_head + "Connection: close\r\nContent-Length: 2\r\n\r\n{}"), none, 200},
    {"Http10", sends("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"), none, 200},
    {"EndIsTheLength", sends(ok_head + "\r\n{}", false), none, 200},
    {"KeepAlive", sends(ok_head + "Content-Length: 2\r\n\r\n{}"), none, 200, true},
    {"Gzip", sends([] { return packed("gzip", deflated("{}")); }), none, 200, true},
    {"GzipUnnamed", sends([] { return packed("identity", deflated("{}")); }), none, 200, true},
    {"GzipOnlyNamed", sends([] { return packed("gzip", "{}"); }), none, 200, true},
    {"Deflate", sends([] { return packed("deflate", deflated("{}", 15)); }), none, 200, true},
    {"GzipAndChunks", sends([] {
         const std::string body = deflated("{}");
         return ok_head +
                fmt::format("Transfer-Encoding: gzip, chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n", body.size(), body);
     }),
     none, 200, true},
    {"GzipCut", sends([] { return packed("gzip", deflated("{}").substr(0, 9)); }), protocol},
    {"GzipBomb", sends([] { return packed("gzip", deflated(std::string((4U << 20U) + 1, ' '))); }), protocol},
    {"Brotli", sends([] { return packed("br", "\x8b\x00{}"); }), protocol},
    {"BadGzipOf503", sends("HTTP/1.1 503 S\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\nxxxx"), none, 503, true},
};

class HttpClientMischief : public HttpClient, public testing::WithParamInterface<mischief> {};

TEST_P(HttpClientMischief, EndsInTimeAndLeavesTheNextAnswerAlone) {
    const mischief& m = GetParam();
    std::atomic<bool> acted = false;
    std::atomic<bool> closes = false;
    const auto act = [&](const victim& client) {
        const bool go_on = m.act(client);
        closes = !go_on;
        acted = true;
        return go_on;
    };
    hostile_server server({act, good_answer("fresh")});
    const api_endpoint to = endpoint(server);
    http_connection connection(loop_.executor(), to, nullptr, patience, m.limit);

    const steady_time start = steady_now();
    const http_answer first = ask(connection);
    EXPECT_LT(steady_now() - start, m.limit + slack);
    EXPECT_EQ(name_of(first.failure), name_of(m.failure)) << first.detail;
    EXPECT_EQ(first.status, m.status);
    EXPECT_TRUE(first.sent);
    EXPECT_LT(first.detail.size(), 400U);
    if (m.failure == timeout) {
        EXPECT_GE(first.took, m.limit);
    }
    if (m.failure != none) {
        EXPECT_NE(first.detail, "");
    }
    if (m.status == 200 && m.name != std::string("ManyChunks")) {
        EXPECT_EQ(first.body, "{}");
    }

    // Its last bytes, its close are on their way.
    while (!acted || (closes && server.closed() == 0)) std::this_thread::yield();
    const http_answer second = ask(connection);
    EXPECT_EQ(name_of(second.failure), "none") << second.detail;
    EXPECT_EQ(second.body, "fresh");
    EXPECT_EQ(server.connections(), m.reused ? 1 : 2);
    EXPECT_EQ(server.requests().size(), 2U) << "nothing was sent twice, or elsewhere";
}

INSTANTIATE_TEST_SUITE_P(, HttpClientMischief, testing::ValuesIn(all_mischief),
                         [](const auto& test) { return std::string(test.param.name); });

// ---- connections ----

TEST_F(HttpClient, SendsTheRequestAsItIsAndKeepsTheConnection) {
    hostile_server server({good_answer("one"), good_answer("two")});
    const api_endpoint to = endpoint(server);
    http_connection connection(loop_.executor(), to, nullptr, patience, patience);
    for (int i = 0; i < 20; ++i) {
        const http_answer answer = ask(connection);
        ASSERT_EQ(answer.failure, none) << answer.detail;
        EXPECT_EQ(answer.body, i == 0 ? "one" : "two");
        EXPECT_GE(answer.took, milliseconds(0));
    }
    EXPECT_EQ(server.connections(), 1);
    EXPECT_THAT(server.requests(), testing::Each(some_request));
}

TEST_F(HttpClient, AnswerThatNobodyAskedForDoesNotAnswerTheNextRequest) {
    std::atomic<bool> sent = false;
    const auto twice = [&](const victim& client) {
        client.send(ok_head + "Content-Length: 2\r\n\r\n{}");
        if (!client.idle(20)) return false;
        client.send(ok_head + "Content-Length: 5\r\n\r\nstale");
        sent = true;
        return true;
    };
    hostile_server server({twice, good_answer("fresh")});
    const api_endpoint to = endpoint(server);
    http_connection connection(loop_.executor(), to, nullptr, patience, patience);
    EXPECT_EQ(ask(connection).body, "{}");
    while (!sent) std::this_thread::yield();
    EXPECT_EQ(ask(connection).body, "fresh");
}

// The check for stray bytes may not be left out because the connection was in use a moment ago.
TEST_F(HttpClient, NorDoesOneThatComesRightBehindTheAnswer) {
    std::atomic<bool> go = false;
    std::atomic<bool> sent = false;
    const auto twice = [&](const victim& client) {
        client.send(ok_head + "Content-Length: 2\r\n\r\n{}");
        while (!go) std::this_thread::yield();
        client.send(ok_head + "Content-Length: 5\r\n\r\nstale");
        sent = true;
        return true;
    };
    hostile_server server({twice, good_answer("fresh")});
    const api_endpoint to = endpoint(server);
    http_connection connection(loop_.executor(), to, nullptr, patience, patience);
    EXPECT_EQ(ask(connection).body, "{}");
    go = true;
    while (!sent) std::this_thread::yield();
    EXPECT_EQ(ask(connection).body, "fresh");
    EXPECT_EQ(server.connections(), 2);
}

TEST_F(HttpClient, KeepsTheRequestIdsOfGatewayAndServiceAndTheRetryAfter) {
    hostile_server server({sends(ok_head + "X-Request-Id: gateway\r\nx-request-id: ser\tvice\r\nRetry-After: 7\r\n"
                                           "Content-Length: 0\r\n\r\n")});
    const api_endpoint to = endpoint(server);
    http_connection connection(loop_.executor(), to, nullptr, patience, patience);
    const http_answer answer = ask(connection);
    EXPECT_THAT(answer.request_ids, ElementsAre("gateway", "ser vice"));
    EXPECT_EQ(answer.retry_after, "7");
}

TEST_F(HttpClient, BigAnswersDoNotStayInMemory) {
    hostile_server server({good_answer(std::string(3 << 20, 'x')), good_answer("small")});
    const api_endpoint to = endpoint(server);
    http_connection connection(loop_.executor(), to, nullptr, patience, std::chrono::seconds(5));
    EXPECT_EQ(ask(connection).body.size(), 3U << 20U);
    EXPECT_EQ(ask(connection).body, "small");
    EXPECT_EQ(server.connections(), 1);
}

TEST_F(HttpClient, RefusedConnectionIsConnectAndNothingWasSent) {
    api_endpoint to;
    {
        const hostile_server server({good_answer("")});
        to = endpoint(server);
    }
    http_connection connection(loop_.executor(), to, nullptr, patience, patience);
    const http_answer answer = ask(connection);
    EXPECT_EQ(answer.failure, connect);
    EXPECT_FALSE(answer.sent);
    EXPECT_THAT(answer.detail, HasSubstr("127.0.0.1 port " + to.port + ": Connection refused"));
}

TEST_F(HttpClient, SpeaksToIPv6) {
    hostile_server server({good_answer("six")}, nullptr, true);
    const api_endpoint to = endpoint(server, "::1");
    http_connection connection(loop_.executor(), to, nullptr, patience, patience);
    const http_answer answer = ask(connection);
    EXPECT_EQ(answer.body, "six") << answer.detail;
}

TEST_F(HttpClient, TriesTheNextAddressOfAName) {
    hostile_server server({good_answer("four")});
    const api_endpoint to = endpoint(server, "localhost");
    http_connection connection(loop_.executor(), to, nullptr, patience, patience);
    const http_answer answer = ask(connection);
    EXPECT_EQ(answer.body, "four") << answer.detail;
}

TEST_F(HttpClient, RequestNobodyReadsEndsInTime) {
    api_endpoint to{.tls = false, .host = "127.0.0.1", .port = {}, .authority = "h"};
    const unique_fd deaf(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    ASSERT_EQ(::bind(deaf.get(), reinterpret_cast<sockaddr*>(&at), size), 0);
    ASSERT_EQ(::listen(deaf.get(), 1), 0);
    ASSERT_EQ(::getsockname(deaf.get(), reinterpret_cast<sockaddr*>(&at), &size), 0);
    to.port = std::to_string(ntohs(at.sin_port));
    http_connection connection(loop_.executor(), to, nullptr, patience, patience);
    const std::string endless(64 << 20, 'x');
    const http_answer answer = ask(connection, endless);
    EXPECT_EQ(answer.failure, timeout) << answer.detail;
    EXPECT_TRUE(answer.sent);
    EXPECT_LT(answer.took, patience + slack);
}

class HttpClientLookup : public HttpClient {
  protected:
    ~HttpClientLookup() override { release_lookup = true; }  // or the loop's end would wait for it
    void SetUp() override { release_lookup = false; }

    api_endpoint to_{.tls = false, .host = "slow.test", .port = "80", .authority = "slow.test"};
};

TEST_F(HttpClientLookup, IsPartOfTheTimeToConnect) {
    http_connection connection(loop_.executor(), to_, nullptr, patience, patience);
    const http_answer answer = ask(connection);
    EXPECT_EQ(answer.failure, connect);
    EXPECT_FALSE(answer.sent);
    EXPECT_THAT(answer.detail, HasSubstr("slow.test"));
    EXPECT_GE(answer.took, patience);
    EXPECT_LT(answer.took, patience + slack);
}

TEST_F(HttpClientLookup, IsBrokenOffByClose) {
    http_connection connection(loop_.executor(), to_, nullptr, hang_limit, patience);
    const auto closer = [&]() -> task<void> {
        event tick(loop_.executor());
        co_await tick.wait_until(steady_now() + milliseconds(20));
        connection.close();
    };
    loop_.spawn(closer());
    const http_answer answer = ask(connection);
    EXPECT_EQ(answer.failure, connect);
    EXPECT_FALSE(answer.sent);
    EXPECT_LT(answer.took, slack);
}

TEST_F(HttpClient, CloseEndsAnExchangeThatHangs) {
    std::atomic<bool> asked = false;
    const auto silent = [&](const victim& client) {
        asked = true;
        client.wait_for_the_end();
        return false;
    };
    hostile_server server({silent, good_answer("fresh")});
    const api_endpoint to = endpoint(server);
    http_connection connection(loop_.executor(), to, nullptr, patience, hang_limit);
    const auto closer = [&]() -> task<void> {
        event tick(loop_.executor());
        while (!asked) co_await tick.wait_until(steady_now() + milliseconds(1));
        connection.close();
    };
    loop_.spawn(closer());
    const http_answer answer = ask(connection);
    EXPECT_EQ(answer.failure, transport);
    EXPECT_TRUE(answer.sent);
    EXPECT_LT(answer.took, slack);
    EXPECT_EQ(ask(connection).body, "fresh");
    connection.close();
    EXPECT_EQ(ask(connection).body, "fresh");
    EXPECT_EQ(server.connections(), 3);
}

TEST_F(HttpClient, ClosedBetweenItsStepsSendsNothing) {
    hostile_server server({good_answer("fresh")});
    const api_endpoint to = endpoint(server);
    http_connection connection(loop_.executor(), to, nullptr, patience, patience);
    EXPECT_FALSE(connection.is_open());
    EXPECT_EQ(loop_.wait(connection.send(some_request)).failure, connect) << "it was never opened";
    ASSERT_EQ(loop_.wait(connection.open()).failure, none);
    EXPECT_TRUE(connection.is_open());
    connection.close();
    const http_answer unsent = loop_.wait(connection.send(some_request));
    EXPECT_EQ(unsent.failure, connect);
    EXPECT_FALSE(unsent.sent);
    EXPECT_FALSE(connection.is_open());
    EXPECT_EQ(ask(connection).body, "fresh");
    EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(HttpClient, ClosedBetweenRequestAndAnswerIsInDoubt) {
    hostile_server server({good_answer("lost"), good_answer("fresh")});
    const api_endpoint to = endpoint(server);
    http_connection connection(loop_.executor(), to, nullptr, patience, patience);
    ASSERT_EQ(loop_.wait(connection.open()).failure, none);
    ASSERT_TRUE(loop_.wait(connection.send(some_request)).sent);
    while (server.requests().empty()) std::this_thread::yield();
    connection.close();
    const http_answer answer = loop_.wait(connection.receive());
    EXPECT_EQ(answer.failure, transport);
    EXPECT_TRUE(answer.sent);
    EXPECT_EQ(ask(connection).body, "fresh");
}

}  // namespace
}  // namespace culld

#include "culld/io/http/http_server.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <fstream>
#include <thread>
#include <vector>

#include "culld/io/os/file.hpp"
#include "support/loop_fixture.hpp"

namespace culld {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// A client with a blocking socket; for a thread of the test's own while the loop runs.
class client {
  public:
    explicit client(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un to{};
        to.sun_family = AF_UNIX;
        path.copy(to.sun_path, sizeof to.sun_path - 1);
        connect(reinterpret_cast<const sockaddr*>(&to), sizeof to);
    }
    explicit client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connect(reinterpret_cast<const sockaddr*>(&to), sizeof to);
    }
    [[nodiscard]] bool connected() const { return connected_; }
    bool send(std::string_view bytes) const {
        return ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
    }
    // What comes until `enough(text)`, or the end.
    template <class Enough>
    [[nodiscard]] std::string read(Enough enough) const {
        std::string out;
        std::array<char, 4096> block{};
        while (!enough(out)) {
            const ssize_t n = ::recv(fd_.get(), block.data(), block.size(), 0);
            if (n <= 0) break;
            out.append(block.data(), static_cast<std::size_t>(n));
        }
        return out;
    }
    [[nodiscard]] std::string rest() const {
        return read([](const std::string&) { return false; });
    }
    [[nodiscard]] std::string until(std::string_view end) const {
        return read([end](const std::string& text) { return text.ends_with(end); });
    }

  private:
    void connect(const sockaddr* to, socklen_t size) {
        const timeval limit{10, 0};  // a test must not hang
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        connected_ = ::connect(fd_.get(), to, size) == 0;
    }
    unique_fd fd_;
    bool connected_ = false;
};

class HttpServer : public testing::Test {
  protected:
    [[nodiscard]] std::string path() const { return scratch_.path("control.sock"); }
    server_answer answer(const server_request& request) {
        requests_.push_back(request);
        if (request.target == "/throw") throw std::runtime_error("a bug in the handler");
        if (request.target == "/slow") std::this_thread::sleep_for(milliseconds(20));
        if (request.target == "/slow") return {.body = "slow"};
        if (request.target == "/big") return {.body = std::string(64U << 20U, 'x')};
        if (request.method == "DELETE") return {.status = 405, .body = "no", .allow = "GET, HEAD"};
        if (request.target != "/here") return {.status = 404, .body = R"({"error":"no such page"})"};
        return {.body = "hello " + request.body + "."};
    }
    server_handler handler() {
        return [this](const server_request& request) { return answer(request); };
    }
    std::unique_ptr<http_server> on_socket(milliseconds limit = server_patience,
                                           std::function<bool(const peer&)> trusted = {}) {
        auto out = http_server::on_socket(loop_.executor(), path(), 0660, handler(),
                                          {.patience = limit, .trusted = std::move(trusted)});
        if (!out) throw std::runtime_error(out.error().text());
        return std::move(*out);
    }
    // The client's part in a thread, with the loop running until it is over.
    template <class Work>
    void meanwhile(Work work) {
        std::atomic<bool> over = false;
        std::thread thread([&] {
            work();
            over = true;
        });
        const auto watching = [&]() -> task<void> {
            event tick(loop_.executor());
            while (!over) co_await tick.wait_until(steady_now() + milliseconds(1));
        };
        loop_.wait(watching());
        thread.join();
    }
    std::string ask(std::string_view request, std::string_view end) {
        std::string out;
        meanwhile([&] {
            const client c(path());
            c.send(request);
            out = c.until(end);
        });
        return out;
    }

    scratch_folder scratch_;
    looped loop_;
    std::vector<server_request> requests_;
};

TEST_F(HttpServer, KnowsWhoAsksOnAUnixSocket) {
    const auto server = on_socket();
    const std::string got = ask("POST /here HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nyou?", "hello you?.");
    EXPECT_THAT(got, AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("Content-Type: application/json\r\n"),
                           HasSubstr("Content-Length: 11\r\n"), HasSubstr("Cache-Control: no-store\r\n")));
    ASSERT_EQ(requests_.size(), 1U);
    EXPECT_EQ(requests_[0].method, "POST");
    EXPECT_EQ(requests_[0].body, "you?");
    ASSERT_TRUE(requests_[0].from);
    EXPECT_EQ(requests_[0].from->uid, ::getuid());
    EXPECT_EQ(requests_[0].from->gid, ::getgid());
    EXPECT_EQ(requests_[0].from->pid, ::getpid());
    loop_.wait(server->stop());
}

TEST_F(HttpServer, PassesOnWhatTheHandlerSays) {
    const auto server = on_socket();
    EXPECT_THAT(ask("GET /nowhere?a=b HTTP/1.1\r\nHost: x\r\n\r\n", "page\"}"),
                StartsWith("HTTP/1.1 404 Not Found\r\n"));
    EXPECT_EQ(requests_.back().target, "/nowhere?a=b");
    EXPECT_THAT(ask("DELETE /here HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\nno"),
                AllOf(StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"), HasSubstr("Allow: GET, HEAD\r\n")));
    loop_.wait(server->stop());
}

TEST_F(HttpServer, AnswersHeadWithTheLengthAndNoBodyAndGoesOn) {
    const auto server = on_socket();
    const std::string got =
        ask("HEAD /here HTTP/1.1\r\nHost: x\r\n\r\n"
            "GET /here HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "hello .");
    const std::size_t second = got.find("HTTP/1.1", 1);
    ASSERT_NE(second, std::string::npos) << got;
    EXPECT_THAT(got.substr(0, second), AllOf(HasSubstr("Content-Length: 7\r\n"), Not(HasSubstr("hello"))));
    EXPECT_THAT(got.substr(second), AllOf(HasSubstr("Connection: close\r\n"), HasSubstr("hello .")));
    loop_.wait(server->stop());
}

TEST_F(HttpServer, RefusesWhatIsTooLargeOrNoHttpWithoutAskingTheHandler) {
    const auto server = on_socket();
    const struct {
        std::string request, status;
    } cases[] = {
        {"POST /here HTTP/1.1\r\nHost: x\r\nContent-Length: 16385\r\n\r\n" + std::string(16385, 'x'), "413"},
        {"POST /here HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", "413"},
        {"GET /here HTTP/1.1\r\nHost: x\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n", "431"},
        {"nonsense\r\n\r\n", "400"},
        {"GET /here HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", "400"},
    };
    for (const auto& c : cases) {
        std::string got;
        meanwhile([&] {
            const client of(path());
            of.send(c.request);
            got = of.rest();
        });
        EXPECT_THAT(got, StartsWith("HTTP/1.1 " + c.status)) << c.request.substr(0, 60);
        EXPECT_THAT(got, HasSubstr("Connection: close\r\n"));
    }
    EXPECT_TRUE(requests_.empty());
    loop_.wait(server->stop());
}

TEST_F(HttpServer, CutsARequestThatDripsOrNeverComes) {
    const auto server = on_socket(milliseconds(150));
    for (const bool drips : {true, false}) {
        std::string got = "-";
        const steady_time start = steady_now();
        meanwhile([&] {
            const client c(path());
            const std::string request = "GET /here HTTP/1.1\r\nHost: x\r\n\r\n";
            for (std::size_t i = 0; drips && i < request.size(); ++i) {
                if (!c.send(request.substr(i, 1))) break;
                std::this_thread::sleep_for(milliseconds(20));
            }
            got = c.rest();
        });
        EXPECT_EQ(got, "");
        EXPECT_GE(steady_now() - start, milliseconds(150));
        EXPECT_LT(steady_now() - start, milliseconds(2500));
    }
    EXPECT_TRUE(requests_.empty());
    loop_.wait(server->stop());
}

TEST_F(HttpServer, CutsAClientThatDoesNotTakeItsAnswer) {
    const auto server = on_socket(milliseconds(150));
    const client deaf(path());
    deaf.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    loop_.until([&] { return !requests_.empty(); });
    const steady_time start = steady_now();
    const auto pause = [&]() -> task<void> {
        event tick(loop_.executor());
        co_await tick.wait_until(start + milliseconds(400));
    };
    loop_.wait(pause());
    EXPECT_LT(deaf.rest().size(), 64U << 20U);  // cut off, where it would have come whole
    loop_.wait(server->stop());
}

TEST_F(HttpServer, StopsAtOnceWithOpenConnections) {
    const auto server = on_socket();
    const client idle(path());
    const client halfway(path());
    halfway.send("GET /here HT");
    const client busy(path());
    busy.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    loop_.until([&] { return !requests_.empty(); });
    const steady_time start = steady_now();
    loop_.wait(server->stop());
    EXPECT_LT(steady_now() - start, std::chrono::seconds(2));
    EXPECT_EQ(idle.rest(), "");
    EXPECT_EQ(halfway.rest(), "");
    EXPECT_FALSE(client(path()).connected());
}

// The one that has been idle the longest gives way, so that whoever comes gets in.
TEST_F(HttpServer, HoldsBoundedlyManyConnectionsAndLetsWhoeverComesIn) {
    for (const bool trusted : {true, false}) {
        const auto server = on_socket(server_patience, [trusted](const peer&) { return trusted; });
        const std::size_t places = trusted ? trusted_places : places_of_one_uid;
        std::vector<client> idle;
        for (std::size_t i = 0; i < 3 * places; ++i) {
            idle.emplace_back(path());
            loop_.poll();
        }
        EXPECT_THAT(ask("GET /here HTTP/1.1\r\nHost: x\r\n\r\n", "hello ."), HasSubstr("hello ."));
        std::size_t left = 0;
        for (const client& c : idle) left += c.send("GET /here HTTP/1.1\r\nHost: x\r\n\r\n") ? 1U : 0U;
        EXPECT_LE(left, places);
        EXPECT_GE(left + 1, places);
        idle.clear();
        loop_.poll();
        EXPECT_THAT(ask("GET /here HTTP/1.1\r\nHost: x\r\n\r\n", "hello ."), HasSubstr("hello ."));
        loop_.wait(server->stop());
    }
}

// Whoever is not trusted leaves nine tenths of the loop to the rest.
TEST_F(HttpServer, LetsOthersWaitWhoAskForMuch) {
    const auto server = on_socket();
    meanwhile([&] {
        const steady_time begun = steady_now();
        nanoseconds longest{};
        for (int i = 0; i < 3; ++i) {
            const steady_time asked = steady_now();
            const client c(path());
            c.send("HEAD /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            EXPECT_THAT(c.rest(), StartsWith("HTTP/1.1 200"));
            longest = std::max<nanoseconds>(longest, steady_now() - asked);
        }
        EXPECT_GE(steady_now() - begun, milliseconds(3 * 20 + 2 * 9 * 20));
        EXPECT_GE(longest, milliseconds(9 * 20));
    });
    loop_.wait(server->stop());
}

TEST_F(HttpServer, LetsAnExceptionOfItsHandlerOut) {
    const auto server = on_socket();
    const client c(path());
    c.send("GET /throw HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THROW(loop_.until([] { return false; }), std::runtime_error);
    EXPECT_EQ(requests_.size(), 1U);
}

TEST_F(HttpServer, ReplacesAStaleSocketAndSetsItsMode) {
    {
        const auto server = on_socket();
        loop_.wait(server->stop());
    }
    struct stat st {};
    ASSERT_EQ(::stat(path().c_str(), &st), 0) << "a stopped server leaves its socket file";
    const auto made = http_server::on_socket(loop_.executor(), path(), 0600, handler());
    ASSERT_TRUE(made) << made.error().text();
    ASSERT_EQ(::stat(path().c_str(), &st), 0);
    EXPECT_TRUE(S_ISSOCK(st.st_mode));
    EXPECT_EQ(st.st_mode & 07777U, 0600U);
    EXPECT_THAT(ask("GET /here HTTP/1.1\r\nHost: x\r\n\r\n", "hello ."), HasSubstr("hello ."));
    loop_.wait((*made)->stop());
}

TEST_F(HttpServer, NeverReplacesWhatIsNoSocket) {
    std::ofstream(path()) << "precious";
    const auto file = http_server::on_socket(loop_.executor(), path(), 0660, handler());
    ASSERT_FALSE(file);
    EXPECT_THAT(file.error().text(), AllOf(HasSubstr(path()), HasSubstr("no socket")));
    EXPECT_EQ(read_small_file(path(), 100), "precious");
    ASSERT_EQ(::symlink(path().c_str(), scratch_.path("link").c_str()), 0);
    EXPECT_FALSE(http_server::on_socket(loop_.executor(), scratch_.path("link"), 0660, handler()));
    EXPECT_FALSE(http_server::on_socket(loop_.executor(), scratch_.path("absent/x"), 0660, handler()));
    EXPECT_FALSE(http_server::on_socket(loop_.executor(), "/" + std::string(107, 'x'), 0660, handler()));
}

TEST_F(HttpServer, ListensOnAnAddressWithoutKnowingWhoAsks) {
    // A port that was free a moment ago.
    std::uint16_t port = 0;
    {
        const unique_fd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        ASSERT_EQ(::bind(probe.get(), reinterpret_cast<sockaddr*>(&at), size), 0);
        ASSERT_EQ(::getsockname(probe.get(), reinterpret_cast<sockaddr*>(&at), &size), 0);
        port = ntohs(at.sin_port);
    }
    const std::string address = "127.0.0.1:" + std::to_string(port);
    const auto server = http_server::on_address(loop_.executor(), address, handler(), {.names = {"this.host"}});
    ASSERT_TRUE(server) << server.error().text();
    std::string got;
    meanwhile([&] {
        const client c(port);
        c.send("GET /here HTTP/1.1\r\nHost: " + address + "\r\n\r\n");
        got = c.until("hello .");
    });
    EXPECT_THAT(got, HasSubstr("hello ."));
    EXPECT_FALSE(requests_.at(0).from);
    // A name that somebody else's page made to mean this address would let that page read.
    const std::pair<const char*, const char*> hosts[] = {{"Host: 127.0.0.1\r\n", "200"},
                                                         {"Host: localhost:9\r\n", "200"},
                                                         {"Host: LOCALHOST.\r\n", "200"},
                                                         {"Host: [::1]:9464\r\n", "200"},
                                                         {"Host: this.host:9464\r\n", "200"},
                                                         {"Host: evil.example\r\n", "421"},
                                                         {"Host: 127.0.0.1.evil.example\r\n", "421"},
                                                         {"Host: localhost.evil.example:80\r\n", "421"},
                                                         {"Host: this.host.evil.example\r\n", "421"},
                                                         {"Host: \r\n", "421"},
                                                         {"", "421"}};
    for (const auto& [host, status] : hosts) {
        meanwhile([&, line = std::string(host)] {
            const client c(port);
            c.send("GET /here HTTP/1.1\r\n" + line + "Connection: close\r\n\r\n");
            got = c.rest();
        });
        EXPECT_THAT(got, StartsWith(std::string("HTTP/1.1 ") + status)) << host;
    }
    const auto taken = http_server::on_address(loop_.executor(), address, handler());
    ASSERT_FALSE(taken);
    EXPECT_THAT(taken.error().text(), AllOf(HasSubstr(address), HasSubstr("in use")));
    loop_.wait((*server)->stop());
}

TEST_F(HttpServer, RefusesWhatIsNoAddress) {
    for (const char* address : {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:80x", "127.0.0.1:-1",
                                "127.0.0.1:65536", "name.test:80", ":80"})
        EXPECT_FALSE(http_server::on_address(loop_.executor(), address, handler())) << address;
}

}  // namespace
}  // namespace culld

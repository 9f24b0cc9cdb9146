// A server on loopback that does what a test tells it to: one thread, one connection at a time, blocking
// sockets, with TLS where a certificate is given. It reads each request whole, notes it, and hands the
// connection to the behaviour of that request's turn; the last behaviour serves all that come after.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <csignal>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "culld/io/os/file.hpp"

namespace culld {

struct free_ssl {
    void operator()(SSL_CTX* context) const { ::SSL_CTX_free(context); }
    void operator()(SSL* connection) const { ::SSL_free(connection); }
};

class hostile_server {
  public:
    // What a behaviour may do to the client. Each call is false or empty once the client is gone.
    class victim {
      public:
        explicit victim(int fd, SSL* tls) : fd_(fd), tls_(tls) {}

        bool send(std::string_view bytes) const {
            while (!bytes.empty()) {
                const ssize_t n = tls_ != nullptr ? ::SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size()))
                                                  : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
                if (n <= 0) return false;
                bytes.remove_prefix(static_cast<std::size_t>(n));
            }
            return true;
        }
        [[nodiscard]] std::string receive() const {
            std::array<char, 65536> buffer{};
            const ssize_t n = tls_ != nullptr ? ::SSL_read(tls_, buffer.data(), static_cast<int>(buffer.size()))
                                              : ::recv(fd_, buffer.data(), buffer.size(), 0);
            return {buffer.data(), n > 0 ? static_cast<std::size_t>(n) : 0};
        }
        // False if the client went away meanwhile.
        [[nodiscard]] bool idle(int ms) const {
            pollfd p{fd_, POLLIN, 0};
            return ::poll(&p, 1, ms) == 0;
        }
        void wait_for_the_end() const {
            while (!receive().empty()) {
            }
        }
        void drip(std::string_view bytes) const {
            for (const char c : bytes)
                if (!idle(50) || !send({&c, 1})) return;
        }
        // As a proxy does: bytes both ways between the client and a server on loopback, until either side ends.
        void relay(const std::string& port) const {
            const unique_fd out(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
            sockaddr_in to{};
            to.sin_family = AF_INET;
            to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            to.sin_port = htons(static_cast<std::uint16_t>(std::stoul(port)));
            if (::connect(out.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return;
            const std::array<int, 2> ends{fd_, out.get()};
            for (;;) {
                std::array<pollfd, 2> p{{{ends[0], POLLIN, 0}, {ends[1], POLLIN, 0}}};
                if (::poll(p.data(), p.size(), 10'000) <= 0) return;
                for (std::size_t i = 0; i < 2; ++i) {
                    if (p.at(i).revents == 0) continue;
                    std::array<char, 65536> buffer{};
                    const ssize_t n = ::recv(ends.at(i), buffer.data(), buffer.size(), 0);
                    if (n <= 0 || ::send(ends.at(1 - i), buffer.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL) != n)
                        return;
                }
            }
        }
        void cork(int on) const { ::setsockopt(fd_, IPPROTO_TCP, TCP_CORK, &on, sizeof on); }
        void reset() const {
            const linger hard{1, 0};  // the close to come sends RST
            ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        }

      private:
        int fd_;
        SSL* tls_;
    };
    // True: the connection goes on with the next request.
    using behaviour = std::function<bool(const victim&)>;

    explicit hostile_server(std::vector<behaviour> turns, SSL_CTX* tls = nullptr, bool v6 = false)
        : turns_(std::move(turns)), tls_(tls) {
        std::signal(SIGPIPE, SIG_IGN);  // SSL_write knows no MSG_NOSIGNAL
        listening_ = unique_fd(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_storage at{};
        socklen_t size = v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
        auto* const any = reinterpret_cast<sockaddr*>(&at);
        if (v6) {
            auto* const in = reinterpret_cast<sockaddr_in6*>(&at);
            in->sin6_family = AF_INET6;
            in->sin6_addr = in6addr_loopback;
        } else {
            auto* const in = reinterpret_cast<sockaddr_in*>(&at);
            in->sin_family = AF_INET;
            in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        }
        if (::bind(listening_.get(), any, size) != 0 || ::listen(listening_.get(), 16) != 0 ||
            ::getsockname(listening_.get(), any, &size) != 0)
            throw std::runtime_error("cannot listen on loopback");
        port_ =
            ntohs(v6 ? reinterpret_cast<sockaddr_in6*>(&at)->sin6_port : reinterpret_cast<sockaddr_in*>(&at)->sin_port);
        thread_ = std::thread([this] { run(); });
    }
    ~hostile_server() {
        stopping_ = true;
        ::shutdown(listening_.get(), SHUT_RDWR);
        {
            const std::scoped_lock lock(mutex_);
            if (current_ >= 0) ::shutdown(current_, SHUT_RDWR);
        }
        thread_.join();
    }
    hostile_server(const hostile_server&) = delete;
    hostile_server& operator=(const hostile_server&) = delete;

    [[nodiscard]] std::string port() const { return std::to_string(port_); }
    [[nodiscard]] int connections() const { return connections_; }
    [[nodiscard]] int closed() const { return closed_; }
    // TLS sessions that a client took up again.
    [[nodiscard]] int resumed() const { return resumed_; }
    [[nodiscard]] std::vector<std::string> requests() const {
        const std::scoped_lock lock(mutex_);
        return requests_;
    }
    [[nodiscard]] std::string server_name() const {
        const std::scoped_lock lock(mutex_);
        return server_name_;
    }

  private:
    void run() {
        while (!stopping_) {
            unique_fd fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (!fd) return;
            ++connections_;
            const timeval limit{10, 0};  // a test must not hang
            ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
            ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
            const int now = 1;
            ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &now, sizeof now);
            {
                const std::scoped_lock lock(mutex_);
                current_ = fd.get();
            }
            serve(fd.get());
            const std::scoped_lock lock(mutex_);
            current_ = -1;
            fd.reset();
            ++closed_;
        }
    }
    void serve(int fd) {
        std::unique_ptr<SSL, free_ssl> secure;
        if (tls_ != nullptr) {
            secure.reset(::SSL_new(tls_));
            ::SSL_set_fd(secure.get(), fd);
            if (::SSL_accept(secure.get()) != 1) return;
            if (::SSL_session_reused(secure.get()) == 1) ++resumed_;
            const char* const name = ::SSL_get_servername(secure.get(), TLSEXT_NAMETYPE_host_name);
            const std::scoped_lock lock(mutex_);
            server_name_ = name == nullptr ? "" : name;
        }
        const victim client(fd, secure.get());
        std::string in;
        for (;;) {
            const std::string request = take_request(client, in);
            if (request.empty()) return;
            std::size_t turn = 0;
            {
                const std::scoped_lock lock(mutex_);
                turn = std::min(requests_.size(), turns_.size() - 1);
                requests_.push_back(request);
            }
            if (!turns_[turn](client)) return;
        }
    }
    static std::string take_request(const victim& client, std::string& in) {
        std::size_t whole = 0;
        for (;;) {
            const std::size_t end = in.find("\r\n\r\n");
            if (end != std::string::npos) {
                const std::size_t at = in.find("Content-Length: ");
                whole = end + 4 + (at < end ? std::stoul(in.substr(at + 16)) : 0);
                if (in.size() >= whole) break;
            }
            const std::string more = client.receive();
            if (more.empty()) return {};
            in += more;
        }
        std::string out = in.substr(0, whole);
        in.erase(0, whole);
        return out;
    }

    std::vector<behaviour> turns_;
    SSL_CTX* tls_;
    unique_fd listening_;
    std::uint16_t port_ = 0;
    std::thread thread_;
    std::atomic<bool> stopping_ = false;
    std::atomic<int> connections_ = 0;
    std::atomic<int> closed_ = 0;
    std::atomic<int> resumed_ = 0;
    mutable std::mutex mutex_;
    int current_ = -1;
    std::vector<std::string> requests_;
    std::string server_name_;
};

// An ordinary answer, which keeps the connection.
inline hostile_server::behaviour good_answer(std::string body) {
    return [body = std::move(body)](const hostile_server::victim& client) {
        return client.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    };
}

}  // namespace culld

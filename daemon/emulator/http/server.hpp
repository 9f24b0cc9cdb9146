// Sockets: accepts, reads requests, carries out what the world answers. Loopback only, one thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"
#include "emulator/api/cloud.hpp"
#include "emulator/exchange/request_log.hpp"

namespace culld::emulator {

// A connection, as far as the server must know it.
class connection {
  public:
    virtual ~connection() = default;
    // Reads and answers until either side ends it. Awaited once.
    virtual boost::asio::awaitable<void> run() = 0;
    // Closes the socket at once; run() then returns soon.
    virtual void abort() = 0;
};

class server {
  public:
    // `tls` may be null. All of it outlives the server.
    server(boost::asio::io_context& loop, cloud& w, request_log& log, boost::asio::ssl::context* tls);

    // Binds and listens. `at` must be a loopback address; port 0 lets the kernel choose.
    [[nodiscard]] result<void> listen(const boost::asio::ip::tcp::endpoint& at);
    [[nodiscard]] boost::asio::ip::tcp::endpoint endpoint() const { return at_; }

    // Takes connections until stop(). The loop has nothing left to do once all of them have ended.
    void start();
    // Stops listening and ends every connection.
    void stop();

    // For connections:
    // Ends every connection, and does not listen for `time`.
    void go_dark(nanoseconds time);
    // The value of a Date header, made anew each second.
    [[nodiscard]] std::string_view date();
    [[nodiscard]] cloud& state() { return world_; }
    [[nodiscard]] request_log& log() { return log_; }

  private:
    boost::asio::awaitable<void> accept();
    void take(boost::asio::ip::tcp::socket socket);
    void end_connections();

    boost::asio::io_context& loop_;
    cloud& world_;
    request_log& log_;
    boost::asio::ssl::context* tls_;
    boost::asio::ip::tcp::endpoint at_;
    boost::asio::ip::tcp::acceptor acceptor_;
    boost::asio::steady_timer pause_;
    std::list<std::unique_ptr<connection>> connections_;
    std::optional<steady_time> dark_until_;
    bool stopping_ = false;
    std::int64_t date_second_ = -1;
    std::string date_;
};

// Made by connection.cpp.
[[nodiscard]] std::unique_ptr<connection> make_connection(server& owner, boost::asio::ip::tcp::socket socket,
                                                          boost::asio::ssl::context* tls);

}  // namespace culld::emulator

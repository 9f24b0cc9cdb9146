#include "emulator/http/server.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>
#include <ctime>
#include <exception>

namespace culld::emulator {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto wait = asio::as_tuple(asio::use_awaitable);
constexpr auto accept_pause = std::chrono::milliseconds(10);  // out of descriptors: some will be given back

void tell(std::exception_ptr failure) {
    if (!failure) return;
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "cull-emulator: a connection ended: %s\n", e.what());
    }
}

}  // namespace

server::server(asio::io_context& loop, cloud& w, request_log& log, asio::ssl::context* tls)
    : loop_(loop), world_(w), log_(log), tls_(tls), acceptor_(loop), pause_(loop) {}

result<void> server::listen(const tcp::endpoint& at) {
    const std::string name = fmt::format("{}:{}", at.address().to_string(), at.port());
    if (!at.address().is_loopback())
        return fail(fmt::format("{} is not a loopback address", name),
                    "the emulator has no business on a network: use 127.0.0.1");
    boost::system::error_code error;
    acceptor_.open(at.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(at, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (!error) at_ = acceptor_.local_endpoint(error);
    if (error) {
        boost::system::error_code ignored;
        acceptor_.close(ignored);
        return fail(fmt::format("listen on {}: {}", name, error.message()), "choose another port, or 0 for any");
    }
    return {};
}

void server::start() {
    asio::co_spawn(loop_, accept(), tell);
}

void server::stop() {
    stopping_ = true;
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
    end_connections();
}

void server::go_dark(nanoseconds time) {
    dark_until_ = std::chrono::steady_clock::now() + time;
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    end_connections();
}

void server::end_connections() {
    for (const auto& c : connections_) c->abort();
}

asio::awaitable<void> server::accept() {
    while (!stopping_) {
        if (dark_until_) {
            pause_.expires_at(*dark_until_);
            dark_until_.reset();
            [[maybe_unused]] const auto [cancelled] = co_await pause_.async_wait(wait);
            if (stopping_) co_return;
            if (const auto again = listen(at_); !again) {
                std::fprintf(stderr, "cull-emulator: after an outage: %s\n", again.error().text().c_str());
                dark_until_ = std::chrono::steady_clock::now() + accept_pause;
            }
            continue;
        }
        auto [error, socket] = co_await acceptor_.async_accept(wait);
        if (!error) {
            take(std::move(socket));
        } else if (!stopping_ && !dark_until_) {
            pause_.expires_after(accept_pause);
            [[maybe_unused]] const auto [cancelled] = co_await pause_.async_wait(wait);
        }
    }
}

void server::take(tcp::socket socket) {
    if (stopping_ || dark_until_) return;  // accepted just as it ended: closed by going out of scope
    ++world_.counts.connections;
    const auto at = connections_.insert(connections_.end(), make_connection(*this, std::move(socket), tls_));
    asio::co_spawn(loop_, (*at)->run(), [this, at](std::exception_ptr failure) {
        tell(std::move(failure));
        connections_.erase(at);
    });
}

std::string_view server::date() {
    const std::time_t now = std::chrono::system_clock::to_time_t(world_.now());
    if (now != date_second_) {
        date_second_ = now;
        date_ = fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(now));
    }
    return date_;
}

}  // namespace culld::emulator

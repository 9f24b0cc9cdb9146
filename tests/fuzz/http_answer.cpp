// The bytes a server sends: whatever they are, an exchange ends within its deadline, as an answer or as a failure
// with a text, and the connection can be used again. The first byte says after how many further bytes the server
// waits for a moment, so that the parser also sees its input in pieces.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/write.hpp>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "culld/io/http/http_client.hpp"

namespace {

using namespace culld;  // NOLINT(google-build-using-namespace): a program of its own
using tcp = asio::ip::tcp;
using boost::system::error_code;
using acceptor = asio::basic_socket_acceptor<tcp, loop_executor>;
using socket = asio::basic_stream_socket<tcp, loop_executor>;

constexpr std::string_view request = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
constexpr nanoseconds patience = std::chrono::seconds(20);

void must(bool holds) {
    if (!holds) std::abort();
}

// Takes one connection, sends both pieces, and closes.
task<void> serve(acceptor& listening, std::string_view first, std::string_view second) {
    error_code ec;
    socket peer(listening.get_executor());
    co_await listening.async_accept(peer, asio::redirect_error(use_task, ec));
    if (ec) co_return;
    std::string asked;
    co_await asio::async_read_until(peer, asio::dynamic_buffer(asked), "\r\n\r\n", asio::redirect_error(use_task, ec));
    for (const std::string_view piece : {first, second}) {
        co_await asio::async_write(peer, asio::buffer(piece.data(), piece.size()), asio::redirect_error(use_task, ec));
        co_await asio::post(listening.get_executor(), use_task);  // the client's turn
    }
}

task<void> ask(http_connection& connection, http_answer& out) {
    out = co_await connection.exchange(request);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
    const std::string_view first = bytes.substr(0, data[0]);

    static asio::io_context loop(1);
    static acceptor listening(loop.get_executor(), tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    const api_endpoint to{
        .tls = false, .host = "127.0.0.1", .port = std::to_string(listening.local_endpoint().port()), .authority = "h"};
    http_connection connection(loop.get_executor(), to, nullptr, patience, patience);
    http_answer answer;
    asio::co_spawn(loop, serve(listening, first, bytes.substr(first.size())), rethrow_from_loop);
    asio::co_spawn(loop, ask(connection, answer), rethrow_from_loop);
    const steady_time begun = steady_now();
    loop.restart();
    loop.run();
    must(steady_now() - begun < patience);

    if (answer.failure == transport_failure::none) {
        must(answer.status >= 200 && answer.status <= 999);
        must(answer.body.size() <= (4U << 20U));  // it may have been packed
        must(answer.request_ids.size() <= 4);
        for (const std::string& id : answer.request_ids) must(id.size() <= 128 && id.find('\n') == std::string::npos);
    } else {
        must(answer.sent && !answer.detail.empty());
        must(answer.failure == transport_failure::transport || answer.failure == transport_failure::protocol);
    }
    return 0;
}

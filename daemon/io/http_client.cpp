#include "culld/io/http_client.hpp"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/rate_policy.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/url/parse.hpp>
#include <optional>

#include "culld/core/answer.hpp"

namespace culld {

namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;
using boost::system::error_code;

namespace {

constexpr std::uint32_t header_limit = 64 * 1024;  // an IAM token alone can be several KiB
constexpr std::uint64_t body_limit = 32U << 20U;
constexpr auto reuse_unchecked_for = std::chrono::milliseconds(5);

using stream = beast::basic_stream<asio::ip::tcp, loop_executor, beast::unlimited_rate_policy>;
using tls_stream = ssl::stream<stream&>;
constexpr auto quietly = asio::as_tuple(use_task);

}  // namespace

std::string_view name_of(transport_failure f) {
    switch (f) {
        case transport_failure::none: return "none";
        case transport_failure::connect: return "connect";
        case transport_failure::tls: return "tls";
        case transport_failure::timeout: return "timeout";
        case transport_failure::transport: return "transport";
        case transport_failure::protocol: break;
    }
    return "protocol";
}

result<api_endpoint> parse_endpoint(std::string_view url) {
    const auto parsed = boost::urls::parse_uri(boost::core::string_view(url.data(), url.size()));
    if (!parsed) return fail("\"" + std::string(url) + "\" is no URL", "write it like https://secmaster.cn-north-4.myhuaweicloud.com");
    api_endpoint out;
    const std::string scheme(parsed->scheme());
    out.tls = scheme == "https";
    out.host = parsed->host_address();
    out.port = parsed->has_port() && !parsed->port().empty() ? std::string(parsed->port()) : out.tls ? "443" : "80";
    out.authority = std::string(parsed->encoded_host());
    if (parsed->has_port() && out.port != (out.tls ? "443" : "80")) out.authority += ":" + out.port;
    const bool loopback = out.host == "localhost" || out.host == "::1" || out.host.starts_with("127.");
    if (!out.tls && (scheme != "http" || !loopback))
        return fail("\"" + std::string(url) + "\" is not https", "plain http is allowed to loopback only");
    return out;
}

result<std::unique_ptr<ssl::context>> make_tls_context(const std::string& ca_file) {
    auto context = std::make_unique<ssl::context>(ssl::context::tls_client);
    error_code ec;
    context->set_verify_mode(ssl::verify_peer, ec);
    if (!ec) context->set_default_verify_paths(ec);
    if (ec) return fail("set up TLS: " + ec.message());
    if (::SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION) != 1) return fail("set up TLS: no TLS 1.2");
    if (!ca_file.empty()) {
        context->load_verify_file(ca_file, ec);
        if (ec) return fail(problem{.what = "cannot read certificates: " + ec.message(), .hint = {}, .file = ca_file});
    }
    return context;
}

struct http_connection::parts {
    parts(loop_executor executor, const api_endpoint& endpoint, ssl::context* context, nanoseconds connect_limit,
          nanoseconds request_limit)
        : on(executor), to(endpoint), tls(context), connect_timeout(connect_limit), request_timeout(request_limit) {}

    // Resolves, connects, shakes hands: all within connect_timeout.
    task<http_answer> connect() {
        http_answer out;
        tcp.emplace(on);
        tcp->expires_after(connect_timeout);
        asio::ip::basic_resolver<asio::ip::tcp, loop_executor> resolver(on);
        auto [resolve_error, addresses] = co_await resolver.async_resolve(to.host, to.port, quietly);
        if (resolve_error) co_return failed(transport_failure::connect, "look up " + to.host, resolve_error);
        auto [connect_error, peer] = co_await tcp->async_connect(addresses, quietly);
        if (connect_error)
            co_return failed(transport_failure::connect, "connect to " + to.host + " port " + to.port, connect_error);
        error_code ignored;
        tcp->socket().set_option(asio::ip::tcp::no_delay(true), ignored);
        if (tls != nullptr) {
            secure.emplace(*tcp, *tls);
            error_code ec;
            asio::ip::make_address(to.host, ec);
            // Server Name Indication is for names only (RFC 6066, section 3). (The macro for this casts in C style.)
            std::string name = to.host;
            if (ec && ::SSL_ctrl(secure->native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                                 name.data()) != 1)
                co_return failed(transport_failure::tls, "name the host in TLS", {});
            ec.clear();
            secure->set_verify_callback(ssl::host_name_verification(to.host), ec);
            auto [tls_error] = co_await secure->async_handshake(ssl::stream_base::client, quietly);
            if (ec || tls_error) co_return failed(transport_failure::tls, "TLS with " + to.host, ec ? ec : tls_error);
        }
        idle_since = steady_now();
        co_return out;
    }

    http_answer failed(transport_failure f, const std::string& doing, error_code ec, bool sent = false) {
        drop();
        http_answer out;
        out.failure = ec == beast::error::timeout && sent ? transport_failure::timeout : f;
        out.sent = sent;
        out.detail = clean_message(ec ? doing + ": " + ec.message() : doing);
        return out;
    }

    // The peer may have closed an idle connection: a request sent into it would be in doubt for nothing.
    bool still_open() {
        if (!tcp || !tcp->socket().is_open()) return false;
        if (steady_now() - idle_since < reuse_unchecked_for) return true;
        char byte = 0;
        const ssize_t n = ::recv(tcp->socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        // A byte that nobody asked for, or the end: TLS session tickets were read with the first answer.
        return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }

    void drop() {
        secure.reset();
        if (tcp) {
            error_code ignored;
            tcp->socket().close(ignored);
        }
        buffer.clear();
    }

    template <class Stream>
    task<http_answer> send(Stream& s, std::string_view request) {
        tcp->expires_after(request_timeout);  // for the answer too
        auto [write_error, written] = co_await asio::async_write(s, asio::buffer(request.data(), request.size()), quietly);
        if (write_error) co_return failed(transport_failure::transport, "send", write_error, true);
        http_answer out;
        out.sent = true;
        co_return out;
    }

    template <class Stream>
    task<http_answer> receive(Stream& s) {
        parser.emplace();
        parser->get().body().swap(body);
        parser->get().body().clear();
        parser->header_limit(header_limit);
        parser->body_limit(body_limit);
        auto [read_error, got] = co_await http::async_read(s, buffer, *parser, quietly);
        if (read_error) {
            const bool malformed = read_error.category() == http::make_error_code(http::error::bad_version).category() &&
                                   read_error != http::error::end_of_stream && read_error != http::error::partial_message;
            co_return failed(malformed ? transport_failure::protocol : transport_failure::transport, "read the answer",
                             read_error, true);
        }
        co_return take_answer();
    }

    http_answer take_answer() {
        auto& message = parser->get();
        if (message.result_int() < 200)  // Beast hands out 1xx like a final answer
            return failed(transport_failure::protocol, "status " + std::to_string(message.result_int()) + " is no final answer", {},
                          true);
        http_answer out;
        out.sent = true;
        out.status = message.result_int();
        out.retry_after = std::string(message[http::field::retry_after]);
        for (const auto& field : message)
            if (beast::iequals(field.name_string(), "X-Request-Id") && out.request_ids.size() < 4)
                out.request_ids.push_back(clean_message({field.value().data(), field.value().size()}, 128));
        const bool keep = message.keep_alive() && buffer.size() == 0;
        body.swap(message.body());
        out.body = body;
        if (!keep) drop();
        idle_since = steady_now();
        return out;
    }

    loop_executor on;
    const api_endpoint& to;
    ssl::context* tls;
    nanoseconds connect_timeout;
    nanoseconds request_timeout;
    std::optional<stream> tcp;
    std::optional<tls_stream> secure;
    std::optional<http::response_parser<http::string_body>> parser;
    beast::flat_buffer buffer{header_limit + body_limit};
    std::string body;
    steady_time idle_since{};
    steady_time begun{};
};

http_connection::http_connection(loop_executor on, const api_endpoint& to, ssl::context* tls, nanoseconds connect_timeout,
                                 nanoseconds request_timeout)
    : parts_(std::make_unique<parts>(on, to, tls, connect_timeout, request_timeout)) {}

http_connection::~http_connection() = default;

bool http_connection::is_open() { return parts_->still_open(); }

task<http_answer> http_connection::open() {
    parts_->drop();
    http_answer out = co_await parts_->connect();
    co_return out;
}

task<http_answer> http_connection::send(std::string_view request) {
    parts& p = *parts_;
    p.begun = steady_now();
    http_answer out;
    if (p.secure)
        out = co_await p.send(*p.secure, request);
    else
        out = co_await p.send(*p.tcp, request);
    co_return out;
}

task<http_answer> http_connection::receive() {
    parts& p = *parts_;
    http_answer out;
    if (p.secure)
        out = co_await p.receive(*p.secure);
    else
        out = co_await p.receive(*p.tcp);
    out.took = std::chrono::duration_cast<milliseconds>(steady_now() - p.begun);
    co_return out;
}

task<http_answer> http_connection::exchange(std::string_view request) {
    http_answer out;
    if (!is_open()) out = co_await open();
    if (out.failure == transport_failure::none) out = co_await send(request);
    if (out.failure == transport_failure::none) out = co_await receive();
    co_return out;
}

void http_connection::close() {
    if (!parts_->tcp) return;
    error_code ignored;
    parts_->tcp->socket().close(ignored);
}

}  // namespace culld

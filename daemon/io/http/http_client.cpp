#include "culld/io/http/http_client.hpp"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/read_size.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <charconv>
#include <optional>

#include "culld/core/text/clean_message.hpp"
#include "culld/io/http/tls_socket.hpp"
#include "culld/io/os/decompress.hpp"

namespace culld {

namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;
using boost::system::error_code;

namespace {

constexpr std::uint32_t header_limit = 64 * 1024;  // an IAM token alone can be several KiB
constexpr std::uint64_t body_limit = 4U << 20U;    // 999 ids of 100 bytes, each in both lists, are 0.2 MiB
constexpr std::size_t beside_header = 64 * 1024;   // a chunk's extension has to fit
constexpr std::size_t piece_bytes = 16 * 1024;     // what is read at once, as a rule
constexpr std::size_t opened_bytes = 8 * 1024;     // likewise behind TLS, which holds the rest of a record itself
constexpr std::size_t body_kept = 1U << 20U;       // of a body's memory, from one exchange to the next
constexpr int interim_max = 8;                     // answers 1xx before the real one

std::atomic<std::size_t> under_way = 0;  // look-ups in the system's resolver

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

std::size_t lookups_under_way() {
    return under_way;
}

struct http_connection::parts {
    parts(loop_executor executor, const api_endpoint& endpoint, ssl::context* context, nanoseconds connect_limit,
          nanoseconds request_limit)
        : on(executor),
          to(endpoint),
          tls(context),
          connect_timeout(connect_limit),
          request_timeout(request_limit),
          line(executor) {
        buffer.reserve(context == nullptr ? piece_bytes : opened_bytes);
    }

    using tcp_resolver = asio::ip::basic_resolver<asio::ip::tcp, loop_executor>;
    // A look-up in the system's resolver cannot be broken off, only left behind: so it owns what it needs.
    struct lookup {
        explicit lookup(loop_executor executor) : resolver(executor), over(executor) {}
        tcp_resolver resolver;
        event over;
        bool ended = false;
        error_code ec;
        tcp_resolver::results_type found;
    };

    // Where the TCP connection goes: to the API, or to the proxy before it.
    [[nodiscard]] const std::string& peer_host() const { return to.via ? to.via->host : to.host; }
    [[nodiscard]] const std::string& peer_port() const { return to.via ? to.via->port : to.port; }

    // Addresses that no resolver has to be asked for: those that stand there, and localhost, which is this host
    // whatever a name server says (RFC 6761, section 6.3): http is let through to it.
    [[nodiscard]] std::vector<asio::ip::tcp::endpoint> without_asking() const {
        unsigned short port = 0;
        std::from_chars(peer_port().data(), peer_port().data() + peer_port().size(), port);
        if (peer_host() == "localhost")
            return {{asio::ip::address_v4::loopback(), port}, {asio::ip::address_v6::loopback(), port}};
        error_code no_address;
        const auto address = asio::ip::make_address(peer_host(), no_address);
        if (no_address) return {};
        return {{address, port}};
    }

    task<http_answer> resolve(steady_time until) {
        if (const auto known = without_asking(); !known.empty()) {
            found = tcp_resolver::results_type::create(known.begin(), known.end(), peer_host(), peer_port());
            co_return http_answer();
        }
        looking = std::make_shared<lookup>(on);
        const auto mine = looking;
        ++under_way;
        looking->resolver.async_resolve(peer_host(), peer_port(),
                                        [mine](error_code ec, tcp_resolver::results_type results) {
                                            --under_way;
                                            mine->ec = ec;
                                            mine->found = std::move(results);
                                            mine->ended = true;
                                            mine->over.notify();
                                        });
        while (!mine->ended && !broken_off && steady_now() < until) co_await mine->over.wait_until(until);
        looking.reset();
        if (broken_off) co_return failed(transport_failure::connect, "broken off", {});
        if (!mine->ended) co_return failed(transport_failure::connect, "look up " + peer_host(), beast::error::timeout);
        if (mine->ec) co_return failed(transport_failure::connect, "look up " + peer_host(), mine->ec);
        found = std::move(mine->found);
        co_return http_answer();
    }

    // Each address in the resolver's order (RFC 6724) gets an equal share of the time that is left, so that one that
    // swallows everything does not keep us from the next.
    task<http_answer> reach(steady_time until) {
        error_code connect_error = asio::error::host_not_found;
        auto left = static_cast<std::int64_t>(found.size());
        for (const auto& entry : found) {
            const steady_time now = steady_now();
            line.drop();
            line.expires_at(now + (until - now) / left--);
            const asio::ip::tcp::endpoint address = entry.endpoint();
            connect_error = co_await line.connect(address);
            if (broken_off) co_return failed(transport_failure::connect, "broken off", {});
            if (!connect_error) break;
        }
        if (connect_error)
            co_return failed(
                transport_failure::connect,
                std::string(to.via ? "connect to the proxy " : "connect to ") + peer_host() + " port " + peer_port(),
                connect_error);
        line.expires_at(until);
        co_return http_answer();
    }

    // A way through the proxy (RFC 9110, section 9.3.6). Whatever goes wrong, the API has seen nothing.
    task<http_answer> tunnel() {
        const std::string asked = "the proxy " + peer_host() + " port " + peer_port();
        const bool v6 = to.host.find(':') != std::string::npos;
        const std::string target = (v6 ? "[" + to.host + "]" : to.host) + ":" + to.port;
        std::string request =
            "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\nUser-Agent: culld/" CULLD_VERSION "\r\n";
        if (!to.via->authorization.empty()) request += "Proxy-Authorization: " + to.via->authorization + "\r\n";
        request += "\r\n";
        const error_code write_error = co_await line.write(request);
        ::OPENSSL_cleanse(request.data(), request.size());
        if (broken_off) co_return failed(transport_failure::connect, "broken off", {});
        if (write_error) co_return failed(transport_failure::connect, asked, write_error);
        http::response_parser<http::empty_body> answer;
        answer.header_limit(header_limit);
        answer.skip(true);  // no body follows a 2xx, whatever its header says
        const error_code read_error = co_await read_into(answer, extent::header);
        if (broken_off) co_return failed(transport_failure::connect, "broken off", {});
        if (read_error) co_return failed(transport_failure::connect, asked + ": read its answer", read_error);
        const unsigned status = answer.get().result_int();
        if (status == 407 || status == 401)  // tinyproxy refuses a login with 401
            co_return failed(transport_failure::connect,
                             asked + " wants a login (" + std::to_string(status) +
                                 "): see api.proxy_login_file, or culld's login is wrong",
                             {});
        if (status < 200 || status > 299)
            co_return failed(transport_failure::connect,
                             asked + " refuses to connect to " + target + ": " + std::to_string(status) + " " +
                                 std::string(answer.get().reason()),
                             {});
        if (buffer.size() > 0)
            co_return failed(transport_failure::connect, asked + " sent bytes before we spoke to the API", {});
        co_return http_answer();
    }

    task<http_answer> shake_hands() {
        if (!line.begin_tls(tls->native_handle(), to.host))
            co_return failed(transport_failure::tls, "name the host in TLS", {});
        session.attach(line.tls());
        const error_code tls_error = co_await line.shake_hands();
        if (broken_off) co_return failed(transport_failure::connect, "broken off", {});
        if (tls_error) {
            session.forget();
            const std::string doing = "TLS with " + to.host + distrust(tls_error);
            co_return failed(transport_failure::tls, doing, tls_error);
        }
        co_return http_answer();
    }

    // Resolves, connects, goes through the proxy, shakes hands: all within connect_timeout.
    task<http_answer> connect() {
        const steady_time until = steady_now() + connect_timeout;
        http_answer out = co_await resolve(until);
        if (out.failure == transport_failure::none) out = co_await reach(until);
        if (out.failure == transport_failure::none && to.via) out = co_await tunnel();
        if (out.failure == transport_failure::none && tls != nullptr) out = co_await shake_hands();
        line.never_expires();
        co_return out;
    }

    // Why there is no TLS, in words that help: of a certificate OpenSSL's own error says only that it was refused.
    [[nodiscard]] std::string distrust(error_code ec) {
        const long found_wrong = ::SSL_get_verify_result(line.tls());
        if (found_wrong == X509_V_ERR_HOSTNAME_MISMATCH || found_wrong == X509_V_ERR_IP_ADDRESS_MISMATCH)
            return ": the certificate is not for " + to.host +
                   " (it must name it as a subject alternative name; the subject alone does not count)";
        if (found_wrong != X509_V_OK) {
            std::string out = std::string(": ") + ::X509_verify_cert_error_string(found_wrong);
            switch (found_wrong) {
                case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
                case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
                case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
                case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
                    out += " (an authority of your own is named by api.ca_file)";
                    break;
                case X509_V_ERR_CERT_HAS_EXPIRED:
                case X509_V_ERR_CERT_NOT_YET_VALID: out += " (or this host's clock is wrong)"; break;
                default: break;
            }
            return out;
        }
        if (ec.category() != asio::error::get_ssl_category()) return {};
        switch (ERR_GET_REASON(static_cast<unsigned long>(ec.value()))) {
            case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
            case SSL_R_UNSUPPORTED_PROTOCOL: return ": the server knows only versions older than TLS 1.2";
            case SSL_R_WRONG_VERSION_NUMBER: return ": what answers there does not speak TLS";
            default: return {};
        }
    }

    http_answer failed(transport_failure f, const std::string& doing, error_code ec, bool sent = false) {
        drop();
        http_answer out;
        out.failure = ec == beast::error::timeout && sent ? transport_failure::timeout : f;
        out.sent = sent;
        out.detail = clean_message(ec ? doing + ": " + ec.message() : doing);
        return out;
    }

    [[nodiscard]] milliseconds since_begun() const {
        return std::chrono::duration_cast<milliseconds>(steady_now() - begun);
    }

    void drop() {
        line.drop();
        buffer.clear();
    }

    // Feeds `parser` from the line, as far as it is wanted. (Beast's own reading takes a stream of its own kind, with a
    // timer for each read.)
    enum class extent : std::uint8_t { header, message };
    task<error_code> read_into(http::basic_parser<false>& into, extent wanted) {
        into.eager(wanted == extent::message);
        while (wanted == extent::header ? !into.is_header_done() : !into.is_done()) {
            if (buffer.size() > 0) {
                error_code ec;
                buffer.consume(into.put(buffer.data(), ec));
                if (!ec) continue;
                if (ec != http::error::need_more) co_return ec;
            }
            const std::size_t room = beast::read_size(buffer, header_limit);
            if (room == 0) co_return http::error::buffer_overflow;
            const asio::mutable_buffer space = buffer.prepare(room);
            const tls_socket::piece got = co_await line.read_some(static_cast<char*>(space.data()), space.size());
            buffer.commit(got.bytes);
            if (got.ec == asio::error::eof) {
                if (!into.got_some()) co_return http::error::end_of_stream;
                error_code ec;
                into.put_eof(ec);
                if (ec) co_return ec;
            } else if (got.ec) {
                co_return got.ec;
            }
        }
        co_return error_code();
    }

    task<http_answer> send(std::string_view request) {
        line.expires_at(steady_now() + request_timeout);  // for the answer too
        const error_code write_error = co_await line.write(request);
        if (write_error) co_return failed(transport_failure::transport, "send", write_error, true);
        http_answer out;
        out.sent = true;
        co_return out;
    }

    task<http_answer> receive() {
        for (int interim = 0; interim <= interim_max; ++interim) {
            parser.emplace();
            if (body.capacity() > body_kept) body = std::string();
            parser->get().body().swap(body);
            parser->get().body().clear();
            parser->header_limit(header_limit);
            parser->body_limit(body_limit);
            const error_code read_error = co_await read_into(*parser, extent::message);
            if (read_error) {
                const bool malformed =
                    read_error.category() == http::make_error_code(http::error::bad_version).category() &&
                    read_error != http::error::end_of_stream && read_error != http::error::partial_message;
                co_return failed(malformed ? transport_failure::protocol : transport_failure::transport,
                                 "read the answer", read_error, true);
            }
            // Beast hands out 1xx like a final answer; RFC 9110, section 15.2, has a client expect some
            // before it.
            const unsigned status = parser->get().result_int();
            if (status < 100 || status == 101 || status > 199) break;
        }
        line.never_expires();
        co_return take_answer();
    }

    // Why it cannot be unpacked; then there is no body. Empty: it is as it should be. What was done to the body last is
    // undone first: the transfer's coding, then the content's.
    std::string unpack_body(std::string_view transfer, std::string_view content) {
        for (const std::string_view coding : {transfer, content}) {
            const std::string_view how = coding.substr(0, coding.find(','));
            if (!is_packed(how, body)) continue;
            auto plain = decompress(how, body, body_limit);
            body = plain ? std::move(*plain) : std::string();
            if (!plain) return plain.error().what;
        }
        return {};
    }

    http_answer take_answer() {
        auto& message = parser->get();
        if (message.result_int() < 200)
            return failed(transport_failure::protocol,
                          "status " + std::to_string(message.result_int()) + " is no final answer", {}, true);
        http_answer out;
        out.sent = true;
        out.status = message.result_int();
        out.retry_after = std::string(message[http::field::retry_after]);
        std::string_view transfer, content;
        for (const auto& field : message) {
            const std::string_view value(field.value().data(), field.value().size());
            if (field.name() == http::field::transfer_encoding) transfer = value;
            if (field.name() == http::field::content_encoding) content = value;
            if (beast::iequals(field.name_string(), "X-Request-Id") && out.request_ids.size() < 4)
                out.request_ids.push_back(clean_message(value, 128));
        }
        // Bytes behind it that were read already would be taken for the next answer.
        const bool keep = parser->keep_alive() && buffer.size() == 0 && !line.left_over();
        body.swap(message.body());
        const std::string problem = unpack_body(transfer, content);
        // What was done nobody knows; any other status says enough by itself.
        if (!problem.empty() && out.status == 200) return failed(transport_failure::protocol, problem, {}, true);
        out.body = body;
        if (!keep) drop();
        return out;
    }

    loop_executor on;
    const api_endpoint& to;
    ssl::context* tls;
    nanoseconds connect_timeout;
    nanoseconds request_timeout;
    resumable_session session;
    tls_socket line;
    std::optional<http::response_parser<http::string_body>> parser;
    beast::flat_buffer buffer{header_limit + beside_header};
    std::string body;
    steady_time begun{};
    tcp_resolver::results_type found;
    std::shared_ptr<lookup> looking;
    bool broken_off = false;  // by close()
};

http_connection::http_connection(loop_executor on, const api_endpoint& to, ssl::context* tls,
                                 nanoseconds connect_timeout, nanoseconds request_timeout)
    : parts_(std::make_unique<parts>(on, to, tls, connect_timeout, request_timeout)) {}

http_connection::~http_connection() = default;

// The peer may have closed an idle connection: a request sent into it would be in doubt for nothing. Or it may have
// sent what nobody asked for, which would be taken for the next answer. So there is no reuse without a look.
bool http_connection::is_open() {
    return parts_->line.is_quiet();
}

task<http_answer> http_connection::open() {
    parts& p = *parts_;
    p.begun = steady_now();
    p.broken_off = false;
    p.drop();
    http_answer out = co_await p.connect();
    out.took = p.since_begun();
    co_return out;
}

task<http_answer> http_connection::send(std::string_view request) {
    parts& p = *parts_;
    p.begun = steady_now();
    http_answer out;
    if (p.line.is_open())
        out = co_await p.send(request);
    else  // close() came after open()
        out = p.failed(transport_failure::connect, "broken off", {});
    out.took = p.since_begun();
    co_return out;
}

task<http_answer> http_connection::receive() {
    parts& p = *parts_;
    http_answer out;
    if (p.line.is_open())
        out = co_await p.receive();
    else  // close() came after send()
        out = p.failed(transport_failure::transport, "broken off", {}, true);
    out.took = p.since_begun();
    co_return out;
}

task<http_answer> http_connection::exchange(std::string_view request) {
    http_answer out;
    if (!is_open()) out = co_await open();
    if (out.failure == transport_failure::none) out = co_await send(request);
    if (out.failure == transport_failure::none) out = co_await receive();
    co_return out;
}

std::string_view http_connection::answer_header(std::string_view name) const {
    if (!parts_->parser) return {};
    const auto value = parts_->parser->get()[beast::string_view(name.data(), name.size())];
    return {value.data(), value.size()};
}

void http_connection::set_limits(nanoseconds connect_timeout, nanoseconds request_timeout) {
    parts_->connect_timeout = connect_timeout;
    parts_->request_timeout = request_timeout;
}

void http_connection::close() {
    parts_->broken_off = true;
    if (parts_->looking) parts_->looking->over.notify();
    parts_->line.close();
}

}  // namespace culld

#include "culld/io/http/http_server.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cerrno>
#include <charconv>
#include <exception>
#include <map>
#include <set>

#include "culld/core/base/ascii.hpp"
#include "culld/io/os/file.hpp"
#include "culld/io/os/log.hpp"

namespace culld {

namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

namespace {

constexpr std::uint64_t request_limit = 16 * 1024;
constexpr int rest_for_work = 9;  // who is not trusted waits so many times as long as its last answer took to make
constexpr std::size_t owners_kept = 256;

// What to say to a request that cannot be read; none where nobody is there to hear it.
std::optional<http::status> complaint_for(error_code ec) {
    if (ec == http::error::header_limit || ec == http::error::buffer_overflow)
        return http::status::request_header_fields_too_large;
    if (ec == http::error::body_limit) return http::status::payload_too_large;
    const bool parsing = ec.category() == http::make_error_code(http::error::bad_version).category();
    if (!parsing || ec == http::error::end_of_stream || ec == http::error::partial_message) return std::nullopt;
    return http::status::bad_request;
}

// Whether a request's `Host` means us: an address always does, since no name was looked up for it.
bool is_ours(std::string_view host, const std::vector<std::string>& names) {
    if (const std::size_t colon = host.rfind(':'); colon != std::string_view::npos &&
                                                   host.find(']', colon) == std::string_view::npos &&
                                                   (host.starts_with('[') || host.find(':') == colon))
        host = host.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (host.ends_with('.')) host.remove_suffix(1);
    if (host.empty()) return false;
    error_code ec;
    static_cast<void>(asio::ip::make_address(std::string(host), ec));
    if (!ec || same_ignoring_case(host, "localhost")) return true;
    return std::ranges::any_of(names, [host](const std::string& name) { return same_ignoring_case(host, name); });
}

template <class Protocol>
class server final : public http_server {
  public:
    using acceptor = asio::basic_socket_acceptor<Protocol, loop_executor>;
    using stream = beast::basic_stream<Protocol, loop_executor>;

    server(loop_executor on, acceptor listening, server_handler handler, server_rules rules)
        : on_(on),
          listening_(std::move(listening)),
          handler_(std::move(handler)),
          rules_(std::move(rules)),
          ended_(on) {
        ++running_;
        asio::co_spawn(on_, accept(), rethrow_from_loop);
    }

    task<void> stop() override {
        stopping_ = true;
        error_code ignored;
        listening_.close(ignored);
        for (connection* c : open_) c->line.socket().close(ignored);
        ended_.notify();
        while (running_ > 0) co_await ended_.wait();
    }

  private:
    struct connection {
        explicit connection(stream s) : line(std::move(s)) {}
        stream line;
        std::optional<peer> from;
        bool trusted = false;
        std::uint64_t owner = 0;           // uid, or address
        steady_time since = steady_now();  // when it last got on: with a request that came, or an answer that went
        bool cut = false;
    };

    task<void> accept() {
        while (!stopping_) {
            auto [ec, socket] = co_await listening_.async_accept(as_tuple_task);
            if (ec == asio::error::operation_aborted || stopping_) break;
            if (ec) {
                // Out of descriptors, say: the connection waits in the kernel's queue, and so do we.
                log(log_level::warn, "control.accept", ec.message());
                co_await ended_.wait_until(steady_now() + std::chrono::seconds(1));
                continue;
            }
            ++running_;
            asio::co_spawn(on_, serve(std::move(socket)), rethrow_from_loop);
        }
        --running_;
        ended_.notify();
    }

    task<void> serve(asio::basic_stream_socket<Protocol, loop_executor> socket) {
        connection c{stream(std::move(socket))};
        c.from = peer_of(c.line.socket());
        c.trusted = c.from && rules_.trusted && rules_.trusted(*c.from);
        c.owner = c.from ? c.from->uid : address_of(c.line.socket());
        make_room_for(c);
        open_.insert(&c);
        stream& s = c.line;
        beast::flat_buffer buffer(2 * request_limit);
        for (bool more = true; more && !stopping_ && !c.cut;) {
            http::request_parser<http::string_body> parser;
            parser.header_limit(static_cast<std::uint32_t>(request_limit));
            parser.body_limit(request_limit);
            s.expires_after(rules_.patience);
            auto [read_error, got] = co_await http::async_read(s, buffer, parser, as_tuple_task);
            if (read_error) {
                if (const auto status = complaint_for(read_error)) {
                    http::response<http::string_body> refusal(*status, 11);
                    refusal.set(http::field::server, "culld");
                    refusal.keep_alive(false);
                    refusal.prepare_payload();
                    s.expires_after(rules_.patience);
                    const auto told = co_await http::async_write(s, refusal, as_tuple_task);
                    static_cast<void>(told);  // it is cut either way
                }
                break;
            }
            auto& in = parser.get();
            server_request request{.method = std::string(in.method_string()),
                                   .target = std::string(in.target()),
                                   .body = std::move(in.body()),
                                   .from = c.from};
            c.since = steady_now();
            const bool ours = c.from || (in.version() < 11 && in[http::field::host].empty()) ||
                              is_ours({in[http::field::host].data(), in[http::field::host].size()}, rules_.names);
            if (ours) co_await own_turn(c);
            if (stopping_ || c.cut) break;
            server_answer reply = ours ? answer(c, request) : misdirected();
            if (reply.later) {
                const auto make = std::move(reply.later);
                task<server_answer> made = make();
                server_answer waited_for = co_await std::move(made);
                reply = std::move(waited_for);
            }
            http::response<http::string_body> out(static_cast<http::status>(reply.status), in.version());
            out.set(http::field::server, "culld");
            out.set(http::field::content_type, reply.content_type);
            out.set(http::field::cache_control, "no-store");
            out.set("X-Content-Type-Options", "nosniff");
            out.set("Content-Security-Policy", reply.policy);
            out.set("Referrer-Policy", "no-referrer");
            if (!reply.allow.empty()) out.set(http::field::allow, reply.allow);
            out.keep_alive(in.keep_alive() && ours);
            if (request.method == "HEAD") {
                out.content_length(reply.body.size());
            } else {
                out.body() = std::move(reply.body);
                out.prepare_payload();
            }
            more = out.keep_alive();
            http::response_serializer<http::string_body> writer(out);
            writer.split(request.method == "HEAD");
            error_code write_error;
            s.expires_after(rules_.patience);
            if (request.method == "HEAD") {
                auto [ec, n] = co_await http::async_write_header(s, writer, as_tuple_task);
                write_error = ec;
            } else {
                auto [ec, n] = co_await http::async_write(s, writer, as_tuple_task);
                write_error = ec;
            }
            if (write_error) break;
            c.since = steady_now();
        }
        open_.erase(&c);
        error_code ignored;
        s.socket().shutdown(asio::socket_base::shutdown_both, ignored);
        s.close();
        --running_;
        ended_.notify();
    }

    // ---- places ----

    // Cuts whoever has been idle the longest, of those that have most, so that this one finds a place.
    void make_room_for(const connection& newcomer) {
        std::map<std::uint64_t, std::size_t> held;  // by owner, of its kind
        std::size_t all = 0;
        for (const connection* c : open_)
            if (c->trusted == newcomer.trusted && !c->cut) {
                ++held[c->owner];
                ++all;
            }
        std::optional<std::uint64_t> whose;
        // On TCP all of a host share one address.
        if (newcomer.from && !newcomer.trusted && held[newcomer.owner] >= places_of_one_uid)
            whose = newcomer.owner;
        else if (all >= (newcomer.trusted ? trusted_places : other_places))
            whose = std::ranges::max_element(held, {}, [](const auto& h) { return h.second; })->first;
        if (!whose) return;
        connection* idlest = nullptr;
        for (connection* c : open_)
            if (c->trusted == newcomer.trusted && c->owner == *whose && !c->cut &&
                (idlest == nullptr || c->since < idlest->since))
                idlest = c;
        if (idlest == nullptr) return;
        idlest->cut = true;
        error_code ignored;
        idlest->line.socket().close(ignored);
        ended_.notify();  // it may be waiting for its turn
    }

    task<void> own_turn(const connection& c) {
        if (c.trusted) co_return;
        while (!stopping_ && !c.cut) {
            const auto turn = next_turn_.find(c.owner);
            if (turn == next_turn_.end() || turn->second <= steady_now()) co_return;
            co_await ended_.wait_until(turn->second);
        }
    }

    server_answer answer(const connection& c, const server_request& request) {
        const steady_time begun = steady_now();
        server_answer out = handler_(request);
        if (c.trusted) return out;
        const steady_time now = steady_now();
        if (next_turn_.size() >= owners_kept)
            std::erase_if(next_turn_, [now](const auto& t) { return t.second <= now; });
        next_turn_[c.owner] = now + rest_for_work * (now - begun);
        return out;
    }

    static server_answer misdirected() {
        return {.status = 421,
                .body =
                    "{\"error\":\"this Host is none of ours\",\"hint\":\"ask for the address, for localhost, or for "
                    "this machine by the name that hostname(1) prints\"}\n"};
    }

    static std::uint64_t address_of(const asio::basic_stream_socket<Protocol, loop_executor>& socket) {
        if constexpr (std::is_same_v<Protocol, asio::ip::tcp>) {
            error_code ec;
            const auto from = socket.remote_endpoint(ec).address();
            if (ec) return 0;
            if (from.is_v4()) return from.to_v4().to_uint();
            std::uint64_t network = 0;  // the first half: the rest is anybody's to choose
            const auto bytes = from.to_v6().to_bytes();
            for (std::size_t i = 0; i < sizeof network; ++i) network = network << 8U | bytes[i];
            return network;
        }
        return 0;
    }

    // As they were when it connected; none where the kernel does not tell.
    static std::vector<std::uint32_t> groups_of(int socket) {
        std::vector<gid_t> out(32);
        for (;;) {
            auto size = static_cast<socklen_t>(out.size() * sizeof(gid_t));
            const int failed = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, out.data(), &size);
            const std::size_t count = size / sizeof(gid_t);
            if (failed == 0) {
                out.resize(count);
                return out;
            }
            if (errno != ERANGE || count <= out.size()) return {};
            out.resize(count);
        }
    }

    template <class Socket>
    static std::optional<peer> peer_of(Socket& socket) {
        if constexpr (std::is_same_v<Protocol, asio::local::stream_protocol>) {
            ucred who{};
            socklen_t size = sizeof who;
            if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &who, &size) == 0)
                return peer{who.uid, who.gid, who.pid, groups_of(socket.native_handle())};
        }
        return std::nullopt;
    }

    loop_executor on_;
    acceptor listening_;
    server_handler handler_;
    server_rules rules_;
    event ended_;
    std::set<connection*> open_;
    std::map<std::uint64_t, steady_time> next_turn_;  // by owner, of those who are not trusted
    std::size_t running_ = 0;
    bool stopping_ = false;
};

}  // namespace

result<std::unique_ptr<http_server>> http_server::on_socket(loop_executor on, const std::string& path, unsigned mode,
                                                            server_handler handler, server_rules rules) {
    using protocol = asio::local::stream_protocol;
    if (path.size() >= sizeof(sockaddr_un::sun_path))
        return fail(problem{
            .what = "longer than a Unix socket's name may be (107 bytes)", .hint = "set http.socket", .file = path});
    struct stat st {};
    if (::lstat(path.c_str(), &st) == 0) {
        if (!S_ISSOCK(st.st_mode))
            return fail(
                problem{.what = "is there and no socket", .hint = "set http.socket to another path", .file = path});
        // The folder lock says that no other daemon of ours is alive, so this one is stale.
        if (::unlink(path.c_str()) != 0) return fail(errno_problem("remove stale socket", path, errno));
    }
    error_code ec;
    asio::basic_socket_acceptor<protocol, loop_executor> listening(on);
    listening.open(protocol(), ec);
    if (!ec) listening.bind(protocol::endpoint(path), ec);
    if (!ec && ::chmod(path.c_str(), mode) != 0) ec = error_code(errno, boost::system::system_category());
    if (!ec) listening.listen(asio::socket_base::max_listen_connections, ec);
    if (ec)
        return fail(
            problem{.what = "listen: " + ec.message(), .hint = "check http.socket and its folder", .file = path});
    return std::make_unique<server<protocol>>(on, std::move(listening), std::move(handler), std::move(rules));
}

result<std::unique_ptr<http_server>> http_server::on_address(loop_executor on, const std::string& address,
                                                             server_handler handler, server_rules rules) {
    using protocol = asio::ip::tcp;
    const std::size_t colon = address.rfind(':');
    std::string host = address.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    error_code ec;
    const auto ip = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, ec);
    unsigned port = 0;
    const char* const last = address.data() + address.size();
    const char* const digits = colon == std::string::npos ? last : address.data() + colon + 1;
    const auto [end, wrong] = std::from_chars(digits, last, port);
    if (ec || wrong != std::errc{} || end != last || port > 65535)
        return fail(problem{.what = "\"" + address + "\" is no address:port", .hint = {}, .field = "http.listen"});
    asio::basic_socket_acceptor<protocol, loop_executor> listening(on);
    const protocol::endpoint at(ip, static_cast<std::uint16_t>(port));
    listening.open(at.protocol(), ec);
    if (!ec) listening.set_option(asio::socket_base::reuse_address(true), ec);
    if (!ec) listening.bind(at, ec);
    if (!ec) listening.listen(asio::socket_base::max_listen_connections, ec);
    if (ec)
        return fail(problem{.what = "listen on " + address + ": " + ec.message(),
                            .hint = "set http.listen to a free port, or to \"\" for none",
                            .field = "http.listen"});
    return std::make_unique<server<protocol>>(on, std::move(listening), std::move(handler), std::move(rules));
}

}  // namespace culld

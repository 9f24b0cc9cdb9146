#include "ctl/daemon/control_client.hpp"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <utility>

#include "culld/core/base/ascii.hpp"
#include "culld/core/base/exit_code.hpp"

namespace culld::ctl {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using local = asio::local::stream_protocol;
using boost::system::error_code;

constexpr std::chrono::seconds patience(10);
constexpr std::uint64_t answer_bytes_max = 64U << 20U;

tl::unexpected<control_error> failed(control_failure kind, const std::string& socket, const error_code& why,
                                     std::string hint) {
    return tl::unexpected(control_error{kind, {.what = why.message(), .hint = std::move(hint), .file = socket}});
}

// What a completion handler was told: one thing is under way at a time.
struct completion {
    error_code ec;
    void operator()(error_code e, std::size_t = 0) { ec = e; }
};

}  // namespace

tl::expected<control_answer, control_error> ask(const std::string& socket, std::string_view method,
                                                std::string_view target, std::string_view body) {
    const auto cut = [&](const error_code& why) {
        return failed(control_failure::broken, socket, why, "the daemon did not answer; look at its log");
    };
    // sun_path holds 107 bytes and a zero; Asio throws beyond.
    if (socket.size() > 107)
        return failed(control_failure::unreachable, socket, asio::error::name_too_long,
                      "a socket's path may have 107 bytes at the most");
    asio::io_context io(1);
    beast::basic_stream<local, asio::io_context::executor_type> stream(io.get_executor());
    completion done;
    const auto run = [&] {
        io.restart();
        io.run();
        return !done.ec.failed();
    };
    stream.expires_after(patience);
    stream.async_connect(local::endpoint(socket), std::ref(done));
    if (!run()) {
        const bool forbidden = done.ec == boost::system::errc::permission_denied;
        return failed(forbidden ? control_failure::forbidden : control_failure::unreachable, socket, done.ec,
                      forbidden ? "you may not speak with the daemon: its group may" : "is culld running?");
    }
    http::request<http::string_body> request;
    request.method(http::string_to_verb({method.data(), method.size()}));
    request.target({target.data(), target.size()});
    request.version(11);
    request.set(http::field::host, "localhost");
    request.set(http::field::connection, "close");
    if (!body.empty()) request.set(http::field::content_type, "application/json");
    request.body() = body;
    request.prepare_payload();
    http::async_write(stream, request, std::ref(done));
    if (!run()) return cut(done.ec);
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> response;
    response.body_limit(answer_bytes_max);
    http::async_read(stream, buffer, response, std::ref(done));
    if (!run()) return cut(done.ec);
    return control_answer{response.get().result_int(), std::move(response.get().body())};
}

int exit_code_of(const control_error& error) {
    return error.kind == control_failure::forbidden ? not_allowed : no_daemon;
}

int exit_code_of(const control_answer& refusal) {
    switch (refusal.status) {
        case 400: return usage;
        case 401:
        case 403: return not_allowed;
        case 404: return not_there;
        case 409:
        case 503: return try_later;
        default: return io_error;
    }
}

problem problem_of(const control_answer& refusal) {
    error_code ec;
    const boost::json::value parsed = boost::json::parse(refusal.body, ec);
    problem out{.what = fmt::format("the daemon answered {}", refusal.status)};
    if (ec || !parsed.is_object()) return out;
    if (const auto* what = parsed.as_object().if_contains("error"); what != nullptr && what->is_string())
        out.what = std::string(what->as_string());
    if (const auto* hint = parsed.as_object().if_contains("hint"); hint != nullptr && hint->is_string())
        out.hint = std::string(hint->as_string());
    return out;
}

}  // namespace culld::ctl

// One connection: Beast parses the head, the body is read in place behind it, the answer goes out in one
// write.
#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstring>
#include <type_traits>
#include <vector>

#include "emulator/http/server.hpp"

namespace culld::emulator {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using tls_stream = asio::ssl::stream<tcp::socket>;

namespace {

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

// The gateway's limits (secmaster-api 5.2, APIGW.0201).
constexpr std::size_t headers_bytes_max = 128 * 1024;
constexpr std::size_t header_bytes_max = 32 * 1024;
constexpr std::size_t target_bytes_max = 32 * 1024;
constexpr std::size_t body_bytes_max = 12 * 1024 * 1024;
constexpr std::size_t buffer_bytes = 64 * 1024;

std::string_view view(boost::beast::string_view text) {
    return {text.data(), text.size()};
}

// What has been received and not yet consumed, in one piece.
class inbox {
  public:
    [[nodiscard]] asio::const_buffer unread() const { return {bytes_.data() + begin_, end_ - begin_}; }
    [[nodiscard]] std::size_t size() const { return end_ - begin_; }
    [[nodiscard]] std::string_view front(std::size_t count) const { return {bytes_.data() + begin_, count}; }
    void consume(std::size_t count) {
        begin_ += count;
        if (begin_ == end_) begin_ = end_ = 0;
    }
    // Room for at least one byte more, and for `total` unread bytes altogether. Moves what is there.
    [[nodiscard]] asio::mutable_buffer room(std::size_t total) {
        total = std::max(total, size() + 1);
        if (begin_ > 0 && begin_ + total > bytes_.size()) {
            std::memmove(bytes_.data(), bytes_.data() + begin_, size());
            end_ -= begin_;
            begin_ = 0;
        }
        if (begin_ + total > bytes_.size()) bytes_.resize(std::max(begin_ + total, bytes_.size() * 2));
        return {bytes_.data() + end_, bytes_.size() - end_};
    }
    void received(std::size_t count) { end_ += count; }

  private:
    std::vector<char> bytes_ = std::vector<char>(buffer_bytes);
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

template <class Stream>
class stream_connection final : public connection {
  public:
    stream_connection(server& owner, Stream stream)
        : owner_(owner), stream_(std::move(stream)), timer_(stream_.get_executor()) {}

    asio::awaitable<void> run() override;
    void abort() override {
        aborted_ = true;
        timer_.cancel();
        close();
    }

  private:
    enum class step { go_on, end, refused };

    // Reads a request's head; refused: no request of ours, reply_ says why.
    asio::awaitable<step> read_head();
    asio::awaitable<step> read_body();
    asio::awaitable<step> read_chunked_body();
    // True if something came.
    asio::awaitable<bool> fill(std::size_t total);
    asio::awaitable<bool> send(std::string_view bytes);
    // Carries reply_ out. True if the connection goes on.
    asio::awaitable<bool> finish();

    step refuse(int status, std::string_view message);
    step take_head();
    tcp::socket& socket() {
        if constexpr (std::is_same_v<Stream, tcp::socket>)
            return stream_;
        else
            return stream_.next_layer();
    }
    void close() {
        boost::system::error_code ignored;
        socket().close(ignored);
    }
    void close_with_reset() {
        boost::system::error_code ignored;
        socket().set_option(asio::socket_base::linger(true, 0), ignored);
        close();
    }

    server& owner_;
    Stream stream_;
    asio::steady_timer timer_;
    bool aborted_ = false;
    bool keep_alive_ = true;
    inbox in_;
    std::string out_;
    std::optional<http::request_parser<http::empty_body>> head_;
    std::optional<http::request_parser<http::string_body>> chunked_;
    std::size_t body_bytes_ = 0;  // of the body that stands in in_
    std::vector<header> headers_;
    request request_;
    reply reply_;
};

template <class Stream>
asio::awaitable<bool> stream_connection<Stream>::fill(std::size_t total) {
    const asio::mutable_buffer room = in_.room(total);
    const auto [error, count] = co_await stream_.async_read_some(room, as_result);
    in_.received(count);
    co_return !error && count > 0 && !aborted_;
}

template <class Stream>
asio::awaitable<bool> stream_connection<Stream>::send(std::string_view bytes) {
    std::size_t sent = 0;
    if constexpr (std::is_same_v<Stream, tcp::socket>) {
        // The socket nearly always takes the answer whole; only what it leaves needs the reactor.
        boost::system::error_code error;
        sent = stream_.write_some(asio::const_buffer(bytes.data(), bytes.size()), error);
        if (error && error != asio::error::would_block) co_return false;
        if (sent == bytes.size()) co_return true;
    }
    const asio::const_buffer rest(bytes.data() + sent, bytes.size() - sent);
    const auto [error, count] = co_await asio::async_write(stream_, rest, as_result);
    co_return !error && count == rest.size();
}

template <class Stream>
auto stream_connection<Stream>::refuse(int status, std::string_view message) -> step {
    gateway_error(reply_, status, "APIGW.0201", message);
    reply_.close = true;
    reply_.did = "refused by the gateway";
    if (request_.method.empty()) request_.arrived = std::chrono::steady_clock::now();
    ++owner_.state().counts.malformed;
    ++owner_.state().counts.statuses[static_cast<std::size_t>(status)];
    return step::refused;
}

template <class Stream>
auto stream_connection<Stream>::read_head() -> asio::awaitable<step> {
    request_ = {};
    chunked_.reset();
    head_.emplace();
    head_->header_limit(headers_bytes_max);
    head_->body_limit(body_bytes_max);
    for (;;) {
        if (in_.size() > 0) {
            boost::system::error_code error;
            in_.consume(head_->put(in_.unread(), error));
            if (error == http::error::header_limit) co_return refuse(494, "The headers are larger than 128 KB");
            if (error == http::error::body_limit) co_return refuse(413, "The body is larger than 12 MB");
            if (error && error != http::error::need_more) co_return refuse(400, "Bad request");
            if (head_->is_header_done()) co_return take_head();
        }
        if (!co_await fill(0)) co_return step::end;
    }
}

// The head is complete: this is the moment of arrival.
template <class Stream>
auto stream_connection<Stream>::take_head() -> step {
    const auto& message = head_->get();
    request_.arrived = std::chrono::steady_clock::now();
    request_.method = view(message.method_string());
    request_.target = view(message.target());
    headers_.clear();
    bool too_large = false;
    for (const auto& field : message) {
        headers_.push_back({view(field.name_string()), view(field.value())});
        too_large = too_large || field.value().size() > header_bytes_max;
    }
    request_.headers = headers_;
    keep_alive_ = message.keep_alive();
    request_.number = arrived(owner_.state(), request_.target, request_.arrived);
    if (request_.target.size() > target_bytes_max) return refuse(414, "The URI is longer than 32 KB");
    if (too_large) return refuse(494, "A header is larger than 32 KB");
    return step::go_on;
}

template <class Stream>
auto stream_connection<Stream>::read_body() -> asio::awaitable<step> {
    body_bytes_ = 0;
    const header* expect = find_header(headers_, "expect");
    if (expect != nullptr && expect->value == "100-continue")
        if (!co_await send("HTTP/1.1 100 Continue\r\n\r\n")) co_return step::end;
    if (head_->chunked()) co_return co_await read_chunked_body();
    const std::size_t length = head_->content_length().value_or(0);
    while (in_.size() < length)
        if (!co_await fill(length)) co_return step::end;
    body_bytes_ = length;
    request_.body = in_.front(length);
    co_return step::go_on;
}

// Rare enough to be read into a string of its own.
template <class Stream>
auto stream_connection<Stream>::read_chunked_body() -> asio::awaitable<step> {
    // The head's fields move on into the parser that goes on from it, and the views with them.
    chunked_.emplace(std::move(*head_));
    chunked_->eager(true);
    while (!chunked_->is_done()) {
        if (in_.size() > 0) {
            boost::system::error_code error;
            in_.consume(chunked_->put(in_.unread(), error));
            if (error == http::error::body_limit) co_return refuse(413, "The body is larger than 12 MB");
            if (error && error != http::error::need_more) co_return refuse(400, "Bad request");
            if (!error) continue;
        }
        if (!co_await fill(0)) co_return step::end;
    }
    request_.body = chunked_->get().body();
    co_return step::go_on;
}

template <class Stream>
asio::awaitable<bool> stream_connection<Stream>::finish() {
    if (reply_.delay.count() > 0) {
        timer_.expires_after(reply_.delay);
        [[maybe_unused]] const auto [cancelled] = co_await timer_.async_wait(as_result);
        if (aborted_) co_return false;
    }
    switch (reply_.how) {
        case reply::ending::close: co_return false;
        case reply::ending::reset: close_with_reset(); co_return false;
        case reply::ending::refuse:
            // The listener goes first: the client, once reset, may be back at once.
            owner_.go_dark(reply_.refuse_for);
            co_return false;
        case reply::ending::hang:
            while (co_await fill(0)) in_.consume(in_.size());
            co_return false;
        case reply::ending::send:
        case reply::ending::cut: break;
    }
    out_.clear();
    append_response(out_, reply_, owner_.date());
    const bool cut = reply_.how == reply::ending::cut;
    if (cut) out_.resize(out_.size() - (reply_.body.size() + 1) / 2);
    if (!co_await send(out_) || cut) co_return false;
    if (!reply_.close) co_return true;
    // What the client is still sending is read and dropped: closing over unread bytes would reset the
    // connection, and a reset can overtake the answer.
    boost::system::error_code ignored;
    socket().shutdown(tcp::socket::shutdown_send, ignored);
    for (std::size_t dropped = 0; dropped < 2 * body_bytes_max && co_await fill(0);) {
        dropped += in_.size();
        in_.consume(in_.size());
    }
    co_return false;
}

template <class Stream>
asio::awaitable<void> stream_connection<Stream>::run() {
    boost::system::error_code ignored;
    socket().set_option(tcp::no_delay(true), ignored);
    socket().non_blocking(true, ignored);
    if constexpr (!std::is_same_v<Stream, tcp::socket>) {
        // Asio clears OpenSSL's error queue before every call into it (ssl/detail/impl/engine.ipp), so what
        // one peer's unclean end leaves there is not taken for another's failure.
        const auto [failed] = co_await stream_.async_handshake(asio::ssl::stream_base::server, as_result);
        if (failed) co_return;
    }
    for (bool go_on = true; go_on && !aborted_;) {
        reply_.clear();
        step next = co_await read_head();
        if (next == step::go_on) next = co_await read_body();
        if (next == step::end) break;
        if (next == step::go_on) {
            reply_.close = !keep_alive_;
            answer(owner_.state(), request_, reply_);
        }
        owner_.log().write(request_, reply_);
        in_.consume(body_bytes_);
        body_bytes_ = 0;
        go_on = co_await finish();
    }
    close();
}

}  // namespace

std::unique_ptr<connection> make_connection(server& owner, tcp::socket socket, asio::ssl::context* tls) {
    if (tls == nullptr) return std::make_unique<stream_connection<tcp::socket>>(owner, std::move(socket));
    return std::make_unique<stream_connection<tls_stream>>(owner, tls_stream(std::move(socket), *tls));
}

}  // namespace culld::emulator

#include "culld/io/http/tls_socket.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/core/error.hpp>
#include <cerrno>
#include <cstring>

namespace culld {

using boost::system::error_code;

namespace {

constexpr std::size_t sealed_room = std::size_t{17} * 1024;  // a record of TLS and what is around it

bool would_block(int error) {
    return error == EAGAIN || error == EWOULDBLOCK;
}

// As much as the kernel takes without waiting; 0 and `error` where that is nothing.
std::size_t send_some(int fd, std::string_view bytes, int& error) {
    ssize_t n = 0;
    do n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    error = n < 0 ? errno : 0;
    return n < 0 ? 0 : static_cast<std::size_t>(n);
}

}  // namespace

// OpenSSL's own BIO for sockets reads twice for each record and knows no MSG_NOSIGNAL; a pair of memory BIOs, as Asio
// has it, copies every byte twice more and holds four buffers for each connection.
struct tls_socket::socket_bio {
    static int write(::BIO* b, const char* from, int size) {
        auto* const self = static_cast<tls_socket*>(::BIO_get_data(b));
        ::BIO_clear_retry_flags(b);
        const std::size_t sent =
            send_some(self->socket_.native_handle(), {from, static_cast<std::size_t>(size)}, self->send_error_);
        if (self->send_error_ == 0) return static_cast<int>(sent);
        if (would_block(self->send_error_)) ::BIO_set_retry_write(b);
        return -1;
    }
    static int read(::BIO* b, char* to, int size) {
        auto* const self = static_cast<tls_socket*>(::BIO_get_data(b));
        ::BIO_clear_retry_flags(b);
        const std::size_t n = std::min(static_cast<std::size_t>(size), self->sealed_end_ - self->sealed_at_);
        if (n == 0) {
            ::BIO_set_retry_read(b);
            return -1;
        }
        std::memcpy(to, self->sealed_.get() + self->sealed_at_, n);
        self->sealed_at_ += n;
        return static_cast<int>(n);
    }
    static long control(::BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

    static const ::BIO_METHOD* method() {
        static const ::BIO_METHOD* const made = [] {
            ::BIO_METHOD* const out = ::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "culld wire");
            if (out != nullptr) {
                ::BIO_meth_set_write(out, write);
                ::BIO_meth_set_read(out, read);
                ::BIO_meth_set_ctrl(out, control);
            }
            return out;
        }();
        return made;
    }
};

tls_socket::tls_socket(loop_executor on) : socket_(on), deadline_(on), alive_(std::make_shared<bool>(true)) {}

tls_socket::~tls_socket() {
    *alive_ = false;
    drop();
}

void tls_socket::expires_at(steady_time at) {
    timed_out_ = false;
    deadline_.expires_at(at);
    deadline_.async_wait([this, alive = alive_](error_code ec) {
        // One that was due already when another was set comes all the same.
        if (ec || !*alive || steady_now() < deadline_.expiry()) return;
        timed_out_ = true;
        error_code ignored;
        socket_.cancel(ignored);
    });
}

task<error_code> tls_socket::connect(asio::ip::tcp::endpoint to) {
    auto [ec] = co_await socket_.async_connect(to, as_tuple_task);
    if (timed_out_) ec = boost::beast::error::timeout;
    if (!ec) {
        error_code ignored;
        socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    }
    co_return ec;
}

bool tls_socket::is_quiet() {
    if (!socket_.is_open()) return false;
    char byte = 0;
    return ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && would_block(errno);
}

void tls_socket::close() {
    error_code ignored;
    socket_.close(ignored);
}

void tls_socket::drop() {
    // Else OpenSSL takes an end without close_notify for a reason not to take the session up again.
    if (tls_) ::SSL_set_shutdown(tls_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    tls_.reset();
    sealed_at_ = sealed_end_ = 0;
    never_expires();
    close();
}

bool tls_socket::begin_tls(::SSL_CTX* context, const std::string& host) {
    tls_.reset(::SSL_new(context));
    if (!tls_) return false;
    ::BIO* const below = ::BIO_new(socket_bio::method());
    if (below == nullptr) return false;
    ::BIO_set_data(below, this);
    ::BIO_set_init(below, 1);
    ::SSL_set_bio(tls_.get(), below, below);
    ::SSL_set_connect_state(tls_.get());
    static_cast<void>(::SSL_set_mode(tls_.get(), SSL_MODE_RELEASE_BUFFERS));
    if (!sealed_) sealed_ = std::make_unique_for_overwrite<char[]>(sealed_room);
    ::X509_VERIFY_PARAM* const wanted = ::SSL_get0_param(tls_.get());
    // RFC 9525: what a certificate is for stands in its subject alternative names, and a wildcard is a whole label.
    ::X509_VERIFY_PARAM_set_hostflags(wanted,
                                      X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    error_code no_address;
    asio::ip::make_address(host, no_address);
    if (!no_address) return ::X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str()) == 1;
    // Server Name Indication is for names only (RFC 6066, section 3). (The macro for this casts in C style.)
    std::string name = host;
    return ::X509_VERIFY_PARAM_set1_host(wanted, host.data(), host.size()) == 1 &&
           ::SSL_ctrl(tls_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data()) == 1;
}

task<error_code> tls_socket::unblock(int result) {
    switch (::SSL_get_error(tls_.get(), result)) {
        case SSL_ERROR_WANT_READ: co_return co_await receive_sealed();
        case SSL_ERROR_WANT_WRITE: co_return co_await wait_until_writable();
        case SSL_ERROR_ZERO_RETURN: co_return asio::error::eof;
        case SSL_ERROR_SYSCALL: co_return error_code(send_error_, boost::system::system_category());
        default: co_return error_code(static_cast<int>(::ERR_get_error()), asio::error::get_ssl_category());
    }
}

task<error_code> tls_socket::receive_sealed() {
    const piece got = co_await receive(sealed_.get(), sealed_room);
    sealed_at_ = 0;
    sealed_end_ = got.bytes;
    // An end that TLS does not know of may be an attacker's.
    if (got.ec == asio::error::eof) co_return asio::ssl::error::stream_truncated;
    co_return got.ec;
}

task<error_code> tls_socket::shake_hands() {
    for (;;) {
        ::ERR_clear_error();
        const int result = ::SSL_do_handshake(tls_.get());
        if (result == 1) co_return error_code();
        if (const error_code ec = co_await unblock(result)) co_return ec;
    }
}

task<error_code> tls_socket::write(std::string_view bytes) {
    while (!bytes.empty()) {
        if (tls_) {
            ::ERR_clear_error();
            std::size_t sent = 0;
            const int result = ::SSL_write_ex(tls_.get(), bytes.data(), bytes.size(), &sent);
            bytes.remove_prefix(sent);
            if (result == 1) continue;
            if (const error_code ec = co_await unblock(result)) co_return ec;
        } else {
            int error = 0;
            bytes.remove_prefix(send_some(socket_.native_handle(), bytes, error));
            if (error == 0) continue;
            if (!would_block(error)) co_return error_code(error, boost::system::system_category());
            if (const error_code ec = co_await wait_until_writable()) co_return ec;
        }
    }
    co_return error_code();
}

task<tls_socket::piece> tls_socket::read_some(char* to, std::size_t room) {
    if (!tls_) co_return co_await receive(to, room);
    for (;;) {
        piece out;
        // OpenSSL would only find out that there is nothing yet.
        if (!left_over()) out.ec = co_await receive_sealed();
        if (out.ec) co_return out;
        ::ERR_clear_error();
        const int result = ::SSL_read_ex(tls_.get(), to, room, &out.bytes);
        if (result == 1) co_return out;
        out.ec = co_await unblock(result);
        if (out.ec) co_return out;
    }
}

bool tls_socket::left_over() const {
    return tls_ && (sealed_at_ < sealed_end_ || ::SSL_has_pending(tls_.get()) == 1);
}

task<tls_socket::piece> tls_socket::receive(char* to, std::size_t room) {
    piece out;
    if (!timed_out_) {
        auto [ec, got] = co_await socket_.async_receive(asio::buffer(to, room), as_tuple_task);
        out.ec = ec;
        out.bytes = got;
    }
    if (timed_out_) out.ec = boost::beast::error::timeout;
    co_return out;
}

task<error_code> tls_socket::wait_until_writable() {
    error_code out;
    if (!timed_out_) {
        auto [ec] = co_await socket_.async_wait(tcp_socket::wait_write, as_tuple_task);
        out = ec;
    }
    if (timed_out_) out = boost::beast::error::timeout;
    co_return out;
}

}  // namespace culld

// The bytes of one connection to a server: TCP, and TLS over it once that is begun.
//
// Lean, since there is one for each request that may be in flight: what a server sends is read in pieces of 16 KiB,
// what we send goes to the kernel from where it lies, and OpenSSL's own buffers are there only while it needs them.
// One deadline stands over all that is awaited, until it is lifted or another is set: a timer for each read and write
// would cost more than they do. Loop thread; one operation at a time.
#pragma once

#include <openssl/ssl.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "culld/io/os/event_loop.hpp"

namespace culld {

class tls_socket {
  public:
    explicit tls_socket(loop_executor on);
    ~tls_socket();
    tls_socket(const tls_socket&) = delete;
    tls_socket& operator=(const tls_socket&) = delete;

    // What is awaited then ends with beast::error::timeout, as does what is begun later.
    void expires_at(steady_time at);
    void never_expires() { deadline_.cancel(); }

    // As new, or dropped.
    [[nodiscard]] task<boost::system::error_code> connect(asio::ip::tcp::endpoint to);
    [[nodiscard]] bool is_open() const { return socket_.is_open(); }
    // Open, and nothing to read: neither bytes that nobody asked for, nor the end.
    [[nodiscard]] bool is_quiet();
    // Ends whatever is awaited.
    void close();
    // As close(), and TLS and what was received are forgotten. Not while something is awaited.
    void drop();

    // TLS from now on, as `context` has it, with a peer that must have a certificate for `host` (a name or an address)
    // among its subject alternative names.
    // False where OpenSSL refuses that. Then tls() is there, for what else is to be said before shake_hands().
    [[nodiscard]] bool begin_tls(::SSL_CTX* context, const std::string& host);
    [[nodiscard]] ::SSL* tls() const { return tls_.get(); }
    [[nodiscard]] task<boost::system::error_code> shake_hands();

    // All of `bytes`, which stay where they are till then.
    [[nodiscard]] task<boost::system::error_code> write(std::string_view bytes);
    struct piece {
        boost::system::error_code ec;  // asio::error::eof at the end; of TLS, where it was ended as it should be
        std::size_t bytes = 0;
    };
    // At least one byte of what comes, into [to, to + room).
    [[nodiscard]] task<piece> read_some(char* to, std::size_t room);
    // Bytes are here that read_some() has not handed out, perhaps still encrypted.
    [[nodiscard]] bool left_over() const;

  private:
    struct free_tls {
        void operator()(::SSL* s) const { ::SSL_free(s); }
    };
    struct socket_bio;  // what OpenSSL reads from and writes to
    using tcp_socket = asio::basic_stream_socket<asio::ip::tcp, loop_executor>;

    // Until OpenSSL can go on behind `result`; an error where it cannot.
    [[nodiscard]] task<boost::system::error_code> unblock(int result);
    [[nodiscard]] task<boost::system::error_code> receive_sealed();
    [[nodiscard]] task<piece> receive(char* to, std::size_t room);
    [[nodiscard]] task<boost::system::error_code> wait_until_writable();

    tcp_socket socket_;
    loop_timer deadline_;
    bool timed_out_ = false;
    std::unique_ptr<::SSL, free_tls> tls_;
    std::unique_ptr<char[]> sealed_;  // received, not yet decrypted
    std::size_t sealed_at_ = 0, sealed_end_ = 0;
    int send_error_ = 0;           // errno, of OpenSSL's last attempt
    std::shared_ptr<bool> alive_;  // for a timer that comes after the end
};

}  // namespace culld

// TLS as a client: whom we trust, who we are, and sessions taken up again (OpenSSL).
#pragma once

#include <openssl/ssl.h>

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"

namespace culld {

// For servers that ask who we are (mutual TLS).
struct client_certificate {
    std::string chain_file;     // PEM, our own certificate first; empty: none
    std::string_view key = {};  // PEM, without a passphrase; a secret, read from here only
};

// A context that verifies: the system's authorities plus `ca_file`, TLS 1.2 or later, host names checked per
// connection (http_connection). Blocking: reads the files.
[[nodiscard]] result<std::unique_ptr<boost::asio::ssl::context>> make_tls_context(const std::string& ca_file,
                                                                                  const client_certificate& ours = {});

// The latest session that a peer granted, offered to the same peer by the next connection: a handshake without
// certificates and their checks (RFC 8446, section 2.2). A session is granted only after its certificate was found
// good, and carries that finding with it; so one object serves one host name under one context. One thread.
class resumable_session {
  public:
    // Offers what is kept on this connection, before its handshake, and keeps what its peer grants. Must outlive it.
    void attach(::SSL* connection);
    void forget() { kept_.reset(); }

  private:
    friend result<std::unique_ptr<boost::asio::ssl::context>> make_tls_context(const std::string&,
                                                                               const client_certificate&);
    struct release {
        void operator()(::SSL_SESSION* session) const { ::SSL_SESSION_free(session); }
    };
    static int granted(::SSL* connection, ::SSL_SESSION* session);

    std::unique_ptr<::SSL_SESSION, release> kept_;
};

}  // namespace culld

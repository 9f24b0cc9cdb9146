#include "culld/io/http/tls_context.hpp"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <cstdlib>
#include <new>

#include "culld/io/os/file.hpp"

namespace culld {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

namespace {

// Where a connection keeps the way back to its resumable_session.
int session_index() {
    static const int index = ::SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

// The file in which the system keeps all its authorities, read when an issuer is found nowhere else: to parse 140
// certificates takes 60 ms and 1.2 MiB, and the one that is needed nearly always lies in the system's folder as well,
// under a name by which OpenSSL finds it (openssl-rehash(1)).
class bundle_of_authorities {
  public:
    static void add_to(::SSL_CTX* context) {
        static ::X509_LOOKUP_METHOD* const method = [] {
            ::X509_LOOKUP_METHOD* const out = ::X509_LOOKUP_meth_new("culld bundle of authorities");
            if (out != nullptr) ::X509_LOOKUP_meth_set_get_by_subject(out, find);
            return out;
        }();
        if (method == nullptr || ::X509_STORE_add_lookup(::SSL_CTX_get_cert_store(context), method) == nullptr)
            throw std::bad_alloc();
    }

  private:
    // After the store, and the folder, have been looked through. No lock is held.
    static int find(::X509_LOOKUP* self, ::X509_LOOKUP_TYPE type, const ::X509_NAME* name, ::X509_OBJECT* out) {
        if (type != X509_LU_X509 || ::X509_LOOKUP_get_method_data(self) != nullptr) return 0;
        ::X509_LOOKUP_set_method_data(self, self);  // it is read once
        ::X509_STORE* const store = ::X509_LOOKUP_get_store(self);
        const char* file = ::secure_getenv(::X509_get_default_cert_file_env());
        if (file == nullptr) file = ::X509_get_default_cert_file();
        ::ERR_set_mark();  // a system without that file trusts what is in the folder
        static_cast<void>(::X509_STORE_load_file(store, file));
        ::ERR_pop_to_mark();
        int found = 0;
        if (::X509_STORE_lock(store) != 1) return 0;
        if (::X509_OBJECT* const there =
                ::X509_OBJECT_retrieve_by_subject(::X509_STORE_get0_objects(store), type, name);
            there != nullptr) {
            ::X509* const certificate = ::X509_OBJECT_get0_X509(there);
            found = ::X509_OBJECT_set1_X509(out, certificate);
            // Whoever asks borrows from the store, as from OpenSSL's own look-ups.
            if (found == 1) ::X509_free(certificate);
        }
        ::X509_STORE_unlock(store);
        return found;
    }
};

}  // namespace

void resumable_session::attach(::SSL* connection) {
    if (session_index() < 0 || ::SSL_set_ex_data(connection, session_index(), this) != 1) return;  // then without
    if (!kept_) return;
    static_cast<void>(::SSL_set_session(connection, kept_.get()));
    // From 1.3 on used once: a server that takes it grants the next (RFC 8446, appendix C.4). Before, it may not.
    if (::SSL_SESSION_get_protocol_version(kept_.get()) >= TLS1_3_VERSION) kept_.reset();
}

int resumable_session::granted(::SSL* connection, ::SSL_SESSION* session) {
    auto* const self = static_cast<resumable_session*>(::SSL_get_ex_data(connection, session_index()));
    if (self == nullptr || ::SSL_get_verify_result(connection) != X509_V_OK) return 0;
    self->kept_.reset(session);
    return 1;  // it is ours now
}

result<std::unique_ptr<ssl::context>> make_tls_context(const std::string& ca_file, const client_certificate& ours) {
    auto context = std::make_unique<ssl::context>(ssl::context::tls_client);
    error_code ec;
    context->set_verify_mode(ssl::verify_peer, ec);
    if (ec) return fail("set up TLS: " + ec.message());
    ::SSL_CTX* const handle = context->native_handle();
    if (::SSL_CTX_set_default_verify_dir(handle) != 1) return fail("set up TLS: no folder of authorities");
    bundle_of_authorities::add_to(handle);
    if (::SSL_CTX_set_min_proto_version(handle, TLS1_2_VERSION) != 1) return fail("set up TLS: no TLS 1.2");
    static_cast<void>(::SSL_CTX_set_session_cache_mode(handle, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL));
    ::SSL_CTX_sess_set_new_cb(handle, &resumable_session::granted);
    const auto refuse = [](const std::string& why, const std::string& hint, const std::string& file,
                           std::string_view setting) {
        return fail(problem{.what = why, .hint = hint, .file = file, .field = std::string(setting)});
    };
    // OpenSSL opens what it is told to, and would wait for a FIFO.
    for (const std::string& file : {ca_file, ours.chain_file})
        if (!file.empty())
            if (const auto there = open_regular(file); !there) return fail(there.error());
    if (!ca_file.empty()) {
        context->load_verify_file(ca_file, ec);
        if (ec) return refuse("cannot read certificates: " + ec.message(), {}, ca_file, "api.ca_file");
    }
    if (!ours.chain_file.empty()) {
        context->use_certificate_chain_file(ours.chain_file, ec);
        if (ec)
            return refuse("cannot read our own certificate: " + ec.message(), "PEM, ours first", ours.chain_file,
                          "api.client_cert_file");
        // Without this OpenSSL would ask on the terminal.
        context->set_password_callback([](std::size_t, ssl::context::password_purpose) { return std::string(); }, ec);
        if (!ec) context->use_private_key(boost::asio::buffer(ours.key), ssl::context::pem, ec);
        if (ec)
            return refuse("the key of our certificate cannot be used: " + ec.message(),
                          "api.client_key_file must be PEM without a passphrase", ours.chain_file,
                          "api.client_key_file");
        if (::SSL_CTX_check_private_key(handle) != 1)
            return refuse("api.client_key_file is not the key of this certificate", {}, ours.chain_file,
                          "api.client_key_file");
    }
    return context;
}

}  // namespace culld

// Certificates made for a test: an authority, and servers' certificates that it or nobody else signs.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include "support/hostile_server.hpp"

namespace culld {

struct free_x509 {
    void operator()(X509* certificate) const { ::X509_free(certificate); }
    void operator()(EVP_PKEY* key) const { ::EVP_PKEY_free(key); }
};

struct certificate {
    std::unique_ptr<X509, free_x509> x509;
    std::unique_ptr<EVP_PKEY, free_x509> key;
};

struct certificate_wish {
    std::string name = "test";
    std::string alternative;  // "DNS:localhost,IP:127.0.0.1"; empty: an authority
    long from_days = -1;      // from now
    long to_days = 30;
    bool name_only = false;  // no authority, and no alternative either
};

// Signed by `issuer`, or by itself.
inline certificate make_certificate(const certificate_wish& wish, const certificate* issuer = nullptr) {
    const auto sure = [](bool well) {
        if (!well) throw std::runtime_error("OpenSSL makes no certificate");
    };
    static long serial = 1;
    certificate out;
    out.key.reset(::EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
    out.x509.reset(::X509_new());
    X509* const x = out.x509.get();
    sure(out.key && x != nullptr);
    sure(::X509_set_version(x, 2) == 1 && ::ASN1_INTEGER_set(::X509_get_serialNumber(x), serial++) == 1);
    sure(::X509_gmtime_adj(::X509_getm_notBefore(x), wish.from_days * 86400) != nullptr);
    sure(::X509_gmtime_adj(::X509_getm_notAfter(x), wish.to_days * 86400) != nullptr);
    sure(::X509_set_pubkey(x, out.key.get()) == 1);
    const std::unique_ptr<X509_NAME, decltype(&::X509_NAME_free)> name(::X509_NAME_new(), &::X509_NAME_free);
    sure(::X509_NAME_add_entry_by_txt(name.get(), "CN", MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(wish.name.c_str()), -1, -1, 0) == 1);
    sure(::X509_set_subject_name(x, name.get()) == 1);
    const certificate& by = issuer == nullptr ? out : *issuer;
    sure(::X509_set_issuer_name(x, ::X509_get_subject_name(by.x509.get())) == 1);
    const auto extend = [&](int nid, const char* value) {
        const std::unique_ptr<X509_EXTENSION, decltype(&::X509_EXTENSION_free)> e(
            ::X509V3_EXT_conf_nid(nullptr, nullptr, nid, value), &::X509_EXTENSION_free);
        sure(e && ::X509_add_ext(x, e.get(), -1) == 1);
    };
    extend(NID_basic_constraints,
           wish.alternative.empty() && !wish.name_only ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (!wish.alternative.empty()) extend(NID_subject_alt_name, wish.alternative.c_str());
    sure(::X509_sign(x, by.key.get(), ::EVP_sha256()) > 0);
    return out;
}

inline void write_certificate(const certificate& of, const std::string& path) {
    const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "w"), &std::fclose);
    if (!file || ::PEM_write_X509(file.get(), of.x509.get()) != 1) throw std::runtime_error("cannot write " + path);
}

inline std::string key_pem(const certificate& of) {
    const std::unique_ptr<BIO, int (*)(BIO*)> memory(::BIO_new(::BIO_s_mem()), &::BIO_free);
    char* bytes = nullptr;
    if (!memory || ::PEM_write_bio_PrivateKey(memory.get(), of.key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
        throw std::runtime_error("OpenSSL writes no key");
    const long size = ::BIO_ctrl(memory.get(), BIO_CTRL_INFO, 0, static_cast<void*>(&bytes));
    return {bytes, static_cast<std::size_t>(size)};
}

inline std::unique_ptr<SSL_CTX, free_ssl> server_context(const certificate& of, int newest = TLS1_3_VERSION) {
    std::unique_ptr<SSL_CTX, free_ssl> out(::SSL_CTX_new(::TLS_server_method()));
    if (!out || ::SSL_CTX_use_certificate(out.get(), of.x509.get()) != 1 ||
        ::SSL_CTX_use_PrivateKey(out.get(), of.key.get()) != 1 ||
        ::SSL_CTX_set_min_proto_version(out.get(), TLS1_VERSION) != 1 ||
        ::SSL_CTX_set_max_proto_version(out.get(), newest) != 1)
        throw std::runtime_error("OpenSSL makes no server");
    return out;
}

}  // namespace culld

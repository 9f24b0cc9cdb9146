// Ed25519 signatures of ledger lines and of ledger.head (contract, section 3): over the 64 hex characters of a
// SHA-256, in base64. The same check by hand:
//   openssl pkeyutl -verify -pubin -inkey PUB -rawin -in HEX -sigfile SIG
//
// Keys come in as PEM text; reading the files is io/journal/signing_key_file's. Values; one thread at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/base/problem.hpp"

struct evp_pkey_st;

namespace culld {

struct release_key {
    void operator()(evp_pkey_st* key) const noexcept;
};
using key_handle = std::unique_ptr<evp_pkey_st, release_key>;

// The public keys whose signatures are believed. Several, so that a key can be replaced: the old one still has to
// vouch for what it signed.
class public_keys {
  public:
    // One or more PEM blocks "PUBLIC KEY" (SubjectPublicKeyInfo, RFC 8410), with any text around them.
    [[nodiscard]] static result<public_keys> parse(std::string_view pem);

    // Did the owner of one of them sign `text`? `signature` is base64 in its one canonical form: a signature of
    // which any bit was changed is none, the unused bits of its last digit included.
    [[nodiscard]] bool signed_by_one(std::string_view text, std::string_view signature) const;

    [[nodiscard]] std::size_t count() const { return keys_.size(); }
    // The one of them with that id; none if it is not here. A key's id is the SHA-256 of its SubjectPublicKeyInfo:
    //   openssl pkey -pubin -in PUB -outform DER | sha256sum
    [[nodiscard]] std::optional<public_keys> only(std::string_view id) const;
    // The id of the first.
    [[nodiscard]] std::string id() const;
    [[nodiscard]] bool contains(const public_keys& other) const;
    // Takes over those of `other` that are not here yet.
    void add(public_keys other);

  private:
    friend class signing_key;
    std::vector<key_handle> keys_;
};

// The private key. OpenSSL holds it and wipes it when this goes away.
class signing_key {
  public:
    // PEM, PKCS#8, not encrypted (RFC 8410): what `openssl genpkey -algorithm ed25519` writes. What is decoded on
    // the way is wiped; the text is the caller's to wipe. No message holds any of it.
    [[nodiscard]] static result<signing_key> parse(std::string_view pem);

    // Base64 of the signature, 88 characters. Throws std::runtime_error if the library refuses to work, since
    // nothing may be recorded as signed that is not.
    [[nodiscard]] std::string sign(std::string_view text) const;
    // Its public half.
    [[nodiscard]] public_keys public_half() const;

  private:
    key_handle key_;
};

}  // namespace culld

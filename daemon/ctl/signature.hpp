// Ed25519 signatures of ledger heads (contract, section 3): over the 64 hex characters, base64. The same
// check by hand:
//   openssl pkeyutl -verify -pubin -inkey PUB -rawin -in HEX -sigfile SIG
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "culld/core/problem.hpp"

struct evp_pkey_st;

namespace culld::ctl {

class public_key {
  public:
    // PEM, SubjectPublicKeyInfo, Ed25519.
    static result<public_key> load(const std::string& path);

    // Is `signature` (base64) the key owner's, over `text`?
    [[nodiscard]] bool signed_by_owner(std::string_view text, std::string_view signature) const;

  private:
    struct release {
        void operator()(evp_pkey_st* key) const noexcept;
    };
    std::unique_ptr<evp_pkey_st, release> key_;
};

}  // namespace culld::ctl

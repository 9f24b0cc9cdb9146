// SDK-HMAC-SHA256, the signature that Huawei Cloud's gateway checks (secmaster-api.md 4.1; vectors in
// tests/unit/data/signing_vectors.json). Pure: date and keys come from outside.
//
//     string to sign = algorithm \n X-Sdk-Date \n hex SHA-256(canonical request)
//     signature      = hex HMAC-SHA256(secret key, string to sign)
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culld/core/base/sha256.hpp"

namespace culld {

inline constexpr std::string_view signing_algorithm = "SDK-HMAC-SHA256";

struct header_view {
    std::string_view name;   // in any case
    std::string_view value;  // spaces and tabs around it do not count
};

// Without the spaces and tabs around it.
[[nodiscard]] std::string_view trimmed_header(std::string_view value);

struct signable {
    std::string_view method;  // in any case
    // Path and query as in the request line, escaped or not: %41 and A are the same, in a query + and %20 too.
    std::string_view target;
    // Every one of them is signed; no name twice. X-Sdk-Content-Sha256 replaces the body's hash by its value.
    std::span<const header_view> headers;
    std::span<const std::string_view> body;  // as it will be sent, in pieces
};

// Signs one request after another with buffers that it keeps: no allocation once they have grown.
class request_signer {
  public:
    // `request.headers` holds X-Sdk-Date (std::logic_error otherwise: a signature without it is worth nothing).
    // The keys are not kept.
    void sign(const signable& request, std::string_view access_key, std::string_view secret_key);

    // What the last sign() made; good until the next.
    [[nodiscard]] const std::string& canonical_request() const { return canonical_; }
    [[nodiscard]] const std::string& string_to_sign() const { return to_sign_; }
    [[nodiscard]] const std::string& authorization() const { return authorization_; }  // the header's value

    // The canonical request alone: for comparing it with what a gateway says it was.
    const std::string& canonicalize(const signable& request);

  private:
    void append_query(std::string_view query);

    sha256 hash_;
    hmac_sha256 mac_;
    std::string canonical_, to_sign_, authorization_;
    std::string signed_headers_;                              // names with ; between them
    std::vector<std::pair<std::string, std::string>> query_;  // decoded
    std::vector<const header_view*> order_;
};

}  // namespace culld

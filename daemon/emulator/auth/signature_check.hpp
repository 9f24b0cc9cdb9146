// Verifies SDK-HMAC-SHA256 request signatures as Huawei Cloud's gateway does (secmaster-api 4.1). Pure.
//
// Written from the published algorithm alone and sharing nothing with the client's signer, so that the two
// check each other: a mistake common to both would have to be made twice.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>

#include "culld/core/base/time.hpp"

namespace culld::emulator {

struct header {
    std::string_view name;
    std::string_view value;
};

// Header names compare without case; the first of several counts. Null if absent.
[[nodiscard]] const header* find_header(std::span<const header> headers, std::string_view name);

// What arrived. `target` is the request target as sent: path, and `?query` if any.
struct signed_request {
    std::string_view method;
    std::string_view target;
    std::span<const header> headers;
    std::string_view body;
};

struct key_pair {
    std::string ak;
    std::string sk;
};

struct signature_verdict {
    enum class outcome {
        good,
        no_signature,  // no Authorization of this scheme
        malformed,     // an Authorization that can't be read, no X-Sdk-Date, or X-Sdk-Date not among the signed
        unknown_key,   // `access` is not our AK
        expired,       // X-Sdk-Date is more than 15 minutes off
        wrong,         // `canonical` is what should have been signed
    };
    outcome what = outcome::no_signature;
    std::string access;     // the AK named
    std::string date;       // X-Sdk-Date as sent
    std::string canonical;  // our canonical request; filled in for `wrong`
};

// `now` is the gateway's clock.
[[nodiscard]] signature_verdict check_signature(const signed_request& request, const key_pair& keys, wall_time now);

// The canonical request over `signed_headers` ("host;x-sdk-date"), in the order in which they are named.
[[nodiscard]] std::string canonical_request(const signed_request& request, std::string_view signed_headers);

}  // namespace culld::emulator

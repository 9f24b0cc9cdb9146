// What a 401 says about the credentials (secmaster-api.md 3.5), read from the text of its message: the gateway's codes
// tell less, and 0301 and 0303 carry the same texts. And what a refused signature was refused for.
//
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "culld/core/base/time.hpp"
#include "culld/core/text/redact.hpp"

namespace culld {

enum class refusal_kind {
    other,            // anything else
    wrong_signature,  // "verify aksk signature fail, canonicalRequest:…"
    wrong_clock,      // "signature expired, signature time:…,server time:…": more than 15 minutes apart
    unknown_key,      // "ak … not exist": deleted, disabled, or another site's
    locked_key,       // "AK access failed to reach the limit": five minutes, after more than five failures
    old_token,        // expired, or to be updated (APIGW.0307)
    bad_token,        // cut, or made for another region
};

struct signature_rejection {
    refusal_kind kind = refusal_kind::other;
    std::optional<wall_time> server_time;
    // The canonical request as the gateway made it, | for line ends. It holds header values: not for any log.
    std::string canonical;
};

[[nodiscard]] signature_rejection read_refusal(std::string_view code, std::string_view message);

// What an operator can do about it.
[[nodiscard]] std::string_view help_for(refusal_kind kind);

// The first line in which the gateway's canonical request differs from the one of `sent`, a whole HTTP/1.1 request of
// ours, in words and without secrets: "the gateway sees another header host: \"a\", we signed \"b\"". Where there is no
// difference that points at the secret key, and the text says so. Nothing where `theirs` is empty or `sent` unsigned.
[[nodiscard]] std::optional<std::string> first_difference(std::string_view sent, std::string_view theirs,
                                                          const redactor& secrets);

}  // namespace culld

// Who may come in: tokens and signatures as the gateway checks them, with its texts (secmaster-api 3.5).
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "culld/core/base/time.hpp"
#include "emulator/auth/signature_check.hpp"
#include "emulator/exchange/exchange.hpp"
#include "emulator/faults/scenario.hpp"

namespace culld::emulator {

class authorizer {
  public:
    // Without a token (given, by file, or to be issued by IAM) and without keys everybody may come in.
    // `rules` outlives this.
    authorizer(std::optional<std::string> token, std::optional<key_pair> keys, const scenario& rules);

    struct refusal {
        std::string_view code;  // always with status 401
        std::string message;
    };
    // `now` is the gateway's clock.
    [[nodiscard]] std::optional<refusal> check(const request& r, wall_time now);

    // The accepted token from now on; the one it replaces is told to have expired at `now`.
    void replace_token(std::string token, wall_time now);
    // One token more, good until `expires`.
    void issue(std::string token, wall_time expires);
    // One security token more that signed calls may carry, good until `expires`; from the first one on they must.
    void issue_security_token(std::string token, wall_time expires);
    // A token that is known and has not expired.
    [[nodiscard]] bool is_good(std::string_view token, wall_time now) const;

    [[nodiscard]] const std::optional<key_pair>& keys() const { return keys_; }

  private:
    struct token_state {
        wall_time expires = wall_time::max();
        std::uint64_t uses = 0;
    };

    [[nodiscard]] std::optional<refusal> check_token(const request& r, wall_time now);
    [[nodiscard]] std::optional<refusal> check_keys(const request& r, wall_time now);
    void read_token_file(wall_time now);
    [[nodiscard]] std::optional<refusal> check_security_token(const request& r, std::string_view ak,
                                                              wall_time now) const;

    const scenario& rules_;
    std::optional<key_pair> keys_;
    bool takes_tokens_;
    std::string current_;  // the one that replace_token set; empty: none
    std::map<std::string, token_state, std::less<>> tokens_;
    std::map<std::string, wall_time, std::less<>> security_tokens_;  // and when each expires
    struct stat file_seen_ {};
    std::uint64_t failures_in_a_row_ = 0;
    std::optional<steady_time> locked_until_;
};

}  // namespace culld::emulator

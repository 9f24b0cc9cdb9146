// Keeps a key from being locked, and its signatures in time. Pure; one strand.
//
// More than five failures in a row lock an access key for five minutes (secmaster-api.md 3.5), for everybody who uses
// it. So after four of ours within that time nothing more is signed with it until the time is over, whoever asks:
// an operator's resume, a reload, a file that was replaced; or a restart, which finds a mark of what was refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/base/sha256.hpp"
#include "culld/core/base/time.hpp"

namespace culld {

class key_lockout {
  public:
    static constexpr std::size_t failures_max = 4;
    static constexpr nanoseconds window = std::chrono::minutes(5);

    // `key` (its id) is in use from now on; each has a count of its own.
    void use(std::string_view key);
    void refused(steady_time now);
    // What was refused before no longer counts. False if there was nothing.
    bool accepted();
    // Until when nothing may be signed; nothing if it may.
    [[nodiscard]] std::optional<steady_time> hold(steady_time now) const;

    // What a later process is to know: a line for each refusal, "SHA-256 of the key's id, wall clock, steady clock in
    // ns". Empty: nothing.
    [[nodiscard]] std::string mark(steady_time now, wall_time wall) const;
    // Adds what such a mark tells. Each refusal is taken for as young as either clock allows, and for no older than
    // none: a wall clock that jumped, or a steady one that began anew with the machine, can make us wait for the
    // window once more, but never forget. False if some of it is no mark.
    bool restore(std::string_view mark, steady_time now, wall_time wall);

  private:
    struct failure {
        digest key;
        steady_time at;
    };
    void add(const failure& f);

    digest key_{};
    std::vector<failure> failures_;  // oldest first; failures_max of a key at most, of so many keys
};

// What X-Sdk-Date says: our clock, and the gateway's difference from it once a 401 has named its time.
class signing_clock {
  public:
    [[nodiscard]] wall_time at(wall_time ours) const { return ours + offset_; }
    [[nodiscard]] std::chrono::microseconds offset() const { return offset_; }
    // The gateway's clock showed `theirs` when ours showed `ours`. False if that is what we had assumed already, give
    // or take a minute: then the clock is not what was wrong.
    bool learn(wall_time theirs, wall_time ours);

    // True once after the wall clock jumped against the steady one by more than a minute: signatures may be out of
    // time from now on, so one request should go first. Call it before each request.
    [[nodiscard]] bool jumped(wall_time wall, steady_time steady);

  private:
    std::chrono::microseconds offset_{};
    std::optional<nanoseconds> apart_;  // wall minus steady, when last looked at
};

}  // namespace culld

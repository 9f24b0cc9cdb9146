// Keeps a key from being locked, and its signatures in time. Pure; one strand.
//
// More than five failures in a row lock an access key for five minutes (secmaster-api.md 3.5), for everybody who uses
// it. So after four of ours within that time nothing more is signed with it until the time is over, whoever asks:
// an operator's resume, a reload, a file that was replaced.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "culld/core/time.hpp"

namespace culld {

class key_guard {
  public:
    static constexpr std::size_t failures_max = 4;
    static constexpr nanoseconds window = std::chrono::minutes(5);

    // `key` is in use from now on; with another one the count begins anew.
    void use(std::string_view key);
    void refused(steady_time now);
    void accepted() { count_ = 0; }
    // Until when nothing may be signed; nothing if it may.
    [[nodiscard]] std::optional<steady_time> hold(steady_time now) const;

  private:
    std::string key_;
    std::array<steady_time, failures_max> at_{};  // the last ones, oldest first
    std::size_t count_ = 0;
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

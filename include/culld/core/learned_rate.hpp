// What the gateway seems to allow, where its 429s name neither a limit nor a pause: found out by what it let through.
//
// A quota of so many in a window refuses everything until the window is over, so that several tries in a row fail, each
// after a longer pause. Then what went through since the last such row, over the time it took, is the quota's rate,
// whatever its window; the first time it is too high if the window was half over, so it is measured again. One or two
// refusals alone teach nothing, and where it must be lowered time and again no quota is at work: a gateway that refuses
// at random would else be slowed down for until nothing moves. The rate comes back in steps, each on trial: one refusal
// takes it back, and the next trial comes twice as late. Pure; one strand.
#pragma once

#include <cstdint>
#include <optional>

#include "culld/core/time.hpp"

namespace culld {

class learned_rate {
  public:
    // A request got past the gateway, while `ceiling` a second were allowed for other reasons.
    void let_through(steady_time now, double ceiling);
    // One was refused, and the pause after the last refusal was over when it was sent.
    void refused(steady_time now);
    // The rate to keep to, per second; none while nothing was learned, or once the ceiling has stood its trial.
    [[nodiscard]] std::optional<double> get() const { return rate_; }

  private:
    void measured(double rate, steady_time now);
    void begin_trial(steady_time now, double ceiling);

    std::optional<double> rate_;
    std::optional<double> proven_;  // while rate_ is on trial: what it was before
    std::optional<steady_time> since_;
    std::uint64_t passed_ = 0;  // since then
    std::uint32_t row_ = 0;     // refusals since the last that passed
    steady_time steady_since_{};
    std::uint64_t steady_passed_ = 0;  // since then
    nanoseconds patience_{};           // until the next trial
    int lowered_ = 0;                  // since a rate stood its trial
    std::optional<steady_time> no_quota_until_;
};

}  // namespace culld

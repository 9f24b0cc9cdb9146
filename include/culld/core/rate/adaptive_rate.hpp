// What the gateway seems to allow: by the limit that its 429s name, the latest of them; where they name neither a limit
// nor a pause, found out by what it let through.
//
// A quota of so many in a window refuses everything until the window is over, so that several tries in a row fail, each
// after a longer pause. Where such a row comes again, what went through from the end of one to the end of the next,
// over that time, is the quota's rate, whatever its window. A single row teaches nothing, nor do one or two refusals: a
// gateway that refuses at random, or for a while, would else be slowed down for long after. Where the rate must be
// lowered time and again no quota is at work either, and nothing is learned for ten minutes.
//
// The rate comes back in steps, each on trial for two windows: one refusal takes it back, and the next trial comes
// twice as late. A limit that was named is believed for longer, eight windows, before the first trial. Pure; one
// strand.
#pragma once

#include <cstdint>
#include <optional>

#include "culld/core/base/time.hpp"

namespace culld {

// A limit as a 429 names it.
struct named_limit {
    double per_second = 0;
    nanoseconds window{};  // that it is counted in
};

class adaptive_rate {
  public:
    // A request got past the gateway, while `ceiling` a second were allowed for other reasons.
    void let_through(steady_time now, double ceiling);
    // One was refused, and the pause after the last refusal was over when it was sent.
    void refused(steady_time now);
    // One was refused by name of a limit: that is it from now on, whatever was known before.
    void named(steady_time now, const named_limit& limit, double ceiling);
    // The rate to keep to, per second; none while nothing was learned, or once the ceiling has stood its trial.
    [[nodiscard]] std::optional<double> get() const { return rate_; }

    // What a restart begins with: a rate that has stood, and how long it is to stand before it is tried to raise it.
    struct memory {
        double per_second = 0;
        nanoseconds window{}, patience{};
        friend bool operator==(const memory&, const memory&) = default;
    };
    [[nodiscard]] std::optional<memory> remembered() const;
    void restore(const memory& known, steady_time now);

  private:
    void measured(steady_time now, double ceiling);
    void begin_trial(steady_time now, double ceiling);

    std::optional<double> rate_;
    std::optional<double> proven_;             // while rate_ is on trial: what it was before
    std::optional<steady_time> window_began_;  // when the last row of refusals was over
    std::uint64_t passed_ = 0;                 // since then
    std::uint32_t row_ = 0;                    // refusals since the last that passed
    steady_time stood_since_{};                // when rate_ was set, or last refused
    std::uint64_t stood_ = 0;                  // passed since then
    nanoseconds window_{};                     // that rate_ was measured in, or named for
    nanoseconds patience_{};                   // until the next trial
    int lowered_ = 0;                          // since a trial was stood
    std::optional<steady_time> no_quota_until_;
};

}  // namespace culld

// When credentials are had anew, and who may send meanwhile: the life of what a request is signed with.
//
//                    401, nothing learned
//   ┌──────┐ due   ┌──────────┐ others than before ┌───────────┐ answered ┌──────┐
//   │ good │──────▶│ renewing │───────────────────▶│ one first │─────────▶│ good │
//   └──────┘       └──────────┘                    └───────────┘          └──────┘
//      ▲             │  ▲ │ cannot be had now: waiting, then again     │ 401: refused
//      └─────────────┘  └─┘ the same as before, or refused: refused ◀──┘
//
// A 401 has one remedy: a renewal, or the gateway's clock where it named that. The next 401 is final, until an answer
// is anything else, somebody changes the credentials, or says that they are good.
//
// Pure; one strand. What it says is to be done is carried out by app/send.
#pragma once

#include <cstdint>
#include <optional>

#include "culld/core/base/time.hpp"

namespace culld {

// Why credentials are to be had anew.
enum class renewal_cause : std::uint8_t {
    first,    // there are none yet, or they are over
    ahead,    // they expire soon
    refused,  // the API refused them
    look,     // they were refused, and may have changed since
};

enum class renewal_outcome : std::uint8_t {
    changed,    // others than before: worth a try
    unchanged,  // the same as before
    later,      // could not be had just now: a network or a server is to blame
    refused,    // will not be had until somebody changes something
};

enum class renewal_action : std::uint8_t {
    none,
    renew,     // have them anew, for cause(); then call ended()
    go_first,  // one request goes with what we hold, alone: it may be good now
    resume,    // they are others: the same, and whoever was blocked for them is tried again
    give_up,   // all jobs are blocked
};

class renewal_fsm {
  public:
    enum class standing : std::uint8_t {
        good,      // as far as anybody knows
        remedied,  // the remedy for a 401 has been applied: the next is final
        refused,   // nobody sends before they change
        held,      // likewise, and the key rests until due()
    };
    enum class flight : std::uint8_t {
        none,
        renewing,
        rereading,  // only files, for jobs that wait for other permissions
        waiting,    // the last one could not be had: the next try is at due()
    };

    // They are wanted anew. One at a time: what is asked for meanwhile for a refusal is done afterwards.
    [[nodiscard]] renewal_action wanted(renewal_cause why);
    // The renewal that was under way is over. `usable`: what we hold serves. `next_try`: when, should it be necessary.
    [[nodiscard]] renewal_action ended(renewal_outcome got, bool usable, steady_time next_try);
    // What we hold was answered 401. `taught`: the answer named the gateway's time, so that signing afresh may help.
    [[nodiscard]] renewal_action refused(bool taught);
    // Nothing may be signed before `until`, or the key could be locked.
    [[nodiscard]] renewal_action hold(steady_time until);
    // due() may be over.
    [[nodiscard]] renewal_action time_passed(steady_time now);

    // Files are to be read again, for no cause of ours. False while a renewal is under way, which is the stronger.
    [[nodiscard]] bool begin_reread();
    void reread_ended() { flight_ = flight::none; }

    // A request made with what we hold had an answer other than 401.
    void accepted();
    // Others take their place, or an operator says that they are good.
    void begin_anew();

    [[nodiscard]] standing stands() const { return standing_; }
    [[nodiscard]] bool under_way() const { return flight_ == flight::renewing || flight_ == flight::rereading; }
    [[nodiscard]] bool waits() const { return flight_ == flight::waiting; }
    // Of the renewal that is under way, or waits.
    [[nodiscard]] renewal_cause cause() const { return cause_; }
    // When to call time_passed(): the next try, or the end of the key's rest.
    [[nodiscard]] std::optional<steady_time> due() const { return due_; }
    // The last renewal brought none; those we hold may serve for a while.
    [[nodiscard]] bool failing() const { return failing_; }
    // In a row, for the back-off.
    [[nodiscard]] std::uint32_t failures() const { return failures_; }

  private:
    [[nodiscard]] renewal_action give_up();
    void wait(steady_time until);

    standing standing_ = standing::good;
    flight flight_ = flight::none;
    renewal_cause cause_ = renewal_cause::first;
    bool again_ = false;  // refused while another renewal was under way
    std::optional<steady_time> due_;
    bool failing_ = false;
    std::uint32_t failures_ = 0;
};

}  // namespace culld

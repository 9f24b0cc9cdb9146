#include "culld/core/auth/renewal_fsm.hpp"

#include <utility>

namespace culld {

renewal_action renewal_fsm::wanted(renewal_cause why) {
    if (under_way()) {
        // The one under way may bring what is wanted; if not, it is this one's turn.
        again_ = again_ || why == renewal_cause::refused;
        return renewal_action::none;
    }
    flight_ = flight::renewing;
    cause_ = why;
    if (standing_ != standing::held) due_.reset();
    return renewal_action::renew;
}

renewal_action renewal_fsm::ended(renewal_outcome got, bool usable, steady_time next_try) {
    flight_ = flight::none;
    const bool again = std::exchange(again_, false);
    switch (got) {
        case renewal_outcome::changed:
            standing_ = cause_ == renewal_cause::refused ? standing::remedied : standing::good;
            due_.reset();
            failing_ = false;
            failures_ = 0;
            return renewal_action::resume;
        case renewal_outcome::unchanged:
            if (cause_ == renewal_cause::refused) return give_up();
            if (!usable && cause_ != renewal_cause::look) wait(next_try);
            break;
        case renewal_outcome::later:
            if (cause_ == renewal_cause::look) break;
            failing_ = true;
            if (cause_ != renewal_cause::ahead) wait(next_try);  // else those we hold still serve
            break;
        case renewal_outcome::refused:
            failing_ = true;
            if (cause_ != renewal_cause::ahead) return give_up();
            break;
    }
    return again && flight_ == flight::none ? wanted(renewal_cause::refused) : renewal_action::none;
}

renewal_action renewal_fsm::refused(bool taught) {
    if (standing_ == standing::remedied) return give_up();
    if (!taught) return wanted(renewal_cause::refused);
    standing_ = standing::remedied;
    return renewal_action::go_first;
}

renewal_action renewal_fsm::hold(steady_time until) {
    const renewal_action out = give_up();
    standing_ = standing::held;
    due_ = until;
    return out;
}

renewal_action renewal_fsm::time_passed(steady_time now) {
    if (!due_ || now < *due_ || under_way()) return renewal_action::none;
    if (flight_ == flight::waiting) {
        flight_ = flight::none;
        return wanted(cause_);
    }
    begin_anew();
    return renewal_action::go_first;
}

bool renewal_fsm::begin_reread() {
    if (under_way()) return false;
    flight_ = flight::rereading;
    return true;
}

void renewal_fsm::accepted() {
    if (standing_ == standing::remedied) standing_ = standing::good;
}

void renewal_fsm::begin_anew() {
    standing_ = standing::good;
    if (flight_ == flight::waiting) flight_ = flight::none;
    again_ = false;
    due_.reset();
    failing_ = false;
}

renewal_action renewal_fsm::give_up() {
    if (flight_ == flight::waiting) flight_ = flight::none;  // from here on whoever looks after us looks
    // A key that rests does so whatever else is found out.
    if (standing_ != standing::held) {
        standing_ = standing::refused;
        due_.reset();
    }
    return renewal_action::give_up;
}

void renewal_fsm::wait(steady_time until) {
    failing_ = true;
    ++failures_;
    flight_ = flight::waiting;
    if (standing_ != standing::held) due_ = until;
}

}  // namespace culld

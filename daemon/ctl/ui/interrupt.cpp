#include "ctl/ui/interrupt.hpp"

#include <csignal>
#include <ctime>

namespace culld::ctl {

namespace {
volatile std::sig_atomic_t interrupts = 0;
extern "C" void on_interrupt(int) {
    interrupts = 1;
}
}  // namespace

interrupt_guard::interrupt_guard() {
    interrupts = 0;
    struct sigaction action {};
    action.sa_handler = on_interrupt;
    static_cast<void>(::sigaction(SIGINT, &action, nullptr));  // cannot fail for SIGINT
}
interrupt_guard::~interrupt_guard() {
    static_cast<void>(::signal(SIGINT, SIG_DFL));
}
bool interrupt_guard::interrupted() {
    return interrupts != 0;
}

void pause_between_looks() {
    const timespec half{.tv_sec = 0, .tv_nsec = 500'000'000};
    // A signal cuts it short, which is what is wanted.
    static_cast<void>(::nanosleep(&half, nullptr));
}

}  // namespace culld::ctl

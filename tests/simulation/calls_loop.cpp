// What the program asks of clocks, threads, chance, and of the loop's own devices.
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>

#include "culld/app/status/watchdog.hpp"
#include "real_calls.hpp"
#include "world.hpp"

namespace culld::simulation {

namespace {

struct bell : open_thing {  // eventfd: rung once and for all, told at each change of interest
    [[nodiscard]] unsigned ready() const override { return EPOLLIN; }
};

struct alarm_clock : open_thing, std::enable_shared_from_this<alarm_clock> {
    std::uint64_t setting = 0;
    bool rung = false;
    [[nodiscard]] unsigned ready() const override { return rung ? unsigned(EPOLLIN) : 0U; }
};

// The events that are due now.
int collect(machine::poll_set& set, epoll_event* out, int room) {
    int n = 0;
    const bool look = std::exchange(world::here().signalled, false);
    for (auto& [fd, i] : set.of) {
        if (n == room) break;
        unsigned events = 0;
        if (i.thing == nullptr) {
            if (!look) continue;
            pollfd real{.fd = i.real_fd, .events = POLLIN, .revents = 0};
            if (__real_poll(&real, 1, 0) == 1) events = EPOLLIN;
        } else {
            if (!std::exchange(i.due, false)) continue;
            events = i.thing->ready() & (i.events | EPOLLERR | EPOLLHUP);
        }
        if (events == 0) continue;
        out[n].events = events;
        out[n].data.ptr = i.data;
        ++n;
    }
    return n;
}

constexpr auto steady_began = std::chrono::hours(100);

}  // namespace

void print_line(const std::string& line) {
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fputc('\n', stdout);
    std::fflush(stdout);
}

}  // namespace culld::simulation

using namespace culld::simulation;

extern "C" {

int __wrap_epoll_create1(int flags) {
    if (machine::here() == nullptr) return __real_epoll_create1(flags);
    return machine::here()->open(std::make_shared<machine::poll_set>(*machine::here()));
}

int __wrap_epoll_ctl(int epoll, int what, int fd, struct epoll_event* event) {
    if (!machine::ours(epoll)) return __real_epoll_ctl(epoll, what, fd, event);
    machine& m = *machine::here();
    const auto set = m.find<machine::poll_set>(epoll);
    if (!set) return failed(EBADF);
    if (what == EPOLL_CTL_DEL) return set->of.erase(fd), 0;
    auto& i = set->of[fd];
    i.events = event->events;
    i.data = event->data.ptr;
    const auto thing = m.find<open_thing>(fd);
    i.thing = thing.get();
    i.real_fd = fd;
    i.due = true;
    return 0;
}

int __wrap_epoll_wait(int epoll, struct epoll_event* out, int room, int timeout) {
    if (!machine::ours(epoll)) return __real_epoll_wait(epoll, out, room, timeout);
    machine& m = *machine::here();
    const auto set = m.find<machine::poll_set>(epoll);
    if (!set) return failed(EBADF);
    for (;;) {
        m.no_progress("the loop");
        if (m.dead()) m.unwind();
        if (const int n = collect(*set, out, room); n > 0 || timeout == 0) return n;
        if (!m.step()) m.fail("nothing will ever happen again, and the program waits");
    }
}

int __wrap_eventfd(unsigned count, int flags) {
    if (machine::here() == nullptr) return __real_eventfd(count, flags);
    return machine::here()->open(std::make_shared<bell>());
}

int __wrap_timerfd_create(int clock, int flags) {
    if (machine::here() == nullptr) return __real_timerfd_create(clock, flags);
    return machine::here()->open(std::make_shared<alarm_clock>());
}

int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec* to, struct itimerspec* was) {
    if (!machine::ours(fd)) return __real_timerfd_settime(fd, flags, to, was);
    machine& m = *machine::here();
    const auto clock = m.find<alarm_clock>(fd);
    if (!clock) return failed(EBADF);
    *was = {};
    clock->rung = false;
    const std::uint64_t setting = ++clock->setting;
    const moment span = (flags & TFD_TIMER_ABSTIME) != 0 ? moment(0)
                                                         : std::chrono::seconds(to->it_value.tv_sec) +
                                                               std::chrono::nanoseconds(to->it_value.tv_nsec);
    m.in(span, [&m, weak = clock->weak_from_this(), setting] {
        const auto same = weak.lock();
        if (!same || same->setting != setting) return;
        same->rung = true;
        m.changed(same.get());
    });
    return 0;
}

int __wrap_pthread_create(pthread_t* out, const pthread_attr_t* how, void* (*run)(void*), void* with) {
    if (machine::here() == nullptr) return __real_pthread_create(out, how, run, with);
    return machine::here()->start_thread(out, how, run, with);
}

int __wrap_pthread_join(pthread_t thread, void** out) {
    if (machine::here() == nullptr) return __real_pthread_join(thread, out);
    return machine::here()->join_thread(thread);
}

int __wrap_pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
    if (machine::here() == nullptr) return __real_pthread_cond_wait(condition, mutex);
    machine::here()->wait_on(condition, mutex);
    return 0;
}

int __wrap_pthread_cond_signal(pthread_cond_t* condition) {
    if (machine::here() == nullptr) return __real_pthread_cond_signal(condition);
    machine::here()->wake(condition, false);
    return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t* condition) {
    if (machine::here() == nullptr) return __real_pthread_cond_broadcast(condition);
    machine::here()->wake(condition, true);
    return 0;
}

std::int64_t __wrap__ZNSt6chrono3_V212steady_clock3nowEv() {
    if (machine::here() == nullptr) return __real__ZNSt6chrono3_V212steady_clock3nowEv();
    return (machine::here()->now() + steady_began).count();
}

std::int64_t __wrap__ZNSt6chrono3_V212system_clock3nowEv() {
    if (machine::here() == nullptr) return __real__ZNSt6chrono3_V212system_clock3nowEv();
    return culld::nanoseconds(machine::here()->wall().time_since_epoch()).count();
}

void __wrap__ZN5culld10spin_untilENSt6chrono10time_pointINS0_3_V212steady_clockENS0_8durationIlSt5ratioILl1ELl1000000000EEEEEE(
    std::int64_t at) {
    if (machine::here() == nullptr)
        return __real__ZN5culld10spin_untilENSt6chrono10time_pointINS0_3_V212steady_clockENS0_8durationIlSt5ratioILl1ELl1000000000EEEEEE(
            at);
    machine::here()->pass(moment(at) - steady_began);
}

unsigned __wrap__ZNSt13random_device9_M_getvalEv(void* self) {
    if (machine::here() == nullptr) return __real__ZNSt13random_device9_M_getvalEv(self);
    return static_cast<unsigned>(machine::here()->chance.next());
}

ssize_t __wrap_getrandom(void* to, std::size_t bytes, unsigned flags) {
    if (machine::here() == nullptr) return __real_getrandom(to, bytes, flags);
    for (std::size_t i = 0; i < bytes; ++i)
        static_cast<char*>(to)[i] = static_cast<char>(machine::here()->chance.next());
    return static_cast<ssize_t>(bytes);
}

pid_t __wrap_getpid() {
    return machine::here() == nullptr ? __real_getpid() : 4242;
}

int __wrap_prctl(int option, ...) {
    va_list more;
    va_start(more, option);
    const unsigned long a = va_arg(more, unsigned long);
    const unsigned long b = va_arg(more, unsigned long);
    const unsigned long c = va_arg(more, unsigned long);
    const unsigned long d = va_arg(more, unsigned long);
    va_end(more);
    return machine::here() == nullptr ? __real_prctl(option, a, b, c, d) : 0;
}

int __wrap_setrlimit(int resource, const struct rlimit* to) {
    return machine::here() == nullptr ? __real_setrlimit(resource, to) : 0;
}

[[noreturn]] void __wrap__Exit(int code) {
    if (machine::here() != nullptr)
        machine::here()->fail(
            fmt::format("a broken invariant ended the program with {}: its log, above with --trace, says which", code));
    __real__Exit(code);
}

}  // extern "C"

namespace culld::simulation {

// Nobody here ends by force: the simulated disk is slow, not stuck, and its slowness is drawn without regard to how
// long the end may take.
#define BOUND_THE_END "_ZN5culld8watchdog13bound_the_endENSt6chrono8durationIlSt5ratioILl1ELl1000000000EEEE"
void not_by_force(watchdog* self, nanoseconds limit) asm("__wrap_" BOUND_THE_END);
void not_by_force(watchdog* /*self*/, nanoseconds /*limit*/) {}
void lines_at_once() asm("__wrap__ZN5culld17log_from_a_threadEv");
void lines_at_once() {}

}  // namespace culld::simulation

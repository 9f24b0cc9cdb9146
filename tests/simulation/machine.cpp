#include "machine.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "real_calls.hpp"

namespace culld::simulation {

namespace {
machine* the_one = nullptr;
constexpr std::uint64_t idle_turns_max = 200'000;
// 2026-11-25T01:00:00Z
constexpr auto began = std::chrono::sys_days(std::chrono::year(2026) / 11 / 25) + std::chrono::hours(1);
}  // namespace

struct machine::fiber {
    machine* on = nullptr;
    std::binary_semaphore turn{0};
    void* (*run)(void*) = nullptr;
    void* with = nullptr;
    pthread_t thread{};
    const void* waits_for = nullptr;  // a condition
    bool ended = false;
    std::uint64_t turns = 0;  // the number of its last turn: a wake-up for an earlier one comes too late
};

machine::machine(std::uint64_t seed, bool talk) : chance(seed * 2 + 1), talk_(talk) {
    the_one = this;
}

machine::~machine() {
    the_one = nullptr;
}

machine* machine::here() {
    return the_one;
}

wall_time machine::wall() const {
    return std::chrono::time_point_cast<wall_time::duration>(wall_time(began.time_since_epoch()) + now_ + wall_skew);
}

void machine::at(moment when, std::function<void()> what) {
    queue_.push_back(std::make_unique<happening>(std::max(when, now_), order_++, std::move(what)));
    std::push_heap(queue_.begin(), queue_.end(), later());
}

bool machine::step() {
    if (queue_.empty()) return false;
    std::pop_heap(queue_.begin(), queue_.end(), later());
    const auto next = std::move(queue_.back());
    queue_.pop_back();
    now_ = next->when;
    next->what();
    return true;
}

void machine::pass(moment until) {
    while (!queue_.empty() && queue_.front()->when <= until) step();
    now_ = std::max(now_, until);
}

void machine::no_progress(std::string_view where) {
    if (now_ != idle_since_) {
        idle_since_ = now_;
        idle_turns_ = 0;
    }
    if (++idle_turns_ > idle_turns_max) fail(fmt::format("goes round in circles in {}", where));
}

// ---- death ----

void machine::die(std::string_view why) {
    if (dead_) return;
    tell(fmt::format("dies: {}", why));
    dead_ = true;
}

void machine::rest_threads() {
    for (bool moved = true; moved;) {
        moved = false;
        for (std::size_t i = 0; i < fibers_.size(); ++i)
            if (fiber& f = *fibers_[i]; !f.ended && f.waits_for == nullptr) {
                resume(f);
                moved = true;
            }
    }
}

void machine::unwind() {
    rest_threads();
    throw power_cut();
}

void machine::bury() {
    if (!fibers_.empty()) fail("threads outlive the program");
    dead_ = false;
    things_.clear();
    // What the program still waited for means nothing to the next one; what the world has in store stays.
    polls_.clear();
}

// ---- threads ----

void* machine::enter(void* argument) {
    fiber& f = *static_cast<fiber*>(argument);
    f.turn.acquire();
    void* const out = f.run(f.with);
    f.ended = true;
    f.on->loop_turn_.release();
    return out;
}

void machine::resume(fiber& f) {
    f.turns = ++turns_;
    running_ = &f;
    f.turn.release();
    loop_turn_.acquire();
    running_ = nullptr;
}

void machine::park(fiber& f) {
    loop_turn_.release();
    f.turn.acquire();
}

void machine::runnable(fiber& f, moment when) {
    at(when, [this, whom = &f, turns = f.turns] {
        // Its thread may have been joined meanwhile.
        const bool there = std::any_of(fibers_.begin(), fibers_.end(), [&](const auto& x) { return x.get() == whom; });
        if (there && !whom->ended && whom->turns == turns) resume(*whom);
    });
}

int machine::start_thread(pthread_t* out, const pthread_attr_t* how, void* (*run)(void*), void* with) {
    fibers_.push_back(std::make_unique<fiber>());
    fiber& f = *fibers_.back();
    f.on = this;
    f.run = run;
    f.with = with;
    f.turns = ++turns_;
    const int error = __real_pthread_create(&f.thread, how, enter, &f);
    if (error != 0) fail("cannot start a thread");
    *out = f.thread;
    runnable(f, now_ + chance.between(nanoseconds(0), std::chrono::microseconds(100)));
    return 0;
}

int machine::join_thread(pthread_t thread) {
    const auto it = std::find_if(fibers_.begin(), fibers_.end(), [&](const auto& f) { return f->thread == thread; });
    if (it == fibers_.end()) return __real_pthread_join(thread, nullptr);
    fiber& f = **it;
    while (!f.ended) {
        no_progress("pthread_join");
        if (dead_)
            rest_threads();
        else if (!step())
            fail("a thread is waited for that waits for ever");
    }
    const int out = __real_pthread_join(thread, nullptr);
    std::erase_if(fibers_, [&](const auto& x) { return x.get() == &f; });
    return out;
}

void machine::wait_on(pthread_cond_t* condition, pthread_mutex_t* mutex) {
    if (running_ == nullptr) fail("the loop's thread waits for another one");
    fiber& f = *running_;
    f.waits_for = condition;
    ::pthread_mutex_unlock(mutex);
    park(f);
    ::pthread_mutex_lock(mutex);
}

void machine::wake(pthread_cond_t* condition, bool everybody) {
    for (const auto& f : fibers_) {
        if (f->waits_for != condition) continue;
        f->waits_for = nullptr;
        runnable(*f, now_ + (dead_ ? moment() : chance.between(nanoseconds(0), std::chrono::microseconds(200))));
        if (!everybody) return;
    }
}

void machine::pause(moment span) {
    if (running_ == nullptr || dead_) return;
    fiber& f = *running_;
    runnable(f, now_ + span);
    park(f);
}

// ---- descriptors ----

int machine::open(std::shared_ptr<open_thing> what) {
    int fd = first_fd;
    for (const auto& [taken, thing] : things_) {
        if (taken != fd) break;
        ++fd;
    }
    things_.emplace(fd, std::move(what));
    return fd;
}

int machine::duplicate(int fd) {
    const auto it = things_.find(fd);
    if (it == things_.end()) return errno = EBADF, -1;
    return open(it->second);
}

int machine::close(int fd) {
    const auto it = things_.find(fd);
    if (it == things_.end()) return errno = EBADF, -1;
    const auto thing = std::move(it->second);
    things_.erase(it);
    for (poll_set* p : polls_) p->of.erase(fd);
    if (thing.use_count() == 1 && !dead_) thing->closed();
    return 0;
}

void machine::changed(const open_thing* thing) {
    for (poll_set* p : polls_)
        for (auto& [fd, i] : p->of)
            if (i.thing == thing) i.due = true;
}

// ---- telling ----

void machine::tell(std::string line) {
    // The only number of the program's that goes on from one run to the next in the same process.
    constexpr std::string_view counted = "/.store-4242-";
    if (const std::size_t at = line.find(counted); at != std::string::npos)
        line.erase(at + counted.size(),
                   line.find_first_not_of("0123456789", at + counted.size()) - at - counted.size());
    const auto mix = [this](std::string_view bytes) {
        for (const char c : bytes) trace_ = (trace_ ^ static_cast<unsigned char>(c)) * 1099511628211U;
    };
    std::string whole = fmt::format("{:14.6f} {}", std::chrono::duration<double>(now_).count(), std::move(line));
    mix(whole);
    if (talk_) print_line(whole);
    last_[told_++ % last_.size()] = std::move(whole);
}

void machine::fail(const std::string& what) {
    if (!talk_)
        for (std::size_t i = 0; i < last_.size(); ++i)
            if (const std::string& line = last_[(told_ + i) % last_.size()]; !line.empty()) print_line(line);
    if (talk_ && on_fail) std::exchange(on_fail, nullptr)();
    print_line(fmt::format("FAILED {} at {:.6f} s: {}", subject, std::chrono::duration<double>(now_).count(), what));
    __real__Exit(1);
}

}  // namespace culld::simulation

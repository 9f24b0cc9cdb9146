// The simulated machine: its clock, the order in which things happen on it, the threads of the program that runs on
// it, and that program's descriptors. One thing happens at a time, and time passes only while nothing can.
//
// culld itself is linked as it is, the same objects as in the daemon. What it asks of the kernel and of libc goes
// through `ld --wrap` to calls_*.cpp, which ask the machine instead. Its threads are real, but only the one that holds
// the baton runs: the loop's thread gives it away where it would wait in epoll_wait or pthread_join, the others where
// they would wait for work or for the disk. So a seed decides every interleaving.
#pragma once

#include <pthread.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <semaphore>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/base/time.hpp"
#include "dice.hpp"

namespace culld::simulation {

using moment = nanoseconds;  // since the world began

// Thrown out of epoll_wait when the machine has died under the program. No std::exception: nobody may handle it.
struct power_cut {};

// What a descriptor of the program stands for. Several descriptors may share one (dup).
struct open_thing {
    open_thing() = default;
    virtual ~open_thing() = default;
    open_thing(const open_thing&) = delete;
    open_thing& operator=(const open_thing&) = delete;
    // Events of epoll that hold now.
    [[nodiscard]] virtual unsigned ready() const { return 0; }
    // The last descriptor is gone.
    virtual void closed() {}
};

class machine {
  public:
    machine(std::uint64_t seed, bool talk);
    ~machine();
    machine(const machine&) = delete;
    machine& operator=(const machine&) = delete;

    // The one that runs; null outside a simulation.
    [[nodiscard]] static machine* here();

    dice chance;

    // ---- time ----
    [[nodiscard]] moment now() const { return now_; }
    [[nodiscard]] wall_time wall() const;
    moment wall_skew{};  // how far the wall clock is off
    void at(moment when, std::function<void()> what);
    void in(moment span, std::function<void()> what) { at(now_ + span, std::move(what)); }
    // The next thing happens. False if there is none.
    bool step();
    // Until `until`; for the time between two lives of the program.
    void pass(moment until);
    // How many things happened without time passing; a program that never waits is stuck.
    void no_progress(std::string_view where);

    // ---- the program's death ----
    // From now on nothing the program does reaches the world; it is unwound at its next wait.
    void die(std::string_view why);
    [[nodiscard]] bool dead() const { return dead_; }
    // After it was unwound, or ended by itself.
    void bury();
    // Lets its threads come to rest, then throws power_cut.
    [[noreturn]] void unwind();
    std::function<void()> on_call;  // before each call that changes the world: a crash may come here

    // ---- threads of the program ----
    int start_thread(pthread_t* out, const pthread_attr_t* how, void* (*run)(void*), void* with);
    int join_thread(pthread_t thread);
    void wait_on(pthread_cond_t* condition, pthread_mutex_t* mutex);
    void wake(pthread_cond_t* condition, bool everybody);
    // The calling thread waits for a device; the loop's thread does not wait for one.
    void pause(moment span);
    [[nodiscard]] bool on_loop() const { return running_ == nullptr; }

    // ---- descriptors ----
    static constexpr int first_fd = 1 << 20;
    [[nodiscard]] static bool ours(int fd) { return fd >= first_fd; }
    int open(std::shared_ptr<open_thing> what);
    template <class Thing>
    [[nodiscard]] std::shared_ptr<Thing> find(int fd) {
        const auto it = things_.find(fd);
        return it == things_.end() ? nullptr : std::dynamic_pointer_cast<Thing>(it->second);
    }
    int duplicate(int fd);
    int close(int fd);
    [[nodiscard]] std::size_t open_count() const { return things_.size(); }
    // Something about `thing` changed: whoever polls it is told (edge).
    void changed(const open_thing* thing);

    // ---- what happened ----
    // Everything told is hashed with its time; with `talk` it is printed, else the last lines are kept.
    void tell(std::string line);
    [[nodiscard]] std::uint64_t trace() const { return trace_; }
    [[nodiscard]] std::uint64_t told() const { return told_; }
    // A promise was broken: prints what happened last and ends the process with 1.
    [[noreturn]] void fail(const std::string& what);
    std::function<void()> on_fail;  // what else is to be told, with `talk`
    std::string subject;            // of what fails: "seed 7"
    [[nodiscard]] bool talks() const { return talk_; }

    class poll_set;

  private:
    struct happening {
        moment when;
        std::uint64_t order;
        std::function<void()> what;
    };
    struct later {
        bool operator()(const std::unique_ptr<happening>& a, const std::unique_ptr<happening>& b) const {
            return a->when != b->when ? a->when > b->when : a->order > b->order;
        }
    };
    struct fiber;
    static void* enter(void* fiber);
    void resume(fiber& f);
    void park(fiber& f);
    void rest_threads();
    void runnable(fiber& f, moment when);

    bool talk_;
    moment now_{};
    std::uint64_t order_ = 0;
    std::vector<std::unique_ptr<happening>> queue_;  // a heap
    bool dead_ = false;
    std::vector<std::unique_ptr<fiber>> fibers_;
    fiber* running_ = nullptr;
    std::uint64_t turns_ = 0;
    std::binary_semaphore loop_turn_{0};
    std::map<int, std::shared_ptr<open_thing>> things_;
    std::vector<poll_set*> polls_;
    std::uint64_t idle_turns_ = 0;
    moment idle_since_{};
    std::uint64_t trace_ = 14695981039346656037U;
    std::uint64_t told_ = 0;
    std::array<std::string, 400> last_;
};

// epoll, edge-triggered, as Asio uses it.
class machine::poll_set : public open_thing {
  public:
    explicit poll_set(machine& on) : on_(on) { on_.polls_.push_back(this); }
    ~poll_set() override { std::erase(on_.polls_, this); }

    struct interest {
        unsigned events = 0;
        void* data = nullptr;
        const open_thing* thing = nullptr;
        int real_fd = -1;
        bool due = false;  // to be told
    };
    std::map<int, interest> of;  // by descriptor

  private:
    machine& on_;
};

}  // namespace culld::simulation

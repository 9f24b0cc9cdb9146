// The loop's executor and the two things coroutines on it wait for: an event, and work done by another thread.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "culld/core/base/time.hpp"
#include "culld/io/os/clock.hpp"

namespace culld {

namespace asio = boost::asio;

using loop_executor = asio::io_context::executor_type;
template <class T>
using task = asio::awaitable<T, loop_executor>;
constexpr asio::use_awaitable_t<loop_executor> use_task{};
// The same, with the error as the first thing handed back instead of an exception.
constexpr auto as_tuple_task = asio::as_tuple(use_task);
using loop_timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, loop_executor>;

// For co_spawn of a coroutine that nobody awaits: what it throws is a broken invariant, and leaves the loop through
// run(). (asio::detached drops it: the coroutine would be gone, and everything else would go on as if it were not.)
constexpr auto rethrow_from_loop = [](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);
};

// Returns at `at`, busy till then: for the last microseconds of a wait, which no timer keeps to.
void spin_until(steady_time at);

// Something happened: wakes everybody who waits, as does its end. Whoever waits looks again at what it waits for, since
// it may be woken for nothing. Any number may wait, each with a deadline of its own. Loop thread only.
class event {
  public:
    explicit event(loop_executor on) : on_(on), waiting_(std::make_shared<std::vector<loop_timer*>>()) {}
    ~event() { notify(); }
    event(const event&) = delete;
    event& operator=(const event&) = delete;

    void notify();
    [[nodiscard]] task<void> wait();
    // Returns at `at` at the latest.
    [[nodiscard]] task<void> wait_until(steady_time at);

  private:
    loop_executor on_;
    // A timer for each who waits, in its own frame: one timer for all would be reset by each newcomer, which wakes the
    // others, who come back and do the same for ever. Shared, since a frame may outlive the event.
    std::shared_ptr<std::vector<loop_timer*>> waiting_;
};

// One thread for blocking calls, in the order of posting. The number of things waiting is bounded by its users: each
// has at most one under way. Posting and completion are the loop's; the work itself touches nothing of the loop's.
// Expected errors are part of the work's result. An exception in it is a broken invariant or the end of memory, and
// ends the process (std::terminate, which prints it): handed on, it could be lost in a coroutine nobody looks at.
class worker_thread {
  public:
    explicit worker_thread(loop_executor home)
        : home_(home), pool_(1), stall_timer_(home), alive_(std::make_shared<bool>(true)) {}
    ~worker_thread() {
        join();
        *alive_ = false;
    }
    worker_thread(const worker_thread&) = delete;
    worker_thread& operator=(const worker_thread&) = delete;

    // Runs `work()` there and hands its result (not void) back on the loop. The caller's frame must outlive it: a
    // coroutine that waits here is not destroyed before the work is done.
    template <class Work>
    [[nodiscard]] task<std::invoke_result_t<Work&>> run(Work work) {
        std::optional<std::invoke_result_t<Work&>> out;
        event done(home_);
        post(std::move(work), [&out, &done](auto value) {
            out.emplace(std::move(value));
            done.notify();
        });
        while (!out) co_await done.wait();
        co_return std::move(*out);
    }

    // Runs `work()` there, then `then(result)` on the loop.
    template <class Work, class Then>
    void post(Work work, Then then) {
        if (posted_++ == 0) moved_at_ = steady_now();
        watch_on();
        asio::post(pool_, [this, work = std::move(work), then = std::move(then)]() mutable noexcept {
            auto value = work();
            asio::post(home_, [this, then = std::move(then), value = std::move(value)]() mutable {
                moved();
                then(std::move(value));
            });
        });
    }

    // Since when it has got nothing done though it has something to do. However long the queue, a thread that gets on
    // is none that hangs.
    [[nodiscard]] std::optional<steady_time> busy_since() const {
        return posted_ == 0 ? std::nullopt : std::optional(moved_at_);
    }
    // `told(true)` when it has got nothing done for `limit`, `told(false)` when it gets on again.
    void watch(nanoseconds limit, std::function<void(bool stalled)> told);
    void join() { pool_.join(); }

  private:
    void moved();     // a piece is done
    void watch_on();  // looks again when the limit may be over

    loop_executor home_;
    asio::thread_pool pool_;
    // Loop thread only:
    std::size_t posted_ = 0;  // and not done
    steady_time moved_at_{};  // when a piece was done, or the first of them posted
    nanoseconds stall_limit_{};
    std::function<void(bool)> stall_told_;
    loop_timer stall_timer_;
    bool watching_ = false;  // stall_timer_ is set
    bool stalled_ = false;
    std::shared_ptr<bool> alive_;
};

}  // namespace culld

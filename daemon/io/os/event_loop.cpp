#include "culld/io/os/event_loop.hpp"

namespace culld {

void spin_until(steady_time at) {
    while (steady_now() < at) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
}

void event::notify() {
    for (loop_timer* timer : *waiting_) timer->cancel();
}

task<void> event::wait() {
    co_await wait_until(steady_time::max());
}

task<void> event::wait_until(steady_time at) {
    // In this order: the frame may be destroyed while it waits, and then leaves the list before its timer goes.
    loop_timer timer(on_, at);
    struct queued {
        queued(std::shared_ptr<std::vector<loop_timer*>> all, loop_timer& own) : in(std::move(all)), mine(&own) {
            in->push_back(mine);
        }
        ~queued() { std::erase(*in, mine); }
        queued(const queued&) = delete;
        queued& operator=(const queued&) = delete;
        std::shared_ptr<std::vector<loop_timer*>> in;
        loop_timer* mine;
    };
    const queued in_line(waiting_, timer);
    co_await timer.async_wait(as_tuple_task);
}

void worker_thread::watch(nanoseconds limit, std::function<void(bool)> told) {
    stall_limit_ = limit;
    stall_told_ = std::move(told);
    watch_on();
}

void worker_thread::moved() {
    --posted_;
    moved_at_ = steady_now();
    if (std::exchange(stalled_, false) && stall_told_) stall_told_(false);
    watch_on();
}

void worker_thread::watch_on() {
    if (!stall_told_ || watching_ || stalled_ || posted_ == 0) return;
    watching_ = true;
    stall_timer_.expires_at(moved_at_ + stall_limit_);
    stall_timer_.async_wait([this, alive = alive_](boost::system::error_code ec) {
        if (ec || !*alive) return;
        watching_ = false;
        if (posted_ > 0 && steady_now() - moved_at_ >= stall_limit_) {
            stalled_ = true;
            stall_told_(true);
        }
        watch_on();
    });
}

}  // namespace culld

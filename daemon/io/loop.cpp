#include "culld/io/loop.hpp"

#include <boost/asio/as_tuple.hpp>

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
    struct place {
        place(std::shared_ptr<std::vector<loop_timer*>> all, loop_timer& own) : in(std::move(all)), mine(&own) {
            in->push_back(mine);
        }
        ~place() { std::erase(*in, mine); }
        place(const place&) = delete;
        place& operator=(const place&) = delete;
        std::shared_ptr<std::vector<loop_timer*>> in;
        loop_timer* mine;
    };
    const place in_line(waiting_, timer);
    constexpr auto quietly = asio::as_tuple(use_task);
    co_await timer.async_wait(quietly);
}

}  // namespace culld

#include "culld/io/loop.hpp"

#include <boost/asio/as_tuple.hpp>

namespace culld {

task<void> event::wait() { co_await wait_until(steady_time::max()); }

task<void> event::wait_until(steady_time at) {
    timer_.expires_at(at);
    constexpr auto quietly = asio::as_tuple(use_task);
    co_await timer_.async_wait(quietly);
}

}  // namespace culld

#include "culld/app/status/watchdog.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "culld/core/base/exit_code.hpp"
#include "culld/io/os/log.hpp"

namespace culld {

namespace {

constexpr nanoseconds hangs_after_at_most = std::chrono::seconds(10);
constexpr nanoseconds time_asked_every = std::chrono::seconds(20);
constexpr nanoseconds start_at_most = std::chrono::minutes(30);
constexpr nanoseconds last_lines = std::chrono::milliseconds(200);

}  // namespace

watchdog::watchdog(loop_executor loop, std::array<worker_thread*, 2> disk, service_manager& manager,
                   std::function<std::string()> status)
    : disk_(disk),
      manager_(manager),
      status_(std::move(status)),
      hangs_after_(hangs_after_at_most),
      ping_again_(loop),
      give_up_(loop) {
    const auto timeout = watchdog_timeout();
    if (!timeout) {
        log(log_level::warn, "systemd.watchdog", timeout.error());
    } else if (*timeout) {
        every_ = **timeout / 2;
        hangs_after_ = std::min<nanoseconds>(hangs_after_at_most, **timeout);
    }
}

void watchdog::watch_disk(std::function<void(bool)> told) {
    const auto hung = [this, told = std::move(told)](bool hangs) {
        hanging_ = hangs ? hanging_ + 1 : hanging_ - 1;
        if (hanging_ != (hangs ? 1 : 0)) return;
        if (hangs)
            log(log_level::error, "disk.hangs",
                "the disk does not answer: nothing is written, so nothing more is deleted; culld goes on when it does");
        else
            log(log_level::info, "disk.answers", "the disk answers again");
        told(hangs);
    };
    for (worker_thread* thread : disk_) thread->watch(hangs_after_, hung);
}

bool watchdog::disk_answers() const {
    return std::ranges::all_of(disk_, [this](const worker_thread* thread) {
        const auto since = thread->busy_since();
        return !since || steady_now() - *since < hangs_after_;
    });
}

void watchdog::starting() {
    ask_for_time(steady_now() + start_at_most);
}

void watchdog::ask_for_time(steady_time until) {
    manager_.extend_timeout(3 * time_asked_every);
    ping_again_.expires_after(time_asked_every);
    ping_again_.async_wait([this, until](boost::system::error_code ec) {
        if (!ec && steady_now() < until) ask_for_time(until);
    });
}

void watchdog::begin() {
    ping_again_.cancel();
    if (every_ > nanoseconds(0)) ping();
}

void watchdog::ping() {
    // Only while the work moves: a disk that hangs stops the pings, and systemd restarts us.
    if (disk_answers()) {
        manager_.watchdog();
        manager_.status(status_());
    }
    ping_again_.expires_after(every_);
    ping_again_.async_wait([this](boost::system::error_code ec) {
        if (!ec) ping();
    });
}

void watchdog::bound_the_end(nanoseconds limit) {
    if (std::exchange(bounded_, true)) return;
    give_up_.expires_after(limit);
    give_up_.async_wait([](boost::system::error_code ec) {
        if (ec) return;
        log(log_level::error, "stop.given_up",
            "something does not end, most likely the disk; what was not written yet is found out at the next start");
        static_cast<void>(end_log(last_lines));  // it ends either way
        std::_Exit(io_error);
    });
}

}  // namespace culld

// Whether the work moves: what the service manager's watchdog is told, what /livez says, when a disk that neither
// answers nor fails is called one that hangs, and that the process ends all the same when it is told to. Loop thread.
#pragma once

#include <array>
#include <functional>
#include <string>

#include "culld/io/os/event_loop.hpp"
#include "culld/io/os/systemd.hpp"

namespace culld {

class watchdog {
  public:
    // The threads of `disk` (journals, and lists that were checked) and `manager` must outlive it. `status` is what the
    // service manager shows.
    watchdog(loop_executor loop, std::array<worker_thread*, 2> disk, service_manager& manager,
             std::function<std::string()> status);

    // `told(true)` when the disk has done nothing for 10 s, or the watchdog's time if that is shorter, though there is
    // something to do; `told(false)` when it answers again. Both are logged before.
    void watch_disk(std::function<void(bool hangs)> told);
    [[nodiscard]] bool disk_answers() const;

    // From here to begin() the service manager is asked for more time, half an hour at most: to read large lists anew
    // may take longer than it gives a start.
    void starting();
    // Pings, where the service manager wants any, while the disk answers.
    void begin();
    void end() { ping_again_.cancel(); }

    // From the first call on the process has so long to end by itself; then it ends with io_error, whatever hangs: what
    // is durable stays, and the next start finds out the rest.
    void bound_the_end(nanoseconds limit);
    void ended() { give_up_.cancel(); }

  private:
    void ask_for_time(steady_time until);
    void ping();

    std::array<worker_thread*, 2> disk_;
    service_manager& manager_;
    std::function<std::string()> status_;
    nanoseconds every_{};  // 0: nobody asks for pings
    nanoseconds hangs_after_;
    loop_timer ping_again_;
    loop_timer give_up_;
    int hanging_ = 0;  // of the threads
    bool bounded_ = false;
};

}  // namespace culld

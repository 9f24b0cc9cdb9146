// Talking to the service manager: the protocol of sd_notify(3), and the watchdog.
//
// libsystemd's sd_notify() waits where the manager does not read. This waits for nobody: what the manager must hear
// (ready, reloading, stopping) is kept and told when there is room, what comes again anyway is left out. Loop thread.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"
#include "culld/core/base/time.hpp"
#include "culld/io/os/event_loop.hpp"
#include "culld/io/os/file.hpp"

namespace culld {

class service_manager {
  public:
    // Of $NOTIFY_SOCKET; where that is not set nobody is told anything.
    explicit service_manager(loop_executor on);

    // READY=1: configuration valid, folders locked, sockets open. Also ends a reload.
    void ready(std::string_view status);
    // STATUS=: the line that `systemctl status` shows. Control characters become spaces.
    void status(std::string_view status);
    // RELOADING=1 with MONOTONIC_USEC=, which Type=notify-reload (systemd 253) wants and others ignore.
    void reloading();
    // STOPPING=1.
    void stopping(std::string_view status);
    // WATCHDOG=1.
    void watchdog();
    // EXTEND_TIMEOUT_USEC=: start-up, reload or stop goes on for at least `more` from now.
    void extend_timeout(nanoseconds more);

    // Nothing is told any more; what was not stays so.
    void end();

  private:
    enum class weight {
        passing,  // it comes again
        kept,     // the manager acts on it
    };
    enum class outcome { told, full, failed };
    void tell(std::string message, weight how);
    [[nodiscard]] outcome send(const std::string& message);
    void flush();
    void try_again();

    std::string address_;  // empty: nobody
    unique_fd socket_;
    std::deque<std::string> waiting_;  // in order, each of those that are kept
    loop_timer again_;
    bool trying_ = false;
    bool failed_ = false;  // and said so
    bool ended_ = false;
};

// The unit's WatchdogSec= if it is meant for this process, else nothing. Ping at half of it.
[[nodiscard]] result<std::optional<nanoseconds>> watchdog_timeout();

}  // namespace culld

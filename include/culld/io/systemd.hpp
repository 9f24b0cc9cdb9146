// Talking to the service manager: sd_notify(3) and the watchdog.
//
// Each call returns true if the manager was told, false where there is none ($NOTIFY_SOCKET is not set), and
// a problem if telling failed; none of them stops the service. They block for no longer than a datagram to a
// local socket. Callable from any thread.
#pragma once

#include <optional>
#include <string_view>

#include "culld/core/problem.hpp"
#include "culld/core/time.hpp"

namespace culld {

// READY=1: configuration valid, folders locked, sockets open. Also ends a reload.
[[nodiscard]] result<bool> notify_ready(std::string_view status);
// STATUS=: the line that `systemctl status` shows. Control characters become spaces.
[[nodiscard]] result<bool> notify_status(std::string_view status);
// RELOADING=1 with MONOTONIC_USEC=, which Type=notify-reload (systemd 253) wants and others ignore.
[[nodiscard]] result<bool> notify_reloading();
// STOPPING=1.
[[nodiscard]] result<bool> notify_stopping(std::string_view status);
// WATCHDOG=1.
[[nodiscard]] result<bool> notify_watchdog();
// EXTEND_TIMEOUT_USEC=: start-up, reload or stop goes on for at least `more` from now.
[[nodiscard]] result<bool> notify_extend_timeout(nanoseconds more);

// For whoever goes on whether the manager was told or not: logs the problem, as systemd.notify.
void tell(const result<bool>& notified);

// The unit's WatchdogSec= if it is meant for this process, else nothing. Ping at half of it.
[[nodiscard]] result<std::optional<nanoseconds>> watchdog_timeout();

}  // namespace culld

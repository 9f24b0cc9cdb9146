#include "culld/io/systemd.hpp"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "culld/core/visible_text.hpp"
#include "culld/io/file.hpp"
#include "culld/io/log.hpp"

namespace culld {

namespace {

result<bool> notify(const std::string& state) {
    const int told = ::sd_notify(0, state.c_str());
    if (told < 0) return fail(errno_problem("tell the service manager", {}, -told));
    return told > 0;
}

// A line end within would be read as the next assignment.
std::string one_line(std::string_view text) {
    return made_visible(text);
}

std::int64_t micros(nanoseconds d) {
    return std::chrono::ceil<std::chrono::microseconds>(d).count();
}

}  // namespace

result<bool> notify_ready(std::string_view status) {
    return notify(fmt::format("READY=1\nSTATUS={}", one_line(status)));
}

result<bool> notify_status(std::string_view status) {
    return notify(fmt::format("STATUS={}", one_line(status)));
}

result<bool> notify_reloading() {
    // std::chrono::steady_clock is CLOCK_MONOTONIC in libstdc++, which is what the manager compares with.
    const nanoseconds now = std::chrono::steady_clock::now().time_since_epoch();
    return notify(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", micros(now)));
}

result<bool> notify_stopping(std::string_view status) {
    return notify(fmt::format("STOPPING=1\nSTATUS={}", one_line(status)));
}

result<bool> notify_watchdog() {
    return notify("WATCHDOG=1");
}

result<bool> notify_extend_timeout(nanoseconds more) {
    return notify(fmt::format("EXTEND_TIMEOUT_USEC={}", micros(more)));
}

void tell(const result<bool>& notified) {
    if (!notified) log(log_level::warn, "systemd.notify", notified.error());
}

result<std::optional<nanoseconds>> watchdog_timeout() {
    std::uint64_t usec = 0;
    const int enabled = ::sd_watchdog_enabled(0, &usec);
    if (enabled < 0) return fail(errno_problem("read $WATCHDOG_USEC", {}, -enabled));
    if (enabled == 0) return std::optional<nanoseconds>();
    return std::optional<nanoseconds>(std::chrono::microseconds(static_cast<std::int64_t>(usec)));
}

}  // namespace culld

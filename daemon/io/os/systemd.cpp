#include "culld/io/os/systemd.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "culld/core/text/visible_text.hpp"
#include "culld/io/os/log.hpp"

namespace culld {

namespace {

constexpr auto again_after = std::chrono::milliseconds(200);
constexpr std::size_t kept_max = 16;

// A line end within would be read as the next assignment.
std::string one_line(std::string_view text) {
    return made_visible(text);
}

std::int64_t micros(nanoseconds d) {
    return std::chrono::ceil<std::chrono::microseconds>(d).count();
}

std::string notify_socket() {
    const char* const named = std::getenv("NOTIFY_SOCKET");  // NOLINT(concurrency-mt-unsafe): nobody calls setenv
    return named == nullptr ? std::string() : std::string(named);
}

}  // namespace

service_manager::service_manager(loop_executor on) : address_(notify_socket()), again_(on) {}

void service_manager::ready(std::string_view status) {
    tell(fmt::format("READY=1\nSTATUS={}", one_line(status)), weight::kept);
}

void service_manager::status(std::string_view status) {
    tell(fmt::format("STATUS={}", one_line(status)), weight::passing);
}

void service_manager::reloading() {
    // std::chrono::steady_clock is CLOCK_MONOTONIC in libstdc++, which is what the manager compares with.
    const nanoseconds now = std::chrono::steady_clock::now().time_since_epoch();
    tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", micros(now)), weight::kept);
}

void service_manager::stopping(std::string_view status) {
    tell(fmt::format("STOPPING=1\nSTATUS={}", one_line(status)), weight::kept);
}

void service_manager::watchdog() {
    tell("WATCHDOG=1", weight::passing);
}

void service_manager::extend_timeout(nanoseconds more) {
    tell(fmt::format("EXTEND_TIMEOUT_USEC={}", micros(more)), weight::passing);
}

void service_manager::end() {
    ended_ = true;
    again_.cancel();
}

void service_manager::tell(std::string message, weight how) {
    if (address_.empty() || ended_) return;
    flush();
    // A status behind a "ready" that waits must not overtake it.
    if (waiting_.empty() && send(message) != outcome::full) return;
    if (how == weight::passing) return;
    if (waiting_.size() == kept_max) waiting_.pop_front();
    waiting_.push_back(std::move(message));
    try_again();
}

void service_manager::flush() {
    while (!waiting_.empty() && send(waiting_.front()) != outcome::full) waiting_.pop_front();
}

void service_manager::try_again() {
    if (trying_ || ended_ || waiting_.empty()) return;
    trying_ = true;
    again_.expires_after(again_after);
    again_.async_wait([this](boost::system::error_code ec) {
        if (ec) return;
        trying_ = false;
        flush();
        try_again();
    });
}

service_manager::outcome service_manager::send(const std::string& message) {
    const auto failed = [this](int error) {
        if (!std::exchange(failed_, true))
            log(log_level::warn, "systemd.notify", errno_problem("tell the service manager", address_, error));
        return outcome::failed;
    };
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    const bool abstract = address_.front() == '@';
    if ((!abstract && address_.front() != '/') || address_.size() >= sizeof to.sun_path) return failed(EAFNOSUPPORT);
    std::memcpy(to.sun_path, address_.data(), address_.size());
    if (abstract) to.sun_path[0] = '\0';
    const auto length =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size() + (abstract ? 0U : 1U));
    if (!socket_) {
        socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!socket_) return failed(errno);
    }
    if (::sendto(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to),
                 length) >= 0) {
        failed_ = false;
        return outcome::told;
    }
    if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS) return outcome::full;
    return failed(errno);
}

result<std::optional<nanoseconds>> watchdog_timeout() {
    std::uint64_t usec = 0;
    const int enabled = ::sd_watchdog_enabled(0, &usec);
    if (enabled < 0) return fail(errno_problem("read $WATCHDOG_USEC", {}, -enabled));
    if (enabled == 0) return std::optional<nanoseconds>();
    return std::optional<nanoseconds>(std::chrono::microseconds(static_cast<std::int64_t>(usec)));
}

}  // namespace culld

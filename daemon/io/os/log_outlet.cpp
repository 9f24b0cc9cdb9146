#include "culld/io/os/log_outlet.hpp"

#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

// The caller's place in the source is not what an operator looks for; the event's name is.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <memory>
#include <utility>

namespace culld {

namespace {

std::size_t size_of(const log_entry& entry) {
    std::size_t out = sizeof entry + entry.line.size();
    for (const std::string& field : entry.fields) out += sizeof field + field.size();
    return out;
}

}  // namespace

log_outlet& log_outlet::the_one() {
    static log_outlet& out = *std::make_unique<log_outlet>().release();
    return out;
}

void log_outlet::put(log_entry entry) {
    const std::lock_guard lock(mutex_);
    if (!thread_) return write(entry);
    const std::size_t bytes = size_of(entry);
    // Behind what was dropped nothing is let in before that is told: the order of what is read is that of what
    // happened.
    if (dropped_ > 0 || waiting_bytes_ + bytes > bytes_max) {
        ++dropped_;
        if (!entry.keep) return;
        ++dropped_kept_;
        last_kept_ = std::move(entry);
        return;
    }
    waiting_bytes_ += bytes;
    waiting_.push_back(std::move(entry));
    more_.notify_one();
}

void log_outlet::dropped_as(std::function<log_entry(std::uint64_t, std::uint64_t)> text) {
    const std::lock_guard lock(mutex_);
    dropped_text_ = std::move(text);
}

void log_outlet::begin() {
    const std::lock_guard lock(mutex_);
    if (thread_) return;
    ending_ = false;
    // Signals are the loop's.
    sigset_t all, before;
    ::sigfillset(&all);
    static_cast<void>(::pthread_sigmask(SIG_SETMASK, &all, &before));
    pthread_t made{};
    const auto body = [](void* self) -> void* {
        static_cast<log_outlet*>(self)->run();
        return nullptr;
    };
    // Without a thread lines are written where they come from, as before.
    if (::pthread_create(&made, nullptr, body, this) == 0) thread_ = made;
    static_cast<void>(::pthread_sigmask(SIG_SETMASK, &before, nullptr));
}

bool log_outlet::end(nanoseconds patience) {
    pthread_t thread{};
    {
        const std::lock_guard lock(mutex_);
        if (!thread_) return true;
        thread = *thread_;
        ending_ = true;
        more_.notify_one();
    }
    timespec until{};
    static_cast<void>(::clock_gettime(CLOCK_REALTIME, &until));
    const auto whole = std::chrono::floor<std::chrono::seconds>(patience);
    until.tv_sec += whole.count();
    until.tv_nsec += (patience - whole).count();
    if (until.tv_nsec >= 1'000'000'000) {
        until.tv_nsec -= 1'000'000'000;
        ++until.tv_sec;
    }
    if (::pthread_timedjoin_np(thread, nullptr, &until) != 0) return false;
    const std::lock_guard lock(mutex_);
    thread_.reset();
    return true;
}

void log_outlet::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        more_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        log_entry next = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        write(next);
        lock.lock();
        waiting_bytes_ -= size_of(next);
        if (!waiting_.empty() || dropped_ == 0) continue;
        if (dropped_text_) waiting_.push_back(dropped_text_(dropped_, dropped_kept_));
        if (last_kept_) waiting_.push_back(std::move(*last_kept_));
        last_kept_.reset();
        dropped_ = dropped_kept_ = 0;
        for (const log_entry& entry : waiting_) waiting_bytes_ += size_of(entry);
    }
}

void log_outlet::write(log_entry& entry) {
    if (!entry.fields.empty()) {
        std::vector<iovec> parts;
        parts.reserve(entry.fields.size());
        for (std::string& field : entry.fields) parts.push_back({field.data(), field.size()});
        if (::sd_journal_sendv(parts.data(), static_cast<int>(parts.size())) >= 0) return;
    }
    // What the one refuses may pass through the other.
    write_line(entry.line);
}

// By hand: a stream of libc's would be waited for at the end of the process.
void log_outlet::write_line(const std::string& line) {
    for (std::size_t done = 0; done < line.size();) {
        const ssize_t n = ::write(STDERR_FILENO, line.data() + done, line.size() - done);
        if (n >= 0) {
            done += static_cast<std::size_t>(n);
        } else if (errno == EAGAIN) {
            pollfd room{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
            static_cast<void>(::poll(&room, 1, -1));
        } else if (errno != EINTR) {
            return;  // nobody is left to be told
        }
    }
}

}  // namespace culld

#include "culld/io/spool/inotify_watch.hpp"

#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

namespace culld {

namespace asio = boost::asio;

namespace {

// IN_EXCL_UNLINK: a file removed while open is not told of any more.
constexpr std::uint32_t watched = IN_MOVED_TO | IN_CLOSE_WRITE | IN_CREATE | IN_OPEN | IN_MOVED_FROM | IN_DELETE |
                                  IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK;

std::optional<file_event> sighting_of(std::uint32_t mask) {
    if ((mask & IN_MOVED_TO) != 0) return file_event::moved_in;
    if ((mask & IN_CLOSE_WRITE) != 0) return file_event::closed;
    if ((mask & IN_CREATE) != 0) return file_event::created;
    if ((mask & (IN_MOVED_FROM | IN_DELETE)) != 0) return file_event::left;
    // A folder being listed (by us, too) is no news.
    if ((mask & IN_OPEN) != 0 && (mask & IN_ISDIR) == 0) return file_event::opened;
    return std::nullopt;
}

}  // namespace

spool_watch::spool_watch(descriptor fd, std::string path)
    : fd_(std::move(fd)), buffer_(std::make_unique<std::array<char, buffer_bytes>>()), path_(std::move(path)) {}

result<spool_watch> spool_watch::open(loop_executor loop, const folder& incoming) {
    unique_fd fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!fd) {
        const int error = errno;
        problem out = errno_problem("start inotify", incoming.path(), error);
        if (error == EMFILE) out.hint = "raise fs.inotify.max_user_instances";
        return fail(std::move(out));
    }
    // Through /proc the watch is on the folder that is open; where /proc is not mounted its path must do.
    const std::string by_fd = fmt::format("/proc/self/fd/{}", incoming.fd());
    if (::inotify_add_watch(fd.get(), by_fd.c_str(), watched) < 0 &&
        (errno != ENOENT || ::inotify_add_watch(fd.get(), incoming.path().c_str(), watched | IN_DONT_FOLLOW) < 0)) {
        const int error = errno;
        problem out = errno_problem("watch", incoming.path(), error);
        if (error == ENOSPC) out.hint = "raise fs.inotify.max_user_watches";
        return fail(std::move(out));
    }
    descriptor reader(loop);
    boost::system::error_code assigned;
    static_cast<void>(reader.assign(fd.get(), assigned));
    if (assigned) return fail(errno_problem("wait for", incoming.path(), assigned.value()));
    static_cast<void>(fd.release());
    return spool_watch(std::move(reader), incoming.path());
}

result<watch_batch> spool_watch::poll() {
    watch_batch out;
    if (!fd_.is_open()) {
        out.closed = true;
        return out;
    }
    const ssize_t got = ::read(fd_.native_handle(), buffer_->data(), buffer_->size());
    if (got < 0) {
        if (errno == EAGAIN || errno == EINTR) return out;
        return fail(errno_problem("read the events of", path_, errno));
    }
    const char* at = buffer_->data();
    const char* const end = at + got;
    while (end - at >= static_cast<std::ptrdiff_t>(sizeof(inotify_event))) {
        inotify_event head{};
        std::memcpy(&head, at, sizeof head);
        const char* const name = at + sizeof head;
        if ((head.mask & IN_Q_OVERFLOW) != 0) out.overflow = true;
        if ((head.mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) != 0) out.gone = true;
        if (const auto what = sighting_of(head.mask); what && head.len != 0)
            out.events.push_back({.name = std::string(name, ::strnlen(name, head.len)), .what = *what});
        at = name + head.len;
    }
    return out;
}

task<result<watch_batch>> spool_watch::next() {
    co_await asio::this_coro::throw_if_cancelled(false);
    for (;;) {
        auto batch = poll();
        if (!batch || batch->closed || batch->gone || batch->overflow || !batch->events.empty()) co_return batch;
        const auto [error] = co_await fd_.async_wait(descriptor::wait_read, as_tuple_task);
        if (!error) continue;
        if (error != asio::error::operation_aborted)
            co_return fail(errno_problem("wait for the events of", path_, error.value()));
        watch_batch over;
        over.closed = true;
        co_return over;
    }
}

void spool_watch::close() {
    boost::system::error_code ignored;  // the descriptor is gone whatever close(2) says
    static_cast<void>(fd_.close(ignored));
}

}  // namespace culld

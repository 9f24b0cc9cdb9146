// What the program asks of sockets. Only streams to the API and the control socket exist.
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstring>

#include "real_calls.hpp"
#include "world.hpp"

namespace culld::simulation {

namespace {
std::shared_ptr<stream_socket> socket_of(int fd) {
    return machine::here()->find<stream_socket>(fd);
}
}  // namespace

unsigned stream_socket::ready() const {
    switch (state) {
        case state_type::fresh: return EPOLLOUT | EPOLLHUP;
        case state_type::connecting: return 0;
        case state_type::listening: return waiting.empty() ? 0U : unsigned(EPOLLIN);
        case state_type::broken: return EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP;
        case state_type::open: break;
    }
    unsigned out = EPOLLOUT;
    if (!inbox.empty() || ended || reset) out |= EPOLLIN;
    if (reset) out |= EPOLLERR | EPOLLHUP;
    return out;
}

void stream_socket::closed() {
    if (peer) std::exchange(peer, nullptr)->gone();
}

ssize_t world::read_socket(int fd, void* to, std::size_t bytes, int flags) {
    const auto s = on.find<stream_socket>(fd);
    if (!s) return failed(EBADF);
    if (on.dead()) return failed(EAGAIN);
    if (!s->inbox.empty()) {
        const std::size_t n = std::min(bytes, s->inbox.size());
        std::memcpy(to, s->inbox.data(), n);
        if ((flags & MSG_PEEK) == 0) s->inbox.erase(0, n);
        return static_cast<ssize_t>(n);
    }
    if (s->reset || s->state == stream_socket::state_type::broken) return failed(ECONNRESET);
    if (s->ended) return 0;
    return failed(s->state == stream_socket::state_type::open ? EAGAIN : ENOTCONN);
}

ssize_t world::write_socket(int fd, std::string_view bytes) {
    if (on.find<open_thing>(fd) && !on.find<stream_socket>(fd)) return static_cast<ssize_t>(bytes.size());  // eventfd
    const auto s = on.find<stream_socket>(fd);
    if (!s) return failed(EBADF);
    if (on.on_call) on.on_call();
    if (on.dead()) return static_cast<ssize_t>(bytes.size());  // into the void
    if (s->reset || s->state != stream_socket::state_type::open || !s->peer) return failed(EPIPE);
    if (bytes.size() > 1 && on.chance.chance(line.torn_request)) {
        on.tell("a request is torn");
        const auto peer = s->peer;
        peer->received(bytes.substr(0, on.chance.below(bytes.size())));
        end(s, true);
        return failed(ECONNRESET);
    }
    if (bytes.size() > 1 && on.chance.chance(line.short_send))
        bytes = bytes.substr(0, 1 + on.chance.below(bytes.size() - 1));
    const auto peer = s->peer;
    peer->received(bytes);
    return static_cast<ssize_t>(bytes.size());
}

void world::deliver(const std::weak_ptr<stream_socket>& to, std::string bytes) {
    const auto s = to.lock();
    if (!s || s->reset || s->state != stream_socket::state_type::open) return;
    s->inbox += bytes;
    on.changed(s.get());
}

void world::end(const std::weak_ptr<stream_socket>& to, bool with_reset) {
    const auto s = to.lock();
    if (!s) return;
    if (with_reset) {
        s->inbox.clear();
        s->reset = true;
    }
    s->ended = true;
    if (s->peer) std::exchange(s->peer, nullptr)->gone();
    on.changed(s.get());
}

std::shared_ptr<stream_socket> world::dial(const std::string& path, std::shared_ptr<far_end> from) {
    const auto listener = listeners[path].lock();
    if (!listener || on.dead()) return nullptr;
    auto s = std::make_shared<stream_socket>();
    s->state = stream_socket::state_type::open;
    s->peer = std::move(from);
    listener->waiting.push_back(s);
    on.changed(listener.get());
    return s;
}

}  // namespace culld::simulation

using namespace culld::simulation;

extern "C" {

int __wrap_socket(int domain, int type, int protocol) {
    if (machine::here() == nullptr) return __real_socket(domain, type, protocol);
    if (machine::here()->dead()) return failed(EMFILE);
    return machine::here()->open(std::make_shared<stream_socket>());
}

int __wrap_connect(int fd, const struct sockaddr* to, socklen_t bytes) {
    if (!machine::ours(fd)) return __real_connect(fd, to, bytes);
    const auto s = socket_of(fd);
    if (!s) return failed(EBADF);
    if (machine::here()->dead()) return failed(ECONNREFUSED);
    s->state = stream_socket::state_type::connecting;
    if (world::here().on_connect) world::here().on_connect(s);
    return failed(EINPROGRESS);
}

int __wrap_bind(int fd, const struct sockaddr* to, socklen_t bytes) {
    if (!machine::ours(fd)) return __real_bind(fd, to, bytes);
    if (to->sa_family != AF_UNIX) return 0;
    world& w = world::here();
    const auto* name = reinterpret_cast<const sockaddr_un*>(to);
    const std::string path(name->sun_path, ::strnlen(name->sun_path, bytes - offsetof(sockaddr_un, sun_path)));
    const std::size_t slash = path.rfind('/');
    node_ptr made;
    const node_ptr folder = w.files.find(path.substr(0, slash));
    if (!folder) return failed(ENOENT);
    if (const int error = w.files.make(folder, path.substr(slash + 1), node::kind_type::socket, 0777, made))
        return failed(error == EEXIST ? EADDRINUSE : error);
    w.listeners[path] = socket_of(fd);
    return 0;
}

int __wrap_listen(int fd, int backlog) {
    if (!machine::ours(fd)) return __real_listen(fd, backlog);
    socket_of(fd)->state = stream_socket::state_type::listening;
    return 0;
}

int __wrap_accept(int fd, struct sockaddr* from, socklen_t* bytes) {
    if (!machine::ours(fd)) return __real_accept(fd, from, bytes);
    const auto s = socket_of(fd);
    if (!s) return failed(EBADF);
    if (s->waiting.empty()) return failed(EAGAIN);
    auto next = s->waiting.front();
    s->waiting.pop_front();
    if (from != nullptr && bytes != nullptr && *bytes >= sizeof(sa_family_t)) {
        from->sa_family = AF_UNIX;
        *bytes = sizeof(sa_family_t);
    }
    return machine::here()->open(std::move(next));
}

int __wrap_shutdown(int fd, int how) {
    if (!machine::ours(fd)) return __real_shutdown(fd, how);
    return 0;
}

int __wrap_getsockopt(int fd, int level, int name, void* value, socklen_t* bytes) {
    if (!machine::ours(fd)) return __real_getsockopt(fd, level, name, value, bytes);
    const auto s = socket_of(fd);
    if (!s) return failed(ENOTSOCK);
    if (level == SOL_SOCKET && name == SO_ERROR) {
        const int error = std::exchange(s->error, 0);
        std::memcpy(value, &error, sizeof error);
    } else if (level == SOL_SOCKET && name == SO_PEERCRED) {
        const ucred who{.pid = 4711, .uid = 0, .gid = 0};
        std::memcpy(value, &who, sizeof who);
    } else {
        std::memset(value, 0, *bytes);
    }
    return 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void* value, socklen_t bytes) {
    if (!machine::ours(fd)) return __real_setsockopt(fd, level, name, value, bytes);
    return 0;
}

int __wrap_getpeername(int fd, struct sockaddr* out, socklen_t* bytes) {
    if (!machine::ours(fd)) return __real_getpeername(fd, out, bytes);
    out->sa_family = AF_INET;
    return 0;
}

int __wrap_getsockname(int fd, struct sockaddr* out, socklen_t* bytes) {
    if (!machine::ours(fd)) return __real_getsockname(fd, out, bytes);
    out->sa_family = AF_INET;
    return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...) {
    va_list more;
    va_start(more, request);
    void* const argument = va_arg(more, void*);
    va_end(more);
    return machine::ours(fd) ? 0 : __real_ioctl(fd, request, argument);
}

int __wrap_poll(struct pollfd* fds, nfds_t count, int timeout) {
    if (count != 1 || !machine::ours(fds->fd)) return __real_poll(fds, count, timeout);
    const auto s = socket_of(fds->fd);
    fds->revents = 0;
    if (!s) return failed(EBADF);
    fds->revents = static_cast<short>(s->ready() & (static_cast<unsigned>(fds->events) | POLLERR | POLLHUP));
    return fds->revents != 0 ? 1 : 0;
}

ssize_t __wrap_recv(int fd, void* to, std::size_t bytes, int flags) {
    if (!machine::ours(fd)) return __real_recv(fd, to, bytes, flags);
    return world::here().read_socket(fd, to, bytes, flags);
}

ssize_t __wrap_send(int fd, const void* from, std::size_t bytes, int flags) {
    if (!machine::ours(fd)) return __real_send(fd, from, bytes, flags);
    return world::here().write_socket(fd, {static_cast<const char*>(from), bytes});
}

ssize_t __wrap_recvmsg(int fd, struct msghdr* message, int flags) {
    if (!machine::ours(fd)) return __real_recvmsg(fd, message, flags);
    for (std::size_t i = 0; i < message->msg_iovlen; ++i)
        if (const iovec& piece = message->msg_iov[i]; piece.iov_len > 0)
            return world::here().read_socket(fd, piece.iov_base, piece.iov_len, flags);
    return 0;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr* message, int flags) {
    if (!machine::ours(fd)) return __real_sendmsg(fd, message, flags);
    std::string all;
    for (std::size_t i = 0; i < message->msg_iovlen; ++i)
        all.append(static_cast<const char*>(message->msg_iov[i].iov_base), message->msg_iov[i].iov_len);
    return world::here().write_socket(fd, all);
}

}  // extern "C"

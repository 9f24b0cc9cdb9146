// The calls as they are outside the simulation: what `ld --wrap` keeps under another name.
#pragma once

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>

extern "C" {
int __real_open(const char* path, int flags, ...);
int __real_openat(int dir, const char* name, int flags, ...);
int __real_close(int fd);
ssize_t __real_read(int fd, void* to, std::size_t bytes);
ssize_t __real_write(int fd, const void* from, std::size_t bytes);
ssize_t __real_pread(int fd, void* to, std::size_t bytes, off_t offset);
ssize_t __real_pwrite(int fd, const void* from, std::size_t bytes, off_t offset);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_fallocate(int fd, int mode, off_t from, off_t bytes);
int __real_ftruncate(int fd, off_t size);
off_t __real_lseek(int fd, off_t offset, int whence);
int __real_fstat(int fd, struct stat* out);
int __real_fstatat(int dir, const char* name, struct stat* out, int flags);
int __real_lstat(const char* path, struct stat* out);
int __real_mkdir(const char* path, mode_t mode);
int __real_mkdirat(int dir, const char* name, mode_t mode);
int __real_unlink(const char* path);
int __real_unlinkat(int dir, const char* name, int flags);
int __real_renameat(int from, const char* name, int to, const char* new_name);
int __real_renameat2(int from, const char* name, int to, const char* new_name, unsigned flags);
int __real_fchmod(int fd, mode_t mode);
int __real_chmod(const char* path, mode_t mode);
int __real_fcntl(int fd, int what, ...);
int __real_flock(int fd, int what);
DIR* __real_fdopendir(int fd);
struct dirent* __real_readdir(DIR* dir);
int __real_closedir(DIR* dir);
int __real_fstatvfs(int fd, struct statvfs* out);
ssize_t __real_getrandom(void* to, std::size_t bytes, unsigned flags);
pid_t __real_getpid();
int __real_inotify_init1(int flags);
int __real_inotify_add_watch(int fd, const char* path, std::uint32_t mask);
int __real_epoll_create1(int flags);
int __real_epoll_ctl(int epoll, int what, int fd, struct epoll_event* event);
int __real_epoll_wait(int epoll, struct epoll_event* out, int room, int timeout);
int __real_eventfd(unsigned count, int flags);
int __real_timerfd_create(int clock, int flags);
int __real_timerfd_settime(int fd, int flags, const struct itimerspec* to, struct itimerspec* was);
int __real_poll(struct pollfd* fds, nfds_t count, int timeout);
void __real__ZN5culld10spin_untilENSt6chrono10time_pointINS0_3_V212steady_clockENS0_8durationIlSt5ratioILl1ELl1000000000EEEEEE(
    std::int64_t at);
int __real_socket(int domain, int type, int protocol);
int __real_connect(int fd, const struct sockaddr* to, socklen_t bytes);
int __real_bind(int fd, const struct sockaddr* to, socklen_t bytes);
int __real_listen(int fd, int backlog);
int __real_accept(int fd, struct sockaddr* from, socklen_t* bytes);
int __real_shutdown(int fd, int how);
int __real_getsockopt(int fd, int level, int name, void* value, socklen_t* bytes);
int __real_setsockopt(int fd, int level, int name, const void* value, socklen_t bytes);
int __real_getpeername(int fd, struct sockaddr* out, socklen_t* bytes);
int __real_getsockname(int fd, struct sockaddr* out, socklen_t* bytes);
int __real_ioctl(int fd, unsigned long request, ...);
ssize_t __real_recv(int fd, void* to, std::size_t bytes, int flags);
ssize_t __real_send(int fd, const void* from, std::size_t bytes, int flags);
ssize_t __real_recvmsg(int fd, struct msghdr* message, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr* message, int flags);
int __real_pthread_create(pthread_t* out, const pthread_attr_t* how, void* (*run)(void*), void* with);
int __real_pthread_join(pthread_t thread, void** out);
int __real_pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex);
int __real_pthread_cond_signal(pthread_cond_t* condition);
int __real_pthread_cond_broadcast(pthread_cond_t* condition);
int __real_prctl(int option, ...);
int __real_setrlimit(int resource, const struct rlimit* to);
[[noreturn]] void __real__Exit(int code);
std::int64_t __real__ZNSt6chrono3_V212steady_clock3nowEv();
std::int64_t __real__ZNSt6chrono3_V212system_clock3nowEv();
unsigned __real__ZNSt13random_device9_M_getvalEv(void* self);
}

namespace culld::simulation {
// What a call hands back that fails with `error`.
inline int failed(int error) {
    errno = error;
    return -1;
}

// To the standard output, whatever stands in for standard error.
void print_line(const std::string& line);
}  // namespace culld::simulation

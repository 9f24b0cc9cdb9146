// A library for LD_PRELOAD under which chosen calls of a program fail: the tests' way to a disk that breaks on command.
//
// FAILING_CALLS names a file with one rule a line, looked at before each call, so that a test may change it while the
// program runs:
//
//     CALL WHERE WHAT [TIMES [AFTER]]
//
//     CALL   write, fsync (fdatasync too), open (openat too), close, rename (renameat, renameat2), noreplace (renameat2
//            with that flag), truncate, room (fallocate), unlink, lease (fcntl with F_SETLEASE, F_RDLCK), read (pread),
//            look (fstatat), resolve (getaddrinfo)
//     WHERE  part of the file's path (of the new name, for a rename; of the host's name, to resolve)
//     WHAT   a number: errno. `short:N`: write at most N bytes. `hang`: wait until the rule is gone, then do it.
//     TIMES  how often, else without end; 0 means that too
//     AFTER  so many matching calls go well before
//
// A failing fsync is one that was not done. A failing close has closed. Every call that was made to fail adds a line to
// FAILING_CALLS.hits. FAILING_MALLOC=N lets the N-th allocation fail, and only that one, and adds a line with
// "malloc"; with N=0 the number of all allocations is written there at the end.
//
// Async-signal-unsafe, and for the tests only. Static programs and raw system calls are not reached.
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" void* __libc_malloc(std::size_t);

namespace {

struct rule {
    char call[16], where[128], what[32];
    unsigned long times, after, seen;
};
std::array<rule, 16> rules;
std::size_t rule_count = 0;
struct timespec read_at {};
ino_t read_inode = 0;
pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

const char* rules_file() {
    static const char* const name = std::getenv("FAILING_CALLS");
    return name;
}

// Raw calls, not to meet ourselves.
long raw_open(const char* path, int flags, int mode) {
    return ::syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
}

void tell(const char* line) {
    char path[4096];
    std::snprintf(path, sizeof path, "%s.hits", rules_file());
    const long fd = raw_open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0) return;
    static_cast<void>(::syscall(SYS_write, fd, line, std::strlen(line)));
    static_cast<void>(::syscall(SYS_close, fd));
}

void look_at_rules() {
    struct stat now {};
    if (::syscall(SYS_newfstatat, AT_FDCWD, rules_file(), &now, 0) != 0) {
        rule_count = 0;
        read_inode = 0;
        return;
    }
    if (now.st_ino == read_inode && now.st_mtim.tv_sec == read_at.tv_sec && now.st_mtim.tv_nsec == read_at.tv_nsec)
        return;
    read_inode = now.st_ino;
    read_at = now.st_mtim;
    rule_count = 0;
    char text[4096];
    const long fd = raw_open(rules_file(), O_RDONLY, 0);
    const long got = fd < 0 ? 0 : ::syscall(SYS_read, fd, text, sizeof text - 1);
    if (fd >= 0) static_cast<void>(::syscall(SYS_close, fd));
    text[got < 0 ? 0 : got] = '\0';
    char* rest = nullptr;
    for (char* line = ::strtok_r(text, "\n", &rest); line != nullptr && rule_count < rules.size();
         line = ::strtok_r(nullptr, "\n", &rest)) {
        rule& r = rules[rule_count];
        r = {};
        if (std::sscanf(line, "%15s %127s %31s %lu %lu", r.call, r.where, r.what, &r.times, &r.after) >= 3)
            ++rule_count;
    }
}

// What is to become of this call; "" where it is to go well. `again`: it was counted before.
void fate(const char* call, const char* path, bool again, std::array<char, 32>& what) {
    what[0] = '\0';
    if (rules_file() == nullptr) return;
    const int kept = errno;
    ::pthread_mutex_lock(&turn);
    look_at_rules();
    for (std::size_t i = 0; i < rule_count; ++i) {
        rule& r = rules[i];
        if (std::strcmp(r.call, call) != 0 || std::strstr(path, r.where) == nullptr) continue;
        if (!again) ++r.seen;
        if (r.seen <= r.after || (r.times != 0 && r.seen > r.after + r.times)) continue;
        std::memcpy(what.data(), r.what, sizeof r.what);
        if (!again) {
            char line[512];
            std::snprintf(line, sizeof line, "%s %s %s\n", call, path, r.what);
            tell(line);
        }
        break;
    }
    ::pthread_mutex_unlock(&turn);
    errno = kept;
}

// Waits where it is to; then true where it is to fail, with errno set.
bool fails(const char* call, const char* path, std::size_t* at_most = nullptr) {
    std::array<char, 32> what{};
    fate(call, path, false, what);
    while (std::strcmp(what.data(), "hang") == 0) {
        ::usleep(5000);
        fate(call, path, true, what);
    }
    if (what[0] == '\0') return false;
    if (std::strncmp(what.data(), "short:", 6) == 0) {
        if (at_most != nullptr) *at_most = std::strtoul(what.data() + 6, nullptr, 10);
        return false;
    }
    errno = std::atoi(what.data());
    return true;
}

void path_of(int fd, char* to, std::size_t size) {
    char link[64];
    std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t n = ::readlink(link, to, size - 1);
    to[n < 0 ? 0 : n] = '\0';
}

bool fails_on(const char* call, int fd, std::size_t* at_most = nullptr) {
    if (rules_file() == nullptr) return false;
    const int kept = errno;
    char path[4096];
    path_of(fd, path, sizeof path);
    errno = kept;
    return fails(call, path, at_most);
}

bool fails_at(const char* call, int folder, const char* name) {
    if (rules_file() == nullptr) return false;
    char path[8192];
    path[0] = '\0';
    if (name[0] != '/' && folder != AT_FDCWD) path_of(folder, path, 4096);
    const std::size_t n = std::strlen(path);
    std::snprintf(path + n, sizeof path - n, "/%s", name);
    return fails(call, path);
}

template <class F>
F* next(const char* name) {
    return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

std::atomic<unsigned long> allocations{0};

[[gnu::destructor]] void tell_allocations() {
    const char* wanted = std::getenv("FAILING_MALLOC");
    if (wanted == nullptr || std::atol(wanted) != 0 || rules_file() == nullptr) return;
    char line[64];
    std::snprintf(line, sizeof line, "allocations %lu\n", allocations.load());
    tell(line);
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void* from, size_t size) {
    static auto* const real = next<ssize_t(int, const void*, size_t)>("write");
    size_t most = size;
    if (fails_on("write", fd, &most)) return -1;
    return real(fd, from, most < size ? most : size);
}

ssize_t pwrite(int fd, const void* from, size_t size, off_t at) {
    static auto* const real = next<ssize_t(int, const void*, size_t, off_t)>("pwrite");
    size_t most = size;
    if (fails_on("write", fd, &most)) return -1;
    return real(fd, from, most < size ? most : size, at);
}

ssize_t pread(int fd, void* to, size_t size, off_t at) {
    static auto* const real = next<ssize_t(int, void*, size_t, off_t)>("pread");
    return fails_on("read", fd) ? -1 : real(fd, to, size, at);
}

int fstatat(int folder, const char* name, struct stat* out, int flags) {
    static auto* const real = next<int(int, const char*, struct stat*, int)>("fstatat");
    return fails_at("look", folder, name) ? -1 : real(folder, name, out, flags);
}

int getaddrinfo(const char* host, const char* service, const addrinfo* how, addrinfo** out) {
    static auto* const real = next<int(const char*, const char*, const addrinfo*, addrinfo**)>("getaddrinfo");
    return fails("resolve", host == nullptr ? "" : host) ? EAI_AGAIN : real(host, service, how, out);
}

int fsync(int fd) {
    static auto* const real = next<int(int)>("fsync");
    return fails_on("fsync", fd) ? -1 : real(fd);
}

int fdatasync(int fd) {
    static auto* const real = next<int(int)>("fdatasync");
    return fails_on("fsync", fd) ? -1 : real(fd);
}

int close(int fd) {
    static auto* const real = next<int(int)>("close");
    if (!fails_on("close", fd)) return real(fd);
    const int error = errno;
    static_cast<void>(real(fd));
    errno = error;
    return -1;
}

int open(const char* path, int flags, ...) {
    static auto* const real = next<int(const char*, int, ...)>("open");
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return fails_at("open", AT_FDCWD, path) ? -1 : real(path, flags, mode);
}

int openat(int folder, const char* name, int flags, ...) {
    static auto* const real = next<int(int, const char*, int, ...)>("openat");
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return fails_at("open", folder, name) ? -1 : real(folder, name, flags, mode);
}

int renameat(int from, const char* name, int to, const char* new_name) {
    static auto* const real = next<int(int, const char*, int, const char*)>("renameat");
    return fails_at("rename", to, new_name) ? -1 : real(from, name, to, new_name);
}

int renameat2(int from, const char* name, int to, const char* new_name, unsigned flags) {
    static auto* const real = next<int(int, const char*, int, const char*, unsigned)>("renameat2");
    if (flags != 0 && fails_at("noreplace", to, new_name)) return -1;
    return fails_at("rename", to, new_name) ? -1 : real(from, name, to, new_name, flags);
}

int fcntl(int fd, int command, ...) {
    static auto* const real = next<int(int, int, ...)>("fcntl");
    va_list rest;
    va_start(rest, command);
    void* const argument = va_arg(rest, void*);
    va_end(rest);
    if (command == F_SETLEASE && reinterpret_cast<long>(argument) == F_RDLCK && fails_on("lease", fd)) return -1;
    return real(fd, command, argument);
}
int fcntl64(int fd, int command, ...) __attribute__((alias("fcntl")));

int ftruncate(int fd, off_t size) {
    static auto* const real = next<int(int, off_t)>("ftruncate");
    return fails_on("truncate", fd) ? -1 : real(fd, size);
}

int fallocate(int fd, int mode, off_t at, off_t size) {
    static auto* const real = next<int(int, int, off_t, off_t)>("fallocate");
    return fails_on("room", fd) ? -1 : real(fd, mode, at, size);
}

int unlinkat(int folder, const char* name, int flags) {
    static auto* const real = next<int(int, const char*, int)>("unlinkat");
    return fails_at("unlink", folder, name) ? -1 : real(folder, name, flags);
}

// operator new and OpenSSL end here. Not by dlsym, which allocates itself.
void* malloc(size_t size) {
    static const char* const text = std::getenv("FAILING_MALLOC");
    if (text != nullptr) {
        static const unsigned long wanted = std::strtoul(text, nullptr, 10);
        if (++allocations == wanted) {
            tell("malloc\n");
            errno = ENOMEM;
            return nullptr;
        }
    }
    return __libc_malloc(size);
}

}  // extern "C"

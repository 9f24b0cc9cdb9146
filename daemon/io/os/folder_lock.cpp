#include "culld/io/os/folder_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <sstream>
#include <utility>

#include "culld/io/os/folder_check.hpp"

namespace culld {

namespace {

constexpr const char* lock_name = ".lock";

tl::unexpected<lock_refusal> refuse(lock_refusal::cause why, problem what) {
    return tl::unexpected<lock_refusal>({.why = why, .what = std::move(what)});
}
tl::unexpected<lock_refusal> broken(problem what) {
    return refuse(lock_refusal::cause::broken, std::move(what));
}

// One printable line, as written by the holder, or nothing: he may just be about to write it.
std::string holder_of(int fd) {
    std::array<char, 256> text{};
    const auto got = read_some_at(fd, text.data(), text.size(), 0, lock_name);
    if (!got || *got == 0 || text[*got - 1] != '\n') return {};
    std::string line(text.data(), *got - 1);
    const bool printable = std::ranges::all_of(line, [](char c) { return c >= 0x20 && c < 0x7F; });
    return printable ? line : std::string();
}

// "culld, pid 17, since …" of whoever holds it; nothing where nobody says it.
std::string holder_in(const folder& where) {
    const unique_fd fd(::openat(where.fd(), lock_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    return fd ? holder_of(fd.get()) : std::string();
}

// The file may be gone: then the kernel's list names at least the process that holds the folder.
std::string holder_by_kernel(int fd) {
    struct stat facts {};
    const auto text = read_small_file("/proc/locks", 1U << 20U);
    if (!text || ::fstat(fd, &facts) != 0) return {};
    const std::string inode = fmt::format(":{} ", facts.st_ino);
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) {
        // 1: FLOCK  ADVISORY  WRITE 1234 08:01:123456 0 EOF
        std::istringstream words(line);
        std::string number, kind, how, what, pid;
        words >> number >> kind >> how >> what >> pid;
        if (kind == "FLOCK" && what == "WRITE" && line.find(inode) != std::string::npos) return "pid " + pid;
    }
    return {};
}

tl::unexpected<lock_refusal> held_by(const folder& where, const std::string& holder) {
    return refuse(lock_refusal::cause::held,
                  {.what = fmt::format("{} is in use by {}", where.path(),
                                       holder.empty() ? std::string("another process") : holder),
                   .hint = "stop that one first, or give this one folders of its own (spool.dir, journal.dir)",
                   .file = {}});
}

}  // namespace

tl::expected<folder_lock, lock_refusal> folder_lock::take(const folder& where, const folder& inside,
                                                          std::string_view program, wall_time now) {
    folder_lock out;
    out.where_ = &where;
    out.mark_ = fmt::format("{}, pid {}, since {}\n", program, ::getpid(), rfc3339(now));
    // A descriptor of its own, since a lock goes with it.
    out.inside_.reset(::openat(inside.fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!out.inside_) return broken(errno_problem("open the folder", inside.path(), errno));
    if (::flock(out.inside_.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            std::string holder = holder_in(where);
            if (holder.empty()) holder = holder_by_kernel(out.inside_.get());
            return held_by(where, holder);
        }
        out.inside_.reset();  // a file system without such locks for folders (NFS): then the file alone has to do
    }
    if (auto taken = out.take_file(); !taken) return tl::unexpected(std::move(taken.error()));
    return out;
}

tl::expected<void, lock_refusal> folder_lock::take_file() {
    const std::string path = where_->path() + "/" + lock_name;
    unique_fd file(::openat(where_->fd(), lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                            S_IRUSR | S_IWUSR));
    if (!file) return broken(errno_problem("open the lock file", path, errno));
    struct stat facts {};
    if (::fstat(file.get(), &facts) != 0) return broken(errno_problem("look at the lock file", path, errno));
    if (!S_ISREG(facts.st_mode) || facts.st_nlink != 1)
        return broken({.what = "the lock file is not a regular file with one link",
                       .hint = "remove it once you know who put it there",
                       .file = path});

    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (::fcntl(file.get(), F_OFD_SETLK, &whole) != 0) {
        if (errno != EAGAIN && errno != EACCES) return broken(errno_problem("lock", path, errno));
        return held_by(*where_, holder_of(file.get()));
    }

    // Written over what is there: that takes no room on a full disk. Where it fails all the same, the lock holds, and
    // only the name of its holder is missing.
    const bool named = write_all_at(file.get(), mark_, 0, path).has_value();
    if (::ftruncate(file.get(), named ? static_cast<off_t>(mark_.size()) : 0) != 0)
        return broken(errno_problem("cut the lock file", path, errno));
    fd_ = std::move(file);
    return {};
}

tl::expected<bool, lock_refusal> folder_lock::look_after() {
    const std::string path = where_->path() + "/" + lock_name;
    const auto ours = seen(fd_.get(), path);
    if (!ours) return broken(ours.error());
    const auto there = seen_at(path);
    if (!there) return broken(there.error());
    if (path_state_of(*ours, *there, std::nullopt) == path_state::one) return false;
    if (auto taken = take_file(); !taken) return tl::unexpected(std::move(taken.error()));
    return true;
}

}  // namespace culld

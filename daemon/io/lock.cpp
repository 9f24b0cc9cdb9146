#include "culld/io/lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

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

}  // namespace

tl::expected<folder_lock, lock_refusal> folder_lock::take(const folder& where, std::string_view program,
                                                          wall_time now) {
    const std::string path = where.path() + "/" + lock_name;
    folder_lock out;
    out.fd_.reset(::openat(where.fd(), lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                           S_IRUSR | S_IWUSR));
    if (!out.fd_) return broken(errno_problem("open the lock file", path, errno));
    struct stat facts {};
    if (::fstat(out.fd_.get(), &facts) != 0) return broken(errno_problem("look at the lock file", path, errno));
    if (!S_ISREG(facts.st_mode) || facts.st_nlink != 1)
        return broken({.what = "the lock file is not a regular file with one link",
                       .hint = "remove it once you know who put it there",
                       .file = path});

    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (::fcntl(out.fd_.get(), F_OFD_SETLK, &whole) != 0) {
        if (errno != EAGAIN && errno != EACCES) return broken(errno_problem("lock", path, errno));
        const std::string holder = holder_of(out.fd_.get());
        return refuse(lock_refusal::cause::held,
                      {.what = fmt::format("{} is in use by {}", where.path(),
                                           holder.empty() ? std::string("another process") : holder),
                       .hint = "stop that one first, or give this one folders of its own (spool.dir, journal.dir)",
                       .file = {}});
    }

    const std::string mark = fmt::format("{}, pid {}, since {}\n", program, ::getpid(), rfc3339(now));
    // Written over what is there: that takes no room on a full disk. Where it fails all the same, the lock holds, and
    // only the name of its holder is missing.
    const bool named = write_all_at(out.fd_.get(), mark, 0, path).has_value();
    if (::ftruncate(out.fd_.get(), named ? static_cast<off_t>(mark.size()) : 0) != 0)
        return broken(errno_problem("cut the lock file", path, errno));
    return out;
}

}  // namespace culld

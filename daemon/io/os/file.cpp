#include "culld/io/os/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "culld/core/text/shell_quote.hpp"

namespace culld {

namespace {
constexpr int safe_flags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
}

void unique_fd::reset(int fd) noexcept {
    if (fd_ >= 0) static_cast<void>(::close(fd_));
    fd_ = fd;
}

problem errno_problem(std::string_view doing, std::string_view name, int error) {
    return problem{.what = fmt::format("{}: {}", doing, std::generic_category().message(error)),
                   .hint = {},
                   .file = std::string(name)};
}

problem change_problem(std::string_view doing, std::string_view name, int error) {
    problem out = errno_problem(doing, name, error);
    if (error == EPERM)
        out.hint = fmt::format("culld must be able to cut and rewrite it: see lsattr {0}, and chattr -a -i {0}",
                               shell_file(name));
    return out;
}

result<folder> folder::open(const std::string& path, mode_t create_mode) {
    if (create_mode != 0) {
        for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
            const std::string part = path.substr(0, slash);
            if (!part.empty() && ::mkdir(part.c_str(), create_mode) == 0) {
                const std::size_t cut = part.rfind('/');
                const std::string parent = cut == std::string::npos ? "." : cut == 0 ? "/" : part.substr(0, cut);
                const unique_fd fd(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
                if (!fd || ::fsync(fd.get()) != 0) return fail(errno_problem("make folder durable", parent, errno));
            } else if (errno != EEXIST && errno != EROFS && errno != EACCES) {
                return fail(errno_problem("make folder", part, errno));
            }
            if (slash == std::string::npos) break;
        }
    }
    folder out;
    out.path_ = path;
    out.fd_.reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!out.fd_) return fail(errno_problem("open folder", path, errno));
    return out;
}

result<folder> folder::sub(const std::string& name, mode_t create_mode) const {
    if (create_mode != 0) {
        if (::mkdirat(fd(), name.c_str(), create_mode) == 0) {
            if (auto synced = sync(); !synced) return fail(std::move(synced.error()));
        } else if (errno != EEXIST) {
            return fail(errno_problem("make folder", path_ + "/" + name, errno));
        }
    }
    folder out;
    out.path_ = path_ + "/" + name;
    out.fd_.reset(::openat(fd(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!out.fd_) return fail(errno_problem("open folder", out.path_, errno));
    return out;
}

result<void> folder::sync() const {
    if (::fsync(fd()) != 0) return fail(errno_problem("fsync folder", path_, errno));
    return {};
}

result<unique_fd> folder::open_file(const std::string& name, int flags, mode_t mode) const {
    unique_fd out(::openat(fd(), name.c_str(), flags | safe_flags, mode));
    if (!out) {
        const bool changes = (flags & (O_WRONLY | O_RDWR)) != 0;
        return fail(changes ? change_problem("open", name, errno) : errno_problem("open", name, errno));
    }
    return out;
}

result<std::optional<std::string>> folder::read_start(const std::string& name, std::size_t most) const {
    if (!exists(name)) return std::optional<std::string>{};
    const auto fd = open_file(name, O_RDONLY);
    if (!fd) return fail(fd.error());
    std::string text(most, '\0');
    const auto got = read_some_at(fd->get(), text.data(), text.size(), 0, name);
    if (!got) return fail(got.error());
    text.resize(*got);
    return text;
}

result<struct stat> folder::stat(const std::string& name) const {
    struct stat out {};
    if (::fstatat(fd(), name.c_str(), &out, AT_SYMLINK_NOFOLLOW) != 0)
        return fail(errno_problem("look at", name, errno));
    return out;
}

bool folder::exists(const std::string& name) const {
    struct stat out {};
    return ::fstatat(fd(), name.c_str(), &out, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

result<bool> folder::remove(const std::string& name) const {
    if (::unlinkat(fd(), name.c_str(), 0) == 0) return true;
    if (errno == ENOENT) return false;
    return fail(errno_problem("remove", name, errno));
}

result<bool> folder::move(const std::string& name, const folder& to, const std::string& new_name) const {
    const int error = rename_new(*this, name, to, new_name);
    if (error == 0) return true;
    if (error == EEXIST) return false;
    return fail(errno_problem(fmt::format("move to {}/{}", to.path(), new_name), name, error));
}

int rename_new(const folder& from, const std::string& name, const folder& to, const std::string& new_name) {
    if (::renameat2(from.fd(), name.c_str(), to.fd(), new_name.c_str(), RENAME_NOREPLACE) == 0) return 0;
    // EINVAL, ENOSYS, EOPNOTSUPP: no such flag there (NFS, many FUSE file systems). A link instead of the rename would
    // leave two names after a crash, and of others' files the kernel makes none (fs.protected_hardlinks).
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) return errno;
    struct stat facts {};
    if (::fstatat(to.fd(), new_name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) == 0) return EEXIST;
    if (errno != ENOENT) return errno;
    return ::renameat(from.fd(), name.c_str(), to.fd(), new_name.c_str()) == 0 ? 0 : errno;
}

namespace {

result<void> write_aside(const folder& dir, const std::string& name, std::string_view content, mode_t mode) {
    const std::string temporary = folder::staged_name(name);
    auto file = dir.open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode);
    if (!file) return fail(std::move(file.error()));
    if (auto done = write_all(file->get(), content, temporary); !done) return done;
    return sync_file(file->get(), temporary);
}

}  // namespace

std::string folder::staged_name(const std::string& name) {
    return "." + name + ".new";
}

result<void> folder::replace(const std::string& name, std::string_view content, mode_t mode) const {
    if (auto done = write_aside(*this, name, content, mode); !done) return done;
    return put_staged(name);
}

result<void> folder::stage(const std::string& name, std::string_view content, mode_t mode) const {
    if (auto done = write_aside(*this, name, content, mode); !done) return done;
    return sync();
}

result<void> folder::put_staged(const std::string& name) const {
    if (::renameat(fd(), staged_name(name).c_str(), fd(), name.c_str()) != 0)
        return fail(errno_problem("rename over", name, errno));
    return sync();
}

result<void> write_all(int fd, std::string_view bytes, std::string_view name) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd, bytes.data(), bytes.size());
        if (n < 0) {
            if (errno == EINTR) continue;
            return fail(errno_problem("write", name, errno));
        }
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

result<void> write_all_at(int fd, std::string_view bytes, std::uint64_t offset, std::string_view name) {
    while (!bytes.empty()) {
        const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0) {
            if (errno == EINTR) continue;
            return fail(errno_problem("write", name, errno));
        }
        bytes.remove_prefix(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
    return {};
}

result<std::size_t> read_some_at(int fd, char* to, std::size_t bytes, std::uint64_t offset, std::string_view name) {
    std::size_t got = 0;
    while (got < bytes) {
        const ssize_t n = ::pread(fd, to + got, bytes - got, static_cast<off_t>(offset + got));
        if (n < 0) {
            if (errno == EINTR) continue;
            return fail(errno_problem("read", name, errno));
        }
        if (n == 0) break;
        got += static_cast<std::size_t>(n);
    }
    return got;
}

result<void> sync_data(int fd, std::string_view name) {
    if (::fdatasync(fd) != 0) return fail(errno_problem("fdatasync", name, errno));
    return {};
}

result<void> sync_file(int fd, std::string_view name) {
    if (::fsync(fd) != 0) return fail(errno_problem("fsync", name, errno));
    return {};
}

result<void> make_durable_again(const folder& dir, const std::string& name, std::uint64_t size) {
    constexpr std::uint64_t doubtful = 16U << 20U, piece = 1U << 20U;
    const auto fd = dir.open_file(name, O_RDWR);  // not O_APPEND: Linux then ignores where to
    if (!fd) return fail(fd.error());
    std::string bytes;
    for (std::uint64_t at = size > doubtful ? size - doubtful : 0; at < size; at += bytes.size()) {
        bytes.resize(static_cast<std::size_t>(std::min(piece, size - at)));
        const auto got = read_some_at(fd->get(), bytes.data(), bytes.size(), at, name);
        if (!got) return fail(got.error());
        if (*got != bytes.size())
            return fail(problem{.what = "became shorter while it was read", .hint = {}, .file = name});
        if (auto done = write_all_at(fd->get(), bytes, at, name); !done) return done;
    }
    if (auto synced = sync_file(fd->get(), name); !synced) return synced;
    return dir.sync();
}

result<unique_fd> open_regular(const std::string& path) {
    unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!fd) return fail(errno_problem("open", path, errno));
    struct stat facts {};
    if (::fstat(fd.get(), &facts) != 0) return fail(errno_problem("look at", path, errno));
    if (!S_ISREG(facts.st_mode))
        return fail(problem{.what = "is no regular file", .hint = "name a file that lies on a disk", .file = path});
    return fd;
}

result<std::string> read_small_file(const std::string& path, std::size_t limit) {
    const unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!fd) return fail(errno_problem("open", path, errno));
    std::string out(limit + 1, '\0');
    std::size_t got = 0;
    while (got < out.size()) {
        const ssize_t n = ::read(fd.get(), out.data() + got, out.size() - got);
        if (n < 0) {
            if (errno == EINTR) continue;
            return fail(errno_problem("read", path, errno));
        }
        if (n == 0) break;
        got += static_cast<std::size_t>(n);
    }
    if (got > limit) return fail(problem{.what = fmt::format("larger than {} bytes", limit), .hint = {}, .file = path});
    out.resize(got);
    return out;
}

}  // namespace culld

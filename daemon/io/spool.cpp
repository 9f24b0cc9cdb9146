#include "culld/io/spool.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <limits>
#include <utility>

namespace culld {

namespace {

constexpr std::array all_folders{spool_folder::tmp,  spool_folder::incoming, spool_folder::active,
                                 spool_folder::done, spool_folder::failed,   spool_folder::rejected};

// Submitters write to these two; the others are ours alone.
bool is_drop_box(spool_folder where) {
    return where == spool_folder::tmp || where == spool_folder::incoming;
}
mode_t mode_of(spool_folder where) {
    return is_drop_box(where) ? 0770 : 0750;
}

// File times can be set to anything; what does not fit is as far away as can be said.
wall_time to_wall(const timespec& t) {
    constexpr std::int64_t seconds_max = std::numeric_limits<std::int64_t>::max() / 1'000'000 - 1;
    const std::int64_t seconds = std::clamp<std::int64_t>(t.tv_sec, -seconds_max, seconds_max);
    return wall_time(std::chrono::microseconds(seconds * 1'000'000 + t.tv_nsec / 1000));
}

node_type type_of_mode(mode_t mode) {
    switch (mode & S_IFMT) {
        case S_IFREG: return node_type::regular;
        case S_IFDIR: return node_type::folder;
        case S_IFLNK: return node_type::symlink;
        case S_IFIFO: return node_type::fifo;
        case S_IFSOCK: return node_type::socket;
        default: return node_type::device;
    }
}

node_facts facts_of(const struct stat& s) {
    return {.type = type_of_mode(s.st_mode),
            .device = s.st_dev,
            .inode = s.st_ino,
            .links = s.st_nlink,
            .uid = s.st_uid,
            .gid = s.st_gid,
            .size = static_cast<std::uint64_t>(s.st_size),
            .mtime = to_wall(s.st_mtim),
            .ctime = to_wall(s.st_ctim)};
}

// Makes `name` if it is missing, with exactly `mode` whatever the umask, and opens it.
result<folder> make(const folder& root, const std::string& name, mode_t mode) {
    const bool made = ::mkdirat(root.fd(), name.c_str(), mode) == 0;
    if (!made && errno != EEXIST) return fail(errno_problem("make folder", root.path() + "/" + name, errno));
    auto out = root.sub(name);
    if (!out || !made) return out;
    if (::fchmod(out->fd(), mode) != 0) return fail(errno_problem("set the mode of", out->path(), errno));
    if (auto synced = root.sync(); !synced) return fail(std::move(synced.error()));
    return out;
}

result<void> check_folder(const folder& it, spool_folder where, dev_t device) {
    struct stat facts {};
    if (::fstat(it.fd(), &facts) != 0) return fail(errno_problem("look at", it.path(), errno));
    if (facts.st_dev != device)
        return fail({.what = "is on another file system than the rest of the spool, so files cannot be renamed there",
                     .hint = "put the whole of spool.dir on one file system",
                     .file = it.path()});
    const bool everybody = (facts.st_mode & S_IWOTH) != 0;
    const bool sticky = (facts.st_mode & S_ISVTX) != 0;
    if (everybody && !(is_drop_box(where) && sticky))
        return fail({.what = fmt::format("everybody may write to it (mode {:04o}), so anybody could swap others' files",
                                         facts.st_mode & 07777),
                     .hint = fmt::format("chmod {:04o} {}", is_drop_box(where) ? 02770 : 0750, it.path()),
                     .file = it.path()});
    const uid_t us = ::geteuid();
    if (!is_drop_box(where) && us != 0 && facts.st_uid != us && facts.st_uid != 0)
        return fail({.what = fmt::format("belongs to uid {}, we run as uid {}", facts.st_uid, us),
                     .hint = fmt::format("chown it to the daemon's user, or start the daemon as that one"),
                     .file = it.path()});
    return {};
}

// 0 or errno; RENAME_NOREPLACE, so EEXIST where the new name is taken.
int rename_new(const folder& from, const std::string& name, const folder& to, const std::string& new_name) {
    return ::renameat2(from.fd(), name.c_str(), to.fd(), new_name.c_str(), RENAME_NOREPLACE) == 0 ? 0 : errno;
}

problem move_problem(const std::string& name, const folder& to, int error) {
    problem out = errno_problem(fmt::format("move to {}", to.path()), name, error);
    if (error == EPERM || error == EACCES)
        out.hint = fmt::format("the file may be immutable (lsattr), or the daemon lacks rights on the folders");
    return out;
}

// Opens a file that lies where only we rename: between the look and the open its name cannot change its
// meaning.
result<take_result> open_settled(const folder& active, const std::string& name) {
    using outcome = take_result::outcome;
    take_result out;
    const auto refused = [&out](problem why) {
        out.what = outcome::refused;
        out.why = std::move(why);
        return std::move(out);
    };
    const auto before = look(active, name);
    if (!before) return fail(before.error());
    if (!*before) return out;  // gone
    if (auto fault = type_fault((*before)->type)) return refused(std::move(*fault));
    if ((*before)->links != 1) return refused(link_fault((*before)->links));

    out.job.fd.reset(::openat(active.fd(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!out.job.fd) {
        const int error = errno;
        if (error == ENOENT) return out;
        if (error == EACCES || error == EPERM)
            return refused({.what = "it cannot be read by the daemon",
                            .hint = "let the daemon's group read it (chmod g+r) and drop it again",
                            .file = {}});
        if (error == ELOOP || error == ENXIO || error == ENODEV)
            return refused({.what = "it changed its nature while it was taken", .hint = {}, .file = {}});
        return fail(errno_problem("open", active.path() + "/" + name, error));
    }
    struct stat after {};
    if (::fstat(out.job.fd.get(), &after) != 0)
        return fail(errno_problem("look at", active.path() + "/" + name, errno));
    out.job.facts = facts_of(after);
    if (auto fault = type_fault(out.job.facts.type)) return refused(std::move(*fault));
    if (out.job.facts.links != 1) return refused(link_fault(out.job.facts.links));
    if (out.job.facts.inode != (*before)->inode || out.job.facts.device != (*before)->device)
        return refused({.what = "another file was put in its place while it was taken", .hint = {}, .file = {}});
    out.what = outcome::taken;
    return out;
}

// Opens a file in active/ and makes it durable there. Whoever moved it may have been killed before the move was: a
// power cut must not put a file whose job was accepted back into incoming/. And `cp` does not fsync: it must not empty
// one either.
result<take_result> settle(const folder& incoming, const folder& active, const std::string& name) {
    auto out = open_settled(active, name);
    if (!out || out->what == take_result::outcome::gone) return out;
    if (auto synced = active.sync(); !synced) return fail(std::move(synced.error()));
    if (auto synced = incoming.sync(); !synced) return fail(std::move(synced.error()));
    if (out->what == take_result::outcome::taken)
        if (auto synced = sync_file(out->job.fd.get(), name); !synced) return fail(std::move(synced.error()));
    return out;
}

}  // namespace

std::string_view name_of(spool_folder where) {
    switch (where) {
        case spool_folder::tmp: return "tmp";
        case spool_folder::incoming: return "incoming";
        case spool_folder::active: return "active";
        case spool_folder::done: return "done";
        case spool_folder::failed: return "failed";
        case spool_folder::rejected: break;
    }
    return "rejected";
}

void folder_scan::closer::operator()(void* dir) const noexcept {
    static_cast<void>(::closedir(static_cast<DIR*>(dir)));
}

result<folder_scan> folder_scan::open(const folder& where) {
    // A descriptor of its own: two scans of one folder must not share a position.
    unique_fd fd(::openat(where.fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return fail(errno_problem("read folder", where.path(), errno));
    folder_scan out;
    out.path_ = where.path();
    out.dir_.reset(::fdopendir(fd.get()));
    if (!out.dir_) return fail(errno_problem("read folder", where.path(), errno));
    static_cast<void>(fd.release());
    return out;
}

result<std::optional<std::string_view>> folder_scan::next() {
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(static_cast<DIR*>(dir_.get()));
        if (entry == nullptr) {
            if (errno != 0) return fail(errno_problem("read folder", path_, errno));
            return std::nullopt;
        }
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") return name;
    }
}

result<std::optional<node_facts>> look(const folder& where, const std::string& name) {
    struct stat facts {};
    if (::fstatat(where.fd(), name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) == 0) return facts_of(facts);
    if (errno == ENOENT) return std::nullopt;
    return fail(errno_problem("look at", where.path() + "/" + name, errno));
}

writer ask_writer(const folder& where, const std::string& name) {
    const unique_fd fd(::openat(where.fd(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!fd) return writer::unknown;
    // A writer that comes between the two calls breaks the lease, and the kernel says so by SIGIO, which ends
    // a process that does not expect it. SIGURG is ignored unless asked for.
    if (::fcntl(fd.get(), F_SETSIG, SIGURG) != 0) return writer::unknown;
    if (::fcntl(fd.get(), F_SETLEASE, F_RDLCK) != 0) return errno == EAGAIN ? writer::present : writer::unknown;
    // Should giving it back fail, closing the descriptor does it.
    static_cast<void>(::fcntl(fd.get(), F_SETLEASE, F_UNLCK));
    return writer::none;
}

result<spool> spool::open(const std::string& path) {
    spool out;
    auto root = folder::open(path, 0755);
    if (!root) return fail(std::move(root.error()));
    out.root_ = std::move(*root);
    struct stat facts {};
    if (::fstat(out.root_.fd(), &facts) != 0) return fail(errno_problem("look at", path, errno));
    if ((facts.st_mode & S_IWOTH) != 0)
        return fail({.what = "everybody may write to it, so anybody could swap its folders",
                     .hint = fmt::format("chmod o-w {}", path),
                     .file = path});
    for (const spool_folder where : all_folders) {
        const auto it = make(out.root_, std::string(name_of(where)), mode_of(where));
        if (!it) return fail(it.error());
        if (auto fine = check_folder(*it, where, facts.st_dev); !fine) return fail(std::move(fine.error()));
    }
    return out;
}

result<folder> spool::at(spool_folder where) const {
    const std::string name(name_of(where));
    return is_drop_box(where) ? root_.sub(name) : make(root_, name, mode_of(where));
}

result<void> spool::scan(spool_folder where, const std::function<bool(std::string_view)>& each) const {
    const auto in = at(where);
    if (!in) return fail(in.error());
    auto names = folder_scan::open(*in);
    if (!names) return fail(std::move(names.error()));
    for (;;) {
        const auto name = names->next();
        if (!name) return fail(name.error());
        if (!*name || !each(**name)) return {};
    }
}

result<std::optional<node_facts>> spool::look(spool_folder where, const std::string& name) const {
    const auto in = at(where);
    if (!in) return fail(in.error());
    return culld::look(*in, name);
}

result<take_result> spool::take(const std::string& name) const {
    const auto incoming = at(spool_folder::incoming);
    if (!incoming) return fail(incoming.error());
    const auto active = at(spool_folder::active);
    if (!active) return fail(active.error());

    take_result early;
    switch (const int error = rename_new(*incoming, name, *active, name)) {
        case 0: break;
        case ENOENT: return early;  // gone
        case EEXIST: early.what = take_result::outcome::name_busy; return early;
        default: return fail(move_problem(name, *active, error));
    }
    auto out = settle(*incoming, *active, name);
    if (out) return out;
    // It is ours from the rename on: nobody will see it in incoming/ any more.
    early.what = take_result::outcome::moved;
    early.why = std::move(out.error());
    return early;
}

result<take_result> spool::open_active(const std::string& name) const {
    const auto active = at(spool_folder::active);
    if (!active) return fail(active.error());
    const auto incoming = at(spool_folder::incoming);
    if (!incoming) return fail(incoming.error());
    return settle(*incoming, *active, name);
}

}  // namespace culld

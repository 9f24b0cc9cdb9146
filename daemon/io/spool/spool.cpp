#include "culld/io/spool/spool.hpp"

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
#include <vector>

#include "culld/core/spool/unused_name.hpp"
#include "culld/io/os/disk_space.hpp"

#include "culld/core/text/shell_quote.hpp"

namespace culld {

namespace {

constexpr std::string_view copy_suffix = ".copy";
constexpr const char* lease_probe = ".lease-probe";
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
            .mode = s.st_mode & 07777U,
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
                     .hint = fmt::format("chmod {:04o} {}", is_drop_box(where) ? 02770 : 0750, shell_file(it.path())),
                     .file = it.path()});
    const uid_t us = ::geteuid();
    if (!is_drop_box(where) && us != 0 && facts.st_uid != us && facts.st_uid != 0)
        return fail({.what = fmt::format("belongs to uid {}, we run as uid {}", facts.st_uid, us),
                     .hint = fmt::format("chown it to the daemon's user, or start the daemon as that one"),
                     .file = it.path()});
    return {};
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
    out.job.name = name;
    const auto refused = [&out](problem why) {
        out.what = outcome::refused;
        out.why = std::move(why);
        return std::move(out);
    };
    const auto before = look(active, name);
    if (!before) return fail(before.error());
    if (!*before) return out;  // gone
    out.job.facts = **before;
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

// The copy of a file that is another user's, by its inode: one that is in active/ has that for itself.
std::string copy_name(std::uint64_t inode) {
    return fmt::format(".{}{}", inode, copy_suffix);
}

// Larger files are not copied where that would leave the disk less than this.
constexpr std::uint64_t small_file = 1U << 20U, bytes_left_free = std::uint64_t{64} << 20U;

result<std::optional<problem>> no_room(const folder& active, std::uint64_t size) {
    if (size <= small_file) return std::optional<problem>();
    const auto room = room_of(active);
    if (!room) return fail(room.error());
    if (room->free_bytes >= size + bytes_left_free) return std::optional<problem>();
    return problem{.what = fmt::format("a copy of its {} bytes would fill the disk of the spool", size),
                   .hint = "split it, or pack it (.gz, .zst)",
                   .file = {}};
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

writer spool::ask(int fd) const {
    if (!leases_) return writer::no_leases;
    // A writer that comes between the two calls breaks the lease, and the kernel says so by SIGIO, which ends
    // a process that does not expect it. SIGURG is ignored unless asked for.
    if (::fcntl(fd, F_SETSIG, SIGURG) != 0) return writer::unknown;
    if (::fcntl(fd, F_SETLEASE, F_RDLCK) != 0) {
        if (errno == EAGAIN) return writer::present;
        return errno == EACCES || errno == EPERM ? writer::not_allowed : writer::no_leases;
    }
    // Should giving it back fail, closing the descriptor does it.
    static_cast<void>(::fcntl(fd, F_SETLEASE, F_UNLCK));
    return writer::none;
}

writer spool::ask_writer(const folder& where, const std::string& name) const {
    const unique_fd fd(::openat(where.fd(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    return fd ? ask(fd.get()) : writer::unknown;
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
                     .hint = fmt::format("chmod o-w {}", shell_file(path)),
                     .file = path});
    for (const spool_folder where : all_folders) {
        const auto it = make(out.root_, std::string(name_of(where)), mode_of(where));
        if (!it) return fail(it.error());
        if (auto fine = check_folder(*it, where, facts.st_dev); !fine) return fail(std::move(fine.error()));
    }
    // Of a file of our own that nobody writes: a file system that refuses a lease of this one has none. Where it cannot
    // be made (a full disk) there are leases for all we know.
    const auto active = out.at(spool_folder::active);
    if (!active) return fail(active.error());
    if (active->open_file(lease_probe, O_WRONLY | O_CREAT, 0600)) {
        out.leases_ = out.ask_writer(*active, lease_probe) == writer::none;
        if (auto gone = active->remove(lease_probe); !gone) return fail(std::move(gone.error()));
    }
    return out;
}

result<folder> spool::at(spool_folder where) const {
    const std::string name(name_of(where));
    auto out = is_drop_box(where) ? root_.sub(name) : make(root_, name, mode_of(where));
    if (!out) return out;
    // Another one may have been put in its place, or mounted over it, since the start.
    struct stat facts {};
    if (::fstat(root_.fd(), &facts) != 0) return fail(errno_problem("look at", root_.path(), errno));
    if (auto fine = check_folder(*out, where, facts.st_dev); !fine) return fail(std::move(fine.error()));
    return out;
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

result<take_result> spool::take(const std::string& name, const node_facts* seen) const {
    const auto incoming = at(spool_folder::incoming);
    if (!incoming) return fail(incoming.error());
    const auto active = at(spool_folder::active);
    if (!active) return fail(active.error());

    std::string mine = name;
    int error = rename_new(*incoming, name, *active, name);
    if (error == EEXIST) {
        // A job that is open has a file of that name. By its inode this one is found again, and its name with it.
        const auto facts = culld::look(*incoming, name);
        if (!facts) return fail(facts.error());
        if (!*facts) return take_result{};
        mine = unused_name(name, (*facts)->inode);
        error = rename_new(*incoming, name, *active, mine);
    }
    if (error == ENOENT) return take_result{};
    if (error != 0) return fail(move_problem(name, *active, error));
    auto out = settle(*incoming, *active, mine, seen);
    if (out) return out;
    // It is ours from the rename on: nobody will see it in incoming/ any more.
    take_result early;
    early.what = take_result::outcome::moved;
    early.job.name = mine;
    early.why = std::move(out.error());
    return early;
}

result<take_result> spool::open_active(const std::string& name) const {
    const auto active = at(spool_folder::active);
    if (!active) return fail(active.error());
    const auto incoming = at(spool_folder::incoming);
    if (!incoming) return fail(incoming.error());
    return settle(*incoming, *active, name, nullptr);
}

result<take_result> spool::reopen(const std::string& name) const {
    const auto active = at(spool_folder::active);
    if (!active) return fail(active.error());
    return open_settled(*active, name);
}

// Opens a file in active/ and makes it durable there. Whoever moved it may have been killed before the move was: a
// power cut must not put a file whose job was accepted back into incoming/. And `cp` does not fsync: it must not empty
// one either.
result<take_result> spool::settle(const folder& incoming, const folder& active, const std::string& name,
                                  const node_facts* seen) const {
    using outcome = take_result::outcome;
    auto out = open_settled(active, name);
    if (!out || out->what == outcome::gone) return out;
    open_job& job = out->job;
    if (out->what == outcome::taken) {
        const bool changed = seen != nullptr && (seen->inode != job.facts.inode || seen->size != job.facts.size ||
                                                 seen->mtime != job.facts.mtime);
        // Where leases are had, a file that nobody has open is whole, however often it was changed before.
        const writer who = ask(job.fd.get());
        if (who == writer::present || (changed && who != writer::none)) {
            out->what = outcome::written;
            return out;
        }
        std::optional<problem> fault = mode_fault(job.facts.mode);
        const bool foreign = job.facts.uid != ::geteuid();
        if (!fault && foreign) {
            auto room = no_room(active, job.facts.size);
            if (!room) return fail(std::move(room.error()));
            fault = std::move(*room);
        }
        if (fault) {
            out->what = outcome::refused;
            out->why = std::move(*fault);
        } else if (foreign) {
            // Its name reaches the disk with the file's own.
            if (auto gone = drop_copy(active, job.facts); !gone) return fail(std::move(gone.error()));
            auto copy = active.open_file(copy_name(job.facts.inode), O_WRONLY | O_CREAT | O_EXCL, 0640);
            if (!copy) return fail(std::move(copy.error()));
            job.copy = std::move(*copy);
        }
    }
    if (auto synced = active.sync(); !synced) return fail(std::move(synced.error()));
    if (auto synced = incoming.sync(); !synced) return fail(std::move(synced.error()));
    if (out->what == outcome::taken)
        if (auto synced = sync_file(job.fd.get(), name); !synced) return fail(std::move(synced.error()));
    return out;
}

std::string spool::base_name(const open_job& job) {
    return name_before(job.name, job.facts.inode);
}

result<bool> spool::written_since(const open_job& job) const {
    if (ask(job.fd.get()) == writer::present) return true;
    struct stat now {};
    if (::fstat(job.fd.get(), &now) != 0) return fail(errno_problem("look at", job.name, errno));
    const node_facts facts = facts_of(now);
    return facts.size != job.facts.size || facts.mtime != job.facts.mtime || facts.ctime != job.facts.ctime;
}

result<void> spool::put_back(const open_job& job, const std::string& base) const {
    const auto incoming = at(spool_folder::incoming);
    if (!incoming) return fail(incoming.error());
    const auto active = at(spool_folder::active);
    if (!active) return fail(active.error());
    if (auto gone = drop_copy(*active, job.facts); !gone) return gone;
    int error = rename_new(*active, job.name, *incoming, base);
    // By its inode: in a folder where others make names too, nobody else makes this one.
    if (error == EEXIST) error = rename_new(*active, job.name, *incoming, unused_name(base, job.facts.inode));
    if (error != 0 && error != ENOENT) return fail(move_problem(job.name, *incoming, error));
    if (auto synced = incoming->sync(); !synced) return synced;
    return active->sync();
}

result<void> spool::drop_copy(const folder& active, const node_facts& of) {
    if (of.uid == ::geteuid()) return {};
    auto gone = active.remove(copy_name(of.inode));
    return gone ? result<void>() : fail(std::move(gone.error()));
}

result<void> spool::seal_copy(const open_job& job) const {
    if (!job.copy) return {};
    return sync_file(job.copy.get(), job.name);
}

result<void> spool::own(const std::string& name) const {
    const auto active = at(spool_folder::active);
    if (!active) return fail(active.error());
    const auto facts = culld::look(*active, name);
    if (!facts) return fail(facts.error());
    if (!*facts || (*facts)->uid == ::geteuid()) return {};
    if (::renameat(active->fd(), copy_name((*facts)->inode).c_str(), active->fd(), name.c_str()) != 0) {
        if (errno == ENOENT) return {};  // accepted by a version that made no copies
        return fail(errno_problem("put our copy in the place of", active->path() + "/" + name, errno));
    }
    return active->sync();
}

result<void> spool::sweep_copies() const {
    const auto active = at(spool_folder::active);
    if (!active) return fail(active.error());
    std::vector<std::string> copies;
    auto done = scan(spool_folder::active, [&](std::string_view name) {
        if (name.starts_with('.') && name.ends_with(copy_suffix)) copies.emplace_back(name);
        return true;
    });
    if (!done) return done;
    for (const std::string& copy : copies)
        if (auto gone = active->remove(copy); !gone) return fail(std::move(gone.error()));
    return {};
}

}  // namespace culld

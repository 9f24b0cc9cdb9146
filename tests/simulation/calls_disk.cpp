// What the program asks of files: answered by the simulated disk for /sim, by the kernel elsewhere.
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstring>

#include "real_calls.hpp"
#include "world.hpp"

namespace culld::simulation {

namespace {

struct open_file : open_thing {
    node_ptr of, parent;
    std::string path;
    std::uint64_t at = 0;
    bool reads = false, writes = false, append = false;
};
struct open_folder : open_thing {
    node_ptr of;
    std::string path;
};

// A folder being listed, handed out as a DIR.
struct listing {
    std::vector<std::string> names;
    std::size_t at = 0;
    int fd = -1;
    dirent entry{};
};
std::set<listing*> listings;

struct folder_watch : open_thing {
    struct event {
        std::uint32_t mask = 0;
        std::string name;
    };
    node_ptr watched;
    std::vector<event> queue;
    [[nodiscard]] unsigned ready() const override { return queue.empty() ? 0U : unsigned(EPOLLIN); }
};
std::vector<std::weak_ptr<folder_watch>> watches;

int done(int error) {
    return error == 0 ? 0 : failed(error);
}

enum class about { write, sync, name, read };

// What comes before each call that changes something: the crash that may come here, the time it takes, the device's
// faults. 0, or the errno to fail with.
int before(const char* call, const std::string& path, about what) {
    world& w = world::here();
    machine& m = w.on;
    if (what != about::read && m.on_call) m.on_call();
    if (m.dead()) return EIO;
    disk::weather& weather = w.files.now;
    if (what == about::sync) {
        m.pause(m.chance.between(weather.sync_low, weather.sync_high));
        if (m.dead()) return EIO;
    }
    const double odds = what == about::write  ? weather.write
                        : what == about::sync ? weather.sync
                        : what == about::name ? weather.name
                                              : weather.read;
    int error = m.chance.chance(odds) ? EIO : 0;
    if ((what == about::write || what == about::name) && m.now() >= weather.full_from && m.now() < weather.full_to &&
        std::string_view(call) != "unlinkat")
        error = ENOSPC;
    if (what != about::read || error != 0)
        m.tell(fmt::format("{} {}{}", call, path, error == 0 ? "" : fmt::format(": {}", std::strerror(error))));
    return error;
}

// The folder that `dir` and a name, or an absolute path, begin at. Null where it is not ours.
std::shared_ptr<open_folder> folder_of(int dir) {
    return machine::here() != nullptr ? machine::here()->find<open_folder>(dir) : nullptr;
}

int hand_out(node_ptr what, const node_ptr& parent, std::string path, int flags) {
    machine& m = *machine::here();
    if (what->kind == node::kind_type::folder) {
        auto h = std::make_shared<open_folder>();
        h->of = std::move(what);
        h->path = std::move(path);
        return m.open(std::move(h));
    }
    auto h = std::make_shared<open_file>();
    h->of = std::move(what);
    h->parent = parent;
    h->path = std::move(path);
    const int access = flags & O_ACCMODE;
    h->reads = access != O_WRONLY;
    h->writes = access != O_RDONLY;
    h->append = (flags & O_APPEND) != 0;
    return m.open(std::move(h));
}

int open_in(const node_ptr& folder, const std::string& folder_path, const std::string& name, int flags, mode_t mode) {
    world& w = world::here();
    const std::string path = folder_path + "/" + name;
    if (w.on.dead()) return failed(EIO);
    if (name == ".") {
        if ((flags & O_TMPFILE) == O_TMPFILE) {
            if (const int error = before("open", path + "(unnamed)", about::name)) return failed(error);
            return hand_out(w.files.anonymous(mode), nullptr, path, flags);
        }
        return hand_out(folder, nullptr, folder_path, flags);
    }
    const auto it = folder->entries.find(name);
    if (it == folder->entries.end()) {
        if ((flags & O_CREAT) == 0) return failed(ENOENT);
        if (const int error = before("create", path, about::name)) return failed(error);
        node_ptr made;
        if (const int error = w.files.make(folder, name, node::kind_type::file, mode, made)) return failed(error);
        return hand_out(made, folder, path, flags);
    }
    const node_ptr what = it->second;
    if ((flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) return failed(EEXIST);
    if ((flags & O_DIRECTORY) != 0 && what->kind != node::kind_type::folder) return failed(ENOTDIR);
    if (const int error = before("open", path, about::read)) return failed(error);
    if ((flags & O_TRUNC) != 0 && !what->data.empty()) {
        if (const int error = before("truncate", path, about::write)) return failed(error);
        w.files.cut(*what, 0);
    }
    if (what->kind == node::kind_type::file) w.files.event(*folder, IN_OPEN, name);
    return hand_out(what, folder, path, flags);
}

void fill(const node& n, struct stat& out) {
    out = {};
    out.st_dev = 77;
    out.st_ino = n.number;
    const mode_t kind = n.kind == node::kind_type::folder   ? S_IFDIR
                        : n.kind == node::kind_type::socket ? S_IFSOCK
                                                            : S_IFREG;
    out.st_mode = kind | (n.mode & 07777U);
    out.st_nlink = n.links;
    out.st_uid = n.uid != 0 ? n.uid : ::geteuid();
    out.st_gid = ::getegid();
    out.st_size = static_cast<off_t>(n.data.size());
    out.st_mtim = n.modified;
    out.st_ctim = n.touched;
}

// A path below /sim, as its folder and its last name.
struct place {
    node_ptr folder;
    std::string path, name;
};
std::optional<place> place_of(const char* path) {
    if (machine::here() == nullptr || !disk::ours(path)) return std::nullopt;
    const std::string_view all(path);
    const std::size_t slash = all.rfind('/');
    place out;
    if (slash == 0) {
        out = {world::here().files.root, "/sim", "."};
        return out;
    }
    out.path = all.substr(0, slash);
    out.name = all.substr(slash + 1);
    out.folder = world::here().files.find(out.path);
    return out;
}

ssize_t read_at(open_file& h, void* to, std::size_t bytes, std::uint64_t offset) {
    if (const int error = before("read", h.path, about::read)) return failed(error);
    const std::string& data = h.of->data;
    if (offset >= data.size()) return 0;
    const std::size_t n = std::min<std::size_t>(bytes, data.size() - offset);
    std::memcpy(to, data.data() + offset, n);
    return static_cast<ssize_t>(n);
}

ssize_t write_at(open_file& h, const void* from, std::size_t bytes, std::uint64_t offset) {
    world& w = world::here();
    if (!h.writes) return failed(EBADF);
    if (const int error = before("write", fmt::format("{} {}+{}", h.path, offset, bytes), about::write)) {
        // Some of it may be there all the same.
        if (!w.on.dead() && w.on.chance.chance(0.5) && bytes > 1)
            w.files.write(*h.of, offset, {static_cast<const char*>(from), w.on.chance.below(bytes)});
        return failed(error);
    }
    if (bytes > 1 && w.on.chance.chance(w.files.now.short_write)) bytes = 1 + w.on.chance.below(bytes - 1);
    w.files.write(*h.of, offset, {static_cast<const char*>(from), bytes});
    return static_cast<ssize_t>(bytes);
}

bool is_journal(std::string_view path) {
    return path.ends_with(".jsonl") && path.starts_with("/sim/journal/") && !path.ends_with("/ledger.jsonl");
}

int sync_fd(int fd, const char* call) {
    world& w = world::here();
    if (const auto folder = w.on.find<open_folder>(fd)) {
        if (const int error = before(call, folder->path, about::sync)) return failed(error);
        if (!w.files.planted.folder_sync) w.files.sync_folder(*folder->of);
        return 0;
    }
    const auto file = w.on.find<open_file>(fd);
    if (!file) return failed(EBADF);
    if (w.files.planted.late_sync && is_journal(file->path)) {
        if (w.on.dead()) return failed(EIO);
        w.on.in(std::chrono::milliseconds(40), [&w, of = file->of] { w.files.sync(*of); });
        return 0;
    }
    if (const int error = before(call, file->path, about::sync)) {
        if (!w.on.dead()) w.files.sync_failed(*file->of);
        return failed(error);
    }
    if (w.files.planted.journal_sync && is_journal(file->path)) return 0;
    w.files.sync(*file->of);
    return 0;
}

}  // namespace

void world::forget_open_files() {
    for (listing* l : listings) delete l;
    listings.clear();
    watches.clear();
}

void world::tell_watchers(const node& folder, std::uint32_t what, const std::string& name) {
    if (on.dead()) return;
    for (const auto& weak : watches) {
        const auto w = weak.lock();
        if (!w || w->watched.get() != &folder) continue;
        if (on.chance.chance(events_lost)) {
            w->queue.clear();
            w->queue.push_back({IN_Q_OVERFLOW, ""});
        } else {
            w->queue.push_back({what, name});
        }
        on.changed(w.get());
    }
}

}  // namespace culld::simulation

using namespace culld::simulation;

namespace {
// The third argument of open(), which is there only with these flags.
mode_t mode_given(int flags, va_list more) {
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : mode_t(0);
}
}  // namespace

extern "C" {

int __wrap_open(const char* path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    const mode_t mode = mode_given(flags, more);
    va_end(more);
    const auto p = place_of(path);
    if (!p) return __real_open(path, flags, mode);
    if (!p->folder) return failed(ENOENT);
    return open_in(p->folder, p->path, p->name, flags, mode);
}

int __wrap_openat(int dir, const char* name, int flags, ...) {
    va_list more;
    va_start(more, flags);
    const mode_t mode = mode_given(flags, more);
    va_end(more);
    if (!machine::ours(dir)) return __real_openat(dir, name, flags, mode);
    const auto folder = folder_of(dir);
    if (!folder) return failed(EBADF);
    return open_in(folder->of, folder->path, name, flags, mode);
}

int __wrap_close(int fd) {
    if (!machine::ours(fd)) return __real_close(fd);
    return machine::here() == nullptr ? failed(EBADF) : machine::here()->close(fd);
}

ssize_t __wrap_read(int fd, void* to, std::size_t bytes) {
    if (!machine::ours(fd)) return __real_read(fd, to, bytes);
    machine& m = *machine::here();
    if (const auto file = m.find<open_file>(fd)) {
        const ssize_t n = read_at(*file, to, bytes, file->at);
        if (n > 0) file->at += static_cast<std::uint64_t>(n);
        return n;
    }
    if (const auto events = m.find<folder_watch>(fd)) {
        if (events->queue.empty()) return failed(EAGAIN);
        char* const begin = static_cast<char*>(to);
        char* at = begin;
        while (!events->queue.empty()) {
            const folder_watch::event& e = events->queue.front();
            const std::size_t room = e.name.empty() ? 0 : (e.name.size() + 16) / 16 * 16;
            if (static_cast<std::size_t>(at - begin) + sizeof(inotify_event) + room > bytes) break;
            inotify_event head{.wd = 1, .mask = e.mask, .cookie = 0, .len = static_cast<std::uint32_t>(room)};
            std::memcpy(at, &head, sizeof head);
            std::memset(at + sizeof head, 0, room);
            std::memcpy(at + sizeof head, e.name.data(), e.name.size());
            at += sizeof head + room;
            events->queue.erase(events->queue.begin());
        }
        return at - begin;
    }
    return world::here().read_socket(fd, to, bytes, 0);
}

ssize_t __wrap_write(int fd, const void* from, std::size_t bytes) {
    if (!machine::ours(fd)) return __real_write(fd, from, bytes);
    machine& m = *machine::here();
    if (const auto file = m.find<open_file>(fd)) {
        const std::uint64_t at = file->append ? file->of->data.size() : file->at;
        const ssize_t n = write_at(*file, from, bytes, at);
        if (n > 0) file->at = at + static_cast<std::uint64_t>(n);
        return n;
    }
    return world::here().write_socket(fd, {static_cast<const char*>(from), bytes});
}

ssize_t __wrap_pread(int fd, void* to, std::size_t bytes, off_t offset) {
    if (!machine::ours(fd)) return __real_pread(fd, to, bytes, offset);
    const auto file = machine::here()->find<open_file>(fd);
    return file ? read_at(*file, to, bytes, static_cast<std::uint64_t>(offset)) : failed(EBADF);
}

ssize_t __wrap_pwrite(int fd, const void* from, std::size_t bytes, off_t offset) {
    if (!machine::ours(fd)) return __real_pwrite(fd, from, bytes, offset);
    const auto file = machine::here()->find<open_file>(fd);
    return file ? write_at(*file, from, bytes, static_cast<std::uint64_t>(offset)) : failed(EBADF);
}

int __wrap_fsync(int fd) {
    return machine::ours(fd) ? sync_fd(fd, "fsync") : __real_fsync(fd);
}
int __wrap_fdatasync(int fd) {
    return machine::ours(fd) ? sync_fd(fd, "fdatasync") : __real_fdatasync(fd);
}

int __wrap_ftruncate(int fd, off_t size) {
    if (!machine::ours(fd)) return __real_ftruncate(fd, size);
    const auto file = machine::here()->find<open_file>(fd);
    if (!file) return failed(EBADF);
    if (const int error = before("ftruncate", fmt::format("{} {}", file->path, size), about::write))
        return failed(error);
    disk& files = world::here().files;
    if (!files.planted.cut) files.cut(*file->of, static_cast<std::uint64_t>(size));
    return 0;
}

int __wrap_fallocate(int fd, int mode, off_t from, off_t bytes) {
    if (!machine::ours(fd)) return __real_fallocate(fd, mode, from, bytes);
    const auto file = machine::here()->find<open_file>(fd);
    return file ? done(before("fallocate", file->path, about::write)) : failed(EBADF);
}

off_t __wrap_lseek(int fd, off_t offset, int whence) {
    if (!machine::ours(fd)) return __real_lseek(fd, offset, whence);
    const auto file = machine::here()->find<open_file>(fd);
    if (!file) return failed(EBADF);
    const auto base =
        whence == SEEK_SET ? 0 : static_cast<off_t>(whence == SEEK_CUR ? file->at : file->of->data.size());
    file->at = static_cast<std::uint64_t>(base + offset);
    return base + offset;
}

int __wrap_fstat(int fd, struct stat* out) {
    if (!machine::ours(fd)) return __real_fstat(fd, out);
    machine& m = *machine::here();
    if (m.dead()) return failed(EIO);
    if (const auto folder = m.find<open_folder>(fd)) return fill(*folder->of, *out), 0;
    if (const auto file = m.find<open_file>(fd)) return fill(*file->of, *out), 0;
    return failed(EBADF);
}

int __wrap_fstatat(int dir, const char* name, struct stat* out, int flags) {
    if (!machine::ours(dir)) return __real_fstatat(dir, name, out, flags);
    const auto folder = folder_of(dir);
    if (!folder) return failed(EBADF);
    if (const int error = before("fstatat", folder->path + "/" + name, about::read)) return failed(error);
    if (std::string_view(name) == ".") return fill(*folder->of, *out), 0;
    const auto it = folder->of->entries.find(name);
    if (it == folder->of->entries.end()) return failed(ENOENT);
    return fill(*it->second, *out), 0;
}

int __wrap_lstat(const char* path, struct stat* out) {
    if (!place_of(path)) return __real_lstat(path, out);
    const node_ptr it = world::here().files.find(path);
    return it ? (fill(*it, *out), 0) : failed(ENOENT);
}

int __wrap_mkdir(const char* path, mode_t mode) {
    const auto p = place_of(path);
    if (!p) return __real_mkdir(path, mode);
    if (p->name == ".") return failed(EEXIST);
    if (!p->folder) return failed(ENOENT);
    if (p->folder->entries.contains(p->name)) return failed(EEXIST);
    if (const int error = before("mkdir", path, about::name)) return failed(error);
    node_ptr made;
    return done(world::here().files.make(p->folder, p->name, node::kind_type::folder, mode, made));
}

int __wrap_mkdirat(int dir, const char* name, mode_t mode) {
    if (!machine::ours(dir)) return __real_mkdirat(dir, name, mode);
    const auto folder = folder_of(dir);
    if (!folder) return failed(EBADF);
    if (folder->of->entries.contains(name)) return failed(EEXIST);
    if (const int error = before("mkdirat", folder->path + "/" + name, about::name)) return failed(error);
    node_ptr made;
    return done(world::here().files.make(folder->of, name, node::kind_type::folder, mode, made));
}

int __wrap_unlink(const char* path) {
    const auto p = place_of(path);
    if (!p) return __real_unlink(path);
    if (!p->folder) return failed(ENOENT);
    return done(world::here().files.remove(p->folder, p->name));
}

int __wrap_unlinkat(int dir, const char* name, int flags) {
    if (!machine::ours(dir)) return __real_unlinkat(dir, name, flags);
    const auto folder = folder_of(dir);
    if (!folder) return failed(EBADF);
    if (!folder->of->entries.contains(name)) return failed(ENOENT);
    if (const int error = before("unlinkat", folder->path + "/" + name, about::name)) return failed(error);
    return done(world::here().files.remove(folder->of, name));
}

int __wrap_renameat2(int from, const char* name, int to, const char* new_name, unsigned flags) {
    if (!machine::ours(from)) return __real_renameat2(from, name, to, new_name, flags);
    const auto source = folder_of(from);
    const auto target = folder_of(to);
    if (!source || !target) return failed(EBADF);
    if (const int error =
            before("rename", fmt::format("{}/{} to {}/{}", source->path, name, target->path, new_name), about::name))
        return failed(error);
    return done(world::here().files.rename(source->of, name, target->of, new_name, flags));
}

int __wrap_renameat(int from, const char* name, int to, const char* new_name) {
    if (!machine::ours(from)) return __real_renameat(from, name, to, new_name);
    return __wrap_renameat2(from, name, to, new_name, 0);
}

int __wrap_fchmod(int fd, mode_t mode) {
    if (!machine::ours(fd)) return __real_fchmod(fd, mode);
    if (const auto folder = folder_of(fd)) folder->of->mode = mode;
    return 0;
}

int __wrap_chmod(const char* path, mode_t mode) {
    if (!place_of(path)) return __real_chmod(path, mode);
    return 0;
}

int __wrap_fcntl(int fd, int what, ...) {
    va_list more;
    va_start(more, what);
    void* const argument = va_arg(more, void*);
    va_end(more);
    if (!machine::ours(fd)) return __real_fcntl(fd, what, argument);
    machine& m = *machine::here();
    switch (what) {
        case F_DUPFD_CLOEXEC: return m.duplicate(fd);
        case F_GETFL: return O_NONBLOCK;
        case F_SETLEASE: {
            if (static_cast<int>(reinterpret_cast<std::intptr_t>(argument)) == F_UNLCK) return 0;
            const auto file = m.find<open_file>(fd);
            if (!file) return failed(EBADF);
            return file->of->writers > 0 ? failed(EAGAIN) : 0;
        }
        default: return 0;  // locks: one program at a time runs here
    }
}

int __wrap_flock(int fd, int what) {
    return machine::ours(fd) ? 0 : __real_flock(fd, what);
}

DIR* __wrap_fdopendir(int fd) {
    if (!machine::ours(fd)) return __real_fdopendir(fd);
    const auto folder = folder_of(fd);
    if (!folder || machine::here()->dead()) return errno = EBADF, nullptr;
    auto* const out = new listing;
    for (const auto& [name, what] : folder->of->entries) out->names.push_back(name);
    // No order is promised.
    for (std::size_t i = out->names.size(); i > 1; --i)
        std::swap(out->names[i - 1], out->names[machine::here()->chance.below(i)]);
    out->fd = fd;
    listings.insert(out);
    return reinterpret_cast<DIR*>(out);
}

struct dirent* __wrap_readdir(DIR* dir) {
    auto* const l = reinterpret_cast<listing*>(dir);
    if (!listings.contains(l)) return machine::here() == nullptr ? __real_readdir(dir) : nullptr;
    if (l->at == l->names.size()) return nullptr;
    const std::string& name = l->names[l->at++];
    l->entry = {};
    std::memcpy(l->entry.d_name, name.data(), std::min(name.size(), sizeof l->entry.d_name - 1));
    return &l->entry;
}

int __wrap_closedir(DIR* dir) {
    auto* const l = reinterpret_cast<listing*>(dir);
    if (!listings.contains(l)) return machine::here() == nullptr ? __real_closedir(dir) : 0;
    const int fd = l->fd;
    listings.erase(l);
    delete l;
    return __wrap_close(fd);
}

int __wrap_fstatvfs(int fd, struct statvfs* out) {
    if (!machine::ours(fd)) return __real_fstatvfs(fd, out);
    *out = {};
    out->f_bsize = out->f_frsize = 4096;
    out->f_blocks = out->f_bfree = out->f_bavail = 1U << 24U;
    out->f_files = out->f_ffree = out->f_favail = 1U << 20U;
    return 0;
}

int __wrap_inotify_init1(int flags) {
    if (machine::here() == nullptr) return __real_inotify_init1(flags);
    auto it = std::make_shared<folder_watch>();
    watches.push_back(it);
    return machine::here()->open(std::move(it));
}

int __wrap_inotify_add_watch(int fd, const char* path, std::uint32_t mask) {
    if (!machine::ours(fd)) return __real_inotify_add_watch(fd, path, mask);
    world& w = world::here();
    if (w.no_events) return failed(ENOSPC);
    const std::string_view by_fd = "/proc/self/fd/";
    const std::string_view text(path);
    if (!text.starts_with(by_fd)) return failed(ENOENT);
    const auto folder = folder_of(std::stoi(std::string(text.substr(by_fd.size()))));
    const auto it = w.on.find<folder_watch>(fd);
    if (!folder || !it) return failed(EBADF);
    it->watched = folder->of;
    return 1;
}

}  // extern "C"

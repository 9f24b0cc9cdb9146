#include "culld/io/os/folder_check.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace culld {

namespace {

inode_facts from(const struct stat& facts) {
    return {.device = facts.st_dev,
            .inode = facts.st_ino,
            .size = static_cast<std::uint64_t>(facts.st_size),
            .links = facts.st_nlink};
}

path_check look_at(int held, const std::string& path, std::optional<std::uint64_t> size) {
    const auto ours = seen(held, path);
    // What cannot be looked at is not known to be there.
    if (!ours) return {path_state::gone, {}, ours.error()};
    const auto there = seen_at(path);
    if (!there) return {path_state::gone, *ours, there.error()};
    return {path_state_of(*ours, *there, size), *ours, {}};
}

problem about_file(const path_check& seen, int held, const std::string& path, std::uint64_t size) {
    problem out{.what = {}, .hint = {}, .file = path};
    switch (seen.what) {
        case path_state::gone:
            if (seen.held.links == 0) {
                out.what = "was removed";
                out.hint = fmt::format(
                    "what was written to it can be had as long as culld runs: cp /proc/{}/fd/{} to its place; culld "
                    "compares, and goes on by itself",
                    ::getpid(), held);
            } else {
                out.what = "is gone: it was moved, or its folder was";
                out.hint = "put it back under its name; culld goes on by itself then";
            }
            break;
        case path_state::replaced: out.what = "was replaced by another file"; break;
        case path_state::cut: out.what = fmt::format("was cut: {} bytes were written to it", size); break;
        case path_state::grown: out.what = fmt::format("was written to by somebody else, behind byte {}", size); break;
        case path_state::one: break;
    }
    return out;
}

}  // namespace

result<inode_facts> seen(int fd, const std::string& path) {
    struct stat facts {};
    if (::fstat(fd, &facts) != 0) return fail(errno_problem("look at", path, errno));
    return from(facts);
}

result<std::optional<inode_facts>> seen_at(const std::string& path) {
    struct stat facts {};
    if (::lstat(path.c_str(), &facts) == 0) return std::optional(from(facts));
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<inode_facts>();
    return fail(errno_problem("look at", path, errno));
}

path_check look_at_folder(const folder& held) {
    path_check out = look_at(held.fd(), held.path(), std::nullopt);
    if (out.what == path_state::one || !out.why.what.empty()) return out;
    out.why.file = held.path();
    out.why.what = out.what == path_state::gone ? "is gone: the folder was moved or removed"
                                                : "is another folder now: it was moved, replaced or mounted over";
    out.why.hint =
        "bring back the folder that culld began with (move it back, unmount what lies over it), and culld goes on by "
        "itself; or restart culld to begin with what is there now";
    return out;
}

path_check look_at_file(int held, const folder& dir, const std::string& name, std::uint64_t size) {
    const std::string path = dir.path() + "/" + name;
    path_check out = look_at(held, path, size);
    if (out.what == path_state::replaced || out.what == path_state::gone)
        if (path_check above = look_at_folder(dir); above.what != path_state::one)
            return {path_state::gone, out.held, std::move(above.why)};
    if (out.why.what.empty()) out.why = about_file(out, held, path, size);
    return out;
}

}  // namespace culld

#include "culld/io/os/disk_space.hpp"

#include <sys/statvfs.h>

#include <cerrno>

namespace culld {

result<disk_space> room_of(const folder& where) {
    struct statvfs facts {};
    if (::fstatvfs(where.fd(), &facts) != 0) return fail(errno_problem("look at the disk of", where.path(), errno));
    const auto bytes = [&](fsblkcnt_t blocks) { return std::uint64_t{blocks} * facts.f_frsize; };
    return disk_space{bytes(facts.f_bavail), bytes(facts.f_blocks)};
}

}  // namespace culld

// How much room there is on a file system.
#pragma once

#include <cstdint>

#include "culld/core/base/problem.hpp"
#include "culld/io/os/file.hpp"

namespace culld {

struct disk_space {
    std::uint64_t free_bytes = 0;  // for us: what is kept back for root does not count
    std::uint64_t size_bytes = 0;
};

// Of the one that `where` lies on. Blocking, and without end where the disk hangs; any thread.
[[nodiscard]] result<disk_space> room_of(const folder& where);

}  // namespace culld

// One owner for a folder: an exclusive lock on the file `.lock` in it. The lock is the kernel's (an open file
// description lock), so it ends with the process however that ends, and a file left behind means nothing.
// What is written into the file only serves the message for whoever comes second.
#pragma once

#include <string_view>
#include <tl/expected.hpp>

#include "culld/core/problem.hpp"
#include "culld/core/time.hpp"
#include "culld/io/file.hpp"

namespace culld {

struct lock_refusal {
    enum class cause {
        held,    // somebody else is the owner: try later (exit 75)
        broken,  // the lock file cannot be made or locked (exit 74)
    };
    cause why = cause::broken;
    problem what;  // names the holder: "/var/spool/culld is in use by culld, pid 1234, since 2026-…"
};

// Held until destroyed. The file is mode 0600: whoever could open it could lock it, and keep the daemon from
// starting. Not inherited by programs we start.
class folder_lock {
  public:
    folder_lock() = default;
    // Never waits. `program` is how the holder is called to the second one ("culld"), `now` its start.
    static tl::expected<folder_lock, lock_refusal> take(const folder& where, std::string_view program, wall_time now);

    explicit operator bool() const { return static_cast<bool>(fd_); }

  private:
    unique_fd fd_;
};

}  // namespace culld

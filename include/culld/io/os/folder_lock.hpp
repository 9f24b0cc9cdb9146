// One owner for a folder: an exclusive lock on the file `.lock` in it. The lock is the kernel's (an open file
// description lock), so it ends with the process however that ends, and a file left behind means nothing.
// What is written into the file only serves the message for whoever comes second.
//
// A file can be removed, and the next one to come would lock another. So a folder inside that nobody else may open is
// locked as well (flock; where the file system knows that for folders), and the owner looks after its file.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "culld/core/base/problem.hpp"
#include "culld/core/base/time.hpp"
#include "culld/io/os/file.hpp"

namespace culld {

struct lock_refusal {
    enum class cause {
        held,    // somebody else is the owner: try later (exit 75)
        broken,  // the lock file cannot be made or locked (exit 74)
    };
    cause why = cause::broken;
    problem what;  // names the holder: "/var/spool/culld is in use by culld, pid 1234, since 2026-…"
};

// Held until destroyed. The file is mode 0600, and the folder inside must be closed to others: whoever could open them
// could lock them, and keep the daemon from starting. Not inherited by programs we start.
class folder_lock {
  public:
    folder_lock() = default;
    // Never waits. `inside` is locked, too; `program` is how the holder is called to the second one ("culld"), `now`
    // its start. `where` must outlive it.
    static tl::expected<folder_lock, lock_refusal> take(const folder& where, const folder& inside,
                                                        std::string_view program, wall_time now);

    // Is the lock file still ours? One that was removed or replaced is made and locked anew: true then. A refusal where
    // that fails, or somebody else holds it by now.
    [[nodiscard]] tl::expected<bool, lock_refusal> look_after();

    explicit operator bool() const { return static_cast<bool>(fd_); }

  private:
    [[nodiscard]] tl::expected<void, lock_refusal> take_file();

    const folder* where_ = nullptr;
    std::string mark_;
    unique_fd fd_, inside_;
};

}  // namespace culld

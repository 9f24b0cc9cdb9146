// What /metrics tells of the disks: the room they have, and how many files wait in the drop box.
//
// Looked up on the disk thread, so that a disk that hangs holds nobody up, and only for somebody who asks: a scrape
// gets what was looked up for the one before it, and a daemon that nobody scrapes does nothing. Loop thread.
#pragma once

#include <cstdint>
#include <optional>

#include "culld/app/context/services.hpp"
#include "culld/io/os/disk_space.hpp"

namespace culld {

class disk_usage {
  public:
    // Of journal and drop box; what cannot be looked up is left out.
    struct figures {
        std::optional<disk_space> journal, spool;
        std::optional<std::uint64_t> incoming_files;  // complete or not; counted_max at the most
    };
    // So many names are read at once: whatever lies in the drop box, journals do not wait long for it.
    static constexpr std::uint64_t counted_max = 10'000;

    explicit disk_usage(daemon_context& with) : with_(with) {}

    // As they were when somebody asked before; none the first time, or where that was long ago.
    [[nodiscard]] const figures& ask();

  private:
    daemon_context& with_;
    figures seen_;
    std::optional<steady_time> seen_at_;
    bool looking_ = false;
};

}  // namespace culld

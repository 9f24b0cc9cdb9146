// What the kernel tells of incoming/ while it happens (inotify), read on the loop. Nothing rests on it: what
// is lost (a full queue, a folder that went away, a system without inotify) is found by a scan.
//
// Belongs to the loop's thread.
#pragma once

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <string>
#include <vector>

#include "culld/core/base/problem.hpp"
#include "culld/core/spool/file_readiness.hpp"
#include "culld/io/os/event_loop.hpp"
#include "culld/io/os/file.hpp"

namespace culld {

struct watch_event {
    std::string name;
    file_event what = file_event::found;
};

struct watch_batch {
    std::vector<watch_event> events;  // in the kernel's order; at most what 8 KiB hold, some 200
    bool overflow = false;            // events were lost: scan
    bool gone = false;                // the folder was removed, moved or unmounted: this watch is over, open another
    bool closed = false;              // close() or cancellation
};

class spool_watch {
  public:
    using descriptor = boost::asio::posix::basic_stream_descriptor<loop_executor>;

    // Watches the open folder itself, not its path. Scan after this, not before, and nothing falls between.
    static result<spool_watch> open(loop_executor loop, const folder& incoming);

    // What is queued, without waiting; may be empty.
    [[nodiscard]] result<watch_batch> poll();
    // Waits for something to be queued. One at a time; ends with `closed` when cancelled.
    task<result<watch_batch>> next();
    // For waiting together with something else.
    [[nodiscard]] descriptor& readable() { return fd_; }
    void close();

  private:
    static constexpr std::size_t buffer_bytes = 8192;
    spool_watch(descriptor fd, std::string path);

    descriptor fd_;
    std::unique_ptr<std::array<char, buffer_bytes>> buffer_;
    std::string path_;
};

}  // namespace culld

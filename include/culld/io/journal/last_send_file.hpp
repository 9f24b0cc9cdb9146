// Remembers across a restart when the last request went out, so that the rate holds across it too (contract, promise
// 3). While a daemon runs the mark says only that; after a crash that is what the next one finds, and nothing is known.
#pragma once

#include <chrono>
#include <optional>

#include "culld/core/base/time.hpp"
#include "culld/io/os/file.hpp"

namespace culld {

class last_send_file {
  public:
    // `where` must outlive it.
    explicit last_send_file(const folder& where) : where_(where) {}

    // Was nothing sent for `span` before `now`, for certain? A folder without a mark was never used. From here on the
    // mark says that we run.
    [[nodiscard]] result<bool> quiet_for(std::chrono::duration<double> span, wall_time now);
    // At a clean end; `last_sent` of this run.
    [[nodiscard]] result<void> leave(std::optional<wall_time> last_sent, wall_time now);

  private:
    const folder& where_;
    std::optional<wall_time> before_;  // the last request of an earlier run
};

}  // namespace culld

// The record of each reload that changed what may be deleted: in the log at once, in the ledger as soon as that can be
// written. Loop thread.
#pragma once

#include <deque>
#include <utility>

#include "culld/app/context/services.hpp"
#include "culld/core/journal/journal_write.hpp"

namespace culld {

class reload_record {
  public:
    // `with` outlives it, and the disk thread ends before it.
    explicit reload_record(daemon_context& with) : with_(with), again_(with.loop) {}

    // The rules in force.
    [[nodiscard]] ruled_by now() const;
    // A reload was applied; `before`: the rules until then.
    void tell(ruled_by before);

  private:
    void write_next();

    daemon_context& with_;
    std::deque<std::pair<ruled_by, ruled_by>> owed_;  // now, before
    bool writing_ = false;
    loop_timer again_;
};

}  // namespace culld

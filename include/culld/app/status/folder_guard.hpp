// The ground of all jobs: spool and journal folder, their locks, the ledger. Looked at on the journal thread every
// second (every ten where no job is open: then nothing can be lost, and nobody is to be woken for nothing), since a
// folder that was moved, replaced or mounted over is still written to by those who have it open, and nobody finds what
// is written there. (A job's own journal looks after itself: io/journal/journal_file.)
//
// Loop thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "culld/app/context/services.hpp"
#include "culld/core/base/problem.hpp"
#include "culld/io/os/folder_lock.hpp"

namespace culld {

// Spool and journal folder, which this process owns.
struct owned_folders {
    folder active;  // spool.dir/active
    folder_lock spool, journals;
};

// Locks both, and what is inside them.
[[nodiscard]] tl::expected<owned_folders, lock_refusal> own_folders(const spool& files, const folder& journals,
                                                                    const folder& plans);

// Notes in the spool which journal folder its jobs are recorded in, and looks whether it is this one: a disk that is
// not mounted leaves an empty folder, in which every open job would begin anew, and every used id could be used again.
[[nodiscard]] result<void> keep_together(const folder& spool, const folder& journals);

class folder_guard {
  public:
    // `told`: after each look, with what is wrong; none where all is well.
    folder_guard(daemon_context& with, owned_folders& owned, std::function<void(const std::optional<problem>&)> told);
    ~folder_guard();
    folder_guard(const folder_guard&) = delete;
    folder_guard& operator=(const folder_guard&) = delete;

    void begin();
    void end();
    // Whether a job is open: how soon to look again.
    void jobs_are_open(bool open);
    // Somebody wants to know now.
    void look_soon();
    [[nodiscard]] const std::optional<problem>& lost() const { return lost_; }

  private:
    struct seen {
        std::optional<problem> lost;
        bool lock_made = false, ledger_read = false;  // anew
    };
    [[nodiscard]] seen look();  // journal thread
    void look_later();
    void looked(seen now);

    daemon_context& with_;
    owned_folders& owned_;
    std::function<void(const std::optional<problem>&)> told_;
    loop_timer timer_;
    std::optional<problem> lost_;
    bool ended_ = false;
    bool resting_ = false;
    std::shared_ptr<bool> alive_;
};

}  // namespace culld

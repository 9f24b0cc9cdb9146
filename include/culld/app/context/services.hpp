// What every room of the app floor is handed: the loop, the folders, the threads, the settings. Owned by the daemon,
// which outlives them all. Loop thread, unless a member says otherwise.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "culld/app/context/checkpoints.hpp"
#include "culld/core/base/histogram.hpp"
#include "culld/core/config/config.hpp"
#include "culld/core/journal/journal_write.hpp"
#include "culld/core/notify/notification.hpp"
#include "culld/core/status/standstill.hpp"
#include "culld/io/journal/ledger_file.hpp"
#include "culld/io/os/event_loop.hpp"
#include "culld/io/os/file.hpp"
#include "culld/io/spool/spool.hpp"

namespace culld {

class active_job;
class protected_ids;

// A file that is no job yet.
struct waiting_file {
    std::string file, reason;
    std::string job_id{};                // of one that is being taken, where it is known
    std::optional<std::uint32_t> uid{};  // likewise its submitter's
    std::optional<wall_time> since{};    // likewise
    standstill waits_for = standstill::none;
};

// What became of a file that somebody wants to be taken no further.
enum class withdrawal : std::uint8_t {
    rejected,   // that is on record
    cancelled,  // it had become a job by then, which is cancelled: on record with that
    gone,       // back in incoming/, or nowhere
    pending,    // our disk did not let us put it on record yet
};

// Files that are no job yet, for those who ask about them. The taker's.
class waiting_room {
  public:
    // A thousand at most.
    [[nodiscard]] virtual std::vector<waiting_file> waiting() const = 0;
    // The one that is being taken which `name` means: its job's id, or its own name as long as that is not known.
    [[nodiscard]] virtual std::optional<waiting_file> find_taking(std::string_view name) const = 0;
    // What is read of it is given up, and it is rejected; returns when that is on record, or `until` is over.
    [[nodiscard]] virtual task<withdrawal> withdraw(std::string name, person by, std::string reason,
                                                    steady_time until) = 0;

  protected:
    waiting_room() = default;
    ~waiting_room() = default;
    waiting_room(const waiting_room&) = default;
    waiting_room& operator=(const waiting_room&) = default;
};

struct daemon_context {
    loop_executor loop;
    worker_thread& disk;    // journals, ledger
    worker_thread& filing;  // puts away in the spool
    worker_thread& ids;     // reads lists that were checked, for the loop
    const spool& files;     // blocking: on worker threads only, but at start
    const folder& journals;
    const folder& plans;                           // journals/.plan
    ledger_file& ledger;                           // on the disk thread only
    std::shared_ptr<const config> settings;        // replaced as a whole on reload
    std::shared_ptr<const protected_ids> protect;  // never deleted; replaced likewise, and looked at with every batch
    std::string config_sha256;
    checkpoint_rules checkpoints{};
    std::mt19937_64 dice;  // jitter and job ids; no secret rests on it

    // Of all jobs, for /metrics.
    struct counters {
        std::uint64_t journal_records = 0;    // taken to the disk
        std::uint64_t journal_errors = 0;     // journals that could not be written
        histogram<fsync_steps> fsyncs;        // of journals
        histogram<job_steps> waits_in_queue;  // from accepted, or not_before, to the first request
    };
    counters counted;

    // Folders, locks or ledger are not where they belong (app/status/folder_guard): nothing is taken, and nothing
    // begun.
    bool folders_lost = false;

    // So few are open that each may hold some of its ids before its turn comes.
    std::function<bool()> few_jobs;
    // Worth telling others (notifier); never waits.
    std::function<void(const notification&)> announce;
    // Something became ready to be sent.
    std::function<void()> pump;
    // This job may have become ready: it is looked at again with the next pump.
    std::function<void(active_job&)> wake;
    // What is known of the gateway's limits, or a pause that it asked for, is another.
    std::function<void()> limits_changed;
    // A job's state or place in the queue changed.
    std::function<void()> jobs_changed;
    waiting_room* waiting = nullptr;  // while there is one

    [[nodiscard]] double chance() { return std::uniform_real_distribution<double>(0.0, 1.0)(dice); }
};

}  // namespace culld

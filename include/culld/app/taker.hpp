// Takes what arrives in the spool: moves it to active/, has its list read and checked on a lists thread, begins its
// journal, and hands a job that runs to the table; or rejects it. One file never holds up another: small files and
// large ones are read by threads of their own. Loop thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "culld/app/job_table.hpp"
#include "culld/app/services.hpp"
#include "culld/core/id_pattern.hpp"
#include "culld/io/arrivals.hpp"
#include "culld/io/intake.hpp"

namespace culld {

// What intakes look at: compiled and loaded once per configuration.
struct intake_settings {
    std::shared_ptr<const config> settings;
    id_pattern pattern;
    protected_ids protect;

    static result<std::shared_ptr<const intake_settings>> load(std::shared_ptr<const config> from);
};

class taker {
  public:
    using job_ready = std::function<void(std::unique_ptr<job_run>)>;

    taker(services& with, job_table& jobs, std::shared_ptr<const intake_settings> rules, job_ready ready);
    ~taker();

    // Files that were in active/ at the start and belong to no open job: taken anew.
    void take_orphans(std::vector<std::string> names);
    // Runs until stop().
    [[nodiscard]] task<void> run();
    void stop();
    // After stop(): returns when nothing is being read any more.
    [[nodiscard]] task<void> stopped();

    // Nothing is there to be taken, and nothing is being taken, but for files that wait for our own disk.
    [[nodiscard]] bool at_rest() const { return taking_ == sitting_out_ && arrivals_.idle(sitting_handed_); }
    // Files that could not be taken or rejected, since our own disk is full or does not answer: each is tried again.
    [[nodiscard]] std::size_t waiting_for_disk() const { return sitting_out_; }
    // What waits for our own disk is tried again now, too.
    void rescan();
    // While IAM is asked for the project's id, jobs that name none wait; afterwards they are taken, or rejected.
    void wait_for_project() { project_pending_ = true; }
    void stop_waiting_for_project();
    [[nodiscard]] bool waits_for_project() const { return project_pending_; }
    void apply(std::shared_ptr<const intake_settings> rules, nanoseconds rescan_every) {
        rules_ = std::move(rules);
        arrivals_.rescan_every(rescan_every);
    }

  private:
    struct attempt;

    [[nodiscard]] task<void> take(std::string name, bool orphan);
    [[nodiscard]] task<void> take_inside(attempt& a);
    // As many jobs as there are descriptors for: more would take them from one another, and none would end.
    [[nodiscard]] bool descriptors_left() const;
    [[nodiscard]] task<bool> read(attempt& a);
    [[nodiscard]] task<bool> claim(attempt& a);
    // The next three on any thread. Whether the job's id is ours to begin: no other attempt is at it.
    [[nodiscard]] bool claim_id(attempt& a, const std::string& id);
    // Whether the id has a journal already; if not, and the whole list is read, finishes.
    [[nodiscard]] result<bool> look_for(attempt& a, const std::string& id);
    // Deduplicates the list, and makes the job's journal.
    void finish(attempt& a);
    void give_up_claim(const attempt& a);
    [[nodiscard]] static bool is_large(const std::string& name, const node_facts& f);
    [[nodiscard]] worker_thread& lane_of(const std::string& name, const node_facts& f);
    [[nodiscard]] task<bool> fetch_sidecar(attempt& a);
    [[nodiscard]] task<void> begin(attempt& a);
    // A file on its way to rejected/, with its reason and its line in the ledger.
    struct rejection {
        enum class progress { done, gone };

        spool_folder from = spool_folder::active;
        std::string name;
        problem why;
        std::string job_id{};  // may be empty: nobody could read it
        std::string list{};    // the sidecar that goes with it, may be empty
        spool_folder list_from = spool_folder::active;
        std::optional<node_facts> facts{};  // the file that was judged: another one of its name is left alone
        wall_time at{};
        std::optional<ledger_file::line> line{};
    };
    // Tries until it is done, the file is gone, or we stop: a file that is neither a job nor rejected would lie there
    // unseen. A coroutine for each, so run() takes no more than it may have open.
    [[nodiscard]] task<void> reject(rejection r);
    [[nodiscard]] result<rejection::progress> try_to_reject(rejection& r);  // disk thread
    [[nodiscard]] task<void> refuse_arrival(arrived_file file);
    // Waits for our own disk; `handed`: arrivals has the file as handed out meanwhile.
    [[nodiscard]] task<void> sit_out(steady_time until, bool handed);
    void start(task<void> t);

    services& with_;
    job_table& jobs_;
    std::shared_ptr<const intake_settings> rules_;
    job_ready ready_;
    arrivals arrivals_;
    worker_thread small_, large_;
    std::atomic<bool> stop_flag_{false};
    std::mutex claims_;               // guards starting_
    std::set<std::string> starting_;  // job ids whose journal is being made
    std::size_t taking_ = 0;          // coroutines of start()
    std::size_t inside_ = 0;          // those of them that have files open
    std::size_t sitting_out_ = 0;     // those of them that wait for our own disk
    std::size_t sitting_handed_ = 0;  // and whose file is still in incoming/
    std::uint64_t rescans_ = 0;
    bool stopping_ = false;
    bool running_ = false;
    bool project_pending_ = false;
    event changed_;
};

}  // namespace culld

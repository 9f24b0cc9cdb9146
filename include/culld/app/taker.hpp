// Takes what arrives in the spool: moves it to active/, has its list read and checked on a lists thread, begins its
// journal, and hands a job that runs to the table; or rejects it. One file never holds up another: small files and
// large ones are read by threads of their own. Loop thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
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

    // Nothing is there to be taken, and nothing is being taken.
    [[nodiscard]] bool idle() const { return taking_ == 0 && arrivals_.idle(); }
    void rescan() { arrivals_.rescan(); }
    void apply(std::shared_ptr<const intake_settings> rules) { rules_ = std::move(rules); }
    // While IAM is asked for the project's id, jobs that name none wait; afterwards they are taken, or rejected.
    void wait_for_project() { project_pending_ = true; }
    void stop_waiting_for_project();
    [[nodiscard]] bool waits_for_project() const { return project_pending_; }

  private:
    struct attempt;

    [[nodiscard]] task<void> take(std::string name, bool orphan);
    [[nodiscard]] task<void> take_inside(attempt& a);
    [[nodiscard]] task<bool> read(attempt& a);
    [[nodiscard]] task<bool> claim(attempt& a);
    [[nodiscard]] task<bool> fetch_sidecar(attempt& a);
    [[nodiscard]] task<void> begin(attempt& a);
    [[nodiscard]] task<void> reject(spool_folder from, std::string name, problem why, std::string job_id,
                                    std::string list);
    [[nodiscard]] task<void> refuse_arrival(std::string name, problem why);
    void start(task<void> t);

    services& with_;
    job_table& jobs_;
    std::shared_ptr<const intake_settings> rules_;
    job_ready ready_;
    arrivals arrivals_;
    worker_thread small_, large_;
    std::atomic<bool> stop_flag_{false};
    std::set<std::string> starting_;   // job ids whose journal is being made
    std::set<std::string> unmovable_;  // names that could not be rejected: said once
    std::size_t taking_ = 0;
    bool stopping_ = false;
    bool running_ = false;
    bool project_pending_ = false;
    event changed_;
};

}  // namespace culld

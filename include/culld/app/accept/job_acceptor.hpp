// Takes what arrives in the spool: moves it to active/, has its list read and checked on a lists thread, begins its
// journal, and hands a job that runs to the table; or rejects it. What is written meanwhile is put back, and waited
// for. One file never holds up another: small files and large ones are read by threads of their own. Loop thread.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "culld/app/context/services.hpp"
#include "culld/app/jobs/job_table.hpp"
#include "culld/core/ids/id_pattern.hpp"
#include "culld/io/ids/intake.hpp"
#include "culld/io/spool/incoming_watcher.hpp"

namespace culld {

// What intakes look at: compiled and loaded once per configuration.
struct intake_settings {
    std::shared_ptr<const config> settings;
    id_pattern pattern;
    protected_ids protect;

    static result<std::shared_ptr<const intake_settings>> load(std::shared_ptr<const config> from,
                                                               const std::atomic<bool>* stop);
};

class job_acceptor final : public waiting_room {
  public:
    using job_ready = std::function<void(std::unique_ptr<active_job>)>;

    job_acceptor(daemon_context& with, job_table& jobs, std::shared_ptr<const intake_settings> rules, job_ready ready);
    ~job_acceptor();

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
        with_.protect = {rules_, &rules_->protect};
        arrivals_.rescan_every(rescan_every);
    }

    [[nodiscard]] std::vector<waiting_file> waiting() const override;
    [[nodiscard]] std::optional<waiting_file> find_taking(std::string_view name) const override;
    [[nodiscard]] task<withdrawal> withdraw(std::string name, person by, std::string reason,
                                            steady_time until) override;

  private:
    struct submission;
    struct rejection;
    struct taking;
    struct order;
    class wait_note;

    [[nodiscard]] taking* taking_called(std::string_view name) const;
    // Why a file is rejected by a person's order; and what else there is to say of that.
    [[nodiscard]] static problem reason_of(const order& given);
    [[nodiscard]] static rejection without_reason(const submission& a);

    [[nodiscard]] task<void> take(arrived_file file, bool orphan);
    [[nodiscard]] task<void> take_inside(submission& a);
    // As many jobs as there are descriptors for: more would take them from one another, and none would end.
    [[nodiscard]] bool descriptors_left() const;
    [[nodiscard]] task<bool> read(submission& a);
    [[nodiscard]] task<bool> claim(submission& a);
    // The next six on any thread. Reads the job file, and does what can be done in the same trip.
    void read_file(submission& a);
    // Nobody wrote it while it was read, and what was copied of it is durable: else a.end says why not.
    [[nodiscard]] bool whole(submission& a, const open_job& file, bool good) const;
    // Claims the job's id, and looks whether it has a journal. An id that we made is drawn again until it has none.
    // False: another attempt is at this id.
    [[nodiscard]] bool claim_and_look(submission& a);
    [[nodiscard]] bool claim_id(submission& a, const std::string& id);
    // Whether the id has a journal already; if not, and the whole list is read, finishes.
    [[nodiscard]] result<bool> look_for(submission& a, const std::string& id);
    // Deduplicates the list, and makes the job's journal.
    void finish(submission& a);
    void give_up_claim(submission& a);
    // Somebody wrote it: to incoming/ with it, where it is waited for.
    [[nodiscard]] task<void> put_back(submission& a, open_job& file, std::string base);
    // Why reading ended early, if it did.
    [[nodiscard]] task<bool> ended_well(submission& a, open_job& file, std::string base);
    [[nodiscard]] static bool may_use_any_list(const submission& a);
    [[nodiscard]] static bool is_large(const std::string& name, const node_facts& f);
    // Runs `work()` on the thread for small files, or on one for large ones when it is free: one submitter has one of
    // these at a time. What is given up needs none.
    template <class Work>
    [[nodiscard]] task<std::invoke_result_t<Work&>> in_lane(bool large, const submission& a, Work work);
    [[nodiscard]] task<bool> fetch_sidecar(submission& a);
    // The list that a job taken before a crash had with it, among those in active/ that no other job has.
    [[nodiscard]] task<bool> find_list(submission& a);
    [[nodiscard]] std::set<std::string> lists_in_use() const;
    [[nodiscard]] task<void> begin(submission& a);
    // One of this owner's files is on its way no more.
    void arrived(std::uint32_t uid);
    // A file on its way to rejected/, with its reason and its line in the ledger.
    struct rejection {
        enum class progress { done, gone, stays };

        spool_folder from = spool_folder::active;
        std::string name;
        std::string as;  // its base name
        problem why;
        std::string job_id{};  // may be empty: nobody could read it
        std::string list{};    // the sidecar that goes with it if it belongs to `owner`, may be empty
        std::string list_as{};
        spool_folder list_from = spool_folder::active;
        std::uint32_t owner = 0;            // with a list
        std::optional<node_facts> facts{};  // the file that was judged: another one of its name is left alone
        wall_time at{};
        std::optional<ledger_file::line> line{};
    };
    // Tries until it is done, the file is gone, or we stop: a file that is neither a job nor rejected would lie there
    // unseen. A coroutine for each, so run() takes no more than it may have open.
    // Whether it is on record.
    [[nodiscard]] task<bool> reject(rejection r);
    [[nodiscard]] task<bool> reject_now(rejection r);
    [[nodiscard]] result<rejection::progress> try_to_reject(rejection& r);  // disk thread
    [[nodiscard]] task<void> refuse_arrival(arrived_file file);
    // Waits for our own disk; `handed`: arrivals has the file as handed out meanwhile.
    [[nodiscard]] task<void> sit_out(steady_time until, bool handed);
    void start(task<void> t);

    daemon_context& with_;
    job_table& jobs_;
    std::shared_ptr<const intake_settings> rules_;
    job_ready ready_;
    incoming_watcher arrivals_;
    worker_thread small_;
    struct large_lane {
        explicit large_lane(loop_executor loop) : thread(loop) {}
        worker_thread thread;
        std::optional<std::uint32_t> used_by;
    };
    std::array<large_lane, 2> large_;
    std::mutex claims_;               // guards starting_
    std::set<std::string> starting_;  // job ids whose journal is being made
    // By owner: files handed out by arrivals, and jobs that wait for their lists.
    std::map<std::uint32_t, std::size_t> on_their_way_, waiting_for_lists_;
    std::set<std::pair<std::uint64_t, std::uint64_t>>
        left_;  // device and inode of what was rejected and cannot be moved
    // Each in the frame of a take(). Shared, since that may outlive us.
    std::shared_ptr<std::vector<taking*>> takings_;
    std::multiset<std::string> lists_in_hand_;  // names in active/ of lists that are being read
    std::size_t taking_ = 0;                    // coroutines of start()
    std::size_t inside_ = 0;                    // those of them that have files open
    std::size_t rejecting_ = 0;                 // files on their way to rejected/
    std::size_t sitting_out_ = 0;               // those of them that wait for our own disk
    std::size_t sitting_handed_ = 0;            // and whose file is still in incoming/
    std::uint64_t rescans_ = 0;
    bool stopping_ = false;
    bool running_ = false;
    bool project_pending_ = false;
    event changed_;
};

}  // namespace culld

// One file on its way to a job: what taker's files share.
#pragma once

#include <algorithm>
#include <random>
#include <vector>

#include "culld/app/accept/job_acceptor.hpp"
#include "culld/core/job/api_resource.hpp"

namespace culld {

// Somebody's, to take a file no further.
struct job_acceptor::order {
    person by;
    std::string reason;
    std::optional<withdrawal> done;  // what became of it
};

// A file on its way to a job, as others are told of it, however many attempts that takes. Loop thread, but for `watch`.
struct job_acceptor::taking {
    taking(std::shared_ptr<std::vector<taking*>> all, std::string name) : file(std::move(name)), in_(std::move(all)) {
        in_->push_back(this);
    }
    ~taking() { std::erase(*in_, this); }
    taking(const taking&) = delete;
    taking& operator=(const taking&) = delete;

    std::string file;    // base name
    std::string job_id;  // once it is ours to begin
    std::optional<std::uint32_t> uid;
    wall_time since = wall_now();
    std::string waits;        // for what, in words; empty: it is being read
    std::uint64_t bytes = 0;  // of the file that holds the ids
    bool over = false;        // only that is to be put on record
    reading_watch watch;      // told to stop at our end, and by an order
    std::shared_ptr<order> to_end;

    [[nodiscard]] waiting_file told() const;

  private:
    std::shared_ptr<std::vector<taking*>> in_;
};

// One file on its way from incoming/ to a job.
struct job_acceptor::submission {
    submission(taking& from, std::string file, bool was_active, std::shared_ptr<const intake_settings> with,
               const folder& plans, std::uint32_t seed)
        : of(from),
          name(std::move(file)),
          orphan(was_active),
          rules(std::move(with)),
          dice(seed),
          reading(
              intake_surroundings{*rules->settings, rules->pattern, resource_names(), rules->protect, plans, of.watch},
              wall_now(), seed) {}

    taking& of;

    std::string name;  // base name; of an orphan that in active/, until it was looked at
    bool orphan;
    bool counted = false;              // in on_their_way_
    std::optional<node_facts> seen{};  // when it was found to be complete
    std::shared_ptr<const intake_settings> rules;
    std::minstd_rand dice;
    intake reading;
    take_result job;
    take_result list;
    std::optional<result<job_spec>> read;        // the job file was read
    std::optional<result<job_intake>> finished;  // and its list
    enum class ending {
        well,
        written,  // somebody wrote the file while it was read: what was read does not count
        disk,     // ours does not let us say (disk_fault)
    };
    ending end = ending::well;
    problem disk_fault;
    struct made {
        result<unique_fd> journal = fail("not made");
        result<id_store> ids = fail("not opened");
    };
    made begun;
    job_spec spec;
    job_intake found;
    std::string claimed;                 // the job id that is ours to begin
    std::optional<result<bool>> looked;  // whether that has a journal
    std::optional<rejection> bad;        // to be rejected, when all of this is closed
    bool again = false;                  // our own disk's fault: to be tried again later
    bool anew = false;                   // its list was put back: at once
    bool awaits_project = false;         // likewise, once IAM has told the project's id
};

// While it lives the file is told to wait for this.
class job_acceptor::wait_note {
  public:
    wait_note(taking& of, std::string reason) : of_(of) { of_.waits = std::move(reason); }
    ~wait_note() { of_.waits.clear(); }
    wait_note(const wait_note&) = delete;
    wait_note& operator=(const wait_note&) = delete;

  private:
    taking& of_;
};

template <class Work>
task<std::invoke_result_t<Work&>> job_acceptor::in_lane(bool large, const submission& a, Work work) {
    const std::uint32_t uid = a.job.job.facts.uid;
    large_lane* mine = nullptr;
    while (large && mine == nullptr && !a.of.watch.stop) {
        bool has_one = false;
        for (large_lane& lane : large_) {
            has_one = has_one || lane.used_by == uid;
            if (!lane.used_by) mine = &lane;
        }
        if (has_one) mine = nullptr;
        if (mine == nullptr) co_await changed_.wait();
    }
    if (mine == nullptr) {
        auto out = co_await small_.run(std::move(work));
        co_return out;
    }
    mine->used_by = uid;
    auto out = co_await mine->thread.run(std::move(work));
    mine->used_by.reset();
    changed_.notify();
    co_return out;
}

}  // namespace culld

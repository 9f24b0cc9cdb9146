// One file on its way to a job: what taker's files share.
#pragma once

#include <random>

#include "culld/app/taker.hpp"
#include "culld/core/resource.hpp"

namespace culld {

// One file on its way from incoming/ to a job.
struct taker::attempt {
    attempt(std::string file, bool was_active, std::shared_ptr<const intake_settings> with, const folder& plans,
            const std::atomic<bool>& stop, std::uint32_t seed)
        : name(std::move(file)),
          orphan(was_active),
          rules(std::move(with)),
          dice(seed),
          reading(intake_surroundings{*rules->settings, rules->pattern, resource_names(), rules->protect, plans, stop},
                  wall_now(), seed) {}

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
class taker::wait_note {
  public:
    wait_note(taker& of, const std::string& file, std::string reason)
        : in_(of.waits_), at_(in_->emplace(file, std::move(reason))) {}
    ~wait_note() { in_->erase(at_); }
    wait_note(const wait_note&) = delete;
    wait_note& operator=(const wait_note&) = delete;

  private:
    std::shared_ptr<std::multimap<std::string, std::string>> in_;
    std::multimap<std::string, std::string>::iterator at_;
};

template <class Work>
task<std::invoke_result_t<Work&>> taker::in_lane(bool large, std::uint32_t uid, Work work) {
    if (!large) {
        auto out = co_await small_.run(std::move(work));
        co_return out;
    }
    large_lane* mine = nullptr;
    for (;;) {
        bool has_one = false;
        for (large_lane& lane : large_) {
            has_one = has_one || lane.used_by == uid;
            if (!lane.used_by) mine = &lane;
        }
        if (mine != nullptr && !has_one) break;
        mine = nullptr;
        co_await changed_.wait();
    }
    mine->used_by = uid;
    auto out = co_await mine->thread.run(std::move(work));
    mine->used_by.reset();
    changed_.notify();
    co_return out;
}

}  // namespace culld

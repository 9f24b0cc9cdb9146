// What a restart makes of a journal: the job as it was accepted, and the state of its plan (contract, promise 2).
//
// Fed with the records of one open journal in order, from the first, or with the first and then from a checkpoint on:
// both come to the same.
// Pure. Records were checked by the chain before they come here; what does not fit is a problem, and the job is set
// aside, never guessed at.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "culld/core/base/position_map.hpp"
#include "culld/core/job/job_spec.hpp"
#include "culld/core/journal/journal_read.hpp"
#include "culld/core/plan/plan.hpp"

namespace culld {

struct recovered_job {
    bool accepted = false;  // job.accepted was there; without it nothing was ever sent
    job_intake intake;      // protected positions are in state.holes instead
    std::uint32_t uid = 0, gid = 0;
    wall_time modified_at, accepted_at;
    plan_state state;
    spans in_doubt;  // intended, no answer journaled: perhaps sent
    // The run before ended in good order, so that some of what it intended is known to have never been sent: before any
    // of that is sent now, the journal has to say that a run began.
    bool rested = false;
    std::uint64_t requests = 0, retries = 0, throttled = 0;
    bool paused = false;
    std::string said;                 // why, by whoever paused or cancelled it
    std::optional<person> paused_by;  // where the records read say so
    std::optional<double> rate;
    std::optional<skip_reason> stopped;
    std::vector<person_order> orders;   // those in the records that were read
    std::optional<std::string> status;  // of job.finished
    std::optional<wall_time> finished_at;
    std::optional<job_totals> totals;  // likewise: what a lost answer was counted as, the other records do not tell
};

class replay {
  public:
    [[nodiscard]] result<void> feed(const record_view& record);
    // After the last record.
    [[nodiscard]] recovered_job finish();

  private:
    struct open_id {
        std::uint32_t attempts = 0;
        last_outcome last = last_outcome::unsent;
        bool sent = false;
        friend bool operator==(const open_id&, const open_id&) = default;
    };

    result<void> accepted(const record_view& r);
    result<void> intent(const record_view& r);
    result<void> batch_result(const record_view& r);
    result<void> batch_error(const record_view& r);
    result<void> verdict(const record_view& r, std::uint64_t& count, std::string_view at_key);
    result<void> checkpoint(const record_view& r);
    result<void> recovered_before(const record_view& r);
    void stop(skip_reason why);
    void count_request(const spans& at, std::uint32_t attempt);
    result<void> within(const spans& at) const;

    recovered_job job_;
    std::uint64_t records_ = 0;
    bool at_rest_ = false;  // the last record says that nothing was under way, and nothing came since
    position_map<open_id> open_;
    position_map<bool> ahead_;  // settled beyond what is intended
};

}  // namespace culld

// The requests that blocked jobs try now and then (contract, section 6).
#include <fmt/format.h>

#include "culld/app/send/sender.hpp"

namespace culld {

// Jobs that are blocked for the same reason wait for one another's probe: a thousand of them are no storm. One whose
// own ids are in question stands alone.
std::string sender::probe_name(const active_job& job) {
    const job_spec& spec = job.spec();
    const auto& why = job.blocked();
    if (!why || why->cause == block_cause::ids) return spec.id;
    return fmt::format("{} {} {} {}", spec.project_id, spec.workspace_id, spec.resource, why->code);
}

bool sender::may_probe(active_job& job, steady_time now) {
    if (!job.blocked()) return true;
    const auto next_one = probes_.find(probe_name(job));
    if (next_one == probes_.end() || next_one->second <= now) return true;
    job.put_off_probe(next_one->second);
    return false;
}

void sender::unblock_like(const active_job& first) {
    for (active_job* job : scheduler_.all()) {
        const auto& why = job->blocked();
        const job_spec &mine = job->spec(), &its = first.spec();
        if (why && why->cause == block_cause::answer && mine.project_id == its.project_id &&
            mine.workspace_id == its.workspace_id && mine.resource == its.resource)
            job->unblock("the API takes requests again");
    }
    probes_.clear();
}

}  // namespace culld

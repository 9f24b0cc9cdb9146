#include "culld/app/status/job_views.hpp"

namespace culld {

outlook outlook_of(const job_table& jobs, const sender& sending) {
    outlook out = sending.trouble();
    const steady_time now = steady_now();
    for (const auto& [id, job] : jobs.running())
        if (job->spec().priority < out.first_priority && job->has_something_to_send(now)) {
            out.first_priority = job->spec().priority;
            out.first_job = id;
        }
    return out;
}

job_view view_of(const active_job& job, const outlook& all) {
    job_view out{.job_id = job.spec().id,
                 .file = job.intake().source.file,
                 .state = job.state(),
                 .status = job.status(),
                 .totals = job.totals(),
                 .in_flight = job.in_flight(),
                 .reason = job.reason(),
                 .help = job.blocked() ? job.blocked()->help : std::string(),
                 .accepted_at = rfc3339(job.accepted_at()),
                 .finished_at = job.finished_at() ? rfc3339(*job.finished_at()) : std::string(),
                 .uid = job.submitter()};
    switch (out.state) {
        case job_state::paused:
            out.waits_for = standstill::person;
            out.paused_by = job.paused_by();
            break;
        case job_state::blocked: out.waits_for = standstill::repair; break;
        case job_state::waiting:
        case job_state::running:
            out.rate = job.rate_now(steady_now());
            out.eta_seconds = job.seconds_left(steady_now());
            if (job.dispatchable()) out.stand_still(standing_of(job.look_ahead(steady_now(), all.now), all));
            break;
        case job_state::finished: break;
    }
    return out;
}

job_view view_of(const finished_job& job) {
    return {.job_id = job.job_id,
            .file = job.file,
            .state = job_state::finished,
            .status = job.status,
            .totals = job.totals,
            .accepted_at = rfc3339(job.accepted_at),
            .finished_at = rfc3339(job.finished_at),
            .uid = job.uid};
}

job_view view_of(const quarantined_job& job) {
    return {.job_id = job.job_id,
            .file = job.file,
            .state = job_state::blocked,
            .totals = job.totals,
            .reason = job.why.detail,
            .help = job.why.help,
            .accepted_at = job.accepted_at ? rfc3339(*job.accepted_at) : std::string(),
            .waits_for = standstill::repair,
            .uid = job.uid};
}

job_view view_of(const waiting_file& file) {
    return {.job_id = file.job_id,
            .file = file.file,
            .state = job_state::waiting,
            .totals = {},
            .reason = file.reason,
            .waits_for = file.waits_for,
            .since = file.since ? rfc3339(*file.since) : std::string(),
            .uid = file.uid};
}

}  // namespace culld

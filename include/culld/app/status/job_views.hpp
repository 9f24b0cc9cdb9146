// The three kinds of jobs that the daemon knows, and the files that are none yet, as they are told of. Loop thread.
#pragma once

#include "culld/app/jobs/job_table.hpp"
#include "culld/app/send/sender.hpp"
#include "culld/core/status/job_view.hpp"

namespace culld {

// What holds all jobs up, and which of them go first. Ask once for many views.
[[nodiscard]] outlook outlook_of(const job_table& jobs, const sender& sending);

[[nodiscard]] job_view view_of(const active_job& job, const outlook& all);
[[nodiscard]] job_view view_of(const finished_job& job);
[[nodiscard]] job_view view_of(const quarantined_job& job);
[[nodiscard]] job_view view_of(const waiting_file& file);  // no job yet

}  // namespace culld

// Following jobs to their end: for watch, and for submit --wait.
#pragma once

#include <optional>
#include <string>

#include "ctl/jobs/jobs.hpp"

namespace culld::ctl {

// Where lines about a job's progress go.
enum class follow_style {
    data,     // they are what the verb was asked for: stdout
    console,  // stderr
};

// Shows `job_id` until it is finished: a bar on a terminal, else a line every 10 s; with --json the job's
// object on a line of stdout whenever something changed. Returns the job as it ended; none after Ctrl-C. As talk it
// ends with exit code 75 where the job stays blocked: somebody has to mend what it is blocked by.
[[nodiscard]] outcome<std::optional<job_facts>> follow(const context& with, const std::string& job_id,
                                                       follow_style style);

}  // namespace culld::ctl

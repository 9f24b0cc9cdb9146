// What control's files share.
#pragma once

#include <string_view>

#include "culld/app/status/control.hpp"
#include "culld/core/status/job_view.hpp"

namespace culld {

[[nodiscard]] server_answer problem_answer(unsigned status, std::string_view what, std::string_view hint = {});

[[nodiscard]] viewer viewer_of(const server_request& r);
// For whoever may not see it in full: that it stands still, and not why.
[[nodiscard]] job_view seen_by(const viewer& by, job_view job);
// A file without a job's id is nothing to strangers.
[[nodiscard]] inline bool shows(const viewer& by, const waiting_file& file) {
    return !file.job_id.empty() || by.sees(file.uid);
}

}  // namespace culld

// A bare list submitted with settings of its own: the job file that says what the command line said, and the list as
// its sidecar.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "ctl/journal/job_check.hpp"
#include "ctl/ui/context.hpp"
#include "culld/io/os/file.hpp"

namespace culld::ctl {

// What a job file would say (culld-job(5)).
struct job_settings {
    std::optional<std::string> id, workspace_id;
    std::optional<std::uint64_t> batch_size, priority;
    std::map<std::string, std::string> labels;
    bool dry_run = false;

    [[nodiscard]] bool any() const {
        return id || workspace_id || batch_size || priority || !labels.empty() || dry_run;
    }
};

struct list_job {
    std::string job_name;      // NAME.json
    std::string sidecar_name;  // NAME-XXXXXXXX.ids, packed as the list is: no other list has it
    unique_fd job;             // open for reading, at its beginning
    unique_fd list;            // likewise
};
// `list` is a file named `name`; a CSV or JSON Lines list is turned into one id a line, in `scratch`. Exit 64 where
// `name` is no bare list, which its own file has the settings for.
[[nodiscard]] outcome<list_job> make_list_job(const job_settings& settings, int list, const std::string& name,
                                              const folder& scratch);

}  // namespace culld::ctl

// The journal that a verb reads: in the journal folder where this user may look into it, else as the daemon hands it
// out to the job's submitter.
#pragma once

#include <optional>
#include <string>

#include "ctl/journal/job_check.hpp"
#include "ctl/ui/context.hpp"
#include "culld/io/os/file.hpp"

namespace culld::ctl {

struct readable_journal {
    std::string job_id;
    folder own;                             // the journal folder
    std::optional<scratch_folder> fetched;  // or a copy of this journal alone

    [[nodiscard]] const folder& dir() const { return fetched ? fetched->here() : own; }
};
[[nodiscard]] outcome<readable_journal> open_journal_of(const context& with, const std::string& name);

}  // namespace culld::ctl

// Job files read by cullctl with the daemon's own intake: for lint and submit (is this a good job?), and for
// result (which id stood at this position?). Nothing is left behind.
#pragma once

#include <functional>
#include <string>

#include "ctl/journal/journal_folder.hpp"
#include "ctl/ui/context.hpp"
#include "culld/core/job/job_spec.hpp"
#include "culld/io/ids/id_store.hpp"
#include "culld/io/os/file.hpp"

namespace culld::ctl {

// A folder for the intake's working files, removed with all it holds. In $TMPDIR, else /var/tmp: a list of a
// hundred million ids needs some 5 GB there.
class scratch_folder {
  public:
    static outcome<scratch_folder> make();
    ~scratch_folder();
    scratch_folder(scratch_folder&& other) noexcept;
    scratch_folder& operator=(scratch_folder&&) = delete;

    [[nodiscard]] const folder& here() const { return here_; }

  private:
    scratch_folder() = default;
    folder here_;
};

// Reads the job file `path`, and the sidecar beside it if it names one, as the daemon would. Exit 65 with
// line and column if it is no good job.
[[nodiscard]] outcome<job_intake> check_job(const context& with, const std::string& path);
// The same for a bare list under `name` whose bytes come from `fd` (a seekable file).
[[nodiscard]] outcome<job_intake> check_job(const context& with, int fd, const std::string& name,
                                            const std::string& beside);

// The same for a job whose sidecar `open_list` opens.
using list_opener = std::function<outcome<unique_fd>(const std::string& list)>;
[[nodiscard]] outcome<job_intake> check_job(const context& with, int fd, const std::string& name,
                                            const list_opener& open_list);

// A regular file that the user named; links are followed.
[[nodiscard]] outcome<unique_fd> open_own_file(const std::string& path);

// What job.accepted says about the files the ids came from.
struct accepted_sources {
    std::string job_id;
    source_facts source;
    std::optional<source_facts> list;
    std::uint64_t ids = 0;
};
[[nodiscard]] result<accepted_sources> sources_of(const record_view& accepted);

// The ids of an accepted job by position: from the daemon's store while the job is open, else by reading the
// job's own file in the spool once more, after its SHA-256 was compared with the journal's. `scratch`
// outlives the store.
[[nodiscard]] outcome<id_store> ids_of_job(const context& with, const accepted_sources& job, const folder& scratch);

}  // namespace culld::ctl

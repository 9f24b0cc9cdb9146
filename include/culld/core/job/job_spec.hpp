// What a job file asks for (contract, section 2), after it was checked and its gaps were filled from the
// configuration. Values only; reading job files is job_reader's, checking their fields job_document's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culld/core/base/span.hpp"
#include "culld/core/base/time.hpp"

namespace culld {

// When an id is asked for by GET to learn whether it is really gone.
enum class verify_mode {
    none,    // never: an id whose fate stays unknown ends failed
    failed,  // before it would end failed
    all,     // also what the API calls deleted
};
[[nodiscard]] std::string_view name_of(verify_mode mode);

// Stop the job once `after` ids were answered for and more than `failed_ratio` of those answered did not succeed.
struct abort_rule {
    double failed_ratio = 0;  // 0..1
    std::uint64_t after = 0;

    friend bool operator==(const abort_rule&, const abort_rule&) = default;
};

struct job_spec {
    std::string id;        // [A-Za-z0-9._-]{1,100}; empty until one is made for a job that named none
    std::string resource;  // a profile's name, see resource.hpp
    std::string project_id;
    std::string workspace_id;
    std::string ids_file;          // base name of the sidecar list; empty: ids inline or a bare list
    std::uint32_t batch_size = 0;  // 1..999
    std::uint32_t max_attempts = 0;
    std::uint32_t priority = 5;  // 0 (first) .. 9
    std::optional<wall_time> not_before;
    std::optional<wall_time> deadline;
    bool dry_run = false;
    verify_mode verify = verify_mode::failed;
    std::optional<std::uint64_t> expect_count;
    std::optional<abort_rule> abort_when;
    std::vector<std::pair<std::string, std::string>> labels;  // in the file's order
};

struct file_owner {
    std::uint32_t uid = 0, gid = 0;

    friend bool operator==(const file_owner&, const file_owner&) = default;
};

// A file that ids came from, as recorded in job.accepted.
struct source_facts {
    std::string file;    // base name
    std::string sha256;  // 64 hex digits, of the bytes as they lay in the spool
    std::uint64_t bytes = 0;
    std::optional<file_owner> owner{};  // of a list: the job file's is the job's
    std::string taken_as{};             // its name in active/, where that is another one

    [[nodiscard]] const std::string& active_name() const { return taken_as.empty() ? file : taken_as; }
};

// The list of ids that are never deleted, as it was when a job was read.
struct protected_facts {
    std::string sha256;  // of the file
    std::uint64_t count = 0;

    friend bool operator==(const protected_facts&, const protected_facts&) = default;
};

// Everything that reading a job and its list found out.
struct job_intake {
    job_spec spec;
    source_facts source;                     // the job file
    std::optional<source_facts> list;        // the sidecar, where ids_file names one
    std::uint64_t ids = 0;                   // distinct
    std::uint64_t duplicates = 0;            // further appearances
    std::optional<protected_facts> protect;  // where ids.protected_file names one
    spans protected_at;                      // positions of ids that must never be deleted, ascending
};

}  // namespace culld

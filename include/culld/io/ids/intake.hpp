// Taking a job: everything between an opened file of the spool and a checked, deduplicated list in the id
// store.
//
// For a lists thread: blocking, one intake at a time for each object. Whatever fails or is abandoned leaves
// nothing in the plan folder. Memory is about 6 MiB whatever the list's length.
//
//     intake taking(around);
//     auto spec = taking.read_job(fd, name);              // a job file, or a bare list with its ids
//     if (spec && taking.wants_list()) … open spec->ids_file …, taking.read_sidecar(fd, name)
//     auto done = taking.finish();                        // the store has its final name now
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>

#include "culld/core/base/problem.hpp"
#include "culld/core/base/time.hpp"
#include "culld/core/config/config.hpp"
#include "culld/core/ids/id_pattern.hpp"
#include "culld/core/ids/id_sink.hpp"
#include "culld/core/ids/id_text.hpp"
#include "culld/core/job/job_spec.hpp"
#include "culld/io/ids/deduplicator.hpp"
#include "culld/io/ids/id_store.hpp"
#include "culld/io/lists/byte_source.hpp"
#include "culld/io/os/file.hpp"

namespace culld {

// Ids that are never deleted (setting ids.protected_file), in whatever case a UUID is written. Held in memory: the
// operator's own list.
class protected_ids {
  public:
    [[nodiscard]] bool contains(std::string_view id) const { return ids_.find(compared_id(id).text()) != ids_.end(); }
    [[nodiscard]] std::size_t size() const { return ids_.size(); }
    void insert(std::string_view id) { ids_.emplace(compared_id(id).text()); }
    // SHA-256 of the file they came from, in hex; empty where none is named.
    [[nodiscard]] const std::string& sha256() const { return sha256_; }
    void came_from(std::string sha256) { sha256_ = std::move(sha256); }

  private:
    struct by_text {
        using is_transparent = void;
        std::size_t operator()(std::string_view id) const { return std::hash<std::string_view>{}(id); }
    };
    std::unordered_set<std::string, by_text, std::equal_to<>> ids_;
    std::string sha256_;
};

// Reads such a file, in any of the list formats (by its name; *.txt where that tells nothing). An empty path
// is an empty set. Every id must match `pattern`: one that could never be in a job is a mistake that would go
// unseen.
[[nodiscard]] result<protected_ids> load_protected_ids(const std::string& path, const id_pattern& pattern,
                                                       const std::atomic<bool>* stop = nullptr);

// Everything an intake looks at beside the files. Borrowed; all of it outlives the intake.
struct intake_surroundings {
    const config& settings;
    const id_pattern& pattern;                    // settings.ids.pattern, compiled
    std::span<const std::string_view> resources;  // names that `resource` may have, the first is the default
    const protected_ids& protect;
    const folder& plan;  // journal.dir/.plan
    reading_watch& watch;
};

// Whose fault a failed intake is.
enum class intake_fault {
    none,
    file,     // the job is no valid one: reject it
    ours,     // our disk: leave the file where it is and try again later
    stopped,  // `watch` said so: it says nothing about the file
};

class intake {
  public:
    // `now` and `chance` (16 random bits) make the id of a job that names none.
    intake(const intake_surroundings& around, wall_time now, std::uint32_t chance, distinct_shape shape = {});
    ~intake();
    intake(const intake&) = delete;
    intake& operator=(const intake&) = delete;

    // Reads the job file `name` (base name; its kind is told by it), with the ids if they are in it. Ids are
    // checked as they come. The job's id is settled by now, so that a second job of one name can be refused
    // early. `copy`: where what is read is written too, -1 for none.
    [[nodiscard]] result<job_spec> read_job(int fd, std::string_view name, int copy = -1);
    // The job named no id: the one it has is made, and draw_id() makes another.
    [[nodiscard]] bool made_id() const { return made_id_; }
    std::string draw_id(wall_time now, std::uint32_t chance);
    // After read_job(): the job names a list in spec.ids_file that was not read yet.
    [[nodiscard]] bool wants_list() const;
    [[nodiscard]] result<void> read_sidecar(int fd, std::string_view name, int copy = -1);
    // Deduplicates, checks what is said about the whole list, publishes the store as store_name(spec.id).
    // `source`: the file with the ids.
    [[nodiscard]] result<job_intake> finish(source_file source = source_file::doubtful);

    // After a failure.
    [[nodiscard]] intake_fault fault() const { return fault_; }

  private:
    class list_sink;
    template <class T>
    [[nodiscard]] result<T> failed(problem p, intake_fault whose);
    // `may_write` is told of all that is written, and says whether there is room for more.
    [[nodiscard]] result<id_store_writer> compact(const std::function<bool(std::uint64_t bytes)>& may_write);

    intake_surroundings around_;
    wall_time now_;
    std::uint32_t chance_;
    distinct_shape shape_;
    intake_fault fault_ = intake_fault::none;
    std::string file_;  // the file that is being read, for messages
    job_intake found_;
    digest source_{};  // of the file that holds the ids
    bool have_ids_ = false;
    bool made_id_ = false;
    std::unique_ptr<list_sink> sink_;
};

}  // namespace culld

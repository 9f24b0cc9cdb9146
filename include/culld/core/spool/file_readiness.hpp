// When a file in incoming/ is complete, decided from what was seen of it (contract, section 1: "a file counts
// once it is complete: renamed or linked in, or closed after writing"). Pure: the shell reports sightings,
// looks at the file when asked to, and is told the next step.
//
// - Renamed in, or closed after writing: at once, unless somebody has it open for writing.
// - Created by an open: when its writer closes it.
// - Created without an open (link, mknod), or found by a scan: when nobody has it open for writing.
//
// A file that somebody has open for writing is waited for, however long it stands still. Whether somebody has can often
// not be asked: a lease needs the file's owner or CAP_LEASE, and some file systems (NFS, SMB, FUSE) have none. Then
// a file must have been quiet for 2 s, and for 10 s if it was merely found; what changes while it is taken is put back
// (io/spool/spool). One that cannot be opened at all need not wait for its rejection. An empty file, and one whose
// suffix is unknown, must be quiet for 2 s unless it was renamed in: many tools create first and write or rename a
// moment later. More than one link is forgiven for 2 s, since link() followed by unlink() is how maildir delivers. What
// is no regular file, or has a name no log can carry, is rejected at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"
#include "culld/core/base/time.hpp"
#include "culld/core/spool/file_kind.hpp"

namespace culld {

enum class node_type { regular, folder, symlink, fifo, socket, device };

// What the kernel tells of a name without opening it.
struct node_facts {
    node_type type = node_type::regular;
    std::uint64_t device = 0;  // with inode: which file it is
    std::uint64_t inode = 0;
    std::uint64_t links = 1;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t mode = 0;  // permissions
    std::uint64_t size = 0;  // bytes
    wall_time mtime;
    wall_time ctime;

    friend bool operator==(const node_facts&, const node_facts&) = default;
};

enum class file_event {
    moved_in,  // IN_MOVED_TO
    closed,    // IN_CLOSE_WRITE
    created,   // IN_CREATE: open(O_CREAT), or link(), mknod(), mkdir(), symlink()
    opened,    // IN_OPEN: right after created it tells open(O_CREAT) from link()
    left,      // IN_MOVED_FROM, IN_DELETE: the name is not there any more
    found,     // by a scan: nothing is known of how it came
    returned,  // put back by us: somebody wrote it while it was taken
};

// Does somebody have the file open for writing?
enum class writer {
    none,
    present,
    unknown,      // it cannot be opened to ask
    not_allowed,  // another user's file, and we lack CAP_LEASE
    no_leases,    // its file system cannot tell
};

struct arrival_step {
    enum class action {
        ready,           // complete: take it
        reject,          // never will be a job: move it away unopened, for the reason in `why`
        ask_writer,      // find out whether somebody writes, then call answered()
        look_again,      // look at the file at `at`, then call looked()
        wait_for_close,  // its writer is known: remember the name, the next sighting will come by itself
        leave_alone,     // none of our business: forget the name
        keep,            // the sighting changes nothing: what was decided before stands
    };
    action what = action::leave_alone;
    steady_time at;  // look_again only
    problem why;     // reject only
};

// What is known of one name in incoming/, from its first sighting until it is ready, rejected or gone.
class file_readiness {
  public:
    static constexpr nanoseconds quiet_time = std::chrono::seconds(2);
    static constexpr nanoseconds untold_quiet_time = std::chrono::seconds(10);  // where nobody tells of writers
    static constexpr nanoseconds link_patience = std::chrono::seconds(2);       // more than one link
    static constexpr nanoseconds open_grace = std::chrono::milliseconds(50);    // created: an open follows by then

    explicit file_readiness(std::string_view name);

    // Something happened to the name, and `facts` is what a look at it showed. `wall` is only compared with
    // the file's own times; waiting is measured on the steady clock.
    [[nodiscard]] arrival_step seen(file_event what, const node_facts& facts, steady_time now, wall_time wall);
    // The answer to look_again.
    [[nodiscard]] arrival_step looked(const node_facts& facts, steady_time now, wall_time wall);
    // The answer to ask_writer, right after it: never asks again itself.
    [[nodiscard]] arrival_step answered(writer who, steady_time now);

    [[nodiscard]] file_kind kind() const { return kind_; }
    // Somebody is known to have it open for writing, so how long it takes is his affair.
    [[nodiscard]] bool being_written() const { return writer_known_ || writer_present_; }

  private:
    enum class evidence { found, created, closed, moved_in };

    arrival_step judge(steady_time now) const;
    arrival_step settle(steady_time now) const;
    void note(const node_facts& facts, steady_time now, wall_time wall);
    [[nodiscard]] bool quiet(steady_time now, nanoseconds for_so_long) const;

    file_kind kind_;
    std::optional<problem> name_fault_;
    evidence evidence_ = evidence::found;
    steady_time since_;            // of the evidence
    bool writer_known_ = false;    // opened by its creator, not closed yet
    bool writer_present_ = false;  // the last answer
    bool returned_ = false;
    std::optional<node_facts> last_;
    steady_time unchanged_since_;
    nanoseconds age_at_first_sight_{};         // none once it has changed
    std::optional<steady_time> linked_since_;  // more than one link, from then on
};

// Why a name cannot be worked with (control characters, not UTF-8); nothing for a good one. Such a name would
// break logs, terminals and journals long after the file is gone.
[[nodiscard]] std::optional<problem> name_fault(std::string_view name);

// Why a node is refused whatever its name; nothing for a regular file. Links are not counted here.
[[nodiscard]] std::optional<problem> type_fault(node_type type);

// Why a file with more than one link is refused.
[[nodiscard]] problem link_fault(std::uint64_t links);

// Why a file is refused that others than its owner may write; nothing for other permissions.
[[nodiscard]] std::optional<problem> mode_fault(std::uint32_t mode);

}  // namespace culld

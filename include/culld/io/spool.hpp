// The spool directory: what may be done with the files in it, each step durable and safe against whoever may
// write to incoming/ (contract, section 1). Names are one path component; no link is followed, no FIFO waited
// for, nothing overwritten. Folders are opened anew for each operation, so one that was removed and made
// again is simply used.
//
// Blocking calls; a spool is immutable and may be used from any thread. One file must not be moved by two
// threads.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "culld/core/arrival.hpp"
#include "culld/core/problem.hpp"
#include "culld/core/time.hpp"
#include "culld/io/file.hpp"

namespace culld {

enum class spool_folder { tmp, incoming, active, done, failed, rejected };
[[nodiscard]] std::string_view name_of(spool_folder where);

// Reads a folder's names one at a time, in no order, without holding them; `.` and `..` are left out. Names
// that come or go meanwhile may or may not be told; those that stay are told once.
class folder_scan {
  public:
    static result<folder_scan> open(const folder& where);
    // Nothing at the end. The view is good until the next call.
    [[nodiscard]] result<std::optional<std::string_view>> next();

  private:
    struct closer {
        void operator()(void* dir) const noexcept;
    };
    std::unique_ptr<void, closer> dir_;
    std::string path_;
};

// What a name is, unopened. Nothing if it is not there (any more).
[[nodiscard]] result<std::optional<node_facts>> look(const folder& where, const std::string& name);

// Does somebody have `name` open for writing? Asked by taking a read lease and giving it back at once: the
// kernel grants it only while nobody writes (fcntl(2), F_SETLEASE). Unknown where the file is another user's
// and we lack CAP_LEASE, cannot be read, or the file system knows no leases. Never blocks.
[[nodiscard]] writer ask_writer(const folder& where, const std::string& name);

// A file in active/, open for reading: the same regular file with one link before and after it was opened.
struct open_job {
    unique_fd fd;
    node_facts facts;  // owner and times as the submitter left them (a rename does not change mtime)
};

struct take_result {
    enum class outcome {
        taken,      // in active/, open in `job`
        gone,       // was not there any more: no error, somebody took it back
        name_busy,  // active/ has a file of that name: left where it was, try again when that job is over
        refused,    // in active/, but not to be worked with: reject(active, name, why)
        moved,      // in active/, but the system did not let us go on (`why`): open_active() does, later
    };
    outcome what = outcome::gone;
    open_job job;  // taken
    problem why;   // refused, moved
};

class spool {
  public:
    // Opens `path` and makes the folders that are missing: incoming/ and tmp/ 0770, the others 0750, `path`
    // itself 0755. Refused: folders on different file systems (nothing could be renamed), an incoming/ or
    // tmp/ that everybody may write to without the sticky bit (anybody could swap other users' files), one of
    // ours that everybody may write to or that belongs to another user. Removes temporary files a crash left
    // in rejected/.
    static result<spool> open(const std::string& path);

    [[nodiscard]] const std::string& path() const { return root_.path(); }
    // The spool's own folder, to be locked.
    [[nodiscard]] const folder& root() const { return root_; }
    // Opens one of the folders; done, failed and rejected are made if missing, incoming is not: whoever
    // removed it will make it again with the owner and mode it is meant to have.
    [[nodiscard]] result<folder> at(spool_folder where) const;

    // Tells every name in a folder, until `each` says false.
    [[nodiscard]] result<void> scan(spool_folder where, const std::function<bool(std::string_view)>& each) const;
    [[nodiscard]] result<std::optional<node_facts>> look(spool_folder where, const std::string& name) const;

    // Moves incoming/NAME to active/NAME, makes the move and the file's content durable, opens it. For jobs
    // and for sidecars. An error is the system's, not the file's (read-only disk, no descriptors left): the
    // file is then still in incoming/.
    [[nodiscard]] result<take_result> take(const std::string& name) const;
    // The same for a file that is in active/ already (after a restart, or moved): taken, gone or refused. After an
    // error it is still there.
    [[nodiscard]] result<take_result> open_active(const std::string& name) const;

    // Moves active/NAME to done/ or failed/ under a free name, durably; returns that name, nothing if it is
    // gone.
    [[nodiscard]] result<std::optional<std::string>> file_away(const std::string& name, spool_folder to) const;

    // Moves NAME, unopened, from incoming/ or active/ to rejected/ under a free name, with NAME.reason.json
    // beside it; returns the name it got, nothing if it is gone.
    //
    // The reason is written first. So no crash leaves a rejected file without one; what it may leave is a
    // reason without its file, and the next rejection of that name replaces it. That is safe: a submitter's
    // own file called NAME.reason.json has a reason of its own beside it in rejected/, ours never has.
    [[nodiscard]] result<std::optional<std::string>> reject(spool_folder from, const std::string& name,
                                                            const problem& why, wall_time at) const;

  private:
    folder root_;
};

// The text of a NAME.reason.json: {"file","error","line","column","field","hint","at"}, null where not known,
// and a newline. `file` is the one at fault where `why` names one (a sidecar), else `name`.
[[nodiscard]] std::string reason_json(std::string_view name, const problem& why, wall_time at);

}  // namespace culld

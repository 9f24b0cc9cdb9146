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

#include "culld/core/base/problem.hpp"
#include "culld/core/base/time.hpp"
#include "culld/core/spool/file_readiness.hpp"
#include "culld/io/os/file.hpp"

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

// A file in active/, open for reading: the same regular file with one link before and after it was opened.
struct open_job {
    unique_fd fd;
    node_facts facts;  // owner and times as the submitter left them (a rename does not change mtime)
    std::string name;  // in active/: another than it had in incoming/ where that was taken
    // Where what is read must be written as well; none for a file of our own. Whoever has another user's file open may
    // write it at any time: so it is read once, and this copy of it is what the job is made of (see spool::own).
    unique_fd copy;
};

struct take_result {
    enum class outcome {
        taken,    // in active/, open in `job`
        gone,     // was not there any more: no error, somebody took it back
        refused,  // in active/ as job.name, but not to be worked with: reject(active, job.name, why)
        written,  // in active/ as job.name, but somebody writes it, or did since it was looked at: put_back() it
        moved,    // in active/ as job.name, but the system did not let us go on (`why`): open_active() does, later
    };
    outcome what = outcome::gone;
    open_job job;  // its descriptors: taken
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
    // removed it will make it again with the owner and mode it is meant to have. What open() refuses is refused here,
    // too: another folder may have been put in its place since.
    [[nodiscard]] result<folder> at(spool_folder where) const;

    // Tells every name in a folder, until `each` says false.
    [[nodiscard]] result<void> scan(spool_folder where, const std::function<bool(std::string_view)>& each) const;
    [[nodiscard]] result<std::optional<node_facts>> look(spool_folder where, const std::string& name) const;

    // Does somebody have `name` in `where`, a folder of the spool, open for writing? Asked by taking a read lease and
    // giving it back at once: the kernel grants it only while nobody writes (fcntl(2), F_SETLEASE). Never blocks.
    [[nodiscard]] writer ask_writer(const folder& where, const std::string& name) const;

    // Moves incoming/NAME to active/, makes the move and the file's content durable, opens it. For jobs and for
    // sidecars. `seen`: what it was when it was found to be complete. An error is the system's, not the file's
    // (read-only disk, no descriptors left): the file is then still in incoming/.
    [[nodiscard]] result<take_result> take(const std::string& name, const node_facts* seen = nullptr) const;
    // The same for a file that is in active/ already (after a restart, or moved). After an error it is still there.
    [[nodiscard]] result<take_result> open_active(const std::string& name) const;
    // For a job that was accepted: taken, gone or refused; nothing is asked or made durable.
    [[nodiscard]] result<take_result> reopen(const std::string& name) const;
    // What it was called in incoming/, told by its name in active/ and its inode.
    [[nodiscard]] static std::string base_name(const open_job& job);

    // To be asked when all of it was read, whatever was found in it: did somebody write it since, or has it open to?
    // Then nothing that was read counts.
    [[nodiscard]] result<bool> written_since(const open_job& job) const;
    // Back to incoming/, as `base` or, if that is taken by now, under a free name; durably. Its copy is removed.
    [[nodiscard]] result<void> put_back(const open_job& job, const std::string& base) const;
    // The copy is whole: makes it durable. Before the job is accepted.
    [[nodiscard]] result<void> seal_copy(const open_job& job) const;
    // For a job that was accepted, durably: puts the copy in the place of active/NAME, so that nobody else has it open.
    // Nothing to do for a file of our own, or if it was done; a restart makes up for it.
    [[nodiscard]] result<void> own(const std::string& name) const;
    // Removes all copies: left over from what was never accepted. After own() for every job that was, and before any is
    // taken.
    [[nodiscard]] result<void> sweep_copies() const;

    // Moves active/NAME to done/ or failed/ as `as` (empty: NAME), or under a free name made of it, durably; returns
    // that name, nothing if it is gone. Makes it our own first.
    [[nodiscard]] result<std::optional<std::string>> file_away(const std::string& name, spool_folder to,
                                                               std::string_view as = {}) const;

    // Moves NAME, unopened, from incoming/ or active/ to rejected/ as `as` (empty: NAME) or under a free name made of
    // it, with NAME.reason.json beside it; returns the name it got, nothing if it is gone.
    //
    // The reason is written first. So no crash leaves a rejected file without one; what it may leave is a
    // reason without its file, and the next rejection of that name replaces it. That is safe: a submitter's
    // own file called NAME.reason.json has a reason of its own beside it in rejected/, ours never has.
    [[nodiscard]] result<std::optional<std::string>> reject(spool_folder from, const std::string& name,
                                                            const problem& why, wall_time at,
                                                            std::string_view as = {}) const;
    [[nodiscard]] bool has_leases() const { return leases_; }

  private:
    [[nodiscard]] writer ask(int fd) const;
    [[nodiscard]] static result<void> drop_copy(const folder& active, const node_facts& of);
    [[nodiscard]] result<take_result> settle(const folder& incoming, const folder& active, const std::string& name,
                                             const node_facts* seen) const;

    folder root_;
    bool leases_ = true;
};

// The text of a NAME.reason.json: {"file","error","line","column","field","hint","at"}, null where not known,
// and a newline. `file` is the one at fault where `why` names one (a sidecar), else `name`.
[[nodiscard]] std::string reason_json(std::string_view name, const problem& why, wall_time at);

}  // namespace culld

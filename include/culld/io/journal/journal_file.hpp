// A job's journal on disk, with group commit (contract, section 3): records are appended to a buffer on the loop;
// the journal thread writes and fdatasyncs what has come together, one commit at a time, and the loop learns how far
// stable storage reaches.
//
// Before each commit it is looked at whether the path still leads to this file, and to all that was written to it: what
// nobody will find is no proof, so nothing may be sent on the strength of it.
//
// After a failed write, fdatasync or look the file is dead: nothing more is written through it, since nobody knows what
// it holds. Whoever owns it must read it again from the disk (recovery).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "culld/io/os/event_loop.hpp"
#include "culld/io/os/file.hpp"
#include "culld/io/os/folder_check.hpp"

namespace culld {

// A journal file as a run of its job left it: what the next run must find.
struct journal_mark {
    inode_facts file;                   // which file it is
    std::uint64_t bytes = 0;            // durable
    std::shared_ptr<unique_fd> kept{};  // open, where it is not at its path: its content may be had nowhere else
};

enum class journal_end {
    disk,      // it could not be written
    given_up,  // give_up()
    gone,      // it was not at its path
    bent,      // what is at its path is not what was written: evidence, to be left alone
};

class journal_file {
  public:
    // Creates `name` in `dir` (0640; it must not exist), or opens it to append at `size`, where a torn tail beyond is
    // cut off first and all before it made durable again; a disk without room for what may follow is a problem.
    // Blocking; any thread. The folder is fsynced by the first commit of a new file.
    static result<unique_fd> create(const folder& dir, const std::string& name);
    static result<unique_fd> reopen(const folder& dir, const std::string& name, std::uint64_t size);

    // `dir` must outlive it. `fresh`: the file's name is not durable yet. `bytes`: what it holds now.
    journal_file(loop_executor on, worker_thread& thread, const folder& dir, std::string name, unique_fd fd, bool fresh,
                 std::uint64_t bytes);
    ~journal_file();
    journal_file(const journal_file&) = delete;
    journal_file& operator=(const journal_file&) = delete;

    // Records are appended here, whole lines only, followed by commit_soon() or a wait for durable().
    [[nodiscard]] std::string& buffer() { return buffer_; }
    // After the group window (5 ms), or when the commit under way then is over; at once where much has come together.
    void commit_soon();
    // At once, or when the commit under way is over.
    void commit_now();
    // All that was appended so far is on stable storage; or the problem that keeps it from being so.
    [[nodiscard]] task<result<void>> durable();
    // The same, but no longer than until `until`: none then.
    [[nodiscard]] task<std::optional<result<void>>> durable(steady_time until);
    // Too much waits for the disk: append nothing that can wait.
    [[nodiscard]] bool backlogged() const { return buffer_.size() > backlog_max; }
    [[nodiscard]] bool dead() const { return dead_.has_value(); }
    // Why it is dead.
    [[nodiscard]] journal_end ended_by() const { return ended_by_; }
    // The ground it stands on is gone.
    void give_up(const problem& why);
    // Was it looked at within `ground_look_every`, so that something may be sent? If not, look_soon() does.
    [[nodiscard]] bool looked_at(steady_time now) const { return now < looked_at_ + ground_look_every; }
    void look_soon();
    [[nodiscard]] std::uint64_t durable_size() const { return found_ + durable_; }
    // What the next run must find; none where nothing was ever looked at, and so nothing written. Once, when it is dead
    // and quiet().
    [[nodiscard]] std::optional<journal_mark> leave();
    [[nodiscard]] const std::string& name() const { return name_; }
    // Bytes appended, durable or not.
    [[nodiscard]] std::uint64_t appended() const { return taken_ + buffer_.size(); }
    [[nodiscard]] std::uint64_t durable_bytes() const { return durable_; }
    // No commit and no look is under way: the file may be destroyed.
    [[nodiscard]] bool quiet() const { return !committing_ && !looking_; }

    std::function<void()> on_commit;   // a commit takes everything appended so far
    std::function<void()> on_durable;  // that commit is durable
    std::function<void(const problem&)> on_dead;
    std::function<void()> on_looked;             // look_soon() found it where it belongs
    std::function<void()> on_quiet;              // it is dead, and now also quiet()
    std::function<void(nanoseconds)> on_synced;  // so long its fdatasync took

  private:
    // Some 10 ms at the fastest rate seen. With a record on top it stays below 512 KiB, the memory it takes, and the
    // commit under way as much again.
    static constexpr std::size_t backlog_max = 7U << 16U;
    static constexpr auto ground_look_every = std::chrono::seconds(2);

    void start_commit();
    struct own_look : path_check {
        steady_time at;
    };
    struct commit {
        own_look ground;  // where it is not `one`, nothing was written
        result<void> done;
        std::optional<nanoseconds> sync;  // how long that took; none: it was not reached, or failed
    };
    void committed(const result<void>& outcome);
    [[nodiscard]] own_look look() const { return {look_at_file(fd_.get(), dir_, name_, on_disk_), steady_now()}; }
    // False where it is dead, or is so now, since it is not on its ground.
    [[nodiscard]] bool stands(const own_look& seen);
    void die(problem why, journal_end by);

    loop_executor on_;
    worker_thread& thread_;
    const folder& dir_;
    std::string name_;
    unique_fd fd_;
    std::uint64_t found_;    // bytes that were there before
    std::uint64_t on_disk_;  // bytes it must have: the journal thread's
    bool name_durable_;
    std::string buffer_;   // appended, not yet taken
    std::string writing_;  // the commit under way; the journal thread's meanwhile
    std::uint64_t taken_ = 0;
    std::uint64_t durable_ = 0;
    bool committing_ = false;
    bool timer_set_ = false;
    bool wanted_ = false;  // a further commit was asked for meanwhile
    bool looking_ = false;
    journal_end ended_by_ = journal_end::disk;
    steady_time looked_at_ = steady_time::min();
    std::optional<inode_facts> held_;
    std::optional<problem> dead_;
    event progress_;
    loop_timer window_;
    std::shared_ptr<bool> alive_;  // for completions that come after the file is gone
};

}  // namespace culld

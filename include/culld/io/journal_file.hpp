// A job's journal on disk, with group commit (contract, section 3): records are appended to a buffer on the loop;
// the journal thread writes and fdatasyncs what has come together, one commit at a time, and the loop learns how far
// stable storage reaches.
//
// After a failed write or fdatasync the file is dead: nothing more is written through it, since nobody knows what it
// holds. Whoever owns it must read it again from the disk (recovery).
#pragma once

#include <functional>
#include <string>

#include "culld/io/file.hpp"
#include "culld/io/loop.hpp"

namespace culld {

class journal_file {
  public:
    // Creates `name` in `dir` (0640; it must not exist), or opens it to append at `size`, where a torn tail beyond is
    // cut off first and all before it made durable again; a disk without room for what may follow is a problem.
    // Blocking; any thread. The folder is fsynced by the first commit of a new file.
    static result<unique_fd> create(const folder& dir, const std::string& name);
    static result<unique_fd> reopen(const folder& dir, const std::string& name, std::uint64_t size);

    // `dir` must outlive it. `fresh`: the file's name is not durable yet.
    journal_file(loop_executor on, worker_thread& thread, const folder& dir, std::string name, unique_fd fd,
                 bool fresh);
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
    // Too much waits for the disk: append nothing that can wait.
    [[nodiscard]] bool backlogged() const { return buffer_.size() > backlog_max; }
    [[nodiscard]] bool dead() const { return dead_.has_value(); }
    [[nodiscard]] const std::string& name() const { return name_; }
    // Bytes appended, durable or not.
    [[nodiscard]] std::uint64_t appended() const { return taken_ + buffer_.size(); }
    [[nodiscard]] std::uint64_t durable_bytes() const { return durable_; }
    // No commit is under way: the file may be destroyed.
    [[nodiscard]] bool quiet() const { return !committing_; }

    std::function<void()> on_commit;   // a commit takes everything appended so far
    std::function<void()> on_durable;  // that commit is durable
    std::function<void(const problem&)> on_dead;
    std::function<void(nanoseconds)> on_synced;  // so long its fdatasync took

  private:
    // Some 10 ms at the fastest rate seen. With a record on top it stays below 512 KiB, the memory it takes, and the
    // commit under way as much again.
    static constexpr std::size_t backlog_max = 7U << 16U;

    void start_commit();
    struct commit {
        result<void> done;
        std::optional<nanoseconds> sync;  // how long that took; none: it was not reached, or failed
    };
    void committed(const result<void>& outcome);

    loop_executor on_;
    worker_thread& thread_;
    const folder& dir_;
    std::string name_;
    unique_fd fd_;
    bool name_durable_;
    std::string buffer_;   // appended, not yet taken
    std::string writing_;  // the commit under way; the journal thread's meanwhile
    std::uint64_t taken_ = 0;
    std::uint64_t durable_ = 0;
    bool committing_ = false;
    bool timer_set_ = false;
    bool wanted_ = false;  // a further commit was asked for meanwhile
    std::optional<problem> dead_;
    event progress_;
    loop_timer window_;
    std::shared_ptr<bool> alive_;  // for completions that come after the file is gone
};

}  // namespace culld

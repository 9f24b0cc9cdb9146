// Files and folders by descriptor: the small set of kernel calls that durability and safety rest on, each with its
// return value looked at. Names are one path component, opened relative to a folder's descriptor; nothing here
// follows a symbolic link. (openat2 is not used: RestrictSUIDSGID= in the unit makes systemd 252 refuse it.)
//
// Blocking calls; callable from any thread.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "culld/core/base/problem.hpp"

namespace culld {

// Owns a descriptor. Closing in the destructor cannot report an error: what must be durable is fsynced before.
class unique_fd {
  public:
    unique_fd() = default;
    explicit unique_fd(int fd) : fd_(fd) {}
    ~unique_fd() { reset(); }
    unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    unique_fd& operator=(unique_fd&& other) noexcept {
        if (this != &other) reset(std::exchange(other.fd_, -1));
        return *this;
    }

    [[nodiscard]] int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    void reset(int fd = -1) noexcept;
    [[nodiscard]] int release() { return std::exchange(fd_, -1); }

  private:
    int fd_ = -1;
};

// "open cleanup.json: Permission denied", with errno's text.
[[nodiscard]] problem errno_problem(std::string_view doing, std::string_view name, int error);

// The same for what would change a file of ours: where attributes of the file forbid that (chattr +a, +i), what helps.
[[nodiscard]] problem change_problem(std::string_view doing, std::string_view name, int error);

// An open folder and its path for messages.
class folder {
  public:
    folder() = default;
    // Opens `path`; it must be a folder and no symbolic link. With `create_mode` not 0 it is made if absent
    // (parents too), and its parent fsynced.
    static result<folder> open(const std::string& path, mode_t create_mode = 0);
    // The same for a folder inside this one.
    [[nodiscard]] result<folder> sub(const std::string& name, mode_t create_mode = 0) const;

    [[nodiscard]] int fd() const { return fd_.get(); }
    [[nodiscard]] const std::string& path() const { return path_; }

    // Names reach stable storage.
    [[nodiscard]] result<void> sync() const;
    // O_NOFOLLOW|O_NONBLOCK|O_NOCTTY|O_CLOEXEC are added to `flags`.
    [[nodiscard]] result<unique_fd> open_file(const std::string& name, int flags, mode_t mode = 0) const;
    // Never follows a link. error ENOENT is told apart: an empty optional would hide a broken disk.
    [[nodiscard]] result<struct stat> stat(const std::string& name) const;
    [[nodiscard]] bool exists(const std::string& name) const;
    // False without an error if `name` is not there any more.
    [[nodiscard]] result<bool> remove(const std::string& name) const;
    // Moves `name` to `to`/`new_name`, which must not exist (see rename_new): false if it does.
    [[nodiscard]] result<bool> move(const std::string& name, const folder& to, const std::string& new_name) const;
    // write to a temporary name, fsync, rename over `name`, fsync the folder.
    [[nodiscard]] result<void> replace(const std::string& name, std::string_view content, mode_t mode) const;
    // replace() in two steps: stage() makes the new content durable, name and all, beside what is there;
    // put_staged() renames it over `name` and fsyncs the folder.
    [[nodiscard]] result<void> stage(const std::string& name, std::string_view content, mode_t mode) const;
    [[nodiscard]] result<void> put_staged(const std::string& name) const;
    // What a small file begins with, `most` bytes at most; none if there is no such file.
    [[nodiscard]] result<std::optional<std::string>> read_start(const std::string& name, std::size_t most) const;
    // The name under which stage() and replace() write.
    [[nodiscard]] static std::string staged_name(const std::string& name);

  private:
    unique_fd fd_;
    std::string path_;
};

// renameat2(RENAME_NOREPLACE): 0 or errno, EEXIST where `new_name` is taken. Where the file system has no such rename
// it is looked for first: nothing is overwritten as long as nobody else makes names in `to`.
[[nodiscard]] int rename_new(const folder& from, const std::string& name, const folder& to,
                             const std::string& new_name);

// Writes all of `bytes`; short writes and EINTR go on, anything else is an error.
[[nodiscard]] result<void> write_all(int fd, std::string_view bytes, std::string_view name);
[[nodiscard]] result<void> write_all_at(int fd, std::string_view bytes, std::uint64_t offset, std::string_view name);
// Reads until `bytes` bytes or the end; returns how many.
[[nodiscard]] result<std::size_t> read_some_at(int fd, char* to, std::size_t bytes, std::uint64_t offset,
                                               std::string_view name);
// fdatasync. After it failed, nothing about the file's content may be assumed (Rebello, ATC '20).
[[nodiscard]] result<void> sync_data(int fd, std::string_view name);
[[nodiscard]] result<void> sync_file(int fd, std::string_view name);

// Makes a file's first `size` bytes and its name durable, whatever became of earlier attempts: what an fsync failed to
// write may be read back as if it were there, and no later fsync writes it (Rebello, ATC '20). So what one failed
// commit can have held, the last 16 MiB, is written once more, byte for byte in its place.
[[nodiscard]] result<void> make_durable_again(const folder& dir, const std::string& name, std::uint64_t size);

// Opens a regular file to be read. `path` may be any path, links are followed: for the operator's files, never for the
// spool. What is none (a FIFO would be waited for, a terminal never ends) is a problem.
[[nodiscard]] result<unique_fd> open_regular(const std::string& path);

// A whole small file (at most `limit` bytes, else an error). `path` may be any path, links are followed: for
// configuration and credentials, never for the spool.
[[nodiscard]] result<std::string> read_small_file(const std::string& path, std::size_t limit);

}  // namespace culld

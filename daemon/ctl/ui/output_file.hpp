// A file that a user named to write to, safe beside other users: whole or not at all, and never where somebody else's
// link leads. What the name stands for is found step by step, by descriptors; a link counts only if it is this user's
// or root's (as another's it may be one in a folder that only that user can fill). A regular file is written beside
// and renamed over; a FIFO or a device of this user's, or root's, is written to as it is.
//
// Blocking; one thread.
#pragma once

#include <string>

#include "ctl/ui/context.hpp"
#include "culld/io/os/file.hpp"

namespace culld::ctl {

class output_file {
  public:
    // /dev/stdout, /dev/stderr and /dev/fd/N are this process's own. Exit 77 where another user stands in the way.
    static outcome<output_file> open(const std::string& path);
    ~output_file();
    output_file(output_file&& other) noexcept;
    output_file& operator=(output_file&&) = delete;

    [[nodiscard]] result<void> write(std::string_view bytes) { return write_all(file_.get(), bytes, path_); }
    // It is there under its name, and durable. Not called: nothing is.
    [[nodiscard]] outcome<void> finish();

  private:
    explicit output_file(std::string path) : path_(std::move(path)) {}
    [[nodiscard]] outcome<void> begin_beside();

    std::string path_;              // as the user knows it
    unique_fd folder_;              // where name_ lies
    std::string name_, temporary_;  // temporary_ empty: nothing to rename or to remove
    unique_fd file_;
};

}  // namespace culld::ctl

// Putting a file into the drop box so that the daemon sees it whole or not at all: written to tmp/, fsynced,
// renamed into incoming/, the folder fsynced.
#pragma once

#include <functional>
#include <string>

#include "ctl/ui/context.hpp"
#include "culld/io/os/file.hpp"

namespace culld::ctl {

enum class name_policy {
    exactly,  // a sidecar: its job names it
    or_free,  // a job: cleanup.json, else cleanup.1.json, …
};

// A file being written to tmp/; removed again unless it was dropped.
class dropping {
  public:
    // Copies everything from `from` (a file or a pipe) to stable storage.
    static outcome<dropping> copy(const context& with, int from, const std::string& name);
    ~dropping();
    dropping(dropping&& other) noexcept = default;
    dropping& operator=(dropping&&) = delete;

    // The copy, open for reading.
    [[nodiscard]] int fd() const { return file_.get(); }
    // The name it was made for.
    [[nodiscard]] const std::string& name() const { return name_; }
    // Into incoming/; the name it got there, none that is `taken`. Exit 75 if the name is taken and must not be
    // another.
    [[nodiscard]] outcome<std::string> drop(name_policy policy,
                                            const std::function<bool(std::string_view)>& taken = {});

  private:
    dropping() = default;
    folder tmp_, incoming_;
    std::string name_, temporary_;
    unique_fd file_;
};

}  // namespace culld::ctl

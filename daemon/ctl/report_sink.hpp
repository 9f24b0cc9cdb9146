// Where a report goes: standard output, or a file that appears whole or not at all.
#pragma once

#include <optional>
#include <string>

#include "context.hpp"
#include "culld/io/file.hpp"

namespace culld::ctl {

class report_sink {
  public:
    // "" and "-" are standard output. A file is written beside `path` and renamed over it by finish(); what is no
    // regular file (a link, a FIFO, a device) is written to as it is.
    static outcome<report_sink> open(const context& with, const std::string& path);
    ~report_sink();
    report_sink(report_sink&& other) noexcept;
    report_sink& operator=(report_sink&&) = delete;

    // Hands on what `text` holds, and empties it, once that is worth a write.
    [[nodiscard]] result<void> take(std::string& text);
    [[nodiscard]] outcome<void> finish(std::string& text);

  private:
    explicit report_sink(const context& with) : with_(&with) {}
    [[nodiscard]] result<void> put(std::string& text);

    const context* with_;
    std::string path_, temporary_;  // temporary_ empty: nothing to rename or to remove
    unique_fd file_;                // none: standard output
};

}  // namespace culld::ctl

// Where a report goes: standard output, or a file that appears whole or not at all.
#pragma once

#include <optional>
#include <string>

#include "ctl/ui/context.hpp"
#include "ctl/ui/output_file.hpp"

namespace culld::ctl {

class report_sink {
  public:
    // "" and "-" are standard output.
    static outcome<report_sink> open(const context& with, const std::string& path);

    // Hands on what `text` holds, and empties it, once that is worth a write.
    [[nodiscard]] result<void> take(std::string& text);
    [[nodiscard]] outcome<void> finish(std::string& text);

  private:
    explicit report_sink(const context& with) : with_(&with) {}
    [[nodiscard]] result<void> put(std::string& text);

    const context* with_;
    std::optional<output_file> file_;  // none: standard output
};

}  // namespace culld::ctl

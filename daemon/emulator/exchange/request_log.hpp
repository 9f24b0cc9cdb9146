// One JSON line a request: when it arrived (microseconds, wall clock and steady), what it asked, what was
// done.
#pragma once

#include <string>

#include "culld/core/base/problem.hpp"
#include "culld/io/os/file.hpp"
#include "emulator/exchange/exchange.hpp"

namespace culld::emulator {

class request_log {
  public:
    // No log at all.
    request_log() = default;
    // Appends to a file; "-" is standard output.
    [[nodiscard]] static result<request_log> open(const std::string& path);

    [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }
    // Written at once. A log that can't be written is complained about on stderr, once, and closed.
    void write(const request& r, const reply& answer);

  private:
    int fd_ = -1;  // of file_, or standard output
    unique_fd file_;
    std::string path_;
    std::string line_;
};

}  // namespace culld::emulator

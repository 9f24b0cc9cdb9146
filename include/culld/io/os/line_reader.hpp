// Lines of a big file, read as a stream by blocks of 1 MiB: what journals and ledgers are read through.
// Memory is a block, or the longest line where that is more.
//
// Blocking; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/base/problem.hpp"
#include "culld/io/os/file.hpp"

namespace culld {

inline constexpr std::size_t line_bytes_max = std::size_t{64} << 20;

struct text_line {
    std::string_view text;     // without its newline if it is whole; valid until the next call
    std::uint64_t number = 0;  // from 1
    std::uint64_t offset = 0;  // of its first byte in the file
    bool ended = true;         // false: a torn tail, all bytes up to the file's end
};

// Whether a last line is torn although a newline ends it: it holds NUL bytes, which no record does. A file system may
// leave that after a power cut: zeros where one page of the last write is lost, and the page behind it. Only with
// nothing behind it: elsewhere such a line is damage.
[[nodiscard]] bool torn_within(std::string_view last_line);

class line_reader {
  public:
    // Takes a descriptor open for reading; `name` is for messages. `offset`: where to begin, which must be
    // the start of line `number`.
    line_reader(unique_fd fd, std::string name, std::uint64_t offset = 0, std::uint64_t number = 1);

    // False at the end. An error if the file cannot be read, or a line is longer than 64 MiB. A file that
    // grows while it is read gives lines as far as they are there at the time of the call.
    [[nodiscard]] result<bool> next(text_line& out);

    // Bytes of whole lines handed out: where a torn tail begins.
    [[nodiscard]] std::uint64_t good_bytes() const { return good_bytes_; }

  private:
    unique_fd fd_;
    std::string name_;
    std::vector<char> buffer_;
    std::size_t from_ = 0;      // first byte not handed out
    std::size_t scanned_ = 0;   // no newline between from_ and here
    std::size_t to_ = 0;        // end of what was read
    std::uint64_t offset_ = 0;  // file offset of from_
    std::uint64_t number_ = 1;
    std::uint64_t good_bytes_ = 0;
};

}  // namespace culld

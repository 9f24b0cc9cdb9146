// Lines of a file with the SHA-256 of each: what verification reads through. Where the file is longer than a block, a
// thread reads and hashes ahead, so that hashing and parsing go on side by side.
//
// Memory is four blocks of 1 MiB, or four times the longest line where that is more. The thread waits while nobody
// takes what it made, and is told to stop and joined when the object goes away, whatever is left unread.
//
// Blocking; one thread at a time.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "culld/core/base/problem.hpp"
#include "culld/core/base/sha256.hpp"
#include "culld/io/os/file.hpp"
#include "culld/io/os/line_reader.hpp"

namespace culld {

struct hashed_line {
    text_line read;
    digest hash{};  // of read.text
};

class hashed_lines {
  public:
    // Takes a descriptor open for reading; `name` is for messages.
    hashed_lines(unique_fd fd, std::string name);
    ~hashed_lines();
    hashed_lines(const hashed_lines&) = delete;
    hashed_lines& operator=(const hashed_lines&) = delete;

    // The next line, valid until the next call; null at the end. An error if the file cannot be read, or a line is
    // longer than line_bytes_max.
    [[nodiscard]] result<const hashed_line*> next();

  private:
    struct block {
        std::vector<char> bytes;
        std::vector<hashed_line> lines;  // views into bytes; empty only at the end of the file
    };

    // Reads, splits and hashes the next lines. Whoever runs it owns the members below it.
    [[nodiscard]] result<void> fill(block& out);
    unique_fd fd_;
    std::string name_;
    sha256 hash_;
    std::vector<char> rest_;    // the beginning of a line whose end is not read yet
    std::uint64_t offset_ = 0;  // of rest_ in the file
    std::uint64_t number_ = 1;
    bool at_end_ = false;

    void run_ahead();
    [[nodiscard]] result<bool> take_next();

    std::mutex mutex_;  // guards what follows, up to thread_
    std::condition_variable changed_;
    std::deque<block> full_, empty_;
    std::optional<problem> failed_;
    bool all_made_ = false;
    bool stop_ = false;
    std::thread thread_;

    block current_;  // the caller's
    std::size_t at_ = 0;
};

}  // namespace culld

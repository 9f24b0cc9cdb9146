// Where log lines leave the process: stderr, or journald's socket. Either may stand still, for as long as whoever reads
// it does: so a thread of its own writes, from a bounded queue. For log.cpp only.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "culld/core/base/time.hpp"

namespace culld {

struct log_entry {
    std::string line;                 // for stderr, its line end included
    std::vector<std::string> fields;  // for journald, NAME=value each; empty: to stderr
    bool keep = false;                // a ledger's line: the last one of them is never dropped
};

class log_outlet {
  public:
    // So much waits at most.
    static constexpr std::size_t bytes_max = std::size_t{1} << 20U;

    // The process has one stderr. It is never destroyed: a thread may hang in it when the process ends.
    [[nodiscard]] static log_outlet& the_one();

    // Any thread. Before begin() and after end() it writes, else it never waits.
    void put(log_entry entry);
    // How to say that lines were dropped, and how many of them were to be kept.
    void dropped_as(std::function<log_entry(std::uint64_t lines, std::uint64_t kept)> text);
    void begin();
    // False if what is left could not be written within `patience`.
    [[nodiscard]] bool end(nanoseconds patience);

  private:
    void run();
    static void write(log_entry& entry);
    static void write_line(const std::string& line);

    std::mutex mutex_;
    std::condition_variable more_;
    std::function<log_entry(std::uint64_t, std::uint64_t)> dropped_text_;
    std::deque<log_entry> waiting_;
    std::size_t waiting_bytes_ = 0;
    std::uint64_t dropped_ = 0, dropped_kept_ = 0;
    std::optional<log_entry> last_kept_;  // of the dropped
    std::optional<pthread_t> thread_;
    bool ending_ = false;
};

}  // namespace culld

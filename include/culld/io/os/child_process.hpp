// Runs a program beside us: without a shell, in a session of its own, with what it is to read on its standard input.
//
// It gets nothing of ours: no descriptor but 0 (its input), 1 (/dev/null) and 2 (a pipe that we read a little of), none
// of our environment, which may hold secrets, no ignored signal, and / as its folder. When it ends, is out of time or
// is broken off, all that is left of its session's first process group is killed: nothing it starts there outlives it.
// The sandbox of the unit holds for it as for us. A program that does not read costs no signal: SIGPIPE is ignored
// here, as culld does at its start (io/os/process_setup). Loop thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/base/problem.hpp"
#include "culld/io/os/event_loop.hpp"

namespace culld {

struct command_end {
    bool in_time = false;
    int code = -1;     // its exit code; -1: a signal ended it
    std::string said;  // the first it said on standard error, one line
};

class command {
  public:
    static constexpr std::size_t said_max = 400;

    // The program is the first word, a path.
    explicit command(std::vector<std::string> words) : words_(std::move(words)) {}

    // A problem: it could not be started. One at a time.
    [[nodiscard]] task<result<command_end>> operator()(std::string_view input, nanoseconds limit);
    // Kills the one under way: it ends as one that is out of time, at once.
    void break_off();

    [[nodiscard]] const std::string& program() const { return words_.front(); }

  private:
    struct run;
    std::vector<std::string> words_;
    std::shared_ptr<run> under_way_;
};

}  // namespace culld

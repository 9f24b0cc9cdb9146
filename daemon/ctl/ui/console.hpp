// What cullctl says: data to stdout, talk to stderr, colours and a bar only where somebody looks (contract,
// section 5; NO_COLOR, TERM=dumb and CLICOLOR_FORCE as no-color.org and bixense.com/clicolors describe them).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"
#include "culld/core/text/human_format.hpp"

namespace culld::ctl {

enum class colour { none, green, yellow, red, bold, dim };

class console {
  public:
    // `never_colour` is --no-color; `quiet` leaves out what info() has to tell, never errors.
    console(bool never_colour, bool quiet);

    // Data, to stdout. A stdout that cannot be written shows in flush().
    void data(std::string_view text);
    // The same for what is written for every id: append to what begin_data() gives, then call end_data().
    [[nodiscard]] std::string& begin_data() { return pending_; }
    void end_data() {
        if (stdout_terminal_ || pending_.size() >= pending_max) write_pending();
    }
    // Everything is out. Call it once at the end: the exit code depends on it.
    [[nodiscard]] result<void> flush();

    // A line of talk, to stderr.
    void info(std::string_view line);
    void error(const problem& about);
    void error(std::string_view line);

    // A line that the next one replaces, to stderr; only where stderr is a terminal.
    void progress(std::string_view line);
    void end_progress();

    [[nodiscard]] bool stdout_is_terminal() const { return stdout_terminal_; }
    [[nodiscard]] bool stderr_is_terminal() const { return stderr_terminal_; }
    // `text` in a colour, if stdout (or stderr) shows any.
    [[nodiscard]] std::string on_stdout(colour c, std::string_view text) const;
    [[nodiscard]] std::string on_stderr(colour c, std::string_view text) const;

  private:
    static constexpr std::size_t pending_max = 1U << 16U;
    void write_pending();

    bool quiet_;
    bool stdout_terminal_, stderr_terminal_;
    bool stdout_colour_, stderr_colour_;
    bool in_progress_ = false;
    bool write_failed_ = false;
    int write_errno_ = 0;
    std::string pending_;
};

// Control characters made visible as ?, so that a name from a spool cannot drive a terminal.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace culld::ctl

// The log: what an operator reads. One call is one line, whatever the message holds; everything goes to
// stderr, or to journald by its native protocol with fields of ours (CULLD_EVENT, CULLD_JOB_ID, …).
//
//     log(log_level::info, "job.accepted", "12000 ids, the first request goes out at once",
//         {{"job_id", id}, {"ids", count}});
//
// Never pass a secret: nothing here could tell.
//
// Thread-safe. Before start_log() lines go to stderr as plain text from level info on.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "culld/core/base/problem.hpp"
#include "culld/core/config/config.hpp"

namespace culld {

enum class log_level {
    trace,  // every request; not for production
    debug,  // what the program decides and why
    info,   // what an operator wants to have read tomorrow
    warn,   // goes on, and should be looked at
    error,  // something stopped
};

// A name and a value. The name is ours: lower case, digits and `_`, becomes CULLD_<NAME> in journald. The
// value is borrowed for the time of the call.
struct log_field {
    std::string_view name;
    std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool> value;

    log_field(std::string_view n, std::string_view v) : name(n), value(v) {}
    log_field(std::string_view n, const std::string& v) : name(n), value(std::string_view(v)) {}
    log_field(std::string_view n, const char* v) : name(n), value(std::string_view(v)) {}
    log_field(std::string_view n, bool v) : name(n), value(v) {}
    log_field(std::string_view n, double v) : name(n), value(v) {}
    template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>) log_field(std::string_view n, T v)
        : name(n), value(static_cast<std::uint64_t>(v)) {}
    template <std::signed_integral T>
    log_field(std::string_view n, T v) : name(n), value(static_cast<std::int64_t>(v)) {}
};

// `event` is the stable name of what happened ("job.accepted"), for filters and alerts; `message` is for
// people and may change.
void log(log_level level, std::string_view event, std::string_view message,
         std::initializer_list<log_field> fields = {});
// A problem: its text as the message; file, line, column and field as fields.
void log(log_level level, std::string_view event, const problem& about);

// The same whatever level is set: for what must lie outside our own reach.
void log_always(log_level shown_as, std::string_view event, std::string_view message,
                std::initializer_list<log_field> fields = {});

// False if a line of that level would go nowhere: for callers whose message is costly to make.
[[nodiscard]] bool log_enabled(log_level level);

// "trace", "debug", "info", "warn", "error"; nothing for other words.
[[nodiscard]] std::optional<log_level> log_level_of(std::string_view word);

// How lines look.
enum class log_style {
    text,            // 2026-11-25T01:02:03.123456Z info accepted event=job.accepted job_id=x
    terminal,        // 01:02:03Z info  accepted event=job.accepted job_id=x
    terminal_color,  // the same in colour
    prefixed,        // <6>accepted event=job.accepted job_id=x: sd-daemon(3), the reader adds the time
    json,            // {"ts":"…","level":"info","event":"job.accepted","msg":"accepted","job_id":"x"}
    journald,        // native protocol
};

// What decides which style log.format means here.
struct log_surroundings {
    bool terminal = false;    // stderr is one
    bool no_color = false;    // NO_COLOR is set and not empty, or TERM=dumb
    bool journal = false;     // stderr is the stream that $JOURNAL_STREAM names, device and inode
    bool supervised = false;  // $JOURNAL_STREAM or $INVOCATION_ID is set
};
[[nodiscard]] log_surroundings look_around();
[[nodiscard]] log_style style_of(log_format format, const log_surroundings& around);

// Sets style and level. To be called once at start; a later call replaces both.
void start_log(log_style style, log_level level);
// From here on whoever logs waits for nobody: a thread writes the lines. What a reader that stands still (a pipe, a
// terminal, journald) leaves no room for is dropped, counted and told when there is room again; of the ledger's lines,
// which are a copy of its chain's head, the last one is kept. Until then, and after end_log(), log() writes itself.
void log_from_a_thread();
// Writes what is left, for at most so long. False if the thread hangs in a write: then the process must end by _Exit.
[[nodiscard]] bool end_log(nanoseconds patience);
// At any time, from any thread (SIGHUP).
void set_log_level(log_level level);

// One line as `style` writes it, its line end included; `at` is the time shown. Not for journald. For tests
// and for whoever wants lines elsewhere.
[[nodiscard]] std::string format_log_line(log_style style, wall_time at, log_level level, std::string_view event,
                                          std::string_view message, std::span<const log_field> fields);
// The same for journald: NAME=value each.
[[nodiscard]] std::vector<std::string> journald_fields(log_level level, std::string_view event,
                                                       std::string_view message, std::span<const log_field> fields);

}  // namespace culld

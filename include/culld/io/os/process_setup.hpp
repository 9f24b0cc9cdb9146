// What a process does once at its start to be a safe place for secrets and thousands of sockets, and a small one.
#pragma once

#include <cstdint>
#include <string>

#include "culld/core/base/problem.hpp"

namespace culld {

// Descriptors 0 to 2 that are closed are opened on /dev/null: the next file that is opened, a lock or a journal, would
// get such a number, and with it whatever is written to stderr. Before anything else. Where it cannot be done the
// process ends, since nothing would be safe.
void open_standard_files();

// No core dumps and no ptrace by others of the same user: PR_SET_DUMPABLE 0 and RLIMIT_CORE 0. From then on
// most files in /proc/PID belong to root.
[[nodiscard]] result<void> harden_process();

// Raises the soft limit of open files to the hard one (systemd gives 1024 : 524288, since select() breaks
// above 1024; we never call it). Returns the limit that holds.
[[nodiscard]] result<std::uint64_t> raise_file_limit();

// Memory that was freed goes back to the system: glibc would keep blocks the like of which were once freed, up to 32
// MiB each, and a heap for each thread; and what lives long would settle in the holes that a list's reading left, so
// that each job that waits held 0.7 MiB. (mallopt(3).) Call before there is a second thread.
void give_memory_back();

// Code and constants are mapped anew when they are next needed, from the page cache: what only the start needed (the
// configuration's parser, the linker's tables) holds none of our memory from now on. Any thread.
void let_go_of_code();

// SIGPIPE and SIGXFSZ become EPIPE and EFBIG of the call that caused them.
[[nodiscard]] result<void> ignore_write_signals();
// How many files may be open now: somebody may have changed it while we run.
[[nodiscard]] result<std::uint64_t> file_limit();

// This machine's name, for whoever hears from several.
[[nodiscard]] std::string host_name();

}  // namespace culld

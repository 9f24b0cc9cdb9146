// What a process does once at its start to be a safe place for secrets and thousands of sockets.
#pragma once

#include <cstdint>
#include <string>

#include "culld/core/problem.hpp"

namespace culld {

// No core dumps and no ptrace by others of the same user: PR_SET_DUMPABLE 0 and RLIMIT_CORE 0. From then on
// most files in /proc/PID belong to root.
[[nodiscard]] result<void> harden_process();

// Raises the soft limit of open files to the hard one (systemd gives 1024 : 524288, since select() breaks
// above 1024; we never call it). Returns the limit that holds.
[[nodiscard]] result<std::uint64_t> raise_file_limit();

// Keeps large blocks of memory (from 256 KiB on) apart from small ones, and gives them back at once. Left to itself
// glibc stops doing so once the first is freed (mallopt(3), M_MMAP_THRESHOLD): then what lives long settles in the
// holes that a list's reading left, and each job that waits holds 0.7 MiB.
[[nodiscard]] result<void> keep_large_blocks_apart();

// SIGPIPE and SIGXFSZ become EPIPE and EFBIG of the call that caused them.
[[nodiscard]] result<void> ignore_write_signals();
// How many files may be open now: somebody may have changed it while we run.
[[nodiscard]] result<std::uint64_t> file_limit();

// This machine's name, for whoever hears from several.
[[nodiscard]] std::string host_name();

}  // namespace culld

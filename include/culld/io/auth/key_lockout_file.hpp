// Keeps on the disk, for the next process, which signatures were refused (core/auth/key_lockout): without it restarts,
// by an operator, by cron or by systemd, could lock a key that no single process would.
#pragma once

#include <string>
#include <string_view>

#include "culld/io/os/file.hpp"

namespace culld {

// The mark that was left in `where`; empty if there is none.
[[nodiscard]] result<std::string> read_key_mark(const folder& where);
// Durable when it returns. Blocking.
[[nodiscard]] result<void> leave_key_mark(const folder& where, std::string_view mark);

}  // namespace culld

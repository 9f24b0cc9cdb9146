// Keeps on the disk, for the next process, which signatures were refused (core/key_guard): without it restarts, by an
// operator, by cron or by systemd, could lock a key that no single process would.
#pragma once

#include <string>
#include <string_view>

#include "culld/io/file.hpp"

namespace culld {

// The mark that was left in `where`; empty if there is none.
[[nodiscard]] result<std::string> read_key_mark(const folder& where);
// Durable when it returns. Blocking.
[[nodiscard]] result<void> leave_key_mark(const folder& where, std::string_view mark);

}  // namespace culld

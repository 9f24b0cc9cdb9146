// Keeps on the disk, for the next process, what is known of the gateway's limits (core/rate/send_gate_memory).
#pragma once

#include <string>
#include <string_view>

#include "culld/io/os/file.hpp"

namespace culld {

// The mark that was left in `where`; empty if there is none.
[[nodiscard]] result<std::string> read_limit_mark(const folder& where);
// Durable when it returns. Blocking.
[[nodiscard]] result<void> leave_limit_mark(const folder& where, std::string_view mark);

}  // namespace culld

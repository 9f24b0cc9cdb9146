// A journal handed to whoever may see it, a piece at a time: its folder is closed to submitters, and what became of
// their own ids is theirs to know. Blocking: on a worker thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "culld/io/os/file.hpp"

namespace culld {

constexpr std::size_t journal_piece_bytes = 1U << 20U;

struct journal_piece {
    bool there = false;    // the job has a journal
    bool allowed = false;  // and it may be seen
    std::string bytes;     // none at its end
};
// Whose a job is its journal's first line says. `uid`: who asks; none: somebody who may see all.
[[nodiscard]] result<journal_piece> read_journal_piece(const folder& journals, const std::string& job_id,
                                                       std::uint64_t offset, std::optional<std::uint32_t> uid);

}  // namespace culld

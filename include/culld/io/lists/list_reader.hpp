// Lists of ids: *.txt and *.ids, *.csv, *.jsonl (contract, section 1), read as a stream.
//
// A UTF-8 byte order mark is skipped; spaces, tabs and CR around an id are trimmed. Whether an id is a good
// one is the sink's to say. Errors carry line and column. Memory is fixed: what is too long is an error.
#pragma once

#include "culld/core/base/problem.hpp"
#include "culld/core/ids/id_sink.hpp"
#include "culld/core/spool/file_kind.hpp"
#include "culld/io/lists/byte_source.hpp"

namespace culld {

inline constexpr std::size_t list_line_bytes_max = 4096;         // txt and ids; a csv field that is looked at
inline constexpr std::size_t list_header_bytes_max = 64 * 1024;  // the header of a csv
inline constexpr std::size_t list_json_bytes_max = 64 * 1024;    // a line of jsonl

// Reads `from` to its end. `kind` is one of list_txt, sidecar, list_csv and list_jsonl.
[[nodiscard]] result<void> read_list(byte_source& from, file_kind kind, id_sink& sink);

// One id a line; blank lines and comments (# at the start of a line, or after a blank) are skipped.
[[nodiscard]] result<void> read_txt(byte_source& from, id_sink& sink);

// RFC 4180 with a header. The ids are in the column `id`, else `incident_id`, in any case; the separator is
// the comma, semicolon or tab with which the header has such a column. Every record must have as many fields
// as the header: one that is shifted by a stray separator could name the wrong thing.
[[nodiscard]] result<void> read_csv(byte_source& from, id_sink& sink);

// On each line a JSON string, or an object whose `id` (else `incident_id`) is one; blank lines are skipped.
[[nodiscard]] result<void> read_jsonl(byte_source& from, id_sink& sink);

}  // namespace culld

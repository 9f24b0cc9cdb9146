// Job files: JSON and YAML as events for job_document, with the line and column of each.
//
// Both are streamed, so that 100 million inline ids cost no memory in any form; what is not ids may take 1 MiB.
// Anchors, aliases, tags, merge keys and a second document are refused (strict_yaml), and so is a file that was cut
// anywhere but between two lines of block YAML: also in the middle of a text without quotes, since that has no other
// end than its newline.
#pragma once

#include "culld/core/base/problem.hpp"
#include "culld/core/ids/id_sink.hpp"
#include "culld/core/job/job_document.hpp"
#include "culld/core/spool/file_kind.hpp"
#include "culld/io/lists/byte_source.hpp"

namespace culld {

// In JSON everything but the ids array, in YAML what stands between two values.
inline constexpr std::uint64_t job_head_bytes_max = 1024 * 1024;

// Reads `from` to its end, feeding `into`, and hands inline ids to `sink` (the same that `into` was made
// with). `kind` is job_json or job_yaml. Ends with into.finish().
[[nodiscard]] result<job_spec> read_job(byte_source& from, file_kind kind, job_document& into, id_sink& sink);

[[nodiscard]] result<void> read_job_json(byte_source& from, job_document& into, id_sink& sink);
[[nodiscard]] result<void> read_job_yaml(byte_source& from, job_document& into, id_sink& sink);

}  // namespace culld

// Job files: JSON and YAML as events for job_document, with the line and column of each.
//
// JSON is streamed, so that 100 million inline ids cost no memory; what is not ids may take 1 MiB. YAML comes
// through yaml-cpp, which holds more, so a file may have 256 MiB; anchors, aliases, tags, merge keys and a
// second document are refused.
#pragma once

#include "culld/core/file_kind.hpp"
#include "culld/core/id_sink.hpp"
#include "culld/core/job_document.hpp"
#include "culld/core/problem.hpp"
#include "culld/io/byte_source.hpp"

namespace culld {

inline constexpr std::uint64_t job_json_head_bytes_max = 1024 * 1024;  // everything but the ids array
inline constexpr std::uint64_t job_yaml_bytes_max = 256ULL * 1024 * 1024;

// Reads `from` to its end, feeding `into`, and hands inline ids to `sink` (the same that `into` was made
// with). `kind` is job_json or job_yaml. Ends with into.finish().
[[nodiscard]] result<job_spec> read_job(byte_source& from, file_kind kind, job_document& into, id_sink& sink);

[[nodiscard]] result<void> read_job_json(byte_source& from, job_document& into, id_sink& sink);
[[nodiscard]] result<void> read_job_yaml(byte_source& from, job_document& into);

}  // namespace culld

#include "culld/core/spool/file_kind.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "culld/core/base/ascii.hpp"

namespace culld {

namespace {

// Removes `suffix` (lower case) from the end of `name`, if something is left before it.
bool cut_suffix(std::string_view& name, std::string_view suffix) {
    if (name.size() <= suffix.size()) return false;
    const std::string_view tail = name.substr(name.size() - suffix.size());
    if (!same_ignoring_case(tail, suffix)) return false;
    name.remove_suffix(suffix.size());
    return true;
}

constexpr std::array<std::pair<std::string_view, file_kind>, 7> suffixes{{{".json", file_kind::job_json},
                                                                          {".yaml", file_kind::job_yaml},
                                                                          {".yml", file_kind::job_yaml},
                                                                          {".txt", file_kind::list_txt},
                                                                          {".csv", file_kind::list_csv},
                                                                          {".jsonl", file_kind::list_jsonl},
                                                                          {".ndjson", file_kind::list_jsonl}}};

}  // namespace

file_type type_of(std::string_view name) {
    if (name.empty() || name.front() == '.') return {file_kind::ignored, compression::none, name};
    for (const std::string_view unfinished : {".tmp", ".part", ".filepart", "~", ".swp"})
        if (name.ends_with(unfinished)) return {file_kind::ignored, compression::none, name};

    file_type out{file_kind::unknown, compression::none, name};
    std::string_view stem = name;
    if (cut_suffix(stem, ".gz"))
        out.packed = compression::gzip;
    else if (cut_suffix(stem, ".zst"))
        out.packed = compression::zstd;

    if (cut_suffix(stem, ".ids")) out.kind = file_kind::sidecar;
    for (const auto& [suffix, kind] : suffixes)
        if (out.kind == file_kind::unknown && cut_suffix(stem, suffix)) out.kind = kind;

    const bool packed_job =
        out.packed != compression::none && (out.kind == file_kind::job_json || out.kind == file_kind::job_yaml);
    if (out.kind == file_kind::unknown || packed_job) return {file_kind::unknown, compression::none, name};
    out.stem = stem;
    return out;
}

bool is_job(file_kind kind) {
    switch (kind) {
        case file_kind::job_json:
        case file_kind::job_yaml:
        case file_kind::list_txt:
        case file_kind::list_csv:
        case file_kind::list_jsonl: return true;
        case file_kind::ignored:
        case file_kind::sidecar:
        case file_kind::unknown: break;
    }
    return false;
}

}  // namespace culld

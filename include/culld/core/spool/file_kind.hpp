// What a file in the drop box is, told by its name alone (contract, section 1). Pure: nothing is opened.
//
// A suffix is matched in any case (`LIST.TXT.GZ` is a list), and only after a stem of at least one character.
#pragma once

#include <string_view>

namespace culld {

enum class file_kind {
    ignored,     // not ours to touch: starts with '.', or ends in .tmp, .part, .filepart, ~ or .swp
    job_json,    // *.json
    job_yaml,    // *.yaml, *.yml
    list_txt,    // *.txt: a bare list, one id a line
    list_csv,    // *.csv: a bare list with a header
    list_jsonl,  // *.jsonl, *.ndjson: a bare list, a string or an object on each line
    sidecar,     // *.ids: a list that a job names in ids_file; reads like list_txt
    unknown,     // anything else: rejected. A compressed job file is one of these
};

// How the bytes are packed, told by a further suffix. Only lists and sidecars may be.
enum class compression {
    none,
    gzip,  // .gz
    zstd,  // .zst
};

struct file_type {
    file_kind kind = file_kind::unknown;
    compression packed = compression::none;
    std::string_view stem;  // the name before its suffixes; a view into the argument
};

// `name` is a base name. For ignored and unknown files the stem is the whole name.
[[nodiscard]] file_type type_of(std::string_view name);

// Whether such a file is a job by itself: job_json, job_yaml or a bare list.
[[nodiscard]] bool is_job(file_kind kind);

}  // namespace culld

// Is a record written as culld writes it? Tools read a line each in their own way: jq takes the last of two members and
// undoes escapes, sed takes what stands there, a double has no 2^53+1. So verification takes a line only where all of
// them read the same: known types, each with members that it knows, of the right kind, each once; keys without escapes;
// texts, numbers and the space between them as the writer makes them (journal_write.hpp).
//
// A table says which members there are. Whoever writes a new one adds it there, to config/journal.schema.json and to
// culld-journal(5). Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "culld/core/journal/journal_read.hpp"

namespace culld {

enum class record_place { journal, ledger };

// What is not as culld writes it, in words; empty: nothing. `record` is well-formed (read_record).
[[nodiscard]] std::vector<std::string> form_faults(const record_view& record, record_place place);

// The members that records of this type may have, beside seq, ts, type and prev; empty: there is no such type there.
[[nodiscard]] std::vector<std::string_view> known_members(record_type type, record_place place);

}  // namespace culld

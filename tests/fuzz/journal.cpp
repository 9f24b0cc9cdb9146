// The reading of journals: whatever bytes lie on the disk, records, chain, audit and ledger reading end without a
// crash.
#include <cstdint>
#include <string_view>

#include "culld/core/journal/audit.hpp"
#include "culld/core/journal/chain.hpp"
#include "culld/core/journal/journal_read.hpp"
#include "culld/core/journal/record_form.hpp"

namespace {

using namespace culld;  // NOLINT(google-build-using-namespace): a program of its own

// Records whose chain need not fit, so that the audit sees deeper than the first line.
void audit(std::string_view text) {
    journal_audit checker;
    record_view record;
    std::uint64_t line = 0;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        if (read_record(text.substr(0, end), record)) {
            checker.feed(record, ++line);
            static_cast<void>(read_ledger_entry(record));
            static_cast<void>(form_faults(record, record_place::ledger));
        }
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
    checker.end(true);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    audit(text);
    chain_checker chain;
    record_view record;
    static_cast<void>(chain.feed(text.substr(0, text.find('\n')), true, record));
    static_cast<void>(read_ledger_head(text));
    return 0;
}

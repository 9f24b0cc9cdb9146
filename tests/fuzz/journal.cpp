// The reading of journals: whatever bytes lie on the disk, scanner, records, chain, audit and ledger reading
// end without a crash, and what the scanner accepts another parser accepts too.
#include <boost/json.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "culld/core/audit.hpp"
#include "culld/core/chain.hpp"
#include "culld/core/journal_read.hpp"
#include "culld/core/json_scan.hpp"

namespace {

using namespace culld;  // NOLINT(google-build-using-namespace): a program of its own

void scan(std::string_view text) {
    json_scanner scanner(text);
    json_member member;
    while (scanner.next(member)) {
        static_cast<void>(member.value.text());
        static_cast<void>(member.value.u64());
        static_cast<void>(member.value.boolean());
        static_cast<void>(member.value.runs());
        json_strings strings(member.value);
        std::string_view raw;
        std::uint64_t count = 0;
        while (strings.next(raw)) {
            static_cast<void>(json_unescaped(raw));
            ++count;
        }
        if (member.value.kind == json_kind::array && member.value.only_strings && count != member.value.items)
            std::abort();
    }
    if (scanner.complaint().what != nullptr) return;
    boost::json::parse_options options;
    options.max_depth = json_depth_max + 1;
    boost::system::error_code ec;
    const auto parsed = boost::json::parse(text, ec, {}, options);
    if (ec || !parsed.is_object()) std::abort();
}

// Records whose chain is made to fit, so that the audit sees deeper than the first line.
void audit(std::string_view text) {
    journal_audit checker;
    record_view record;
    std::uint64_t line = 0;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        if (read_record(text.substr(0, end), record)) {
            checker.feed(record, ++line);
            static_cast<void>(read_ledger_entry(record));
        }
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
    checker.end(true);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(static_cast<const char*>(static_cast<const void*>(data)), size);
    scan(text);
    audit(text);
    chain_checker chain;
    record_view record;
    static_cast<void>(chain.feed(text.substr(0, text.find('\n')), true, record));
    static_cast<void>(read_ledger_head(text));
    return 0;
}

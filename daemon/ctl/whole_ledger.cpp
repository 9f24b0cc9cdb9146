#include "whole_ledger.hpp"

#include <algorithm>

#include "culld/io/key_file.hpp"
#include "follow.hpp"
#include "jobs.hpp"

namespace culld::ctl {

namespace {
constexpr int looks_max = 3;
}

result<ledger_reading> read_whole_ledger(const context& with, const folder& dir, const ledger_rules& rules) {
    for (int look = with.ask_daemon ? 1 : looks_max;; ++look) {
        auto ledger = read_ledger(dir, rules);
        if (!ledger) return ledger;
        auto head = read_ledger_head_file(dir);
        if (!head) return fail(std::move(head.error()));
        ledger->checked.end(*head);
        const auto& findings = ledger->checked.findings();
        const bool only_the_head =
            std::all_of(findings.begin(), findings.end(), [](const problem& p) { return p.file == ledger_head_name; });
        // A daemon may have written a line between the two readings, or be between its own two writings.
        if (findings.empty() || !only_the_head || look == looks_max) return ledger;
        pause_between_looks();
    }
}

outcome<std::optional<public_keys>> believed_keys(const context& with) {
    const std::string& file = with.settings.journal.public_key_file;
    if (file.empty()) return std::optional<public_keys>();
    auto loaded = load_public_keys(file);
    if (!loaded) return give_up_on(file, std::move(loaded.error()));
    return std::optional(std::move(*loaded));
}

}  // namespace culld::ctl

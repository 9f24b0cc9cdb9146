// A restart from a journal whose chain holds and whose records say whatever they like: it is refused, or every id is
// in one place, settled, open or fresh, and a plan can go on from there. Each line of the input is a record: its
// type, a space, its fields.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "culld/core/base/interval_set.hpp"
#include "culld/core/journal/audit.hpp"
#include "culld/core/journal/chain.hpp"
#include "culld/core/journal/replay.hpp"
#include "culld/core/plan/plan.hpp"
#include "support/journal_builder.hpp"

namespace {

using namespace culld;  // NOLINT(google-build-using-namespace): a program of its own

void must(bool holds) {
    if (!holds) std::abort();
}

test::journal_builder journal_of(std::string_view text) {
    test::journal_builder out;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        const std::size_t space = std::min(line.find(' '), line.size());
        out.add(line.substr(0, space), line.substr(std::min(space + 1, line.size())));
    }
    return out;
}

void every_id_is_in_one_place(const plan_state& s) {
    interval_set seen;
    for (const auto& group : s.open)
        for (const span& run : group.at) {
            must(run.count > 0 && run.end() <= s.intended);
            must(seen.insert(run) == run.count);
        }
    for (const span& hole : s.presettled) {
        must(hole.count > 0 && hole.first >= s.intended && hole.end() <= s.ids);
        must(seen.insert(hole) == hole.count);
    }
    const std::uint64_t open = seen.count() - count_of(s.presettled);
    must(s.counts.sum() + open + (s.ids - s.intended - count_of(s.presettled)) == s.ids);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const test::journal_builder journal = journal_of({reinterpret_cast<const char*>(data), size});
    replay restart;
    journal_audit audit;
    chain_checker chain;
    record_view record;
    std::string_view rest = journal.text;
    bool refused = false;
    for (std::uint64_t line = 1; !rest.empty(); ++line) {
        const std::string_view text = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(text.size() + 1);
        const auto read = chain.feed(text, true, record);
        if (!read) {
            must(!read.error().what.empty());
            return 0;
        }
        audit.feed(record, line);
        static_cast<void>(read_ledger_entry(record));
        if (const auto fed = restart.feed(record); !fed) {
            must(!fed.error().what.empty());
            refused = true;
            break;
        }
    }
    audit.end(false);
    if (refused) return 0;
    const recovered_job job = restart.finish();
    if (!job.accepted || job.status) return 0;
    every_id_is_in_one_place(job.state);
    if (job.state.ids > 100'000) return 0;
    plan_rules rules;
    rules.batch_size = job.intake.spec.batch_size;
    rules.max_attempts = job.intake.spec.max_attempts;
    rules.verify = job.intake.spec.verify;
    plan goes_on(rules, job.state, steady_time{});
    static_cast<void>(goes_on.due_verdicts());
    static_cast<void>(goes_on.stop(job.stopped.value_or(skip_reason::cancelled), steady_time{}));
    must(goes_on.counts().sum() <= job.state.ids);
    return 0;
}

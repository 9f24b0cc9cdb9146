#include "culld/core/journal/journal_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "culld/core/job/job_document.hpp"

namespace culld {

std::string journal_name(std::string_view job_id) {
    return fmt::format("{}.jsonl", job_id);
}

// A torn tail is counted, and ends the reading without a finding.
bool journal_check::torn(std::string_view line, bool ended) {
    bytes_ += line.size() + (ended ? 1 : 0);
    if (ended || end_ == expected_end::finished) return false;
    torn_bytes_ = line.size();
    return true;
}

const record_view* journal_check::take(result<void> fed) {
    if (!fed) {
        if (breaks_.empty()) breaks_.push_back(std::move(fed.error()));
        return nullptr;
    }
    if (chain_.records() == 1) first_ = hex(chain_.head());
    audit_.feed(*record_, chain_.records());
    return record_.get();
}

const record_view* journal_check::feed(std::string_view line, bool ended) {
    if (torn(line, ended)) return nullptr;
    return take(chain_.feed(line, ended, *record_));
}

const record_view* journal_check::feed(std::string_view line, bool ended, const digest& hash) {
    if (torn(line, ended)) return nullptr;
    return take(chain_.feed(line, ended, hash, *record_));
}

journal_report journal_check::finish() {
    journal_report out;
    if (!chain_.broken()) audit_.end(end_ == expected_end::finished);
    out.findings = audit_.findings();
    out.findings.insert(out.findings.end(), breaks_.begin(), breaks_.end());
    out.findings_left_out = audit_.more();
    out.summary = audit_.summary();
    out.settled = audit_.settled();
    out.records = chain_.records();
    out.bytes = bytes_;
    out.torn_bytes = torn_bytes_;
    out.head = hex(chain_.head());
    out.first = first_;
    if (!out.summary.accepted_at.empty() && out.summary.job_id != job_id_)
        out.findings.push_back({.what = fmt::format("it is the journal of {}", out.summary.job_id), .line = 1});
    if (!is_job_id(job_id_)) out.findings.push_back({.what = "no job has such an id: it is no journal of culld's"});
    const std::string name = journal_name(job_id_);
    for (problem& p : out.findings) p.file = name;
    return out;
}

std::vector<problem> compare_with_ledger(const ledger_acceptance& accepted, const std::vector<ledger_order>& orders,
                                         const journal_report& journal) {
    std::vector<problem> out;
    const auto differ = [&](std::uint64_t seq, std::string what) {
        out.push_back({.what = std::move(what), .file = ledger_name, .line = seq + 1});
    };
    if (accepted.first != journal.first)
        differ(accepted.seq, fmt::format("the first line of {} is not the one the ledger names", accepted.journal));
    if (accepted.ids != journal.summary.totals.ids || accepted.file != journal.summary.file)
        differ(accepted.seq,
               fmt::format("{} is about {} ids of {}, the ledger about {} of {}", accepted.journal,
                           journal.summary.totals.ids, journal.summary.file, accepted.ids, accepted.file));
    for (const ledger_order& order : orders) {
        const auto is_it = [&](const audit_summary::order& o) {
            return o.record == order.record && o.type == order.type && o.by.uid == order.by.uid &&
                   o.by.pid == order.by.pid;
        };
        if (std::ranges::none_of(journal.summary.orders, is_it))
            differ(order.seq, fmt::format("record {} of {} is not the {} of uid {} that the ledger tells of",
                                          order.record, accepted.journal, name_of(order.type), order.by.uid));
    }
    return out;
}

}  // namespace culld

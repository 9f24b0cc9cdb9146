// A journal folder in memory, verified with the rooms that cullctl verify is made of: what lets a test try every bit
// of it in a second.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/journal/journal_check.hpp"
#include "culld/core/journal/ledger_check.hpp"

namespace culld::test {

// Calls each(line, ended) for every line of `text`, until it says false.
inline void each_line(std::string_view text, const std::function<bool(std::string_view, bool)>& each) {
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        if (!each(text.substr(0, end), end != std::string_view::npos)) return;
        if (end == std::string_view::npos) return;
        text.remove_prefix(end + 1);
    }
}

inline std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> out;
    each_line(text, [&](std::string_view line, bool ended) {
        out.push_back(std::string(line) + (ended ? "\n" : ""));
        return true;
    });
    return out;
}

inline std::string joined(const std::vector<std::string>& lines) {
    std::string out;
    for (const std::string& line : lines) out += line;
    return out;
}

// The lines chained anew: seq and prev as they must be, everything else as it stands. What whoever changes a journal
// and has no key can do.
inline std::string rechained(const std::vector<std::string>& lines) {
    std::string out;
    digest head{};
    sha256 hash;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        std::string line = lines[i];
        while (!line.empty() && line.back() == '\n') line.pop_back();
        const std::size_t seq_end = line.find(",\"ts\"");
        line.replace(0, seq_end, fmt::format("{{\"seq\":{}", i));
        line.replace(line.rfind("\"prev\":\"") + 8, 64, hex(head));
        hash.update(line);
        head = hash.finish();
        out += line + "\n";
    }
    return out;
}

inline std::string hash_of_last_line(std::string_view text) {
    const auto lines = lines_of(text);
    std::string_view last = lines.back();
    last.remove_suffix(1);
    sha256 hash;
    hash.update(last);
    return hex(hash.finish());
}

struct archive {
    std::map<std::string, std::string> journals;  // by job id
    std::string ledger;
    std::optional<std::string> head;

    [[nodiscard]] ledger_check checked_ledger(const ledger_rules& rules = {}) const {
        ledger_check check(rules);
        each_line(ledger, [&](std::string_view line, bool ended) { return check.feed(line, ended); });
        check.end(head);
        return check;
    }
    // What is wrong with the journal of `job`, in itself and by what the ledger says of it.
    [[nodiscard]] std::vector<problem> about_journal(const std::string& job, const ledger_check& by) const {
        const std::string& text = journals.at(job);
        const ledger_entry* entry = by.of_job(job);
        journal_check one(job, entry == nullptr ? expected_end::open : expected_end::finished);
        each_line(text, [&](std::string_view line, bool ended) { return one.feed(line, ended) != nullptr; });
        const journal_report read = one.finish();
        if (!read.findings.empty()) return read.findings;
        std::vector<problem> out;
        if (const ledger_acceptance* accepted = by.acceptance_of(job))
            out = compare_with_ledger(*accepted, by.orders_of(job), read);
        else if (entry == nullptr && by.tells_of_accepted())
            out = {problem{.what = fmt::format("the ledger does not tell that {} was accepted", job)}};
        if (entry != nullptr)
            for (problem& p : compare_with_ledger(*entry, read.summary, read.records, read.head))
                out.push_back(std::move(p));
        else if (read.summary.state == "finished")
            out.push_back({.what = "the ledger does not name it"});
        return out;
    }
    // All that verification finds.
    [[nodiscard]] std::vector<problem> findings(const ledger_rules& rules = {}) const {
        const ledger_check check = checked_ledger(rules);
        std::vector<problem> out = check.findings();
        for (const ledger_entry& entry : check.entries())
            if (!entry.rejected && !journals.contains(entry.job_id)) out.push_back({.what = "the journal is missing"});
        for (const auto& [job, accepted] : check.accepted())
            if (!journals.contains(job)) out.push_back({.what = accepted.journal + " is missing"});
        for (const auto& [job, text] : journals) {
            const auto more = about_journal(job, check);
            out.insert(out.end(), more.begin(), more.end());
        }
        return out;
    }
    [[nodiscard]] bool sound(const ledger_rules& rules = {}) const { return findings(rules).empty(); }
    [[nodiscard]] std::string text(const ledger_rules& rules = {}) const {
        std::string out;
        for (const problem& p : findings(rules)) out += p.text() + "\n";
        return out;
    }

    // What a forger without a key does after changing the journal of `job`: the journal chained anew, the ledger's
    // line about it made to fit, the ledger and its head chained anew. Signatures stay as they are.
    void cover_up(const std::string& job) {
        std::string& journal = journals.at(job);
        auto of_journal = lines_of(journal);
        journal = rechained(of_journal);
        auto lines = lines_of(ledger);
        for (std::string& line : lines) {
            if (line.find(fmt::format("\"journal\":\"{}.jsonl\"", job)) == std::string::npos) continue;
            line.replace(line.find("\"head\":\"") + 8, 64, hash_of_last_line(journal));
            const std::size_t at = line.find("\"records\":") + 10;
            line.replace(at, line.find_first_of(",}", at) - at, std::to_string(of_journal.size()));
        }
        seal(lines);
    }
    // The ledger of these lines, chained anew, and a head that fits, with the signature it had.
    void seal(const std::vector<std::string>& lines) {
        ledger = rechained(lines);
        std::string sig;
        if (head)
            if (const auto was = read_ledger_head(*head)) sig = was->sig;
        digest hash{};
        static_cast<void>(parse_hex(hash_of_last_line(ledger), hash));
        head = ledger_head_text({lines.size(), hash}, sig);
    }
};

}  // namespace culld::test

#include "ctl/report/report_facts.hpp"

#include <fmt/format.h>

#include <utility>

#include "ctl/jobs/jobs.hpp"
#include "ctl/journal/ledger_reader.hpp"

namespace culld::ctl {

namespace {

// A journal may claim anything: so many different reasons, and no more, are told apart.
constexpr std::size_t reasons_max = 200;

void count(std::map<std::string, std::uint64_t>& by, const std::string& reason, std::uint64_t n) {
    const bool full = by.size() >= reasons_max && !by.contains(reason);
    by[full ? "(other)" : reason] += n;
}

// The members of an object as they read: texts without quotes, all else as it stands.
std::vector<named_text> members_of(const json_value* object) {
    std::vector<named_text> out;
    if (object == nullptr || object->kind != json_kind::object) return out;
    json_reader scanner(object->raw);
    json_member member;
    while (scanner.next(member)) {
        auto text = member.value.text();
        out.push_back({json_unescaped(member.key), text ? std::move(*text) : std::string(member.value.raw)});
    }
    return out;
}

std::optional<source_facts> list_of(const record_view& accepted) {
    const json_value* list = accepted.find("list");
    if (list == nullptr) return std::nullopt;
    source_facts out;
    for (const named_text& m : members_of(list)) {
        if (m.name == "file") out.file = m.text;
        if (m.name == "sha256") out.sha256 = m.text;
        if (m.name == "bytes") out.bytes = std::strtoull(m.text.c_str(), nullptr, 10);
    }
    return out;
}

void accepted(const record_view& record, report_facts& out) {
    const auto text = [&](std::string_view key) { return record.text(key).value_or(""); };
    out.project_id = text("project_id");
    out.workspace_id = text("workspace_id");
    out.resource = text("resource");
    out.culld = text("culld");
    out.config_sha256 = text("config_sha256");
    out.modified_at = text("modified_at");
    out.source = {text("file"), text("sha256"), record.u64("bytes").value_or(0)};
    out.list = list_of(record);
    out.options = members_of(record.find("options"));
    out.labels = members_of(record.find("labels"));
    if (!out.options.empty()) out.options_json = record.find("options")->raw;
    if (!out.labels.empty()) out.labels_json = record.find("labels")->raw;
    for (const named_text& m : members_of(record.find("owner"))) {
        if (m.name == "uid") out.uid = std::strtoull(m.text.c_str(), nullptr, 10);
        if (m.name == "gid") out.gid = std::strtoull(m.text.c_str(), nullptr, 10);
    }
}

std::uint64_t items_of(const record_view& record, std::string_view key) {
    const json_value* list = record.find(key);
    return list == nullptr ? 0 : list->items;
}

void collect(const record_view& record, report_facts& out) {
    const wall_time at = parse_rfc3339(record.ts).value_or(wall_time{});
    const auto positions = [&] {
        const auto where = record.positions();
        return where ? count_of(*where) : 0;
    };
    if (is_event(record.type)) ++out.events;
    switch (record.type) {
        case record_type::job_accepted: accepted(record, out); break;
        case record_type::batch_result:
            out.traffic.add(at, answered_series, 1);
            out.verdicts.add(at, deleted_series, items_of(record, "deleted"));
            break;
        case record_type::batch_error: {
            const std::string kind = record.text("class").value_or("?");
            count(out.errors, kind, 1);
            out.traffic.add(at, kind == "throttled" ? throttled_series : error_series, 1);
            break;
        }
        case record_type::ids_deleted: out.verdicts.add(at, deleted_series, positions()); break;
        case record_type::ids_absent: out.verdicts.add(at, absent_series, positions()); break;
        case record_type::ids_failed: {
            const std::uint64_t n = positions();
            out.verdicts.add(at, failed_series, n);
            count(out.failed, record.text("reason").value_or("?"), n);
            break;
        }
        case record_type::ids_skipped: {
            const std::uint64_t n = positions();
            out.verdicts.add(at, skipped_series, n);
            count(out.skipped, record.text("reason").value_or("?"), n);
            break;
        }
        default: break;
    }
    // Both pictures begin and end together.
    out.verdicts.reach(at);
    out.traffic.reach(at);
}

void tell_signature(const public_keys* keys, report_facts& out) {
    if (!out.entry) return;
    const ledger_entry& entry = *out.entry;
    if (entry.sig.empty())  // with a key this is a finding, but for lines from before there was one
        out.signature = keys != nullptr && out.sound() ? signature_state::before_key : signature_state::not_signed;
    else if (keys == nullptr)
        out.signature = signature_state::no_key;
    else
        out.signature = keys->signed_by_one(entry.head, entry.sig) ? signature_state::good : signature_state::bad;
}

}  // namespace

std::string_view text_of(trust t) {
    switch (t) {
        case trust::broken: return "BROKEN";
        case trust::unfinished: return "not over: holds so far";
        case trust::unvouched: return "holds, not compared with the ledger";
        case trust::older: return "whole, from before the key";
        case trust::intact: return "intact";
    }
    return "";
}

trust report_facts::believed() const {
    if (!sound()) return trust::broken;
    if (!entry) return finished() ? trust::unvouched : trust::unfinished;
    return signature == signature_state::before_key ? trust::older : trust::intact;
}

bool is_event(record_type type) {
    switch (type) {
        case record_type::job_paused:
        case record_type::job_resumed:
        case record_type::job_cancelled:
        case record_type::job_rate:
        case record_type::job_recovered:
        case record_type::job_blocked:
        case record_type::job_unblocked: return true;
        default: return false;
    }
}

outcome<report_facts> gather_facts(const context& with, const folder& dir, const std::string& job_id,
                                   ledger_rules rules, ledger_sight sight) {
    report_facts out;
    out.job_id = job_id;
    out.sight = sight;
    const std::string name = journal_name(job_id);
    // The ledger first: a job that it names is finished for good.
    auto keys = believed_keys(with);
    if (!keys) return tl::unexpected(std::move(keys.error()));
    if (*keys) rules.keys = &**keys;
    auto ledger = read_whole_ledger(with, dir, rules);
    if (!ledger) return give_up_on(dir.path() + "/" + ledger_name, std::move(ledger.error()));
    out.ledger_records = ledger->checked.records();
    if (const ledger_entry* entry = ledger->checked.of_job(job_id)) out.entry = *entry;
    const ledger_acceptance* accepted = ledger->checked.acceptance_of(job_id);
    if (!dir.exists(name))
        return give_up(not_verified, {.what = out.entry || accepted == nullptr
                                                  ? "the journal is missing, but the ledger names it"
                                                  : "the journal of an open job is missing: the ledger tells of it",
                                      .hint = "it was removed or renamed",
                                      .file = dir.path() + "/" + name});
    auto read = read_journal(dir, job_id, out.entry ? expected_end::finished : expected_end::open,
                             [&](const record_view& record, std::uint64_t) -> result<void> {
                                 collect(record, out);
                                 return {};
                             });
    if (!read) return give_up_on(dir.path() + "/" + name, std::move(read.error()));
    out.journal = std::move(*read);
    out.findings = out.journal.findings;
    const bool unaccepted = accepted == nullptr && !out.entry && ledger->checked.tells_of_accepted();
    if (((!out.entry && out.finished()) || unaccepted) && sight == ledger_sight::open) {
        const auto named = [&](const ledger_check& now) {
            return out.finished() ? now.of_job(job_id) != nullptr : now.acceptance_of(job_id) != nullptr;
        };
        auto again = read_ledger_until(with, dir, named);
        if (!again) return give_up_on(dir.path() + "/" + ledger_name, std::move(again.error()));
        if (named(again->checked)) return gather_facts(with, dir, job_id, std::move(rules), sight);
        if (unaccepted) out.findings.push_back({.what = unaccepted_what, .hint = unaccepted_hint, .file = name});
        if (out.finished()) out.findings.push_back({.what = unnamed_what, .hint = unnamed_hint, .file = name});
    }
    // One that is withheld speaks neither for the journal nor against it.
    if (*keys && !ledger->there && sight == ledger_sight::open)
        out.findings.push_back(
            {.what = "there is no ledger, and a public key is given: nothing here is signed", .file = ledger_name});
    if (out.journal.findings_left_out > 0)
        out.findings.push_back({.what = fmt::format("and {} more", out.journal.findings_left_out), .file = name});
    for (const problem& p : ledger->checked.findings()) out.findings.push_back(p);
    // A broken journal differs from the ledger in everything; once is enough.
    if (out.entry && out.journal.findings.empty())
        for (problem& p : compare_with_ledger(*out.entry, out.journal.summary, out.journal.records, out.journal.head))
            out.findings.push_back(std::move(p));
    if (accepted != nullptr && out.journal.findings.empty())
        for (problem& p : compare_with_ledger(*accepted, ledger->checked.orders_of(job_id), out.journal))
            out.findings.push_back(std::move(p));
    tell_signature(rules.keys, out);
    return out;
}

outcome<void> read_again(const folder& dir, const std::string& job_id, const report_facts& facts,
                         const record_visitor& visit) {
    std::uint64_t seen = 0;
    digest last{};
    auto read = read_journal(dir, job_id, expected_end::open,
                             [&](const record_view& record, std::uint64_t line) -> result<void> {
                                 if (line == facts.journal.records + 1) last = record.prev;
                                 if (line > facts.journal.records) return {};
                                 seen = line;
                                 return visit(record, line);
                             });
    if (!read) return give_up_on(dir.path() + "/" + journal_name(job_id), std::move(read.error()));
    // The chain's head over the same lines tells whether they are the same.
    const std::string head = read->records > seen ? hex(last) : read->head;
    if (seen != facts.journal.records || head != facts.journal.head)
        return give_up(try_later, {.what = "the journal was replaced while the report was written",
                                   .hint = "make the report again",
                                   .file = dir.path() + "/" + journal_name(job_id)});
    return {};
}

}  // namespace culld::ctl

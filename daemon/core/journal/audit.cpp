#include "culld/core/journal/audit.hpp"

#include <fmt/format.h>

#include <utility>

#include "culld/core/journal/record_form.hpp"

namespace culld {

namespace {

constexpr std::size_t findings_max = 100;

// "positions 5..9" or "position 5".
std::string position_text(span s) {
    return s.count == 1 ? fmt::format("position {}", s.first) : fmt::format("positions {}..{}", s.first, s.end() - 1);
}

std::string more_than_first(const spans& all) {
    return all.size() == 1 ? position_text(all[0])
                           : fmt::format("{} positions, the first of them {}", count_of(all), position_text(all[0]));
}

spans missing_from(const interval_set& set, const spans& at) {
    spans out;
    for (const span& s : at)
        for (const span& part : set.missing(s)) append(out, part);
    return out;
}

bool contains_all(const interval_set& set, const spans& at) {
    for (const span& s : at)
        if (!set.contains(s)) return false;
    return true;
}

bool contains_any(const interval_set& set, const spans& at) {
    for (const span& s : at)
        if (!set.common(s).empty()) return true;
    return false;
}

std::string text_or_empty(const record_view& record, std::string_view key) {
    auto got = record.text(key);
    return got ? std::move(*got) : std::string();
}

}  // namespace

void journal_audit::find(std::string what) {
    if (findings_.size() == findings_max) {
        ++more_;
        return;
    }
    findings_.push_back({.what = std::move(what), .line = line_});
}

template <class T>
T journal_audit::need(result<T> got) {
    if (got) return std::move(*got);
    find(std::move(got.error().what));
    return T{};
}

void journal_audit::feed(const record_view& record, std::uint64_t line) {
    line_ = line;
    for (std::string& fault : form_faults(record, record_place::journal)) find(std::move(fault));
    if (finished_) return find(fmt::format("{} follows job.finished", record.type_name));
    if (accepted_ == (record.type == record_type::job_accepted))
        find(accepted_ ? "job.accepted stands a second time" : "the first record must be job.accepted");
    if (is_order(record.type))
        if (const auto by = person_in(record)) summary_.orders.push_back({record.seq, record.type, *by});
    switch (record.type) {
        case record_type::job_accepted: accepted(record); break;
        case record_type::intent: intent(record); break;
        case record_type::batch_result: batch_result(record); break;
        case record_type::batch_error: batch_error(record); break;
        case record_type::ids_absent: verdict(record, summary_.totals.absent); break;
        case record_type::ids_deleted: verdict(record, summary_.totals.deleted); break;
        case record_type::ids_failed: verdict(record, summary_.totals.failed); break;
        case record_type::ids_skipped: skipped(record); break;
        case record_type::job_paused:
            paused_ = true;
            summary_.reason = text_or_empty(record, "reason");
            summary_.paused_by = person_in(record);
            break;
        case record_type::job_resumed: paused_ = false; break;
        case record_type::job_cancelled:
            cancelled_ = true;
            summary_.reason = text_or_empty(record, "reason");
            break;
        case record_type::job_recovered:
            // What was in doubt may have been sent by the run before, and counts as sent when it goes again.
            perhaps_sent_.insert(need(record.runs("open")));
            break;
        case record_type::checkpoint: checkpoint(record); break;
        case record_type::job_blocked:
            blocked_ = true;
            summary_.reason = text_or_empty(record, "detail");
            summary_.help = text_or_empty(record, "help");
            break;
        case record_type::job_unblocked: blocked_ = false; break;
        case record_type::job_finished: finished(record); break;
        case record_type::job_rejected:
        case record_type::ledger_signed_from:
        case record_type::config_reloaded:
        case record_type::job_rate:
        case record_type::unknown: break;  // what is no type of a journal's is a fault of form
    }
    if (!paused_ && !blocked_ && !cancelled_) summary_.reason.clear();
    if (!blocked_) summary_.help.clear();
    if (finished_)
        summary_.state = "finished";
    else if (blocked_)
        summary_.state = "blocked";
    else if (paused_)
        summary_.state = "paused";
    else
        summary_.state = intended_.empty() ? "waiting" : "running";
}

void journal_audit::end(bool must_be_finished) {
    if (!accepted_ && line_ == 0) {
        find("the journal holds no record");
        return;
    }
    if (must_be_finished && !finished_)
        find("the ledger says that the job is finished, the journal does not: it was cut, or replaced");
}

void journal_audit::accepted(const record_view& record) {
    if (accepted_) return;
    accepted_ = true;
    summary_.accepted_at = record.ts;
    summary_.job_id = need(record.text("job_id"));
    summary_.file = need(record.text("file"));
    summary_.totals.ids = need(record.u64("ids"));
    summary_.totals.duplicates = need(record.u64("duplicates"));
    if (summary_.totals.ids == 0) find("a job of no ids is never accepted");
    const json_value* options = record.find("options");
    if (options == nullptr || options->kind != json_kind::object) return find("\"options\" must be an object");
    json_reader scanner(options->raw);
    json_member member;
    while (scanner.next(member)) {
        if (member.key == "verify") verify_all_ = member.value.raw == "\"all\"";
        if (member.key == "dry_run") dry_run_ = need(member.value.boolean());
        if (member.key == "deadline") has_deadline_ = member.value.kind == json_kind::string;
        if (member.key == "abort_when") has_abort_rule_ = member.value.kind == json_kind::object;
    }
}

spans journal_audit::positions_of(const record_view& record, std::string_view list) {
    spans at = need(record.positions());
    if (!list.empty() && record.has(list)) {
        const std::uint64_t names = listed(record, list);
        if (names != count_of(at))
            find(fmt::format("\"{}\" holds {} ids, \"at\" {} positions", list, names, count_of(at)));
    }
    if (record.has("at") && record.has("first")) {
        const span s{need(record.u64("first")), need(record.u64("count"))};
        if (at != spans{s}) find("\"first\" and \"count\" do not say what \"at\" says");
    }
    if (at.empty()) find(fmt::format("{} names no positions", record.type_name));
    if (!at.empty() && at.back().end() > summary_.totals.ids) {
        find(fmt::format("{} is beyond the job's {} ids", position_text(at.back()), summary_.totals.ids));
        at.clear();
    }
    return at;
}

std::uint64_t journal_audit::listed(const record_view& record, std::string_view list) {
    const json_value* ids = record.find(list);
    if (ids == nullptr || ids->kind != json_kind::array || !ids->only_strings) {
        find(fmt::format("\"{}\" must be a list of ids", list));
        return 0;
    }
    return ids->items;
}

void journal_audit::need_intent(const spans& at) {
    if (const spans without = missing_from(intended_, at); !without.empty())
        find(fmt::format("{} was never intended", more_than_first(without)));
}

void journal_audit::intent(const record_view& record) {
    const spans at = positions_of(record, "ids");
    if (dry_run_) find("a dry run intends nothing");
    for (const span& s : at)
        if (intended_.insert(s) != s.count)
            find(fmt::format("{} was intended before, in part or whole", position_text(s)));
}

void journal_audit::settle(const spans& at, std::uint64_t& total) {
    for (const span& s : at) {
        const std::uint64_t fresh = settled_.insert(s);
        total += fresh;
        if (fresh != s.count)
            find(fmt::format("{} of the ids at {} had their verdict before", s.count - fresh, position_text(s)));
    }
}

void journal_audit::count_request(const spans& at, bool surely) {
    ++requests_max_;
    if (contains_any(perhaps_sent_, at)) ++retries_max_;
    if (surely) {
        ++requests_min_;
        if (contains_all(surely_sent_, at)) ++retries_min_;
        surely_sent_.insert(at);
    }
    perhaps_sent_.insert(at);
    summary_.totals.requests = requests_max_;
    summary_.totals.retries = retries_max_;
}

void journal_audit::batch_result(const record_view& record) {
    const spans at = positions_of(record, {});
    if (at.empty()) return;
    need_intent(at);
    if (const std::uint64_t attempt = need(record.u64("attempt")); attempt == 0) find("\"attempt\" counts from 1");
    const std::string_view good = verify_all_ ? "reported" : "deleted";
    if (record.has(verify_all_ ? "deleted" : "reported"))
        return find(verify_all_ ? "with verify: all the list must be \"reported\"" : "\"reported\" needs verify: all");
    const std::uint64_t good_count = listed(record, good);
    const std::uint64_t failed = listed(record, "failed"), unknown = listed(record, "unknown");
    const spans failed_at = need(record.runs("failed_at")), unknown_at = need(record.runs("unknown_at"));
    if (count_of(failed_at) != failed || count_of(unknown_at) != unknown ||
        good_count + failed + unknown != count_of(at))
        return find("the ids listed and the positions named differ in number");

    count_request(at, true);
    const auto take_good = [&](const spans& where) {
        if (verify_all_)
            reported_.insert(where);
        else
            settle(where, summary_.totals.deleted);
    };
    if (failed + unknown == 0) return take_good(at);
    interval_set rest;
    rest.insert(at);
    for (const spans* others : {&failed_at, &unknown_at})
        if (count_of(rest.erase(*others)) != count_of(*others))
            return find("\"failed_at\" or \"unknown_at\" names positions that are not the batch's, or one twice");
    for (const spans* others : {&failed_at, &unknown_at})
        for (const span& s : *others)
            if (!settled_.common(s).empty())
                find(fmt::format("{} had a verdict, and was sent again", position_text(s)));
    take_good(rest.all());
}

void journal_audit::batch_error(const record_view& record) {
    const spans at = positions_of(record, "ids");
    if (at.empty()) return;
    need_intent(at);
    const std::string error_class = need(record.text("class"));
    for (const span& s : at)
        if (!settled_.common(s).empty()) find(fmt::format("{} had a verdict, and was sent again", position_text(s)));
    if (error_class == "throttled") ++summary_.totals.throttled;
    // Nothing was sent where the connection did not come about.
    const bool answered = record.has("http_status");
    if (answered || (error_class != "connect" && error_class != "tls")) count_request(at, answered);
}

void journal_audit::verdict(const record_view& record, std::uint64_t& total) {
    // Those of a job whose list was lost have no names.
    if (record.type != record_type::ids_failed || !record.has("first")) listed(record, "ids");
    const spans at = positions_of(record, "ids");
    need_intent(at);
    if (record.type == record_type::ids_failed) {
        need(record.text("reason"));
        need(record.u64("attempts"));
    } else if (need(record.text("how")) != "get") {
        find("\"how\" must be \"get\"");
    }
    if (record.type == record_type::ids_deleted)
        if (const spans without = missing_from(reported_, at); !without.empty())
            find(fmt::format("{} is called deleted, which the API never said", more_than_first(without)));
    settle(at, total);
}

void journal_audit::skipped(const record_view& record) {
    const spans at = positions_of(record, "ids");
    const std::string reason = need(record.text("reason"));
    if (reason == "cancelled") {
        if (!cancelled_) find("ids are skipped as cancelled, but the job was not cancelled");
    } else if (reason == "dry_run") {
        if (!dry_run_) find("ids are skipped as dry_run, but the job is no dry run");
    } else if (reason == "deadline") {
        if (!has_deadline_) find("ids are skipped for the deadline, but the job has none");
    } else if (reason == "aborted") {
        if (!has_abort_rule_) find("ids are skipped as aborted, but the job has no abort_when");
    } else if (reason != "protected") {
        find(fmt::format("\"{}\" is no reason to skip ids", reason));
    }
    if (reason != "protected") skipped_unprotected_ += count_of(at);
    settle(at, summary_.totals.skipped);
}

void journal_audit::counts_fit(const job_totals& claimed) {
    const job_totals& counted = summary_.totals;
    const auto same = [&](std::string_view name, std::uint64_t says, std::uint64_t is) {
        if (says != is) find(fmt::format("totals say {} {}, the records {}", name, says, is));
    };
    same("ids", claimed.ids, counted.ids);
    same("duplicates", claimed.duplicates, counted.duplicates);
    same("deleted", claimed.deleted, counted.deleted);
    same("absent", claimed.absent, counted.absent);
    same("failed", claimed.failed, counted.failed);
    same("skipped", claimed.skipped, counted.skipped);
    same("throttled", claimed.throttled, counted.throttled);
    const auto between = [&](std::string_view name, std::uint64_t says, std::uint64_t low, std::uint64_t high) {
        if (says < low || says > high)
            find(low == high ? fmt::format("totals say {} {}, the records {}", name, says, low)
                             : fmt::format("totals say {} {}, the records {} to {}", name, says, low, high));
    };
    between("requests", claimed.requests, requests_min_, requests_max_);
    between("retries", claimed.retries, retries_min_, retries_max_);
}

void journal_audit::checkpoint(const record_view& record) {
    const json_value* totals = record.find("totals");
    if (totals == nullptr) return find("\"totals\" is missing");
    const auto claimed = read_totals(*totals);
    if (!claimed) return find(claimed.error().what);
    counts_fit(*claimed);
}

void journal_audit::status_fits() {
    const std::string& status = summary_.status;
    const std::uint64_t failed = summary_.totals.failed;
    const auto must = [&](bool holds, std::string_view why) {
        if (!holds) find(fmt::format("the status is {}, but {}", status, why));
    };
    if (status == "completed" || status == "completed_with_failures") {
        must(skipped_unprotected_ == 0, "ids were skipped that are not protected");
        must((failed == 0) == (status == "completed"), fmt::format("{} ids failed", failed));
    } else if (status == "cancelled") {
        must(cancelled_, "the job was not cancelled");
    } else if (status == "dry_run") {
        must(dry_run_, "the job is no dry run");
    } else if (status == "expired") {
        must(has_deadline_, "the job has no deadline");
    } else if (status == "aborted") {
        must(has_abort_rule_, "the job has no abort_when");
    } else {
        find(fmt::format("\"{}\" is no status", status));
    }
}

void journal_audit::finished(const record_view& record) {
    finished_ = true;
    paused_ = blocked_ = false;
    summary_.finished_at = record.ts;
    summary_.status = need(record.text("status"));
    if (settled_.count() != summary_.totals.ids) {
        const spans without = settled_.missing({0, summary_.totals.ids});
        find(fmt::format("{} of {} ids have no verdict, the first of them at {}", count_of(without),
                         summary_.totals.ids, position_text(without.empty() ? span{0, 1} : without[0])));
    }
    status_fits();
    need(record.text("started_at"));
    need(record.text("finished_at"));
    const json_value* totals = record.find("totals");
    if (totals == nullptr) return find("\"totals\" is missing");
    const auto claimed = read_totals(*totals);
    if (!claimed) return find(claimed.error().what);
    counts_fit(*claimed);
    // The daemon knows what went out even where a record cannot tell.
    summary_.totals.requests = claimed->requests;
    summary_.totals.retries = claimed->retries;
}

std::vector<problem> compare_with_ledger(const ledger_entry& entry, const audit_summary& journal, std::uint64_t records,
                                         std::string_view head) {
    std::vector<problem> out;
    const std::uint64_t line = entry.seq + 1;
    const auto differ = [&](std::string what) {
        out.push_back({.what = std::move(what), .file = "ledger.jsonl", .line = line});
    };
    if (entry.records != records)
        differ(fmt::format("{} has {} records, the ledger says {}", entry.journal, records, entry.records));
    if (entry.head != head) differ(fmt::format("the last line of {} is not the one the ledger names", entry.journal));
    if (entry.job_id != journal.job_id)
        differ(fmt::format("{} is the journal of {}, not of {}", entry.journal, journal.job_id, entry.job_id));
    if (entry.file != journal.file)
        differ(fmt::format("{} is about {}, the ledger about {}", entry.journal, journal.file, entry.file));
    if (entry.status != journal.status)
        differ(fmt::format("{} ended \"{}\", the ledger says \"{}\"", entry.journal, journal.status, entry.status));
    if (entry.totals != journal.totals) differ(fmt::format("the totals of {} are not the ledger's", entry.journal));
    return out;
}

}  // namespace culld

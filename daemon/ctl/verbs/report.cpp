// cullctl report JOB: what was asked, by whom, what came of it, and whether that can be believed. One HTML file, or
// with --json the same facts as one object. The journal is read three times, as a stream each time, so that a
// report about a hundred million ids costs no more memory than one about ten.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <memory>

#include "ctl/jobs/jobs.hpp"
#include "ctl/jobs/own_journal.hpp"
#include "ctl/journal/result_rows.hpp"
#include "ctl/report/report_facts.hpp"
#include "ctl/report/report_page.hpp"
#include "ctl/report/report_sink.hpp"
#include "ctl/ui/verb.hpp"
#include "culld/core/text/json_writer.hpp"
#include "culld/core/text/shell_quote.hpp"
#include "culld/io/os/clock.hpp"

namespace culld::ctl {

namespace {

struct report_options {
    std::string job, file;
    ledger_rules rules;
};

// Shows every id that failed, in the order of their verdicts.
outcome<void> each_failed(const folder& dir, const std::string& job_id, const report_facts& facts,
                          const row_sink& each) {
    result_rows rows("failed", each, [](const spans&, const auto&) -> result<void> {
        return fail("a record of failed ids names none of them");
    });
    return read_again(dir, job_id, facts, [&](const record_view& record, std::uint64_t) { return rows.feed(record); });
}

outcome<void> write_page(const folder& dir, const std::string& job_id, const report_facts& facts, report_sink& sink) {
    report_page page(facts, rfc3339(wall_now()), dir.path());
    std::string text;
    page.head(text);
    if (facts.events > 0) {
        auto events = read_again(dir, job_id, facts, [&](const record_view& record, std::uint64_t line) {
            if (is_event(record.type)) report_page::event(text, record, line);
            return sink.take(text);
        });
        if (!events) return events;
    }
    page.between(text);
    if (facts.journal.summary.totals.failed > 0) {
        auto failed = each_failed(dir, job_id, facts, [&](const result_row& row) {
            page.failed_id(text, row);
            return sink.take(text);
        });
        if (!failed) return failed;
    }
    page.foot(text);
    return sink.finish(text);
}

// ---- as JSON ----

void append_reasons(std::string& out, const std::map<std::string, std::uint64_t>& by) {
    out += '{';
    bool first = true;
    for (const auto& [reason, n] : by) {
        if (!first) out += ',';
        first = false;
        append_json_string(out, reason);
        out += ':';
        append_number(out, n);
    }
    out += '}';
}

void append_source(std::string& out, const source_facts& s) {
    json_object o(out);
    o.member("file", s.file).member("sha256", s.sha256).member("bytes", s.bytes).close();
}

std::string_view name_of(signature_state s) {
    switch (s) {
        case signature_state::no_key: return "not_checked";
        case signature_state::not_signed: return "none";
        case signature_state::good: return "good";
        case signature_state::bad: return "bad";
        case signature_state::before_key: return "before_key";
        case signature_state::not_finished: return "not_finished";
    }
    return "";
}

// Up to the first event.
void begin_json(json_object& o, const report_facts& facts) {
    const audit_summary& job = facts.journal.summary;
    const auto or_null = [](json_object& into, std::string_view key, const std::string& text) {
        if (text.empty())
            into.raw(key, "null");
        else
            into.member(key, text);
    };
    o.member("job_id", job.job_id).member("state", job.state);
    or_null(o, "status", job.status);
    append_totals(o.begin("totals"), job.totals);
    o.member("remaining", job.remaining());
    json_object asked(o.begin("asked"));
    append_source(asked.begin("source"), facts.source);
    if (facts.list) append_source(asked.begin("list"), *facts.list);
    json_object owner(asked.begin("owner"));
    if (facts.uid) owner.member("uid", *facts.uid);
    if (facts.gid) owner.member("gid", *facts.gid);
    owner.close();
    asked.member("resource", facts.resource).member("project_id", facts.project_id);
    asked.member("workspace_id", facts.workspace_id);
    asked.raw("options", facts.options_json).raw("labels", facts.labels_json);
    asked.member("culld", facts.culld).member("config_sha256", facts.config_sha256).close();
    or_null(o, "accepted_at", job.accepted_at);
    or_null(o, "finished_at", job.finished_at);
    append_reasons(o.begin("failed_by_reason"), facts.failed);
    append_reasons(o.begin("skipped_by_reason"), facts.skipped);
    append_reasons(o.begin("errors_by_class"), facts.errors);
    json_object checked(o.begin("verification"));
    checked.member("ok", facts.sound()).member("result", text_of(facts.believed()));
    checked.member("records", facts.journal.records).member("bytes", facts.journal.bytes);
    checked.member("head", facts.journal.head);
    if (facts.entry)
        checked.member("ledger_line", facts.entry->seq + 1);
    else
        checked.raw("ledger_line", "null");
    checked.member("signature", name_of(facts.signature));
    std::string& findings = checked.begin("findings");
    findings += '[';
    for (std::size_t i = 0; i < facts.findings.size(); ++i) {
        if (i > 0) findings += ',';
        append_json_string(findings, facts.findings[i].text());
    }
    findings += ']';
    checked.close();
    o.begin("events") += '[';
}

outcome<void> write_json(const folder& dir, const std::string& job_id, const report_facts& facts, report_sink& sink) {
    std::string text;
    json_object o(text);
    begin_json(o, facts);
    bool first = true;
    if (facts.events > 0) {
        auto events =
            read_again(dir, job_id, facts, [&](const record_view& record, std::uint64_t line) -> result<void> {
                if (!is_event(record.type)) return {};
                text += first ? "" : ",";
                first = false;
                json_object event(text);
                event.member("line", line).member("ts", record.ts).member("type", record.type_name);
                for (std::size_t i = 0; i < record.member_count; ++i)
                    event.raw(record.members[i].key, record.members[i].value.raw);
                event.close();
                return sink.take(text);
            });
        if (!events) return events;
    }
    text += "],\"failed\":[";
    first = true;
    if (facts.journal.summary.totals.failed > 0) {
        auto failed = each_failed(dir, job_id, facts, [&](const result_row& row) {
            text += first ? "" : ",";
            first = false;
            json_object id(text);
            id.member("id", row.id).member("reason", row.reason).member("attempts", row.attempts);
            if (row.http_status == 0)
                id.raw("http_status", "null");
            else
                id.member("http_status", row.http_status);
            std::string& requests = id.begin("request_ids");
            requests += '[';
            for (std::string_view rest = row.request_ids; !rest.empty();) {
                const std::size_t end = std::min(rest.find(' '), rest.size());
                append_json_string(requests, rest.substr(0, end));
                rest.remove_prefix(std::min(end + 1, rest.size()));
                if (!rest.empty()) requests += ',';
            }
            requests += ']';
            id.member("detail", row.detail).member("at", row.at).close();
            return sink.take(text);
        });
        if (!failed) return failed;
    }
    text += "]";
    o.close();
    text += '\n';
    return sink.finish(text);
}

int run_report(const context& with, const report_options& options) {
    const bool to_file = !options.file.empty() && options.file != "-";
    if (!to_file && !with.json && options.file.empty() && with.out.stdout_is_terminal())
        return report(with, {usage,
                             {.what = "a page of HTML is nothing for a terminal",
                              .hint = fmt::format("-o {} writes it to a file; --json shows the facts",
                                                  shell_file(options.job + ".html"))}});
    auto journal = open_journal_of(with, options.job);
    if (!journal) return report(with, journal.error());
    const folder* const dir = &journal->dir();
    const std::string* const job = &journal->job_id;
    auto facts =
        gather_facts(with, *dir, *job, options.rules, journal->fetched ? ledger_sight::withheld : ledger_sight::open);
    if (!facts) return report(with, facts.error());
    auto sink = report_sink::open(with, options.file);
    if (!sink) return report(with, sink.error());
    auto written = with.json ? write_json(*dir, *job, *facts, *sink) : write_page(*dir, *job, *facts, *sink);
    if (!written) return report(with, written.error());
    if (to_file)
        with.out.info(fmt::format("wrote {} ({} records, {})", printable(options.file), grouped(facts->journal.records),
                                  text_of(facts->believed())));
    if (facts->sound()) return all_well;
    for (const problem& p : facts->findings) with.out.error(p);
    return not_verified;
}

}  // namespace

verb report_verb(CLI::App& app, common_options& common) {
    auto* command =
        app.add_subcommand("report", "one HTML page about a job, for auditors: readable offline and on paper");
    auto options = std::make_shared<report_options>();
    command->add_option("JOB", options->job, "a job's id, or its file")->required();
    command->add_option("-o,--output", options->file, "the file to write; - or nothing: standard output")
        ->type_name("FILE");
    command->add_option("--public-key", common.public_key, "check the ledger's signature with this Ed25519 key (PEM)")
        ->type_name("FILE");
    add_ledger_rules(*command, options->rules);
    return {command, [options](const context& with) { return run_report(with, *options); }};
}

}  // namespace culld::ctl

#include "ctl/report/report_page.hpp"

#include <fmt/format.h>
#include <pwd.h>

#include <array>
#include <iterator>

#include "culld/core/base/exit_code.hpp"
#include "culld/core/text/html_escape.hpp"
#include "culld/core/text/human_format.hpp"
#include "culld/core/text/shell_quote.hpp"
#include "culld/core/text/svg_chart.hpp"

namespace culld::ctl {

namespace {

// A browser lays out a long table at once, but skips a short one that is out of sight.
constexpr std::uint64_t rows_per_table = 500;

const std::string& style() {
    static const std::string text = std::string(chart_style()) + R"(
*{box-sizing:border-box}body{font:15px/1.5 system-ui,"Segoe UI",Roboto,sans-serif;color:var(--ink);background:var(--page);
max-width:62rem;margin:0 auto;padding:1.5rem 1.25rem 3rem}
h1{font-size:1.5rem;margin:0;overflow-wrap:anywhere}h2{font-size:1.1rem;margin:2.2rem 0 .6rem;border-bottom:2px solid var(--line);padding-bottom:.2rem}
h3{font-size:.95rem;margin:1.2rem 0 .3rem}.sub{color:var(--soft);margin:.1rem 0 1rem}a{color:var(--link)}
.badge{display:inline-block;border-radius:.3rem;padding:.05rem .5rem;font-weight:600;font-size:.95rem;vertical-align:.1em}
.is-good{background:var(--tint-good);color:var(--good)}.is-bad{background:var(--tint-bad);color:var(--bad)}.is-warn{background:var(--tint-warn);color:var(--warn)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.6rem;margin:1rem 0}
.tile{background:var(--panel);border-left:4px solid var(--dim);border-radius:.25rem;padding:.5rem .7rem}
.tile b{display:block;font-size:1.35rem;line-height:1.3;font-variant-numeric:tabular-nums}.tile span{color:var(--soft);font-size:.85rem}
.tile.good{border-color:var(--good)}.tile.calm{border-color:var(--calm)}.tile.bad{border-color:var(--bad)}.tile.warn{border-color:var(--warn)}
table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--soft)}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.facts th{width:11rem}.facts td,.ids td{overflow-wrap:anywhere}code,pre,.mono{font:.86em/1.5 ui-monospace,"SF Mono",Menlo,Consolas,monospace;overflow-wrap:anywhere}
pre{background:var(--panel);padding:.6rem .8rem;border-radius:.25rem;white-space:pre-wrap;margin:.3rem 0 .9rem}
.ids{table-layout:fixed}.ids .mono{font-size:.78em}.ids .c-id{width:27%}.ids .c-at{width:11rem}.ids .c-n{width:6.5rem}.ids .c-req{width:24.5%}.lot{content-visibility:auto;contain-intrinsic-size:auto 14000px}
.cols{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:0 2rem}.note{color:var(--soft);font-size:.93em}
.scroll{overflow-x:auto}.findings{border:2px solid var(--bad);border-radius:.25rem;padding:.3rem 1rem;background:var(--tint-bad)}
footer{margin-top:2.5rem;color:var(--soft);font-size:.85rem;border-top:1px solid var(--line);padding-top:.6rem}
@media (max-width:40rem){.facts th{width:7.5rem}.ids{min-width:46rem}}
@media print{:root{color-scheme:light;--page:#fff;--ink:#000;--soft:#444;--line:#bbb;--panel:#f4f4f4;--link:#000;--good:#0e5b4f;--calm:#8db6d8;--bad:#b33a08;--dim:#aaa;--warn:#8a5b00;--plain:#3d63a0;--tint-good:#fff;--tint-bad:#fff;--tint-warn:#fff}
@page{size:A4;margin:16mm 14mm}html{font-size:9.5pt}body{font-size:1rem;max-width:none;padding:0}p:has(+pre){break-after:avoid}.tile,.badge,.chart rect{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.badge{border:1px solid}h2,h3{break-after:avoid}tr,.tile,figure,pre{break-inside:avoid}thead{display:table-header-group}.lot{content-visibility:visible}
.scroll{overflow:visible}.ids{min-width:0;font-size:7.5pt}.ids .c-at{width:7.5rem}.ids .c-n{width:5.5rem}}
)";
    return text;
}

// "2026-11-25 01:02:03Z": the fractions of a second are in the journal.
std::string moment(std::string_view rfc3339_time) {
    if (rfc3339_time.size() < 20) return std::string(rfc3339_time);
    return fmt::format("{} {}Z", rfc3339_time.substr(0, 10), rfc3339_time.substr(11, 8));
}

std::string person_text(std::uint64_t uid) {
    const passwd* known = ::getpwuid(static_cast<uid_t>(uid));  // NOLINT(concurrency-mt-unsafe): one thread
    return known == nullptr ? fmt::format("uid {}", uid) : fmt::format("uid {} ({} on this host)", uid, known->pw_name);
}

void fact(std::string& out, std::string_view name, std::string_view text, bool mono = false) {
    if (text.empty()) return;
    fmt::format_to(std::back_inserter(out), "<tr><th scope=\"row\">{}</th><td{}>{}</td></tr>", html(name),
                   mono ? " class=\"mono\"" : "", html(text));
}

void reasons(std::string& out, std::string_view title, std::string_view unit,
             const std::map<std::string, std::uint64_t>& by) {
    if (by.empty()) return;
    auto to = std::back_inserter(out);
    fmt::format_to(to, "<div><h3>{}</h3><table><thead><tr><th>Reason</th><th class=\"n\">{}</th></tr></thead><tbody>",
                   title, unit);
    for (const auto& [reason, n] : by)
        fmt::format_to(to, "<tr><td>{}</td><td class=\"n\">{}</td></tr>", html(reason), grouped(n));
    out += "</tbody></table></div>";
}

std::string_view shade_of(std::string_view status) {
    if (status.empty()) return "is-warn";
    switch (exit_code_of(status)) {
        case all_well: return "is-good";
        case some_failed: return "is-warn";
        default: return "is-bad";
    }
}

std::string seconds_between(const std::string& from, const std::string& to) {
    const auto a = parse_rfc3339(from), b = parse_rfc3339(to);
    if (!a || !b) return "-";
    return short_duration(std::chrono::duration<double>(*b - *a).count());
}

}  // namespace

void report_page::head(std::string& out) const {
    const audit_summary& job = facts_.journal.summary;
    auto to = std::back_inserter(out);
    fmt::format_to(to,
                   "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                   "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src {}; "
                   "base-uri 'none'; form-action 'none'\">"
                   "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                   "<meta name=\"referrer\" content=\"no-referrer\"><title>culld report: {}</title><style>{}</style>"
                   "</head>\n<body><main><header><h1>{} <span class=\"badge {}\">{}</span></h1>",
                   csp_hash(style()), html(job.job_id), style(), html(job.job_id), shade_of(job.status),
                   html(job.status.empty() ? "not finished: " + job.state : job.status));
    fmt::format_to(to, "<p class=\"sub\">Report on a bulk deletion by culld {}. Times are UTC.</p></header>\n",
                   html(facts_.culld));
    outcome_tiles(out);
    asked(out);
    pictures(out);
    out += "<section><h2>What people did, and what held it up</h2>";
    if (facts_.events == 0)
        out +=
            "<p>Nothing: nobody paused, resumed, cancelled or slowed the job, and it was neither blocked nor restarted.</p>";
    else
        out +=
            "<table><thead><tr><th>When</th><th>What</th><th>Who</th><th>Why</th><th class=\"n\">Line</th></tr>"
            "</thead><tbody>\n";
}

void report_page::outcome_tiles(std::string& out) const {
    const audit_summary& job = facts_.journal.summary;
    const job_totals& t = job.totals;
    const auto tile = [&](std::string_view shade, const std::string& number, std::string_view name) {
        fmt::format_to(std::back_inserter(out), "<div class=\"tile {}\"><b>{}</b><span>{}</span></div>", shade, number,
                       name);
    };
    out += "<div class=\"tiles\">";
    tile("", grouped(t.ids), "ids asked for");
    tile("good", grouped(t.deleted), "deleted");
    tile("calm", grouped(t.absent), "absent: were gone");
    tile("bad", grouped(t.failed), "failed");
    tile("", grouped(t.skipped), "skipped");
    if (job.remaining() > 0) tile("warn", grouped(job.remaining()), "without a verdict");
    const trust believed = facts_.believed();
    const bool vouched = believed == trust::intact || believed == trust::older;
    tile(believed == trust::broken ? "bad"
         : vouched                 ? "good"
                                   : "warn",
         std::string(text_of(believed)), "journal and ledger");
    out += "</div>\n";
    if (facts_.sound()) return;
    out +=
        "<div class=\"findings\"><p><strong>This journal cannot be trusted.</strong> What follows shows what it says up "
        "to its first break.</p><ul>";
    for (const problem& p : facts_.findings) fmt::format_to(std::back_inserter(out), "<li>{}</li>", html(p.text()));
    out += "</ul></div>\n";
}

void report_page::asked(std::string& out) const {
    const audit_summary& job = facts_.journal.summary;
    out += "<section><h2>What was asked, and by whom</h2><table class=\"facts\"><tbody>";
    fact(out, "Job", job.job_id);
    fact(out, "Owner of the file",
         facts_.uid ? person_text(*facts_.uid) + (facts_.gid ? fmt::format(", gid {}", *facts_.gid) : "") : "unknown");
    for (const named_text& label : facts_.labels) fact(out, "Label " + label.name, label.text);
    fact(out, "To be deleted",
         fmt::format("{} {}{}", grouped(job.totals.ids), facts_.resource,
                     job.totals.duplicates == 0
                         ? std::string()
                         : fmt::format(" (and {} repeats, counted once)", grouped(job.totals.duplicates))));
    fact(out, "Project", facts_.project_id, true);
    fact(out, "Workspace", facts_.workspace_id, true);
    const auto file = [&](std::string_view name, const source_facts& f) {
        fact(out, name, fmt::format("{}, {} bytes", f.file, grouped(f.bytes)));
        fact(out, "its SHA-256", f.sha256, true);
    };
    file("Job file", facts_.source);
    if (facts_.list) file("List of ids", *facts_.list);
    if (!facts_.modified_at.empty()) fact(out, "Last changed", moment(facts_.modified_at));
    std::string options;
    for (const named_text& o : facts_.options)
        options += fmt::format("{}{}: {}", options.empty() ? "" : ", ", o.name, o.text);
    fact(out, "Options", options);
    fact(out, "Configuration", facts_.config_sha256.empty() ? "" : "sha256 " + facts_.config_sha256, true);
    fact(out, "Accepted", moment(job.accepted_at));
    fact(out, "Finished",
         job.finished_at.empty()
             ? "not yet"
             : fmt::format("{}, {} later", moment(job.finished_at), seconds_between(job.accepted_at, job.finished_at)));
    if (!job.reason.empty()) fact(out, "Reason", job.reason);
    out += "</tbody></table></section>\n";
}

void report_page::pictures(std::string& out) const {
    const job_totals& t = facts_.journal.summary.totals;
    out += "<section><h2>What happened over time</h2>";
    if (!facts_.verdicts.empty()) {
        const std::string from = moment(rfc3339(facts_.verdicts.begin())), to = moment(rfc3339(facts_.verdicts.end()));
        const std::string per =
            fmt::format("one bar is {}", short_duration(static_cast<double>(facts_.verdicts.width().count())));
        const std::array ids = {
            chart_series{"deleted", "good", facts_.verdicts.counts(deleted_series)},
            chart_series{"absent", "calm", facts_.verdicts.counts(absent_series)},
            chart_series{"failed", "bad", facts_.verdicts.counts(failed_series)},
            chart_series{"skipped", "dim", facts_.verdicts.counts(skipped_series)},
        };
        out += "<h3>Verdicts on ids</h3>";
        append_chart(out, {"Verdicts on ids over time", from, to, per, ids});
        const std::array requests = {
            chart_series{"answered", "plain", facts_.traffic.counts(answered_series)},
            chart_series{"throttled (429)", "warn", facts_.traffic.counts(throttled_series)},
            chart_series{"errors", "bad", facts_.traffic.counts(error_series)},
        };
        out += "<h3>Delete requests, by what came back</h3>";
        append_chart(out, {"Delete requests over time, by what came back", from, to, per, requests});
    }
    fmt::format_to(std::back_inserter(out),
                   "<p class=\"note\">Delete requests sent: {}. Again, for ids sent before: {}. Throttled: {}. Errors "
                   "count where nothing was sent, too.</p><div class=\"cols\">",
                   grouped(t.requests), grouped(t.retries), grouped(t.throttled));
    reasons(out, "Failed, by reason", "Ids", facts_.failed);
    reasons(out, "Skipped, by reason", "Ids", facts_.skipped);
    reasons(out, "Errors, by class", "Times", facts_.errors);
    out += "</div></section>\n";
}

void report_page::event(std::string& out, const record_view& record, std::uint64_t line) {
    const auto text = [&](std::string_view key) { return record.text(key).value_or(""); };
    std::string what, who = "culld", why = text("reason");
    switch (record.type) {
        case record_type::job_paused: what = "paused"; break;
        case record_type::job_resumed: what = "resumed"; break;
        case record_type::job_cancelled: what = "cancelled"; break;
        case record_type::job_rate: {
            const json_value* rate = record.find("requests_per_second");
            what = fmt::format("rate set to {} requests a second", rate == nullptr ? "?" : rate->raw);
            break;
        }
        case record_type::job_recovered:
            what = "restarted";
            why = fmt::format("{} ids were in doubt, {} torn bytes were cut off",
                              grouped(count_of(record.runs("open").value_or(spans()))),
                              grouped(record.u64("torn_bytes").value_or(0)));
            break;
        case record_type::job_blocked:
            what = "blocked: " + text("class");
            why = text("code").empty() ? text("detail") : text("code") + ": " + text("detail");
            break;
        case record_type::job_unblocked:
            what = "unblocked";
            why = text("why");
            break;
        default: return;
    }
    if (const json_value* by = record.find("by"); by != nullptr && by->kind == json_kind::object) {
        json_reader scanner(by->raw);
        json_member member;
        std::string pid;
        while (scanner.next(member)) {
            if (member.key == "uid") who = person_text(member.value.u64().value_or(0));
            if (member.key == "pid") pid = fmt::format(", pid {}", member.value.raw);
        }
        who += pid;
    }
    fmt::format_to(std::back_inserter(out),
                   "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td></tr>\n", moment(record.ts),
                   html(what), html(who), html(why), line);
}

void report_page::between(std::string& out) const {
    if (facts_.events > 0) out += "</tbody></table>";
    const std::uint64_t failed = facts_.journal.summary.totals.failed;
    fmt::format_to(std::back_inserter(out), "</section>\n<section><h2>Ids that failed: {}</h2>", grouped(failed));
    if (failed == 0) out += "<p>None.</p>";
}

void report_page::failed_id(std::string& out, const result_row& row) {
    if (rows_ % rows_per_table == 0) {
        if (rows_ > 0) out += "</tbody></table></div>\n";
        out +=
            "<div class=\"lot scroll\"><table class=\"ids\"><colgroup><col class=\"c-id\"><col><col class=\"c-n\">"
            "<col class=\"c-req\"><col class=\"c-at\"></colgroup><thead><tr><th>Id</th><th>Reason</th>"
            "<th>Attempts, last status</th><th>Request ids</th><th>When</th></tr></thead><tbody>\n";
    }
    ++rows_;
    auto to = std::back_inserter(out);
    fmt::format_to(
        to, "<tr><td class=\"mono\">{}</td><td>{}{}</td><td>{}{}</td><td class=\"mono\">{}</td><td>{}</td></tr>\n",
        html(row.id), html(row.reason),
        row.detail.empty() ? "" : "<br><span class=\"note\">" + html(row.detail) + "</span>", row.attempts,
        row.http_status == 0 ? "" : fmt::format(", HTTP {}", row.http_status), html(row.request_ids), moment(row.at));
}

void report_page::integrity(std::string& out) const {
    const journal_report& j = facts_.journal;
    const std::string name = journal_name(facts_.job_id);
    out +=
        "<section><h2>Can this be believed?</h2><p>The journal's records are chained: each carries the SHA-256 of the "
        "one before, and the ledger keeps the last one's. For this report every link was checked, that nothing was "
        "sent before it was on record as intended, that every id has at most one verdict, and that the totals are "
        "what the records add up to.</p><table class=\"facts\"><tbody>";
    fact(out, "Result",
         facts_.sound() ? std::string(text_of(facts_.believed()))
                        : fmt::format("BROKEN, findings: {}, see the top", facts_.findings.size()));
    fact(out, "Journal", fmt::format("{}, {} records, {} bytes", name, grouped(j.records), grouped(j.bytes)));
    fact(out, "Its head", j.head, true);
    fact(out, "Ledger",
         facts_.entry
             ? fmt::format("line {} of {} names this head", facts_.entry->seq + 1, grouped(facts_.ledger_records))
         : facts_.sight == ledger_sight::withheld
             ? std::string("not looked at: it is not the submitter's to read. Whoever may read it can make this report "
                           "with it")
             : std::string(facts_.finished() ? "has no line about the job"
                                             : "has no line about the job: it is not finished"));
    switch (facts_.signature) {
        case signature_state::good: fact(out, "Signature", "Ed25519, good"); break;
        case signature_state::bad: fact(out, "Signature", "NOT the key's"); break;
        case signature_state::no_key:
            fact(out, "Signature", "there is one, not checked: no public key was given (--public-key)");
            break;
        case signature_state::not_signed: fact(out, "Signature", "none"); break;
        case signature_state::before_key:
            fact(out, "Signature",
                 "none of its own: the line is from before there was a key. The chain carries it up to the ledger's "
                 "last line, which is signed");
            break;
        case signature_state::not_finished: break;
    }
    if (j.torn_bytes > 0) fact(out, "At its end", fmt::format("{} bytes that are no whole line yet", j.torn_bytes));
    out += "</tbody></table></section>\n";
}

void report_page::by_hand(std::string& out) const {
    // The name that was looked at, and none that the journal gives itself; each one word to the shell it is pasted to.
    const std::string name = html(shell_file(journal_name(facts_.job_id)));
    auto to = std::back_inserter(out);
    fmt::format_to(to,
                   "<section><h2>How to check it by hand</h2><p>On copies of the journal and the ledger, from {}, with "
                   "coreutils. The head, which must be the one above{}:</p><pre>tail -n 1 {} | tr -d '\\n' | sha256sum",
                   html(folder_), facts_.entry ? " and the ledger's" : "", name);
    if (facts_.entry) fmt::format_to(to, "\nsed -n {}p ledger.jsonl | jq -r .head", facts_.entry->seq + 1);
    fmt::format_to(
        to,
        "</pre><p>Every link of the chain; prints the first broken line, or the head:</p><pre>prev=$(printf "
        "'%064d' 0); n=0\nwhile IFS= read -r line; do n=$((n+1))\n  case $line in *'\"prev\":\"'\"$prev\"'\"}}') ;; "
        "*) echo \"broken at line $n\"; break ;; esac\n  prev=$(printf %s \"$line\" | sha256sum | cut -c -64)\n"
        "done &lt; {}; echo \"$prev\"</pre>",
        name);
    if (facts_.entry && !facts_.entry->sig.empty())
        fmt::format_to(
            to,
            "<p>The signature, with the public key of whoever runs culld:</p><pre>sed -n {0}p ledger.jsonl | jq "
            "-j .head &gt; head.txt\nsed -n {0}p ledger.jsonl | jq -r .sig | base64 -d &gt; head.sig\nopenssl "
            "pkeyutl -verify -pubin -inkey ledger.pub -rawin -in head.txt -sigfile head.sig</pre>",
            facts_.entry->seq + 1);
    const source_facts& source = facts_.list ? *facts_.list : facts_.source;
    fmt::format_to(
        to,
        "<p>The file that the ids came from, in the spool's done/ or failed/; with a number in its name where {} was "
        "taken, so its hash finds it:</p><pre>sha256sum -- * | grep {}</pre><p>What the journal says about one id, "
        "and the whole of it at once:</p><pre>grep -n '\"ID\"' {}\ncullctl verify --journal-dir . -- {}</pre>"
        "</section>\n",
        html(source.file), html(shell_quoted(source.sha256)), name, html(shell_quoted(facts_.job_id)));
}

void report_page::foot(std::string& out) const {
    if (rows_ > 0) out += "</tbody></table></div>\n";
    out += "</section>\n";
    integrity(out);
    by_hand(out);
    fmt::format_to(std::back_inserter(out),
                   "<footer>Made at {} by cullctl {} from {} records of the journal. This page shows what the journal "
                   "says; the journal is the evidence.</footer></main></body></html>\n",
                   moment(made_at_), CULLD_VERSION, grouped(facts_.journal.records));
}

}  // namespace culld::ctl

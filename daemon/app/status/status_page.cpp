#include "culld/app/status/status_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include "culld/core/text/html_escape.hpp"
#include "culld/core/text/human_format.hpp"
#include "culld/core/text/svg_chart.hpp"
#include "status_page_script.hpp"

namespace culld {

namespace {

// Beyond these the finished ones are folded away.
constexpr std::size_t finished_shown = 10;
constexpr double credentials_near_seconds = 120;

const std::string& style() {
    static const std::string text = std::string(chart_style()) + R"(
*{box-sizing:border-box}body{font:15px/1.45 system-ui,"Segoe UI",Roboto,sans-serif;color:var(--ink);background:var(--page);max-width:76rem;margin:0 auto;padding:1rem 1.25rem 3rem}
header{display:flex;flex-wrap:wrap;align-items:baseline;gap:.2rem .9rem;margin-bottom:.8rem}h1{font-size:1.35rem;margin:0}header p{margin:0;color:var(--soft)}
h2{font-size:1.05rem;margin:1.8rem 0 .5rem}h2 small,.soft{color:var(--soft);font-weight:400;font-size:.85rem}
.tiles{display:grid;gap:.6rem}.of4,.of7,.of8{grid-template-columns:repeat(4,1fr)}.of5{grid-template-columns:repeat(5,1fr)}.of6{grid-template-columns:repeat(3,1fr)}
@media (min-width:62rem){.of6{grid-template-columns:repeat(6,1fr)}.of7{grid-template-columns:repeat(7,1fr)}}
.tile{background:var(--panel);border-left:4px solid var(--dim);border-radius:.25rem;padding:.45rem .7rem}.tile b{display:block;font-size:1.2rem;line-height:1.35;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.tile span{color:var(--soft);font-size:.85rem}.tile.good{border-color:var(--good)}.tile.bad{border-color:var(--bad);background:var(--tint-bad)}.tile.warn{border-color:var(--warn);background:var(--tint-warn)}
.alarm{background:var(--tint-bad);border-left:4px solid var(--bad);padding:.5rem .8rem;margin:.8rem 0;border-radius:.25rem}
.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1.2rem 2rem}h3{font-size:.9rem;margin:0 0 .2rem;color:var(--soft);font-weight:600}
table{border-collapse:collapse;width:100%;font-size:.92rem}th,td{text-align:left;padding:.35rem .7rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-weight:600;white-space:nowrap}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.job{overflow-wrap:anywhere;min-width:11rem;max-width:26rem}
.why{color:var(--soft);font-size:.87rem}progress{width:7rem;height:.8rem;accent-color:var(--good);vertical-align:middle}.zero{color:var(--dim)}
.badge{border-radius:.3rem;padding:.05rem .45rem;font-size:.85rem;font-weight:600;white-space:nowrap;background:var(--panel);color:var(--soft)}
.is-good{background:var(--tint-good);color:var(--good)}.is-bad{background:var(--tint-bad);color:var(--bad)}.is-warn{background:var(--tint-warn);color:#7d5200}@media (prefers-color-scheme:dark){.is-warn{color:var(--warn)}}
summary{cursor:pointer;padding:.5rem 0;color:var(--link)}.reasons{max-width:30rem}
#stale{display:none}#stale.on{display:block}footer{margin-top:2rem;color:var(--soft);font-size:.85rem}a{color:var(--link)}
@media (max-width:46rem){body{padding:.8rem .8rem 2rem}table.jobs thead{display:none}table.jobs,table.jobs tbody{display:block}
table.jobs tr{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:.1rem 1rem;padding:.55rem 0;border-bottom:1px solid var(--line)}table.jobs td{border:0;padding:0}
table.jobs td.job,table.jobs td.bar,table.jobs td.when{grid-column:1/-1;max-width:none}table.jobs td.n{text-align:left}table.jobs td[data-l]::before{content:attr(data-l) " ";color:var(--soft)}
table.jobs td.bar progress{width:70%}.tiles{grid-template-columns:1fr 1fr}.tile:last-child:nth-child(odd){grid-column:1/-1}}
@media print{.alarm,.tile{break-inside:avoid}summary{display:none}}
)";
    return text;
}

// status_page.js, as CMake read it.
constexpr std::string_view script = status_page_script;

std::string_view shade_of(const job_view& job) {
    switch (job.state) {
        case job_state::blocked: return "is-bad";
        case job_state::running: return "is-good";
        case job_state::waiting:
        case job_state::paused: return "is-warn";
        case job_state::finished: break;
    }
    if (job.status == "completed" || job.status == "dry_run") return "is-good";
    return job.status == "completed_with_failures" ? "is-warn" : "is-bad";
}

std::string moment(std::string_view rfc3339_time) {
    if (rfc3339_time.size() < 20) return std::string(rfc3339_time);
    return fmt::format("{} {}Z", rfc3339_time.substr(0, 10), rfc3339_time.substr(11, 8));
}

void cell(std::string& out, std::string_view label, std::string_view field, const std::string& text, bool zero) {
    fmt::format_to(std::back_inserter(out), "<td class=\"n\" data-l=\"{}\"><span data-f=\"{}\"{}>{}</span></td>", label,
                   field, zero ? " class=\"zero\"" : "", text);
}

void row(std::string& out, const job_view& job) {
    const job_totals& t = job.totals;
    const bool over = job.finished();
    const std::uint64_t ids = std::max<std::uint64_t>(t.ids, 1);
    auto to = std::back_inserter(out);
    fmt::format_to(to, "<tr data-job=\"{}\" data-state=\"{}\"><td class=\"job\">{}", html(job.job_id),
                   name_of(job.state), html(job.job_id));
    for (const std::string* why : {&job.reason, &job.help})
        if (!why->empty()) fmt::format_to(to, "<div class=\"why\">{}</div>", html(*why));
    fmt::format_to(to, "</td><td><span class=\"badge {}\">{}</span></td>", shade_of(job),
                   html(over ? std::string_view(job.status) : name_of(job.state)));
    if (over) {  // all of it is done
        cell(out, "Ids", "ids", grouped(t.ids), false);
    } else {
        const double part = 100.0 * static_cast<double>(t.settled()) / static_cast<double>(ids);
        fmt::format_to(to,
                       "<td class=\"bar\"><progress max=\"{}\" value=\"{}\"></progress> <span class=\"soft\" "
                       "data-f=\"part\">{:.1f}%</span></td>",
                       ids, t.settled(), part);
        cell(out, "Done", "done", fmt::format("{} / {}", grouped(t.settled()), grouped(t.ids)), false);
    }
    cell(out, "Deleted", "deleted", grouped(t.deleted), t.deleted == 0);
    cell(out, "Absent", "absent", grouped(t.absent), t.absent == 0);
    cell(out, "Failed", "failed", grouped(t.failed), t.failed == 0);
    cell(out, "Skipped", "skipped", grouped(t.skipped), t.skipped == 0);
    if (over) {
        fmt::format_to(to, "<td class=\"n when\" data-l=\"Finished\">{}</td></tr>\n", html(moment(job.finished_at)));
        return;
    }
    cell(out, "Rate", "rate", job.rate > 0 ? fmt::format("{:.1f}/s", job.rate) : "-", !(job.rate > 0));
    const auto& eta = job.eta_seconds;
    cell(out, "Left", "eta", eta ? short_duration(static_cast<double>(*eta)) : "-", !eta);
    out += "</tr>\n";
}

void table_head(std::string& out, bool over) {
    out += "<table class=\"jobs\"><thead><tr><th>Job</th><th>State</th>";
    out += over ? "<th class=\"n\">Ids</th>" : "<th>Progress</th><th class=\"n\">Done</th>";
    out +=
        "<th class=\"n\">Deleted</th><th class=\"n\">Absent</th><th class=\"n\">Failed</th><th class=\"n\">Skipped</th>";
    out += over ? "<th class=\"n\">Finished</th>" : "<th class=\"n\">Rate</th><th class=\"n\">Left</th>";
    out += "</tr></thead><tbody>\n";
}

// While there is work they are renewed well ahead of their end: if that comes near, renewal fails. Without work nobody
// renews them, and nothing is wrong.
template <class Tile>
void credentials_tile(const Tile& tile, const page_facts& f, bool work) {
    const bool ends = !f.credentials_until.empty();
    const bool over = ends && f.credentials_left_seconds <= 0;
    const bool near = ends && f.credentials_left_seconds < credentials_near_seconds;
    std::string name = "credentials";
    if (f.credentials == "trial") name += ": new or renewed, one request goes first, alone";
    if (over)
        name += fmt::format(", since {}{}", moment(f.credentials_until), work ? "" : ": renewed when there is work");
    else if (ends)
        name += fmt::format(", for {}: until {}", short_duration(std::ceil(f.credentials_left_seconds)),
                            moment(f.credentials_until));
    if (f.credentials == "refused")
        tile("bad", "refused", name);
    else if (over)
        tile(work ? "bad" : "", "expired", name);
    else
        tile(f.credentials == "good" && !(near && work) ? "good" : "warn",
             f.credentials == "trial" ? "on trial" : std::string(f.credentials), name);
}

// In rows that are full: their number tells how many stand in each.
void tiles(std::string& page, const page_facts& f) {
    std::string out;
    std::size_t number = 0;
    const auto tile = [&](std::string_view shade, const std::string& text, std::string_view name) {
        ++number;
        fmt::format_to(std::back_inserter(out), "<div class=\"tile {}\"><b>{}</b><span>{}</span></div>", shade,
                       html(text), html(name));
    };
    const auto count = [&](job_state state) {
        return std::count_if(f.open.begin(), f.open.end(), [&](const job_view& j) { return j.state == state; });
    };
    const auto blocked = count(job_state::blocked), paused = count(job_state::paused);
    tile(count(job_state::running) > 0 ? "good" : "", grouped(f.open.size()),
         f.open.size() == 1 ? "open job" : "open jobs");
    if (paused > 0)
        tile("warn", grouped(static_cast<std::uint64_t>(paused)), paused == 1 ? "job is paused" : "jobs are paused");
    if (blocked > 0)
        tile("bad", grouped(static_cast<std::uint64_t>(blocked)), blocked == 1 ? "job is blocked" : "jobs are blocked");
    if (f.rejected > 0)
        tile("warn", grouped(f.rejected),
             f.rejected == 1 ? "file rejected, see rejected/" : "files rejected, see rejected/");
    tile("", fmt::format("{:g}/s", f.requests_per_second),
         fmt::format("requests at the most; {} under way", f.in_flight));
    if (f.throttled_for_seconds)
        tile("warn", fmt::format("for {}", short_duration(std::ceil(*f.throttled_for_seconds))),
             "throttled by the API");
    else
        tile("good", "no", "throttled by the API");
    tile(f.breaker_open ? "bad" : "good", f.breaker_open ? "open" : "closed",
         f.breaker_open ? "circuit breaker: the API fails, only probes go out" : "circuit breaker: requests go out");
    const bool work = std::any_of(f.open.begin(), f.open.end(), [](const job_view& j) {
        return j.state == job_state::running ||
               (j.state == job_state::waiting && j.waits_for != standstill::not_before);
    });
    credentials_tile(tile, f, work);
    fmt::format_to(std::back_inserter(page), "<div class=\"tiles of{}\">{}</div>\n", number, out);
    out.clear();
    if (f.credentials == "refused")
        out +=
            "<p class=\"alarm\">The API refuses the credentials: all jobs wait, nothing is lost. They go on when the "
            "credential's file changes, on <code>cullctl resume</code>, and on reload.</p>\n";
    if (f.breaker_open)
        out +=
            "<p class=\"alarm\">The API fails or cannot be reached: one probe at a time is sent until it answers.</p>\n";
    page += out;
}

void pictures(std::string& out, const page_facts& f) {
    if (f.past == nullptr) return;
    const sliding_counts& past = *f.past;
    const std::size_t bars = past.counts(0).size();
    const auto width = std::chrono::duration_cast<std::chrono::seconds>(past.width());
    const std::string from = short_duration(static_cast<double>(width.count()) * static_cast<double>(bars)) + " ago";
    const std::string per = fmt::format("one bar is {}", short_duration(static_cast<double>(width.count())));
    out += "<div class=\"pictures\"><div><h3>Verdicts on ids</h3>";
    const std::array ids = {chart_series{"deleted", "good", past.counts(past_deleted)},
                            chart_series{"absent", "calm", past.counts(past_absent)},
                            chart_series{"failed", "bad", past.counts(past_failed)},
                            chart_series{"skipped", "dim", past.counts(past_skipped)}};
    append_chart(out, {"Verdicts on ids, lately", from, "now", per, ids});
    out += "</div><div><h3>Requests</h3>";
    // Throttled ones and errors are among the requests sent, or were never sent: three pictures in one would add up
    // to more than there were.
    std::vector<std::uint64_t> answered = past.counts(past_requests);
    for (std::size_t i = 0; i < bars; ++i)
        answered[i] -= std::min(answered[i], past.counts(past_throttled)[i] + past.counts(past_errors)[i]);
    const std::array requests = {chart_series{"answered", "plain", std::move(answered)},
                                 chart_series{"throttled (429)", "warn", past.counts(past_throttled)},
                                 chart_series{"errors", "bad", past.counts(past_errors)}};
    append_chart(out, {"Requests, lately, by what came back", from, "now", per, requests});
    out += "</div></div>\n";
}

void failures(std::string& out, const page_facts& f) {
    if (f.failed_by_reason == nullptr || f.failed_by_reason->empty()) return;
    out += "<h2>Failures by reason <small>since start</small></h2><table class=\"reasons\"><tbody>";
    for (const auto& [reason, n] : *f.failed_by_reason)
        fmt::format_to(std::back_inserter(out), "<tr><td>{}</td><td class=\"n\">{}</td></tr>", html(reason),
                       grouped(n));
    out += "</tbody></table>\n";
}

}  // namespace

const std::string& status_page_policy() {
    static const std::string text = fmt::format(
        "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'",
        csp_hash(style()), csp_hash(script));
    return text;
}

std::string status_page(const page_facts& f) {
    std::string out;
    auto to = std::back_inserter(out);
    fmt::format_to(to,
                   "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                   "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                   "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript><title>culld</title>"
                   "<style>{}</style></head>\n<body>",
                   style());
    fmt::format_to(
        to,
        "<header><h1>culld</h1><p id=\"about\">{} · up {} · {}</p></header><main>\n<p id=\"stale\" class=\"alarm\" "
        "role=\"status\"></p>\n<div id=\"now\">\n",
        html(f.version), short_duration(f.up_seconds), html(f.endpoint));
    tiles(out, f);
    const job_totals& t = f.since_start;
    fmt::format_to(to, "<h2>Lately <small>since start: {} deleted, {} absent, {} failed, {} skipped</small></h2>\n",
                   grouped(t.deleted), grouped(t.absent), grouped(t.failed), grouped(t.skipped));
    pictures(out, f);
    failures(out, f);
    out += "</div>\n<section id=\"open\"><h2>Open jobs</h2>";
    if (f.open.empty()) {
        out += "<p class=\"soft\">None. A job file dropped into the spool's <code>incoming/</code> shows here.</p>";
    } else {
        table_head(out, false);
        for (const job_view& job : f.open) row(out, job);
        out += "</tbody></table>";
        if (f.open_not_shown > 0)
            fmt::format_to(to, "<p class=\"soft\" id=\"more\">And {} more: <code>cullctl list</code>.</p>",
                           grouped(f.open_not_shown));
    }
    out += "</section>\n<section id=\"finished\"><h2>Finished jobs</h2>";
    if (f.finished.empty()) {
        out += "<p class=\"soft\">None since start; <code>cullctl list --all</code> knows older ones.</p>";
    } else {
        const std::size_t first = std::min(finished_shown, f.finished.size());
        table_head(out, true);
        for (std::size_t i = 0; i < first; ++i) row(out, f.finished[i]);
        out += "</tbody></table>";
        if (first < f.finished.size()) {
            fmt::format_to(to, "<details><summary>{} more</summary>", grouped(f.finished.size() - first));
            table_head(out, true);
            for (std::size_t i = first; i < f.finished.size(); ++i) row(out, f.finished[i]);
            out += "</tbody></table></details>";
        }
        if (f.finished_not_shown > 0)
            fmt::format_to(to, "<p class=\"soft\">And {} more: <code>cullctl list --all</code>.</p>",
                           grouped(f.finished_not_shown));
    }
    fmt::format_to(to,
                   "</section></main>\n<footer>Read-only. <a href=\"v1/jobs\">/v1/jobs</a> · <a "
                   "href=\"metrics\">/metrics</a> · an auditor's page about one job: <code>cullctl report JOB</code>"
                   "</footer>\n<script>{}</script></body></html>\n",
                   script);
    return out;
}

}  // namespace culld

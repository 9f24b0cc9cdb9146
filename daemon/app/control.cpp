#include "culld/app/control.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cmath>

#include "culld/core/json_text.hpp"

namespace culld {

namespace {

server_answer problem_answer(unsigned status, std::string_view what, std::string_view hint = {}) {
    server_answer out{.status = status};
    json_object o(out.body);
    o.member("error", what);
    if (!hint.empty()) o.member("hint", hint);
    o.close();
    out.body += '\n';
    return out;
}

struct job_line {
    std::string_view job_id, file, state, status, reason;
    job_totals totals;
    std::uint64_t in_flight = 0;
    double rate = 0;
    std::optional<wall_time> accepted_at, finished_at;
};

void append_line(std::string& out, const job_line& j) {
    const std::uint64_t remaining = j.totals.ids - std::min(j.totals.ids, j.totals.settled());
    json_object o(out);
    const auto text_or_null = [&](std::string_view key, std::string_view text) {
        if (text.empty())
            o.raw(key, "null");
        else
            o.member(key, text);
    };
    const auto time_or_null = [&](std::string_view key, const std::optional<wall_time>& t) {
        text_or_null(key, t ? rfc3339(*t) : std::string());
    };
    o.member("job_id", j.job_id).member("file", j.file).member("state", j.state);
    text_or_null("status", j.status);
    append_totals(o.begin("totals"), j.totals);
    o.member("in_flight", j.in_flight).member("remaining", remaining).member("rate", std::round(j.rate * 10) / 10);
    if (j.rate > 0 && remaining > 0)
        o.member("eta_seconds", static_cast<std::uint64_t>(std::ceil(static_cast<double>(remaining) / j.rate)));
    else
        o.raw("eta_seconds", "null");
    text_or_null("reason", j.reason);
    time_or_null("accepted_at", j.accepted_at);
    time_or_null("finished_at", j.finished_at);
    o.close();
}

std::string html(std::string_view text) {
    std::string out;
    for (const char c : text) switch (c) {
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '&': out += "&amp;"; break;
            case '"': out += "&quot;"; break;
            default: out += c;
        }
    return out;
}

bool may_command(const server_request& r) {
    return r.from && (r.from->uid == 0 || r.from->uid == ::geteuid() || r.from->gid == ::getegid());
}

}  // namespace

void control::append_job(std::string& out, const job_run& job) {
    const auto& blocked = job.blocked();
    const std::string reason = !blocked                ? std::string()
                               : blocked->code.empty() ? blocked->detail
                                                       : blocked->code + ": " + blocked->detail;
    append_line(out, {.job_id = job.spec().id,
                      .file = job.intake().source.file,
                      .state = name_of(job.state()),
                      .status = job.status(),
                      .reason = reason,
                      .totals = job.totals(),
                      .in_flight = job.in_flight(),
                      .rate = job.rate_now(steady_now()),
                      .accepted_at = job.accepted_at(),
                      .finished_at = job.finished_at()});
}

void control::append_job(std::string& out, const finished_job& job) {
    append_line(out, {.job_id = job.job_id,
                      .file = job.file,
                      .state = "finished",
                      .status = job.status,
                      .reason = {},
                      .totals = job.totals,
                      .accepted_at = job.accepted_at,
                      .finished_at = job.finished_at});
}

void control::append_job(std::string& out, const stuck_job& job) {
    append_line(out, {.job_id = job.job_id,
                      .file = job.file,
                      .state = "blocked",
                      .status = {},
                      .reason = job.why.detail,
                      .totals = {}});
}

std::string control::job_list() const {
    std::string out = "{\"jobs\":[";
    bool first = true;
    const auto add = [&](const auto& job) {
        if (!first) out += ',';
        first = false;
        append_job(out, job);
    };
    for (const auto& [id, job] : jobs_.running()) add(*job);
    for (const auto& [id, job] : jobs_.stuck()) add(job);
    for (const finished_job& job : jobs_.finished()) add(job);
    return out + "]}\n";
}

std::optional<std::string> control::job_json(std::string_view id) const {
    std::string out;
    if (const job_run* job = jobs_.find(id)) {
        append_job(out, *job);
    } else if (const auto stuck = jobs_.stuck().find(id); stuck != jobs_.stuck().end()) {
        append_job(out, stuck->second);
    } else {
        for (const finished_job& f : jobs_.finished())
            if (f.job_id == id) append_job(out, f);
        if (out.empty()) return std::nullopt;
    }
    return out + "\n";
}

server_answer control::answer(const server_request& request, bool writable) {
    const std::string_view path = std::string_view(request.target).substr(0, request.target.find('?'));
    const bool get = request.method == "GET" || request.method == "HEAD";
    constexpr std::string_view jobs_prefix = "/v1/jobs/";
    if (path.starts_with(jobs_prefix)) {
        const std::string_view rest = path.substr(jobs_prefix.size());
        const std::size_t slash = rest.find('/');
        if (slash != std::string_view::npos) {
            if (request.method != "POST") {
                auto out = problem_answer(405, "a command is a POST");
                out.allow = "POST";
                return out;
            }
            if (!writable) return problem_answer(403, "this listener is read-only", "use the control socket");
            return command(request, rest.substr(0, slash), rest.substr(slash + 1));
        }
        if (get) {
            auto job = job_json(rest);
            if (!job)
                return problem_answer(404, fmt::format("no job \"{}\" is known here", rest),
                                      "`cullctl list --all` reads the ledger");
            return {.body = std::move(*job)};
        }
    }
    if (!get) {
        auto out = problem_answer(405, "this can only be read");
        out.allow = "GET, HEAD";
        return out;
    }
    if (path == "/v1/jobs") return {.body = job_list()};
    if (path == "/livez") {
        const bool ok = !live || live();
        return {.status = ok ? 200U : 503U,
                .content_type = "text/plain; charset=utf-8",
                .body = ok ? "ok\n" : "the journal thread hangs\n"};
    }
    if (path == "/readyz" || path == "/healthz")
        return {.status = ready ? 200U : 503U,
                .content_type = "text/plain; charset=utf-8",
                .body = ready ? "ok\n" : "starting\n"};
    if (path == "/metrics") return {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics()};
    if (path == "/") return {.content_type = "text/html; charset=utf-8", .body = page()};
    return problem_answer(404, "there is nothing here", "try /v1/jobs, /metrics, /livez, /readyz or /");
}

server_answer control::command(const server_request& request, std::string_view id, std::string_view verb) {
    if (!may_command(request)) return problem_answer(403, "only root, culld's own user and its group may change jobs");
    job_run* job = jobs_.find(id);
    if (job == nullptr) return problem_answer(404, fmt::format("no job \"{}\" is open", id));
    std::string reason;
    std::optional<double> rate;
    if (!request.body.empty()) {
        boost::json::error_code ec;
        const auto body = boost::json::parse(boost::json::string_view(request.body.data(), request.body.size()), ec);
        if (ec || !body.is_object()) return problem_answer(400, "the body is no JSON object");
        if (const auto* r = body.get_object().if_contains("reason"); r != nullptr && r->is_string())
            reason = clean_message(std::string_view(r->get_string().data(), r->get_string().size()));
        if (const auto* n = body.get_object().if_contains("requests_per_second"); n != nullptr && n->is_number())
            rate = n->to_number<double>(ec);
    }
    const person by{request.from->uid, request.from->pid};
    bool done = false;
    if (verb == "pause") {
        done = job->pause(by, reason);
    } else if (verb == "resume") {
        done = job->resume(by, reason);
        if (done) sending_.try_credentials_again();
    } else if (verb == "cancel") {
        done = job->cancel(by, reason);
    } else if (verb == "rate") {
        if (!rate || !(*rate > 0) || *rate > 100'000)
            return problem_answer(400, "the body must be {\"requests_per_second\": N} with N above 0");
        done = job->set_rate(by, *rate);
    } else {
        return problem_answer(404, fmt::format("no command \"{}\"", verb), "pause, resume, cancel or rate");
    }
    if (!done) return problem_answer(409, fmt::format("the job is {}: {} does not apply", name_of(job->state()), verb));
    with_.pump();
    return {.body = job_json(id).value_or("{}\n")};
}

std::string control::metrics() const {
    std::string out;
    const auto head = [&](std::string_view name, std::string_view type, std::string_view help) {
        out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
    };
    head("culld_build_info", "gauge", "The running version.");
    out += fmt::format("culld_build_info{{version=\"{}\"}} 1\n", CULLD_VERSION);
    std::map<std::string_view, std::uint64_t> states{{"waiting", 0}, {"running", 0}, {"paused", 0}, {"blocked", 0}};
    job_totals ids = jobs_.counted.ids;
    std::uint64_t pending = 0;
    for (const auto& [id, job] : jobs_.running()) {
        if (job->state() != job_state::finished) ++states[name_of(job->state())];
        const job_totals& t = job->totals();
        ids.deleted += t.deleted, ids.absent += t.absent, ids.failed += t.failed, ids.skipped += t.skipped;
        pending += t.ids - t.settled();
    }
    states["blocked"] += jobs_.stuck().size();
    head("culld_jobs", "gauge", "Open jobs by state.");
    for (const auto& [state, n] : states) out += fmt::format("culld_jobs{{state=\"{}\"}} {}\n", state, n);
    head("culld_jobs_finished_total", "counter", "Jobs finished since start, by status.");
    for (const std::string_view status :
         {"completed", "completed_with_failures", "aborted", "cancelled", "expired", "dry_run"}) {
        const auto it = jobs_.counted.finished.find(std::string(status));
        out += fmt::format("culld_jobs_finished_total{{status=\"{}\"}} {}\n", status,
                           it == jobs_.counted.finished.end() ? 0 : it->second);
    }
    head("culld_jobs_accepted_total", "counter", "Jobs accepted since start.");
    out += fmt::format("culld_jobs_accepted_total {}\n", jobs_.counted.accepted);
    head("culld_jobs_rejected_total", "counter", "Files rejected since start.");
    out += fmt::format("culld_jobs_rejected_total {}\n", jobs_.counted.rejected);
    head("culld_ids_total", "counter", "Verdicts on ids, of open jobs and of those finished since start.");
    out += fmt::format(
        "culld_ids_total{{verdict=\"deleted\"}} {}\nculld_ids_total{{verdict=\"absent\"}} {}\n"
        "culld_ids_total{{verdict=\"failed\"}} {}\nculld_ids_total{{verdict=\"skipped\"}} {}\n",
        ids.deleted, ids.absent, ids.failed, ids.skipped);
    head("culld_ids_pending", "gauge", "Ids of open jobs without a verdict.");
    out += fmt::format("culld_ids_pending {}\n", pending);
    const auto& c = sending_.counted();
    head("culld_api_requests_total", "counter", "Requests sent to the API.");
    out += fmt::format(
        "culld_api_requests_total{{operation=\"delete\"}} {}\nculld_api_requests_total{{operation=\"get\"}} {}\n",
        c.delete_requests, c.get_requests);
    head("culld_api_errors_total", "counter", "Requests that brought no verdict, by reason.");
    out += fmt::format(
        "culld_api_errors_total{{reason=\"throttled\"}} {}\nculld_api_errors_total{{reason=\"server\"}} {}\n"
        "culld_api_errors_total{{reason=\"transport\"}} {}\nculld_api_errors_total{{reason=\"unauthorized\"}} {}\n",
        c.throttled, c.server_errors, c.transport_errors, c.unauthorized);
    head("culld_api_request_seconds_total", "counter", "Time spent waiting for answers, over all connections.");
    out += fmt::format("culld_api_request_seconds_total {}\n", c.seconds_waiting_for_answers);
    head("culld_api_in_flight", "gauge", "Requests under way.");
    out += fmt::format("culld_api_in_flight {}\n", sending_.in_flight());
    head("culld_rate_limit_requests_per_second", "gauge", "The rate kept to now.");
    out += fmt::format("culld_rate_limit_requests_per_second {}\n", sending_.state().per_second());
    head("culld_circuit_breaker_open", "gauge", "1 while only probes are sent.");
    out += fmt::format("culld_circuit_breaker_open {}\n", sending_.state().breaker_open() ? 1 : 0);
    head("culld_credentials_refused", "gauge", "1 while the API refuses the credentials.");
    out += fmt::format("culld_credentials_refused {}\n",
                       sending_.state().credentials() == credential_state::refused ? 1 : 0);
    return out;
}

std::string control::page() const {
    std::string out =
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"5\">"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>culld</title><style>"
        ":root{color-scheme:light dark}body{font:16px/1.4 system-ui,sans-serif;margin:1.5rem auto;max-width:60rem;padding:0 1rem}"
        "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8884}"
        "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}progress{width:8rem}.why{font-size:.9em;opacity:.8}"
        "</style></head><body><h1>culld</h1>";
    const auto& traffic = sending_.state();
    out += fmt::format(
        "<p>version {} · {} open jobs · {} requests in flight · limit {:g} a second{}{}</p>", CULLD_VERSION,
        jobs_.open(), sending_.in_flight(), traffic.per_second(),
        traffic.breaker_open() ? " · <strong>breaker open</strong>" : "",
        traffic.credentials() == credential_state::refused ? " · <strong>credentials refused</strong>" : "");
    out +=
        "<table><thead><tr><th>Job</th><th>State</th><th>Progress</th><th class=\"n\">Ids</th><th class=\"n\">Deleted</th>"
        "<th class=\"n\">Absent</th><th class=\"n\">Failed</th><th class=\"n\">Skipped</th></tr></thead><tbody>";
    const auto row = [&](std::string_view id, std::string_view state, const job_totals& t, std::string_view why) {
        out += fmt::format(
            "<tr><td>{}{}</td><td>{}</td><td><progress max=\"{}\" value=\"{}\"></progress></td><td class=\"n\">{}</td>"
            "<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            html(id), why.empty() ? "" : "<div class=\"why\">" + html(why) + "</div>", html(state),
            std::max<std::uint64_t>(t.ids, 1), t.settled(), t.ids, t.deleted, t.absent, t.failed, t.skipped);
    };
    for (const auto& [id, job] : jobs_.running())
        row(id, name_of(job->state()), job->totals(), job->blocked() ? job->blocked()->detail : "");
    for (const auto& [id, job] : jobs_.stuck()) row(id, "blocked", {}, job.why.detail);
    for (auto it = jobs_.finished().rbegin(); it != jobs_.finished().rend(); ++it)
        row(it->job_id, it->status, it->totals, {});
    return out + "</tbody></table></body></html>\n";
}

}  // namespace culld

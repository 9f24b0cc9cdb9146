#include "culld/app/control.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cmath>

#include "culld/app/status_page.hpp"
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

void append_line(std::string& out, const job_line& j, std::uint64_t in_flight) {
    const std::uint64_t remaining = j.totals.ids - std::min(j.totals.ids, j.totals.settled());
    json_object o(out);
    const auto text_or_null = [&](std::string_view key, std::string_view text) {
        if (text.empty())
            o.raw(key, "null");
        else
            o.member(key, text);
    };
    o.member("job_id", j.job_id).member("file", j.file).member("state", j.state);
    text_or_null("status", j.status);
    append_totals(o.begin("totals"), j.totals);
    o.member("in_flight", in_flight).member("remaining", remaining).member("rate", std::round(j.rate * 10) / 10);
    if (j.rate > 0 && remaining > 0)
        o.member("eta_seconds", static_cast<std::uint64_t>(std::ceil(static_cast<double>(remaining) / j.rate)));
    else
        o.raw("eta_seconds", "null");
    text_or_null("reason", j.reason);
    text_or_null("help", j.help);
    text_or_null("accepted_at", j.accepted_at);
    text_or_null("finished_at", j.finished_at);
    o.close();
}

// What the three kinds of jobs show.
job_line line_of(const job_run& job) {
    return {.job_id = job.spec().id,
            .file = job.intake().source.file,
            .state = name_of(job.state()),
            .status = job.status(),
            .reason = job.reason(),
            .help = job.blocked() ? job.blocked()->help : std::string(),
            .totals = job.totals(),
            .rate = job.state() == job_state::running ? job.rate_now(steady_now()) : 0.0,
            .accepted_at = rfc3339(job.accepted_at()),
            .finished_at = job.finished_at() ? rfc3339(*job.finished_at()) : std::string()};
}

job_line line_of(const finished_job& job) {
    return {.job_id = job.job_id,
            .file = job.file,
            .state = "finished",
            .status = job.status,
            .reason = {},
            .help = {},
            .totals = job.totals,
            .accepted_at = rfc3339(job.accepted_at),
            .finished_at = rfc3339(job.finished_at)};
}

job_line line_of(const stuck_job& job) {
    return {.job_id = job.job_id,
            .file = job.file,
            .state = "blocked",
            .status = {},
            .reason = job.why.detail,
            .help = job.why.help,
            .totals = job.totals,
            .accepted_at = job.accepted_at ? rfc3339(*job.accepted_at) : std::string()};
}

bool may_command(const server_request& r) {
    if (!r.from) return false;
    const peer& who = *r.from;
    return who.uid == 0 || who.uid == ::geteuid() || who.gid == ::getegid() ||
           std::ranges::find(who.groups, ::getegid()) != who.groups.end();
}

}  // namespace

void control::append_job(std::string& out, const job_run& job) {
    append_line(out, line_of(job), job.in_flight());
}

void control::append_job(std::string& out, const finished_job& job) {
    append_line(out, line_of(job), 0);
}

void control::append_job(std::string& out, const stuck_job& job) {
    append_line(out, line_of(job), 0);
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
                .body = ok ? "ok\n" : "the disk does not answer\n"};
    }
    if (path == "/readyz" || path == "/healthz")
        return {.status = ready && not_ready.empty() ? 200U : 503U,
                .content_type = "text/plain; charset=utf-8",
                .body = !ready              ? "starting\n"
                        : not_ready.empty() ? "ok\n"
                                            : not_ready + "\n"};
    if (path == "/metrics") return {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics()};
    if (path == "/")
        return {.content_type = "text/html; charset=utf-8", .body = page(), .policy = status_page_policy()};
    return problem_answer(404, "there is nothing here", "try /v1/jobs, /metrics, /livez, /readyz or /");
}

server_answer control::command(const server_request& request, std::string_view id, std::string_view verb) {
    if (!may_command(request)) return problem_answer(403, "only root, culld's own user and its group may change jobs");
    job_run* job = jobs_.find(id);
    if (job == nullptr) {
        const auto stuck = jobs_.stuck().find(id);
        if (stuck == jobs_.stuck().end()) return problem_answer(404, fmt::format("no job \"{}\" is open", id));
        if (verb != "resume" || stuck->second.damaged)
            return problem_answer(
                409, fmt::format("the job is blocked, and {} does not apply: {}", verb, stuck->second.why.detail));
        try_again();
        return {.body = job_json(id).value_or("{}\n")};
    }
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

std::optional<wall_time> control::credentials_end() const {
    const auto end = sending_.credentials_end();
    if (!end) return std::nullopt;
    const nanoseconds left = *end - steady_now();
    return std::chrono::round<std::chrono::seconds>(wall_now() + std::chrono::duration_cast<wall_time::duration>(left));
}

// ---- the page ----

void control::sample() {
    const job_totals t = jobs_.verdicts();
    const auto& c = sending_.counted();
    std::array<std::uint64_t, past_series> now{};
    now[past_deleted] = t.deleted;
    now[past_absent] = t.absent;
    now[past_failed] = t.failed;
    now[past_skipped] = t.skipped;
    now[past_requests] = c.delete_requests + c.get_requests;
    now[past_throttled] = c.throttled;
    now[past_errors] = c.server_errors + c.transport_errors + c.unauthorized;
    past_.sample(steady_now(), now);
}

void control::begin() {
    sample();
    keep_sampling();
}

void control::keep_sampling() {
    if (sampling_on_ || jobs_.open() == 0) return;
    sampling_on_ = true;
    sampling_.expires_after(sample_every);
    sampling_.async_wait([this](boost::system::error_code ec) {
        if (ec) return;
        sampling_on_ = false;
        begin();
    });
}

void control::end() {
    sampling_on_ = true;
    sampling_.cancel();
}

std::string control::page() {
    sample();
    const auto& traffic = sending_.state();
    const auto reasons = jobs_.failed_by_reason();
    page_facts facts{.version = CULLD_VERSION,
                     .endpoint = with_.settings->api.endpoint,
                     .up_seconds = std::chrono::duration<double>(steady_now() - started_).count(),
                     .in_flight = sending_.in_flight(),
                     .requests_per_second = traffic.per_second(),
                     .breaker_open = traffic.breaker_open(),
                     .credentials = traffic.credentials() == credential_state::refused ? "refused"
                                    : traffic.credentials() == credential_state::trial ? "trial"
                                                                                       : "good",
                     .rejected = jobs_.counted.rejected,
                     .throttled_for_seconds = {},
                     .since_start = jobs_.verdicts(),
                     .failed_by_reason = &reasons,
                     .past = &past_,
                     .open = {},
                     .finished = {}};
    if (const auto end = credentials_end()) {
        facts.credentials_until = rfc3339(*end);
        facts.credentials_left_seconds = std::chrono::duration<double>(*end - wall_now()).count();
    }
    if (const auto until = traffic.paused_until(); until && *until > steady_now())
        facts.throttled_for_seconds = std::chrono::duration<double>(*until - steady_now()).count();
    for (const auto& [id, job] : jobs_.stuck()) facts.open.push_back(line_of(job));
    for (const auto& [id, job] : jobs_.running())
        if (job->state() != job_state::finished) facts.open.push_back(line_of(*job));
    // What needs somebody first, then what moves.
    const auto order = [](const job_line& j) {
        return j.state == "blocked" ? 0 : j.state == "running" ? 1 : j.state == "paused" ? 2 : 3;
    };
    std::stable_sort(facts.open.begin(), facts.open.end(),
                     [&](const job_line& a, const job_line& b) { return order(a) < order(b); });
    for (auto it = jobs_.finished().rbegin(); it != jobs_.finished().rend(); ++it)
        facts.finished.push_back(line_of(*it));
    return status_page(facts);
}

}  // namespace culld

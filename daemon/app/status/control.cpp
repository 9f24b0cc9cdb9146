#include "culld/app/status/control.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "control_parts.hpp"
#include "culld/app/jobs/journal_turns.hpp"
#include "culld/app/status/job_views.hpp"
#include "culld/app/status/status_page.hpp"
#include "culld/core/job/job_document.hpp"
#include "culld/core/text/clean_message.hpp"
#include "culld/core/text/percent_escape.hpp"

namespace culld {

namespace {

constexpr std::uint64_t page_max = 500;  // jobs in one answer: some 250 KiB
constexpr std::size_t rows_shown = 200;  // open jobs on the page

// The value of `name` in a query, undecoded: neither a number nor a job id needs it.
std::optional<std::string_view> parameter(std::string_view query, std::string_view name) {
    while (!query.empty()) {
        const std::string_view part = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), part.size() + 1));
        const std::size_t equals = std::min(part.find('='), part.size());
        if (part.substr(0, equals) == name) return part.substr(std::min(part.size(), equals + 1));
    }
    return std::nullopt;
}

}  // namespace

bool control::may_command(const peer& who) {
    return who.uid == 0 || who.uid == ::geteuid() || who.gid == ::getegid() ||
           std::ranges::find(who.groups, ::getegid()) != who.groups.end();
}

// By id, whatever becomes of them between one page and the next: none is missed that is there all the time.
server_answer control::job_list(std::string_view query, const viewer& by) const {
    std::uint64_t limit = page_max;
    if (const auto wanted = parameter(query, "limit")) {
        const auto [end, wrong] = std::from_chars(wanted->data(), wanted->data() + wanted->size(), limit);
        if (wrong != std::errc{} || end != wanted->data() + wanted->size() || limit == 0)
            return problem_answer(400, "limit must be a number above 0");
        limit = std::min(limit, page_max);
    }
    const std::string_view after = parameter(query, "after").value_or("");
    const std::string_view state = parameter(query, "state").value_or("");
    if (!state.empty() && state != "open") return problem_answer(400, "state can be \"open\" only");

    std::vector<const finished_job*> over;
    if (state.empty())
        for (const finished_job& job : jobs_.finished())
            if (job.job_id > after) over.push_back(&job);
    const std::size_t wanted = std::min<std::size_t>(over.size(), limit + 1);
    std::partial_sort(over.begin(), over.begin() + static_cast<std::ptrdiff_t>(wanted), over.end(),
                      [](const finished_job* a, const finished_job* b) { return a->job_id < b->job_id; });
    over.resize(wanted);
    auto running = jobs_.running().upper_bound(after);
    auto quarantined = jobs_.quarantined().upper_bound(after);
    auto done = over.begin();

    const outlook all = outlook_of(jobs_, sending_);
    std::string out = "{\"jobs\":[";
    std::string last;
    for (std::uint64_t n = 0;; ++n) {
        const std::string* const r = running == jobs_.running().end() ? nullptr : &running->first;
        const std::string* const s = quarantined == jobs_.quarantined().end() ? nullptr : &quarantined->first;
        const std::string* const f = done == over.end() ? nullptr : &(*done)->job_id;
        const std::string* next = nullptr;
        for (const std::string* id : {r, s, f})
            if (id != nullptr && (next == nullptr || *id < *next)) next = id;
        if (next == nullptr) {
            if (with_.waiting != nullptr)
                for (const waiting_file& file : with_.waiting->waiting()) {
                    if (!shows(by, file)) continue;
                    if (n++ > 0) out += ',';
                    append_job(out, seen_by(by, view_of(file)));
                }
            out += "]}\n";
            break;
        }
        if (n == limit) {
            out += "],";
            // Ids need no escaping.
            out += fmt::format("\"next\":\"{}\"}}\n", last);
            break;
        }
        last = *next;
        if (n > 0) out += ',';
        if (next == r) {
            append_job(out, seen_by(by, view_of(*running->second, all)));
            ++running;
        } else if (next == s) {
            append_job(out, seen_by(by, view_of(quarantined->second)));
            ++quarantined;
        } else {
            append_job(out, seen_by(by, view_of(**done)));
            ++done;
        }
    }
    return {.body = std::move(out)};
}

std::optional<waiting_file> control::taking(std::string_view name) const {
    return with_.waiting == nullptr ? std::nullopt : with_.waiting->find_taking(name);
}

std::optional<std::string> control::job_json(std::string_view id, const viewer& by) const {
    std::string out;
    if (const active_job* job = jobs_.find(id)) {
        append_job(out, seen_by(by, view_of(*job, outlook_of(jobs_, sending_))));
    } else if (const auto quarantined = jobs_.quarantined().find(id); quarantined != jobs_.quarantined().end()) {
        append_job(out, seen_by(by, view_of(quarantined->second)));
    } else {
        for (const finished_job& f : jobs_.finished())
            if (f.job_id == id) {
                out.clear();  // the last of that id
                append_job(out, seen_by(by, view_of(f)));
            }
        if (const auto taken = taking(id); taken && shows(by, *taken)) {
            out.clear();
            append_job(out, seen_by(by, view_of(*taken)));
        }
        if (out.empty()) return std::nullopt;
    }
    return out + "\n";
}

server_answer control::answer(const server_request& request, bool writable) {
    const std::string_view path = std::string_view(request.target).substr(0, request.target.find('?'));
    const std::string_view query =
        std::string_view(request.target).substr(std::min(request.target.size(), path.size() + 1));
    const viewer by = viewer_of(request);
    const bool get = request.method == "GET" || request.method == "HEAD";
    constexpr std::string_view jobs_prefix = "/v1/jobs/";
    if (path.starts_with(jobs_prefix)) {
        const std::string_view rest = path.substr(jobs_prefix.size());
        const std::size_t slash = rest.find('/');
        if (slash != std::string_view::npos) {
            if (get && rest.substr(slash + 1) == "journal")
                return journal(
                    request, rest.substr(0, slash),
                    std::string_view(request.target).substr(std::min(request.target.size(), path.size() + 1)));
            if (request.method != "POST") {
                auto out = problem_answer(405, "a command is a POST");
                out.allow = "POST";
                return out;
            }
            if (!writable) return problem_answer(403, "this listener is read-only", "use the control socket");
            return command(request, percent_decoded(rest.substr(0, slash)).value_or(""), rest.substr(slash + 1));
        }
        if (get) {
            auto job = job_json(percent_decoded(rest).value_or(""), by);
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
    if (path == "/v1/jobs") return job_list(query, by);
    if (path == "/livez") {
        const bool ok = !live || live();
        return {.status = ok ? 200U : 503U,
                .content_type = "text/plain; charset=utf-8",
                .body = ok ? "ok\n" : "the disk does not answer\n"};
    }
    if (path == "/readyz" || path == "/healthz") {
        if (asked_if_ready) asked_if_ready();  // whoever asks again is told what is so by then
        return {.status = ready && not_ready.empty() ? 200U : 503U,
                .content_type = "text/plain; charset=utf-8",
                .body = !ready              ? "starting\n"
                        : not_ready.empty() ? "ok\n"
                                            : not_ready + "\n"};
    }
    if (path == "/metrics") return {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics()};
    if (path == "/")
        return {.content_type = "text/html; charset=utf-8", .body = page(by), .policy = status_page_policy()};
    return problem_answer(404, "there is nothing here", "try /v1/jobs, /metrics, /livez, /readyz or /");
}

server_answer control::journal(const server_request& request, std::string_view id, std::string_view query) {
    if (!request.from) return problem_answer(403, "journals are handed out on the control socket only");
    if (!is_job_id(id)) return problem_answer(404, "that is no job's id");
    constexpr std::string_view key = "offset=";
    std::uint64_t offset = 0;
    if (!query.empty()) {
        const char* const end = query.data() + query.size();
        const bool named = query.starts_with(key);
        if (!named || std::from_chars(query.data() + key.size(), end, offset).ptr != end)
            return problem_answer(400, "the query can be offset=N");
    }
    const auto uid = may_command(*request.from) ? std::nullopt : std::optional(request.from->uid);
    server_answer out;
    out.later = [this, id = std::string(id), offset, uid] { return read_journal(id, offset, uid); };
    return out;
}

task<server_answer> control::read_journal(std::string id, std::uint64_t offset, std::optional<std::uint32_t> uid) {
    if (!reading_) reading_.emplace(with_.loop);
    auto work = [this, &id, offset, uid] { return read_journal_piece(with_.journals, id, offset, uid); };
    auto piece = co_await reading_->run(std::move(work));
    if (!piece) co_return problem_answer(500, piece.error().text());
    // Whether a job is there, and not theirs, is nothing to strangers.
    if (!piece->there || !piece->allowed) co_return problem_answer(404, fmt::format("no job \"{}\" of yours", id));
    server_answer out;
    out.content_type = "application/octet-stream";
    out.body = std::move(piece->bytes);
    co_return out;
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

std::string control::page(const viewer& by) {
    sample();
    const auto& send_gate = sending_.state();
    const auto reasons = jobs_.failed_by_reason();
    page_facts facts{.version = CULLD_VERSION,
                     .endpoint = with_.settings->api.endpoint,
                     .up_seconds = std::chrono::duration<double>(steady_now() - started_).count(),
                     .in_flight = sending_.in_flight(),
                     .requests_per_second = send_gate.per_second(),
                     .breaker_open = send_gate.breaker_open(),
                     .credentials = send_gate.credentials() == credential_state::refused ? "refused"
                                    : send_gate.credentials() == credential_state::trial ? "trial"
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
    if (const auto until = send_gate.paused_until(); until && *until > steady_now())
        facts.throttled_for_seconds = std::chrono::duration<double>(*until - steady_now()).count();
    // What needs somebody first, then what moves; of thousands that wait only the first are shown.
    std::vector<const active_job*> open;
    for (const auto& [id, job] : jobs_.running())
        if (job->state() != job_state::finished) open.push_back(job.get());
    const auto order = [](const active_job* j) {
        switch (j->state()) {
            case job_state::blocked: return 0;
            case job_state::running: return 1;
            case job_state::paused: return 2;
            case job_state::waiting:
            case job_state::finished: break;
        }
        return 3;
    };
    const outlook all = outlook_of(jobs_, sending_);
    std::ranges::stable_sort(open, {}, order);
    for (const auto& [id, job] : jobs_.quarantined())
        if (facts.open.size() < rows_shown) facts.open.push_back(seen_by(by, view_of(job)));
    for (const active_job* job : open)
        if (facts.open.size() < rows_shown) facts.open.push_back(seen_by(by, view_of(*job, all)));
    facts.open_not_shown = jobs_.quarantined().size() + open.size() - facts.open.size();
    for (auto it = jobs_.finished().rbegin(); it != jobs_.finished().rend() && facts.finished.size() < rows_shown; ++it)
        facts.finished.push_back(seen_by(by, view_of(*it)));
    facts.finished_not_shown = jobs_.finished().size() - facts.finished.size();
    return status_page(facts);
}

}  // namespace culld

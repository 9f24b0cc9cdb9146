#include "jobs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <chrono>
#include <map>
#include <utility>

#include "control_client.hpp"
#include "culld/core/json_text.hpp"
#include "culld/core/nearest.hpp"
#include "culld/core/time.hpp"

namespace culld::ctl {

namespace {

namespace json = boost::json;

std::string text_of(const json::object& o, std::string_view key) {
    const json::value* v = o.if_contains(key);
    return v != nullptr && v->is_string() ? std::string(v->as_string()) : std::string();
}

std::uint64_t count_in(const json::object& o, std::string_view key) {
    const json::value* v = o.if_contains(key);
    if (v == nullptr) return 0;
    if (v->is_uint64()) return v->as_uint64();
    return v->is_int64() && v->as_int64() > 0 ? static_cast<std::uint64_t>(v->as_int64()) : 0;
}

std::optional<double> number_in(const json::object& o, std::string_view key) {
    const json::value* v = o.if_contains(key);
    if (v == nullptr || !v->is_number()) return std::nullopt;
    return v->to_number<double>();
}

job_facts facts_of(const json::object& o) {
    job_facts out;
    out.job_id = text_of(o, "job_id");
    out.file = text_of(o, "file");
    out.state = text_of(o, "state");
    out.status = text_of(o, "status");
    if (const json::value* t = o.if_contains("totals"); t != nullptr && t->is_object()) {
        const json::object& totals = t->as_object();
        out.totals = {.ids = count_in(totals, "ids"),
                      .deleted = count_in(totals, "deleted"),
                      .absent = count_in(totals, "absent"),
                      .failed = count_in(totals, "failed"),
                      .skipped = count_in(totals, "skipped"),
                      .duplicates = count_in(totals, "duplicates"),
                      .requests = count_in(totals, "requests"),
                      .retries = count_in(totals, "retries"),
                      .throttled = count_in(totals, "throttled")};
    }
    out.in_flight = count_in(o, "in_flight");
    out.remaining = count_in(o, "remaining");
    out.rate = number_in(o, "rate").value_or(0);
    out.eta_seconds = number_in(o, "eta_seconds");
    out.reason = text_of(o, "reason");
    out.help = text_of(o, "help");
    out.accepted_at = text_of(o, "accepted_at");
    out.finished_at = text_of(o, "finished_at");
    out.from_daemon = true;
    out.json = json::serialize(o);
    return out;
}

void or_null(json_object& o, std::string_view key, const std::string& text) {
    if (text.empty())
        o.raw(key, "null");
    else
        o.member(key, text);
}

// The same form as the daemon's.
void write_json(job_facts& job) {
    job.json.clear();
    json_object o(job.json);
    or_null(o, "job_id", job.job_id);
    o.member("file", job.file).member("state", job.state);
    or_null(o, "status", job.status);
    append_totals(o.begin("totals"), job.totals);
    o.member("in_flight", job.in_flight).member("remaining", job.remaining).member("rate", job.rate);
    if (job.eta_seconds)
        o.member("eta_seconds", *job.eta_seconds);
    else
        o.raw("eta_seconds", "null");
    or_null(o, "reason", job.reason);
    or_null(o, "help", job.help);
    or_null(o, "accepted_at", job.accepted_at);
    or_null(o, "finished_at", job.finished_at);
    o.close();
}

job_facts rejected_facts(const ledger_entry& entry) {
    job_facts out;
    out.job_id = entry.job_id;
    out.file = entry.file;
    out.state = "finished";
    out.status = "rejected";
    out.reason = entry.error;
    out.finished_at = entry.ts;
    write_json(out);
    return out;
}

job_facts finished_facts(const folder& dir, const ledger_entry& entry) {
    job_facts out;
    out.job_id = entry.job_id;
    out.file = entry.file;
    out.state = "finished";
    out.status = entry.status;
    out.totals = entry.totals;
    // A journal that is gone or damaged is verify's to report; the ledger's word stands here.
    if (auto first = read_first_record(dir, entry.job_id); first && *first) out.accepted_at = (*first)->accepted_at;
    out.finished_at = entry.ts;
    write_json(out);
    return out;
}

job_facts open_facts(const folder& dir, const std::string& job_id) {
    job_facts out;
    out.job_id = job_id;
    auto read = read_journal(dir, job_id, expected_end::open);
    if (!read || !read->findings.empty()) {
        out.state = "blocked";
        out.reason = read ? read->findings.front().text() : read.error().text();
        out.help = read ? "nothing more of it is sent: cullctl verify names all that is wrong" : read.error().hint;
        if (!read) {
            write_json(out);
            return out;
        }
    } else {
        out.state = read->summary.state.empty() ? "waiting" : read->summary.state;
        out.reason = read->summary.reason;
        out.help = read->summary.help;
    }
    out.file = read->summary.file;
    out.status = read->summary.status;
    out.totals = read->summary.totals;
    out.remaining = read->summary.remaining();
    out.accepted_at = read->summary.accepted_at;
    out.finished_at = read->summary.finished_at;
    write_json(out);
    return out;
}

outcome<std::vector<job_facts>> from_daemon(const control_answer& answer) {
    boost::system::error_code ec;
    const json::value parsed = json::parse(answer.body, ec);
    const json::value* jobs = !ec && parsed.is_object() ? parsed.as_object().if_contains("jobs") : nullptr;
    if (jobs == nullptr || !jobs->is_array())
        return give_up(io_error, {.what = "the daemon's answer is not a list of jobs",
                                  .hint = "is the socket culld's, and of the same version?"});
    std::vector<job_facts> out;
    for (const json::value& job : jobs->as_array())
        if (job.is_object()) out.push_back(facts_of(job.as_object()));
    return out;
}

// Nothing: the daemon does not answer, and the journals must.
outcome<std::optional<std::vector<job_facts>>> ask_daemon(const context& with) {
    if (!with.ask_daemon) return std::nullopt;
    const auto answer = ask(with.settings.http.socket, "GET", "/v1/jobs");
    if (!answer) {
        if (with.verbose)
            with.out.say(
                fmt::format("no answer from the daemon ({}); reading the journals", answer.error().about.text()));
        return std::nullopt;
    }
    if (answer->status != 200) return give_up(static_cast<exit_code>(exit_code_of(*answer)), problem_of(*answer));
    auto jobs = from_daemon(*answer);
    if (!jobs) return tl::unexpected(std::move(jobs.error()));
    return std::optional(std::move(*jobs));
}

void sort_by_age(std::vector<job_facts>& jobs) {
    std::stable_sort(jobs.begin(), jobs.end(), [](const job_facts& a, const job_facts& b) {
        return std::tie(a.accepted_at, a.job_id) < std::tie(b.accepted_at, b.job_id);
    });
}

constexpr std::size_t several = 2;

// The place of the one that `name` means in `jobs`; ids.size() if none, with `why`.
std::size_t match(std::string_view name, const std::vector<job_facts>& jobs, problem& why) {
    std::size_t by_file = jobs.size(), by_prefix = jobs.size(), prefixes = 0;
    std::vector<std::string_view> known;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        if (jobs[i].job_id == name) return i;
        if (jobs[i].file == name && (by_file == jobs.size() || jobs[i].accepted_at >= jobs[by_file].accepted_at))
            by_file = i;
        if (!name.empty() && jobs[i].job_id.starts_with(name)) {
            by_prefix = i;
            ++prefixes;
        }
        known.push_back(jobs[i].job_id);
        known.push_back(jobs[i].file);
    }
    if (by_file != jobs.size()) return by_file;
    if (prefixes == 1) return by_prefix;
    why.what = prefixes >= several ? fmt::format("{} jobs begin with \"{}\"", prefixes, printable(name))
                                   : fmt::format("no job \"{}\"", printable(name));
    why.hint = prefixes >= several ? "write more of its id" : did_you_mean(name, known);
    if (why.hint.empty()) why.hint = "cullctl list shows them";
    return jobs.size();
}

double seconds_since(const std::string& rfc3339_time) {
    const auto then = parse_rfc3339(rfc3339_time);
    if (!then) return -1;
    const auto now = std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
    return std::chrono::duration<double>(now - *then).count();
}

colour colour_of(const job_facts& job) {
    if (job.state == "blocked") return colour::red;
    if (job.state == "paused" || job.state == "waiting") return colour::yellow;
    if (!job.finished()) return colour::green;
    switch (exit_code_of(job.status)) {
        case all_well: return colour::green;
        case some_failed: return colour::yellow;
        default: return colour::red;
    }
}

}  // namespace

outcome<folder> open_journals(const context& with) {
    auto dir = folder::open(with.settings.journal.dir);
    if (dir) return std::move(*dir);
    if (dir.error().hint.empty()) dir.error().hint = "--journal-dir DIR names another";
    return give_up_on(with.settings.journal.dir, std::move(dir.error()));
}

outcome<std::vector<job_facts>> jobs_from_journals(const context& with) {
    auto dir = open_journals(with);
    if (!dir) return tl::unexpected(std::move(dir.error()));
    auto ids = journals_in(*dir);
    if (!ids) return give_up(io_error, std::move(ids.error()));
    auto ledger = read_ledger(*dir);
    if (!ledger) return give_up_on(with.settings.journal.dir + "/" + ledger_name, std::move(ledger.error()));
    for (const problem& p : ledger->checked.findings()) with.out.complain(p);
    std::map<std::string, const ledger_entry*> finished;
    for (const ledger_entry& e : ledger->checked.entries())
        if (!e.rejected) finished[e.job_id] = &e;
    std::vector<job_facts> out;
    out.reserve(finished.size() + ids->size());
    for (const auto& [id, entry] : finished) out.push_back(finished_facts(*dir, *entry));
    for (const std::string& id : *ids)
        if (!finished.contains(id)) out.push_back(open_facts(*dir, id));
    sort_by_age(out);
    return out;
}

outcome<std::vector<job_facts>> all_jobs(const context& with) {
    auto told = ask_daemon(with);
    if (!told) return tl::unexpected(std::move(told.error()));
    if (!*told) return jobs_from_journals(with);
    sort_by_age(**told);
    return std::move(**told);
}

outcome<std::vector<job_facts>> all_jobs_ever(const context& with) {
    auto told = ask_daemon(with);
    if (!told) return tl::unexpected(std::move(told.error()));
    auto jobs = jobs_from_journals(with);
    if (!jobs || !*told) return jobs;
    std::map<std::string, job_facts> by_id;
    for (job_facts& job : *jobs) by_id[job.job_id] = std::move(job);
    for (job_facts& job : **told) by_id[job.job_id] = std::move(job);
    std::vector<job_facts> out;
    out.reserve(by_id.size());
    for (auto& [id, job] : by_id) out.push_back(std::move(job));
    sort_by_age(out);
    return out;
}

outcome<job_facts> find_job(const context& with, std::string_view name) {
    problem why;
    auto told = ask_daemon(with);
    if (!told) return tl::unexpected(std::move(told.error()));
    if (*told) {
        std::vector<job_facts>& jobs = **told;
        if (const std::size_t at = match(name, jobs, why); at != jobs.size()) return std::move(jobs[at]);
    }
    // The daemon remembers the last finished jobs only; the journals hold them all.
    auto jobs = jobs_from_journals(with);
    if (!jobs) {
        if (*told) return give_up(not_there, std::move(why));
        return tl::unexpected(std::move(jobs.error()));
    }
    const std::size_t at = match(name, *jobs, why);
    if (at != jobs->size()) return std::move((*jobs)[at]);
    if (auto dir = open_journals(with)) {
        if (auto ledger = read_ledger(*dir)) {
            const auto& entries = ledger->checked.entries();
            const auto entry = std::find_if(entries.rbegin(), entries.rend(),
                                            [&](const ledger_entry& e) { return e.rejected && e.file == name; });
            if (entry != entries.rend()) return rejected_facts(*entry);
        }
    }
    return give_up(not_there, std::move(why));
}

outcome<std::string> find_journal(const context& with, const folder& dir, std::string_view name, naming rule) {
    auto ids = journals_in(dir);
    if (!ids) return give_up(io_error, std::move(ids.error()));
    if (std::binary_search(ids->begin(), ids->end(), name)) return std::string(name);
    std::vector<job_facts> known;
    for (const std::string& id : *ids) {
        job_facts job;
        job.job_id = id;
        // A damaged first line hides the file's name, no more.
        if (auto first = read_first_record(dir, id); first && *first) {
            job.file = (*first)->file;
            job.accepted_at = (*first)->accepted_at;
        }
        known.push_back(std::move(job));
    }
    // A job whose journal was removed is still in the ledger: verify must be able to name it.
    if (auto ledger = read_ledger(dir))
        for (const ledger_entry& e : ledger->checked.entries())
            if (!e.rejected && !std::binary_search(ids->begin(), ids->end(), e.job_id)) {
                job_facts job;
                job.job_id = e.job_id;
                job.file = e.file;
                known.push_back(std::move(job));
            }
    problem why;
    const std::size_t at = match(name, known, why);
    if (at == known.size()) {
        why.hint +=
            fmt::format("{}journals are looked for in {}", why.hint.empty() ? "" : "; ", with.settings.journal.dir);
        return give_up(not_there, std::move(why));
    }
    if (rule == naming::in_full && known[at].job_id != name && known[at].file != name)
        return give_up(not_there, {.what = fmt::format("no job \"{}\"", printable(name)),
                                   .hint = fmt::format("{} begins so: write all of it", known[at].job_id)});
    return known[at].job_id;
}

void print_table(const context& with, const std::vector<job_facts>& jobs) {
    constexpr std::size_t columns = 8;
    using row = std::array<std::string, columns>;
    std::vector<row> rows{{"JOB", "STATE", "DONE", "FAILED", "TOTAL", "RATE", "ETA", "AGE"}};
    for (const job_facts& job : jobs)
        rows.push_back({printable(job.job_id), job.finished() ? job.status : job.state, grouped(job.totals.settled()),
                        grouped(job.totals.failed), grouped(job.totals.ids),
                        job.finished() || job.rate == 0 ? "-" : fmt::format("{:.1f}/s", job.rate),
                        job.eta_seconds ? short_duration(*job.eta_seconds) : "-",
                        short_duration(seconds_since(job.accepted_at))});
    // No wider than what it holds: it should fit a terminal.
    std::array<std::size_t, columns> widths{};
    for (const row& r : rows)
        for (std::size_t c = 0; c < columns; ++c) widths[c] = std::max(widths[c], r[c].size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const row& r = rows[i];
        const std::string state = fmt::format("{:{}}", r[1], widths[1]);
        std::string line = fmt::format("{:{}}  {}", r[0], widths[0],
                                       i == 0 ? state : with.out.on_stdout(colour_of(jobs[i - 1]), state));
        for (std::size_t c = 2; c < columns; ++c) line += fmt::format("  {:>{}}", r[c], widths[c]);
        with.out.data((i == 0 ? with.out.on_stdout(colour::bold, line) : line) + "\n");
    }
}

void print_job(const context& with, const job_facts& job) {
    const auto row = [&](std::string_view key, std::string_view value) {
        if (!value.empty()) with.out.data(fmt::format("{:12} {}\n", key, printable(value)));
    };
    row("job", job.job_id);
    row("file", job.file);
    with.out.data(fmt::format("{:12} {}\n", "state",
                              with.out.on_stdout(colour_of(job), job.finished() ? job.status : job.state)));
    row("reason", job.reason);
    row("help", job.help);
    row("ids", grouped(job.totals.ids));
    row("deleted", grouped(job.totals.deleted));
    row("absent", grouped(job.totals.absent));
    row("failed", grouped(job.totals.failed));
    row("skipped", grouped(job.totals.skipped));
    row("duplicates", grouped(job.totals.duplicates));
    row("requests", fmt::format("{} ({} retries, {} throttled)", grouped(job.totals.requests),
                                grouped(job.totals.retries), grouped(job.totals.throttled)));
    if (!job.finished()) {
        row("in flight", grouped(job.in_flight));
        row("remaining", grouped(job.remaining));
        if (job.rate > 0) row("rate", fmt::format("{:.1f} ids/s", job.rate));
        if (job.eta_seconds) row("eta", short_duration(*job.eta_seconds));
    }
    row("accepted", job.accepted_at);
    row("finished", job.finished_at);
}

}  // namespace culld::ctl

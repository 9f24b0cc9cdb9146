#include "ctl/jobs/job_screens.hpp"

#include <fmt/format.h>
#include <pwd.h>

#include <algorithm>
#include <chrono>

#include "culld/core/base/exit_code.hpp"
#include "culld/io/os/clock.hpp"

namespace culld::ctl {

namespace {

double seconds_since(const std::string& rfc3339_time) {
    const auto then = parse_rfc3339(rfc3339_time);
    if (!then) return -1;
    const auto now = wall_now();
    return std::chrono::duration<double>(now - *then).count();
}

std::string_view state_of(const job_facts& job) {
    return job.finished() ? std::string_view(job.status) : name_of(job.state);
}

colour colour_of(const job_facts& job) {
    switch (job.state) {
        case job_state::blocked: return colour::red;
        case job_state::paused:
        case job_state::waiting: return colour::yellow;
        case job_state::running: return colour::green;
        case job_state::finished: break;
    }
    switch (exit_code_of(job.status)) {
        case all_well: return colour::green;
        case some_failed: return colour::yellow;
        default: return colour::red;
    }
}

// A row of words each, under a row of names. What is narrower than its column is filled up; numbers stand to the right.
void print_rows(const context& with, const std::vector<std::vector<std::string>>& rows,
                const std::vector<colour>& second, std::size_t numbers_from, std::size_t numbers_to) {
    std::vector<std::size_t> widths(rows.front().size());
    for (const auto& r : rows)
        for (std::size_t c = 0; c < widths.size(); ++c) widths[c] = std::max(widths[c], r[c].size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        std::string line;
        for (std::size_t c = 0; c < widths.size(); ++c) {
            const std::string& word = rows[i][c];
            std::string cell = c >= numbers_from && c < numbers_to ? fmt::format("{:>{}}", word, widths[c])
                               : c + 1 == widths.size()            ? word
                                                                   : fmt::format("{:{}}", word, widths[c]);
            if (c == 1 && i > 0 && i <= second.size()) cell = with.out.on_stdout(second[i - 1], cell);
            line += (c == 0 ? "" : "  ") + cell;
        }
        while (line.ends_with(' ')) line.pop_back();
        with.out.data((i == 0 ? with.out.on_stdout(colour::bold, line) : line) + "\n");
    }
}

}  // namespace

std::string name_of_user(std::uint32_t uid) {
    const passwd* known = ::getpwuid(static_cast<uid_t>(uid));  // NOLINT(concurrency-mt-unsafe): one thread
    return known == nullptr ? fmt::format("uid {}", uid) : fmt::format("{} (uid {})", known->pw_name, uid);
}

std::string why_of(const job_facts& job) {
    if (job.waits_for != standstill::person) return job.reason;
    std::string out = job.paused_by ? "paused by " + name_of_user(job.paused_by->uid) : "paused";
    if (!job.reason.empty()) out += ": " + job.reason;
    return out;
}

std::string line_of(const job_facts& job) {
    const job_totals& t = job.totals;
    std::string out = fmt::format("{} {} {}/{} deleted", printable(job.job_id.empty() ? job.file : job.job_id),
                                  state_of(job), grouped(t.deleted), grouped(t.ids));
    for (const auto& [n, what] :
         {std::pair(t.absent, "absent"), std::pair(t.failed, "failed"), std::pair(t.skipped, "skipped")})
        if (n > 0) out += fmt::format(", {} {}", grouped(n), what);
    if (!job.finished() && job.rate > 0) out += fmt::format(", {:.1f}/s", job.rate);
    if (const auto& eta = job.eta_seconds) out += fmt::format(", {} left", short_duration(static_cast<double>(*eta)));
    if (const std::string why = why_of(job); !why.empty()) out += ": " + printable(why);
    if (!job.help.empty()) out += "; " + printable(job.help);
    return out;
}

void print_table(const context& with, const std::vector<job_facts>& jobs) {
    constexpr std::size_t numbers_from = 2, numbers_to = 11;
    std::vector<std::vector<std::string>> rows{
        {"JOB", "STATE", "DELETED", "ABSENT", "FAILED", "SKIPPED", "LEFT", "TOTAL", "RATE", "ETA", "AGE", "WHY"}};
    std::vector<colour> colours;
    for (const job_facts& job : jobs) {
        const job_totals& t = job.totals;
        const auto& eta = job.eta_seconds;
        rows.push_back({printable(job.job_id), std::string(state_of(job)), grouped(t.deleted), grouped(t.absent),
                        grouped(t.failed), grouped(t.skipped), grouped(job.remaining()), grouped(t.ids),
                        job.finished() || job.rate == 0 ? "-" : fmt::format("{:.1f}/s", job.rate),
                        eta ? short_duration(static_cast<double>(*eta)) : "-",
                        short_duration(seconds_since(job.accepted_at)), printable(why_of(job))});
        colours.push_back(colour_of(job));
    }
    print_rows(with, rows, colours, numbers_from, numbers_to);
}

void print_waiting(const context& with, const std::vector<waiting_file>& files) {
    std::vector<std::vector<std::string>> rows{{"WAITING FILE", "AGE", "WHY"}};
    for (const waiting_file& f : files)
        rows.push_back({printable(f.file), short_duration(seconds_since(f.since)), printable(f.why)});
    print_rows(with, rows, {}, 1, 2);
}

void print_rejected(const context& with, const std::vector<rejected_file>& files) {
    std::vector<std::vector<std::string>> rows{{"REJECTED FILE", "AGE", "WHY"}};
    for (const rejected_file& f : files)
        rows.push_back({printable(f.file), short_duration(seconds_since(f.at)), printable(f.error)});
    print_rows(with, rows, {}, 1, 2);
}

void print_job(const context& with, const job_facts& job) {
    const auto row = [&](std::string_view key, std::string_view value) {
        if (!value.empty()) with.out.data(fmt::format("{:12} {}\n", key, printable(value)));
    };
    row("job", job.job_id);
    row("file", job.file);
    if (job.uid) row("submitted by", name_of_user(*job.uid));
    with.out.data(fmt::format("{:12} {}\n", "state", with.out.on_stdout(colour_of(job), state_of(job))));
    row("why", why_of(job));
    row("help", job.help);
    row("since", job.since);
    row("until", job.until);
    if (job.status == "rejected") {  // it never was a job
        row("rejected", job.finished_at);
        return;
    }
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
        row("remaining", grouped(job.remaining()));
        if (job.rate > 0) row("rate", fmt::format("{:.1f} ids/s", job.rate));
        if (const auto& eta = job.eta_seconds) row("eta", short_duration(static_cast<double>(*eta)));
    }
    row("accepted", job.accepted_at);
    row("finished", job.finished_at);
}

}  // namespace culld::ctl

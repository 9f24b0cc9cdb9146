// cullctl watch [JOB]
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "ctl/jobs/follow.hpp"
#include "ctl/jobs/job_screens.hpp"
#include "ctl/ui/interrupt.hpp"
#include "ctl/ui/verb.hpp"

namespace culld::ctl {

namespace {

using clock = std::chrono::steady_clock;
constexpr std::chrono::seconds plain_interval(10);
constexpr std::chrono::seconds blocked_patience(3);

std::string bar_of(const context& with, const job_facts& job) {
    constexpr std::size_t width = 24;
    const std::uint64_t ids = std::max<std::uint64_t>(job.totals.ids, 1);
    const double part = static_cast<double>(job.totals.settled()) / static_cast<double>(ids);
    const auto full = std::min(width, static_cast<std::size_t>(part * static_cast<double>(width)));
    std::string bar;
    for (std::size_t i = 0; i < width; ++i) bar += i < full ? "█" : "░";
    std::string out =
        fmt::format("{} {} {:5.1f}% {}/{}", job.finished() ? std::string_view(job.status) : name_of(job.state),
                    with.out.on_stderr(job.totals.failed > 0 ? colour::yellow : colour::green, bar), part * 100,
                    grouped(job.totals.settled()), grouped(job.totals.ids));
    if (job.totals.failed > 0) out += fmt::format(" {} failed", grouped(job.totals.failed));
    if (job.totals.skipped > 0) out += fmt::format(" {} skipped", grouped(job.totals.skipped));
    if (!job.finished() && job.rate > 0) out += fmt::format(" {:.1f}/s", job.rate);
    if (const auto& eta = job.eta_seconds) out += fmt::format(" ETA {}", short_duration(static_cast<double>(*eta)));
    return out;
}

// The changes of jobs as they come: JSON Lines, or a plain line now and then.
class teller {
  public:
    teller(const context& with, follow_style style) : with_(with), style_(style) {}

    void tell(const job_facts& job, bool bar) {
        if (with_.json && style_ == follow_style::data) {
            if (job.json != last_[job.job_id].text) with_.out.data(job.json + "\n");
            last_[job.job_id].text = job.json;
            flush();
            return;
        }
        seen& before = last_[job.job_id];
        const std::string state =
            std::string(name_of(job.state)) + job.status + std::string(name_of(job.waits_for)) + job.reason + job.help;
        const auto now = clock::now();
        if (bar && with_.out.stderr_is_terminal() && !job.finished()) {
            // A bar has no room for why it stands still: that is said once, above it.
            if (state != std::exchange(before.text, state) && !job.reason.empty()) with_.out.info(line_of(job));
            return with_.out.progress(bar_of(with_, job));
        }
        if (state == before.text && now - before.at < plain_interval) return;
        before = {state, now};
        with_.out.end_progress();
        if (style_ == follow_style::data) {
            with_.out.data(line_of(job) + "\n");
            flush();
        } else {
            with_.out.info(line_of(job));
        }
    }
    [[nodiscard]] bool broken() const { return broken_; }

  private:
    // Whoever reads a pipe wants each line now; a reader that is gone ends the watching.
    void flush() { broken_ = broken_ || !with_.out.flush(); }

    struct seen {
        std::string text;
        clock::time_point at;
    };
    const context& with_;
    follow_style style_;
    std::map<std::string, seen> last_;
    bool broken_ = false;
};

// Without a daemon nothing moves, save where one is just starting, or ends its work without a socket.
class no_progress {
  public:
    [[nodiscard]] bool is_one(bool from_daemon, const std::string& seen) {
        const auto now = clock::now();
        if (from_daemon || seen != seen_) {
            seen_ = seen;
            since_ = now;
        }
        return now - since_ >= no_progress_max;
    }
    [[nodiscard]] static tl::unexpected<failure> failed(const context& with) {
        return give_up(no_daemon, {.what = "no daemon answers, and nothing moves",
                                   .hint = "is culld running? cullctl status and list read the journals without it",
                                   .file = with.settings.http.socket});
    }

  private:
    static constexpr std::chrono::seconds no_progress_max{10};
    std::string seen_;
    clock::time_point since_ = clock::now();
};

int watch_all(const context& with) {
    const interrupt_guard guard;
    teller tell(with, follow_style::data);
    std::map<std::string, bool> open;
    no_progress still;
    while (!interrupt_guard::interrupted() && !tell.broken()) {
        auto jobs = all_jobs(with);
        if (!jobs) return report(with, jobs.error());
        std::erase_if(*jobs, [](const job_facts& job) { return job.is_file(); });
        const auto unfinished =
            std::count_if(jobs->begin(), jobs->end(), [](const job_facts& j) { return !j.finished(); });
        for (const job_facts& job : *jobs) {
            // Those that end while we look are told of once more.
            if (job.finished() && !open[job.job_id]) continue;
            open[job.job_id] = !job.finished();
            tell.tell(job, unfinished == 1);
        }
        std::string all;
        for (const job_facts& job : *jobs) all += job.json;
        if (unfinished > 0 && still.is_one(jobs->front().from_daemon, all))
            return report(with, no_progress::failed(with).value());
        if (unfinished == 0) {
            if (open.empty()) with.out.info("no job is open");
            return tell.broken() ? io_error : all_well;
        }
        pause_between_looks();
    }
    with.out.info("the jobs go on");
    return tell.broken() ? io_error : interrupted;
}

}  // namespace

outcome<std::optional<job_facts>> follow(const context& with, const std::string& job_id, follow_style style) {
    const interrupt_guard guard;
    teller tell(with, style);
    no_progress still;
    std::optional<clock::time_point> blocked_since;
    while (!interrupt_guard::interrupted() && !tell.broken()) {
        auto job = find_job(with, job_id);
        if (!job) {
            with.out.end_progress();
            return tl::unexpected(std::move(job.error()));
        }
        tell.tell(*job, true);
        if (job->finished()) {
            with.out.end_progress();
            return std::optional(std::move(*job));
        }
        // What a moment ends, nobody has to mend.
        if (job->state != job_state::blocked) blocked_since.reset();
        if (style == follow_style::console && job->state == job_state::blocked) {
            const auto now = clock::now();
            if (now - blocked_since.emplace(blocked_since.value_or(now)) >= blocked_patience) {
                with.out.end_progress();
                return give_up(try_later, {.what = fmt::format("{} is blocked: {}", job->job_id, job->reason),
                                           .hint = job->help.empty() ? "it goes on when that is mended" : job->help});
            }
        }
        if (still.is_one(job->from_daemon, job->json)) return no_progress::failed(with);
        pause_between_looks();
    }
    with.out.end_progress();
    if (tell.broken()) return give_up(io_error, {.what = "standard output cannot be written"});
    with.out.error(fmt::format("{} goes on; cullctl watch follows it again", printable(job_id)));
    return std::nullopt;
}

verb watch_verb(CLI::App& app) {
    auto* command =
        app.add_subcommand("watch", "follow a job to its end, or all open jobs; Ctrl-C leaves them running");
    auto name = std::make_shared<std::string>();
    command->add_option("JOB", *name, "a job's id, the beginning of one, or its file; all open jobs if left out");
    return {command, [name](const context& with) -> int {
                if (name->empty()) return watch_all(with);
                auto job = find_job(with, *name);
                if (!job) return report(with, job.error());
                if (job->finished()) {
                    with.out.data(with.json ? job->json + "\n" : line_of(*job) + "\n");
                    return exit_code_of(job->status);
                }
                auto ended = follow(with, job->job_id, follow_style::data);
                if (!ended) return report(with, ended.error());
                return *ended ? exit_code_of((*ended)->status) : interrupted;
            }};
}

}  // namespace culld::ctl

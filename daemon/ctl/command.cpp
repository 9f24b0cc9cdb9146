// cullctl pause, resume, cancel, rate: what an operator may tell a running daemon, over its control socket.
#include <fmt/format.h>

#include <cmath>
#include <memory>

#include "control_client.hpp"
#include "culld/core/json_text.hpp"
#include "jobs.hpp"
#include "verb.hpp"

namespace culld::ctl {

namespace {

// The daemon's answer to a command, said or passed on; the exit code.
int post(const context& with, const job_facts& job, std::string_view action, std::string_view body,
         std::string_view done) {
    const std::string target = fmt::format("/v1/jobs/{}/{}", percent_encoded(job.job_id), action);
    const auto answer = ask(with.settings.http.socket, "POST", target, body);
    if (!answer) {
        with.out.complain(answer.error().about);
        return exit_code_of(answer.error());
    }
    if (answer->status < 200 || answer->status > 299) {
        with.out.complain(problem_of(*answer));
        return exit_code_of(*answer);
    }
    if (with.json)
        with.out.data(answer->body.ends_with('\n') || answer->body.empty() ? answer->body : answer->body + "\n");
    else
        with.out.say(fmt::format("{}: {}", printable(job.job_id), done));
    return all_well;
}

// A job as the daemon knows it: commands need it running, so there is no falling back on journals.
outcome<std::vector<job_facts>> jobs_of_daemon(const context& with) {
    const auto answer = ask(with.settings.http.socket, "GET", "/v1/jobs");
    if (!answer) return give_up(static_cast<exit_code>(exit_code_of(answer.error())), answer.error().about);
    context asking = with;
    asking.ask_daemon = true;
    return all_jobs(asking);
}

outcome<job_facts> job_of_daemon(const context& with, const std::string& name) {
    if (auto jobs = jobs_of_daemon(with); !jobs) return tl::unexpected(std::move(jobs.error()));
    context asking = with;
    asking.ask_daemon = true;
    return find_job(asking, name);
}

verb simple(CLI::App& app, const std::string& name, const std::string& help, std::string_view done) {
    auto* command = app.add_subcommand(name, help);
    auto job_name = std::make_shared<std::string>();
    auto reason = std::make_shared<std::string>();
    command->add_option("JOB", *job_name, "a job's id, the beginning of one, or its file")->required();
    command->add_option("--reason", *reason, "why; goes into the journal");
    return {command, [=](const context& with) -> int {
                const auto job = job_of_daemon(with, *job_name);
                if (!job) return report(with, job.error());
                std::string body;
                json_object o(body);
                if (!reason->empty()) o.member("reason", *reason);
                o.close();
                return post(with, *job, name, body, done);
            }};
}

}  // namespace

verb pause_verb(CLI::App& app) {
    return simple(app, "pause", "send nothing more of a job until it is resumed, restarts included",
                  "paused; cullctl resume goes on");
}
verb resume_verb(CLI::App& app) {
    return simple(app, "resume", "go on with a paused or blocked job", "resumed");
}
verb cancel_verb(CLI::App& app) {
    return simple(app, "cancel", "end a job: what was not sent is skipped, for good",
                  "cancelled; cullctl result shows what was done");
}

verb rate_verb(CLI::App& app) {
    auto* command = app.add_subcommand("rate", "set how many requests a second a job may send at the most");
    auto words = std::make_shared<std::vector<std::string>>();
    command->add_option("[JOB] N", *words, "requests a second, fractions allowed; without JOB for every open job")
        ->required()
        ->expected(1, 2);
    return {command, [words](const context& with) -> int {
                double per_second = 0;
                if (!CLI::detail::lexical_cast(words->back(), per_second) || !std::isfinite(per_second) ||
                    per_second <= 0) {
                    with.out.complain(problem{.what = fmt::format("\"{}\" is no rate", printable(words->back())),
                                              .hint = "a number of requests a second above 0, such as 5 or 0.5"});
                    return usage;
                }
                std::vector<job_facts> jobs;
                if (words->size() == 2) {
                    auto job = job_of_daemon(with, words->front());
                    if (!job) return report(with, job.error());
                    jobs.push_back(std::move(*job));
                } else {
                    auto all = jobs_of_daemon(with);
                    if (!all) return report(with, all.error());
                    for (job_facts& job : *all)
                        if (!job.finished()) jobs.push_back(std::move(job));
                    if (jobs.empty()) with.out.say("no job is open");
                }
                std::string body;
                json_object o(body);
                o.member("requests_per_second", per_second).close();
                int worst = all_well;
                for (const job_facts& job : jobs)
                    worst = std::max(worst,
                                     post(with, job, "rate", body, fmt::format("{:g} requests a second", per_second)));
                return worst;
            }};
}

}  // namespace culld::ctl

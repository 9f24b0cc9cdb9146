// cullctl pause, resume, cancel, rate: what an operator may tell a running daemon, over its control socket. They change
// what is deleted, so that a name means one job or none: no beginnings of ids, and cancel, which is for good, takes
// whole ids alone.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>

#include "ctl/daemon/control_client.hpp"
#include "ctl/jobs/job_screens.hpp"
#include "ctl/ui/verb.hpp"
#include "culld/core/job/job_document.hpp"
#include "culld/core/text/json_writer.hpp"
#include "culld/core/text/percent_escape.hpp"
#include "culld/core/text/shell_quote.hpp"
#include "culld/io/os/file.hpp"

namespace culld::ctl {

namespace {

enum class named_by { id_alone, id_or_file };

struct order {
    std::string name;          // of the verb
    std::string done;          // what it says when it is done
    std::string done_early{};  // likewise, where it was no job yet
    named_by by = named_by::id_or_file;
    bool ask = false;  // on a terminal
};
struct order_options {
    std::vector<std::string> jobs;
    std::string reason;
    bool yes = false;
};

// The daemon's answer to a command, said or passed on; the exit code.
int post(const context& with, const std::string& job_id, std::string_view action, std::string_view body,
         std::string_view done) {
    const std::string target = fmt::format("/v1/jobs/{}/{}", percent_encoded(job_id), action);
    const auto answer = ask(with.settings.http.socket, "POST", target, body);
    if (!answer) {
        with.out.error(answer.error().about);
        return exit_code_of(answer.error());
    }
    if (answer->status < 200 || answer->status > 299) {
        with.out.error(problem_of(*answer));
        return exit_code_of(*answer);
    }
    if (with.json)
        with.out.data(answer->body.ends_with('\n') || answer->body.empty() ? answer->body : answer->body + "\n");
    else
        with.out.info(fmt::format("{}: {}", printable(job_id), done));
    return all_well;
}

// Jobs as the daemon knows them: commands need it running, so there is no falling back on journals.
outcome<std::vector<job_facts>> jobs_of_daemon(const context& with) {
    const auto answer = ask(with.settings.http.socket, "GET", "/livez");
    if (!answer) return give_up(static_cast<exit_code>(exit_code_of(answer.error())), answer.error().about);
    context asking = with;
    asking.ask_daemon = true;
    return all_jobs(asking);
}

// The one job that is called so, and nothing else.
outcome<job_facts> job_of_daemon(const context& with, const std::string& name, named_by by) {
    if (name.empty() || name.front() == '-')
        return give_up(usage, {.what = fmt::format("\"{}\" is no job", printable(name)),
                               .hint = "a job's id begins with a letter, a digit or _"});
    auto jobs = jobs_of_daemon(with);
    if (!jobs) return tl::unexpected(std::move(jobs.error()));
    std::vector<const job_facts*> of_file;
    std::vector<std::string> begin;
    for (job_facts& job : *jobs) {
        if (job.job_id == name) return std::move(job);
        if (job.finished()) continue;
        // What is being taken may have no id yet: then the file's name is all it is called by.
        if (job.is_file()) {
            if (job.file == name && job.waits_for == standstill::reading) return std::move(job);
            continue;
        }
        if (job.file == name) of_file.push_back(&job);
        if (job.job_id.starts_with(name)) begin.push_back(printable(job.job_id));
    }
    if (by == named_by::id_or_file && of_file.size() == 1) return *of_file.front();
    if (of_file.empty() && begin.empty()) {
        std::erase_if(*jobs, [](const job_facts& job) { return job.finished() || job.is_file(); });
        if (by == named_by::id_alone)
            for (job_facts& job : *jobs) job.file.clear();
        problem why;
        static_cast<void>(match(name, *jobs, why));  // for its words alone: it names none
        why.what = fmt::format("no open job \"{}\"", printable(name));
        return give_up(not_there, std::move(why));
    }
    for (const job_facts* job : of_file) begin.push_back(printable(job->job_id));
    std::sort(begin.begin(), begin.end());
    begin.erase(std::unique(begin.begin(), begin.end()), begin.end());
    return give_up(not_there, {.what = fmt::format("no open job has the id \"{}\"", printable(name)),
                               .hint = fmt::format("this command takes a whole id: {}", fmt::join(begin, ", "))});
}

bool person_is_there(const context& with) {
    return ::isatty(STDIN_FILENO) == 1 && with.out.stderr_is_terminal();
}

bool confirmed(const std::string& question) {
    static_cast<void>(write_all(STDERR_FILENO, question + " Type yes to go on: ", "stderr"));
    std::string answer;
    if (!std::getline(std::cin, answer)) static_cast<void>(write_all(STDERR_FILENO, "\n", "stderr"));
    return answer == "yes" || answer == "y" || answer == "YES";
}

// What it is called: a file that is being taken may have no id yet.
const std::string& name_of(const job_facts& job) {
    return job.job_id.empty() ? job.file : job.job_id;
}

std::string question_about(const job_facts& job) {
    if (job.waits_for == standstill::reading)
        return fmt::format("{}: {}. It is rejected then, and nothing of it is sent.", printable(name_of(job)),
                           printable(job.reason));
    return fmt::format("{}: {} of {} ids have no verdict yet. They will never be sent; this cannot be taken back.",
                       printable(job.job_id), grouped(job.remaining()), grouped(job.totals.ids));
}

// What an order comes to depends on how the job stood.
std::string done_text(const order& what, const job_facts& job) {
    if (what.name != "resume" || job.state == job_state::paused) return what.done;
    if (job.state == job_state::blocked)
        return fmt::format("tried again; cullctl status {} says what comes of it", shell_quoted(job.job_id));
    const std::string why = why_of(job);
    return why.empty() ? "nothing held it up" : fmt::format("no order of a person held it up; it waits: {}", why);
}

int run_order(const context& with, const order& what, const order_options& options) {
    std::string body;
    json_object o(body);
    if (!options.reason.empty()) o.member("reason", options.reason);
    o.close();
    // All are looked for before the first is told: a wrong name among them is a mistake, and mistakes stop nothing
    // half.
    std::vector<job_facts> jobs;
    for (const std::string& name : options.jobs) {
        auto job = job_of_daemon(with, name, what.by);
        if (!job) return report(with, job.error());
        jobs.push_back(std::move(*job));
    }
    int worst = all_well;
    for (const job_facts& job : jobs) {
        if (what.ask && !options.yes && !job.finished() && person_is_there(with) && !confirmed(question_about(job))) {
            with.out.error(fmt::format("{}: not cancelled", printable(name_of(job))));
            worst = std::max<int>(worst, ended_early);
            continue;
        }
        worst = std::max(worst, post(with, name_of(job), what.name, body,
                                     job.waits_for == standstill::reading ? what.done_early : done_text(what, job)));
    }
    return worst;
}

verb order_verb(CLI::App& app, const std::string& help, order what) {
    auto* command = app.add_subcommand(what.name, help);
    auto options = std::make_shared<order_options>();
    command
        ->add_option("JOB", options->jobs,
                     what.by == named_by::id_alone ? "whole ids of jobs"
                                                   : "whole ids of jobs, or the file of exactly one open job")
        ->required();
    command->add_option("--reason", options->reason, "why; goes into the journal");
    if (what.ask) command->add_flag("-y,--yes", options->yes, "on a terminal, too, ask nothing");
    return {command,
            [what = std::move(what), options](const context& with) { return run_order(with, what, *options); }};
}

// What people call themselves may be a job's id too: the last word is the number.
int run_rate(const context& with, const std::vector<std::string>& words, bool yes) {
    double per_second = 0;
    if (!CLI::detail::lexical_cast(words.back(), per_second) || !std::isfinite(per_second) || per_second <= 0) {
        with.out.error(problem{.what = fmt::format("\"{}\" is no rate", printable(words.back())),
                               .hint = "a number of requests a second above 0, such as 5 or 0.5"});
        return usage;
    }
    std::vector<std::string> ids;
    if (words.size() == 2) {
        auto job = job_of_daemon(with, words.front(), named_by::id_or_file);
        if (!job) return report(with, job.error());
        ids.push_back(std::move(job->job_id));
    } else {
        auto all = jobs_of_daemon(with);
        if (!all) return report(with, all.error());
        for (const job_facts& job : *all)
            if (!job.finished() && !job.is_file() && job.waits_for != standstill::reading) ids.push_back(job.job_id);
        if (ids.empty()) {
            with.out.info("no job is open: nothing changed");
            return all_well;
        }
        std::vector<std::string> shown;
        for (const std::string& id : ids) shown.push_back(printable(id));
        const std::string what = fmt::format(
            "at most {:g} requests a second for {} ({}). Jobs submitted later are not concerned; "
            "limits.requests_per_second still bounds all of them together.",
            per_second, ids.size() == 1 ? "the one open job" : fmt::format("each of {} open jobs", grouped(ids.size())),
            fmt::join(shown, ", "));
        if (!yes && person_is_there(with)) {
            if (!confirmed(what)) {
                with.out.error("nothing changed");
                return ended_early;
            }
        } else {
            with.out.info(what);
        }
    }
    std::string body;
    json_object o(body);
    o.member("requests_per_second", per_second).close();
    int worst = all_well;
    for (const std::string& id : ids)
        worst = std::max(
            worst, post(with, id, "rate", body, fmt::format("at most {:g} requests a second from now on", per_second)));
    return worst;
}

}  // namespace

verb pause_verb(CLI::App& app) {
    return order_verb(app, "send nothing more of a job until it is resumed, restarts included",
                      {.name = "pause", .done = "paused; cullctl resume goes on"});
}
verb resume_verb(CLI::App& app) {
    return order_verb(app, "go on with a paused or blocked job", {.name = "resume", .done = "resumed"});
}
verb cancel_verb(CLI::App& app) {
    return order_verb(app, "end a job: what was not sent is skipped, for good",
                      {.name = "cancel",
                       .done = "cancelled; cullctl result shows what was done",
                       .done_early = "cancelled before it was accepted; nothing of it was sent",
                       .by = named_by::id_alone,
                       .ask = true});
}

verb rate_verb(CLI::App& app) {
    auto* command = app.add_subcommand("rate", "set how many requests a second a job may send at the most");
    auto words = std::make_shared<std::vector<std::string>>();
    auto yes = std::make_shared<bool>(false);
    command
        ->add_option(
            "[JOB] N", *words,
            "a whole id, or the file of exactly one open job, and requests a second, fractions allowed; without "
            "JOB for each job that is open now")
        ->required()
        ->expected(1, 2);
    command->add_flag("-y,--yes", *yes, "on a terminal, too, ask nothing");
    return {command, [words, yes](const context& with) { return run_rate(with, *words, *yes); }};
}

}  // namespace culld::ctl

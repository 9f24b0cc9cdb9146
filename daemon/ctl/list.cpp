// cullctl list, cullctl status JOB
#include <memory>
#include <set>

#include "culld/core/job_document.hpp"
#include "jobs.hpp"
#include "verb.hpp"

namespace culld::ctl {

namespace {

// Ids alone, without reading a journal: what completion asks for at every press of a key.
int print_names(const context& with, bool open_only) {
    std::set<std::string> names;
    if (open_only) {
        auto jobs = all_jobs(with);
        if (!jobs) return report(with, jobs.error());
        for (const job_facts& job : *jobs)
            if (!job.finished()) names.insert(job.job_id);
    } else {
        auto dir = open_journals(with);
        if (!dir) return report(with, dir.error());
        auto all = journals_in(*dir);
        if (!all) return report(with, {io_error, all.error()});
        names.insert(all->begin(), all->end());
    }
    // A file of another name is nobody's job; and shells expand what they are offered.
    for (const std::string& name : names)
        if (is_job_id(name)) with.out.data(name + "\n");
    return all_well;
}

void say_what_is_blocked(const context& with, const std::vector<job_facts>& jobs) {
    const job_facts* first = nullptr;
    std::size_t count = 0;
    for (const job_facts& job : jobs) {
        if (job.state != "blocked") continue;
        if (count++ == 0) first = &job;
    }
    if (count == 1)
        with.out.say(
            fmt::format("{0} is blocked: cullctl status {0} says why, and what to do", printable(first->job_id)));
    else if (count > 1)
        with.out.say(fmt::format("{} jobs are blocked: cullctl status JOB says why, and what to do", grouped(count)));
}

}  // namespace

verb list_verb(CLI::App& app) {
    auto* command =
        app.add_subcommand("list", "show the jobs: from the daemon, or from its journals where it does not run");
    auto open_only = std::make_shared<bool>(false);
    auto everything = std::make_shared<bool>(false);
    command->add_flag("--all", *everything, "old jobs too, which the daemon has forgotten and the ledger has not");
    command->add_flag("--open", *open_only, "only jobs that are not finished");
    auto names = std::make_shared<bool>(false);
    command->add_flag("--names", *names, "job ids alone, one a line; of every journal, unless --open");
    return {command, [open_only, everything, names](const context& with) -> int {
                if (*names) return print_names(with, *open_only);
                auto jobs = *everything ? all_jobs_ever(with) : all_jobs(with);
                if (!jobs) return report(with, jobs.error());
                if (*open_only) std::erase_if(*jobs, [](const job_facts& job) { return job.finished(); });
                if (with.json) {
                    std::string text = "{\"jobs\":[";
                    for (std::size_t i = 0; i < jobs->size(); ++i)
                        text.append(i == 0 ? "" : ",").append((*jobs)[i].json);
                    with.out.data(text + "]}\n");
                } else if (jobs->empty()) {
                    with.out.say("no jobs");
                } else {
                    print_table(with, *jobs);
                    say_what_is_blocked(with, *jobs);
                }
                return all_well;
            }};
}

verb status_verb(CLI::App& app) {
    auto* command = app.add_subcommand("status", "show one job in full");
    auto name = std::make_shared<std::string>();
    command->add_option("JOB", *name, "a job's id, the beginning of one, or the file it was submitted as")->required();
    return {command, [name](const context& with) -> int {
                auto job = find_job(with, *name);
                if (!job) return report(with, job.error());
                if (with.json)
                    with.out.data(job->json + "\n");
                else
                    print_job(with, *job);
                return all_well;
            }};
}

}  // namespace culld::ctl

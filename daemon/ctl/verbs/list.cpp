// cullctl list, cullctl status JOB
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>

#include "ctl/jobs/job_screens.hpp"
#include "ctl/ui/verb.hpp"
#include "culld/core/job/job_document.hpp"
#include "culld/core/text/json_writer.hpp"

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
    std::erase_if(names, [](const std::string& name) { return !is_job_id(name); });
    if (!with.json) {
        for (const std::string& name : names) with.out.data(name + "\n");
        return all_well;
    }
    std::string text = "[";
    for (const std::string& name : names) {
        if (text.size() > 1) text += ',';
        append_json_string(text, name);
    }
    with.out.data(text + "]\n");
    return all_well;
}

void say_what_is_blocked(const context& with, const std::vector<job_facts>& jobs) {
    const job_facts* first = nullptr;
    std::size_t count = 0;
    for (const job_facts& job : jobs) {
        if (job.state != job_state::blocked) continue;
        if (count++ == 0) first = &job;
    }
    if (count == 1)
        with.out.info(fmt::format("{0} is blocked: cullctl status {0} says what to do", printable(first->job_id)));
    else if (count > 1)
        with.out.info(fmt::format("{} jobs are blocked: cullctl status JOB says what to do", grouped(count)));
}

// After a restart the daemon tells of no job that was over before.
void say_how_many_are_older(const context& with, const std::vector<job_facts>& shown) {
    auto dir = folder::open(with.settings.journal.dir);
    if (!dir) return;  // not everybody may look
    const auto all = journals_in(*dir);
    if (!all) return;
    std::set<std::string_view> ids;
    for (const job_facts& job : shown) ids.insert(job.job_id);
    const auto older =
        std::count_if(all->begin(), all->end(), [&](const std::string& id) { return !ids.contains(id); });
    if (older > 0)
        with.out.info(fmt::format("{} older {} not shown: cullctl list --all",
                                  grouped(static_cast<std::uint64_t>(older)), older == 1 ? "job is" : "jobs are"));
}

struct list_options {
    bool open_only = false, everything = false, names = false;
};

void print_json(const context& with, const std::vector<job_facts>& jobs, const std::vector<waiting_file>& waiting,
                const std::vector<rejected_file>& rejected) {
    std::string text = "{\"jobs\":[";
    for (std::size_t i = 0; i < jobs.size(); ++i) text.append(i == 0 ? "" : ",").append(jobs[i].json);
    text += "],\"waiting\":[";
    for (std::size_t i = 0; i < waiting.size(); ++i) {
        if (i > 0) text += ',';
        json_object o(text);
        o.member("file", waiting[i].file).member("reason", waiting[i].why).member("since", waiting[i].since).close();
    }
    text += "],\"rejected\":[";
    for (std::size_t i = 0; i < rejected.size(); ++i) {
        const rejected_file& r = rejected[i];
        if (i > 0) text += ',';
        json_object o(text);
        o.member("file", r.file);
        if (r.job_id.empty())
            o.raw("job_id", "null");
        else
            o.member("job_id", r.job_id);
        o.member("error", r.error).member("at", r.at).close();
    }
    with.out.data(text + "]}\n");
}

int run_list(const context& with, const list_options& options) {
    constexpr std::size_t rejected_shown = 10;
    if (options.names) return print_names(with, options.open_only);
    auto jobs = options.everything ? all_jobs_ever(with) : all_jobs(with);
    if (!jobs) return report(with, jobs.error());
    const std::vector<job_facts> all = *jobs;
    const auto waiting = waiting_files(with, all);
    if (options.open_only) std::erase_if(*jobs, [](const job_facts& job) { return job.finished(); });
    const auto rejected = options.open_only ? std::vector<rejected_file>()
                                            : rejected_files(with, options.everything ? SIZE_MAX : rejected_shown);
    if (with.json) {
        print_json(with, *jobs, waiting, rejected);
        return all_well;
    }
    std::erase_if(*jobs, [](const job_facts& job) { return job.is_file(); });
    if (jobs->empty())
        with.out.info("no jobs");
    else
        print_table(with, *jobs);
    if (!waiting.empty()) {
        with.out.data("\n");
        print_waiting(with, waiting);
    }
    if (!rejected.empty()) {
        with.out.data("\n");
        print_rejected(with, rejected);
        if (rejected.size() == rejected_shown && !options.everything)
            with.out.info("the newest rejected files: cullctl list --all shows all");
    }
    say_what_is_blocked(with, *jobs);
    if (!options.everything && !options.open_only) say_how_many_are_older(with, all);
    return all_well;
}

}  // namespace

verb list_verb(CLI::App& app) {
    auto* command = app.add_subcommand(
        "list", "show the jobs and rejected files: from the daemon, or from its journals where it does not run");
    auto options = std::make_shared<list_options>();
    command->add_flag("--all", options->everything,
                      "old jobs too, which the daemon has forgotten and the ledger has not");
    command->add_flag("--open", options->open_only, "only jobs that are not finished");
    command->add_flag("--names", options->names, "job ids alone, one a line; of every journal, unless --open");
    return {command, [options](const context& with) { return run_list(with, *options); }};
}

verb status_verb(CLI::App& app) {
    auto* command = app.add_subcommand("status", "show one job in full");
    auto name = std::make_shared<std::string>();
    command->add_option("JOB", *name, "a job's id, or the file it was submitted as")->required();
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

#include "ctl/jobs/own_journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include "ctl/daemon/control_client.hpp"
#include "ctl/jobs/jobs.hpp"
#include "culld/core/job/job_document.hpp"
#include "culld/core/text/percent_escape.hpp"

namespace culld::ctl {

namespace {

outcome<readable_journal> fetch(const context& with, const std::string& name) {
    readable_journal out;
    out.job_id = name;
    // A file's name is the daemon's to find.
    if (auto jobs = all_jobs(with)) {
        problem why;
        if (const std::size_t at = match(name, *jobs, why); at != jobs->size()) out.job_id = (*jobs)[at].job_id;
    }
    if (!is_job_id(out.job_id))
        return give_up(not_there,
                       {.what = fmt::format("no job \"{}\"", printable(name)), .hint = "cullctl list shows them"});
    auto scratch = scratch_folder::make();
    if (!scratch) return tl::unexpected(std::move(scratch.error()));
    out.fetched.emplace(std::move(*scratch));
    const std::string file = journal_name(out.job_id);
    auto fd = out.dir().open_file(file, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (!fd) return give_up(io_error, std::move(fd.error()));
    for (std::uint64_t offset = 0;;) {
        const auto answer = ask(with.settings.http.socket, "GET",
                                fmt::format("/v1/jobs/{}/journal?offset={}", percent_encoded(out.job_id), offset));
        if (!answer) return give_up(static_cast<exit_code>(exit_code_of(answer.error())), answer.error().about);
        if (answer->status != 200) return give_up(static_cast<exit_code>(exit_code_of(*answer)), problem_of(*answer));
        if (answer->body.empty()) break;
        if (auto written = write_all(fd->get(), answer->body, file); !written)
            return give_up(io_error, std::move(written.error()));
        offset += answer->body.size();
    }
    return out;
}

}  // namespace

outcome<readable_journal> open_journal_of(const context& with, const std::string& name) {
    auto dir = open_journals(with);
    if (!dir) {
        if (dir.error().code == not_allowed && with.ask_daemon) return fetch(with, name);
        return tl::unexpected(std::move(dir.error()));
    }
    auto job = find_journal(with, *dir, name);
    if (!job) return tl::unexpected(std::move(job.error()));
    readable_journal out;
    out.job_id = std::move(*job);
    out.own = std::move(*dir);
    return out;
}

}  // namespace culld::ctl

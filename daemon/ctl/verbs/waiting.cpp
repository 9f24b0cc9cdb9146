// What lies in incoming/ and is no job yet. A file that is complete is taken at once: what is still there after some
// seconds waits for something.
#include <sys/stat.h>

#include <algorithm>
#include <chrono>

#include "ctl/jobs/jobs.hpp"
#include "culld/core/spool/file_kind.hpp"
#include "culld/io/os/clock.hpp"
#include "culld/io/spool/spool.hpp"

namespace culld::ctl {

namespace {

constexpr std::chrono::seconds taken_within(3);

wall_time changed_at(const struct stat& facts) {
    return wall_time(std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::seconds(facts.st_ctim.tv_sec) + std::chrono::nanoseconds(facts.st_ctim.tv_nsec)));
}

std::string why_it_waits(const std::vector<job_facts>& jobs) {
    const bool from_daemon = jobs.empty() || jobs.front().from_daemon;
    return from_daemon ? "not taken yet: somebody still writes it, or culld's log says why" : "no daemon takes it";
}

}  // namespace

std::vector<waiting_file> waiting_files(const context& with, const std::vector<job_facts>& jobs) {
    std::vector<waiting_file> out;
    for (const job_facts& file : jobs)
        if (file.is_file()) out.push_back({file.file, file.reason, file.since});
    const auto dir = folder::open(with.settings.spool.dir + "/incoming");
    auto scan = dir ? folder_scan::open(*dir) : result<folder_scan>(fail(dir.error()));
    const auto now = wall_now();
    while (scan) {
        auto next = scan->next();
        if (!next || !*next) break;
        const std::string name(**next);
        const file_kind kind = type_of(name).kind;
        if (kind == file_kind::ignored || kind == file_kind::sidecar) continue;
        if (std::any_of(out.begin(), out.end(), [&](const waiting_file& f) { return f.file == name; })) continue;
        const auto facts = dir->stat(name);
        if (!facts || now - changed_at(*facts) < taken_within) continue;
        out.push_back({name, why_it_waits(jobs), rfc3339(changed_at(*facts))});
    }
    // The daemon knows that it waits, its folder since when.
    for (waiting_file& file : out)
        if (file.since.empty() && dir)
            if (const auto facts = dir->stat(file.file)) file.since = rfc3339(changed_at(*facts));
    std::sort(out.begin(), out.end(), [](const waiting_file& a, const waiting_file& b) {
        return std::tie(a.since, a.file) < std::tie(b.since, b.file);
    });
    return out;
}

}  // namespace culld::ctl

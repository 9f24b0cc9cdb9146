// The list that a job names: waited for, looked for after a crash, and put back while somebody writes it.
#include <fmt/format.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "culld/core/spool/unused_name.hpp"
#include "culld/io/os/log.hpp"
#include "submission.hpp"

namespace culld {

namespace {
constexpr std::size_t waiting_for_lists_max = 1024;  // of one submitter
}

// Root's jobs and our own may name anybody's list, others their own.
bool job_acceptor::may_use_any_list(const submission& a) {
    const std::uint32_t uid = a.job.job.facts.uid;
    return uid == 0 || uid == ::geteuid();
}

task<void> job_acceptor::put_back(submission& a, open_job& file, std::string base) {
    log(log_level::info, "spool.written",
        "somebody has it open for writing, or wrote it while it was taken: back to incoming/, until it is complete",
        {{"file", base}});
    arrivals_.comes_back(file.facts);
    auto back = [this, &file, &base] { return with_.files.put_back(file, base); };
    const auto done = co_await small_.run(back);
    if (done) co_return;
    log(log_level::error, "spool.take", done.error().text(), {{"file", base}});
    a.again = true;
}

std::set<std::string> job_acceptor::lists_in_use() const {
    std::set<std::string> out(lists_in_hand_.begin(), lists_in_hand_.end());
    for (const auto& [id, job] : jobs_.running()) out.insert(job->active_list());
    for (const auto& [id, job] : jobs_.quarantined()) out.insert(job.active_list);
    return out;
}

task<bool> job_acceptor::find_list(submission& a) {
    auto find = [this, &a, in_use = lists_in_use(), any = may_use_any_list(a)]() -> result<take_result> {
        std::vector<std::string> names;
        auto scanned = with_.files.scan(spool_folder::active, [&](std::string_view name) {
            if (type_of(name).kind == file_kind::sidecar && !in_use.contains(std::string(name)))
                names.emplace_back(name);
            return true;
        });
        if (!scanned) return fail(std::move(scanned.error()));
        for (const std::string& name : names) {
            const auto facts = with_.files.look(spool_folder::active, name);
            if (!facts) return fail(facts.error());
            if (!*facts || name_before(name, (*facts)->inode) != a.spec.ids_file) continue;
            if (any || (*facts)->uid == a.job.job.facts.uid) return with_.files.open_active(name);
        }
        return take_result{};
    };
    auto found = co_await small_.run(std::move(find));
    if (!found) {
        log(log_level::error, "spool.take", found.error().text(), {{"file", a.spec.ids_file}});
        a.again = true;
        co_return false;
    }
    a.list = std::move(*found);
    co_return true;
}

task<bool> job_acceptor::fetch_sidecar(submission& a) {
    using outcome = take_result::outcome;
    const bool any = may_use_any_list(a);
    const std::uint32_t owner = a.job.job.facts.uid;
    if (a.orphan) {  // after a crash it may be in active/ already
        const bool looked = co_await find_list(a);
        if (!looked) co_return false;
    }
    const steady_time deadline = steady_now() + with_.settings->spool.sidecar_wait;
    problem why;
    for (;;) {
        if (a.list.what != outcome::gone) lists_in_hand_.insert(a.list.job.name);
        switch (a.list.what) {
            case outcome::taken:
                if (any || a.list.job.facts.uid == owner) co_return true;
                break;
            case outcome::moved:
                log(log_level::error, "spool.take", a.list.why.text(), {{"file", a.spec.ids_file}});
                a.again = true;
                co_return false;
            case outcome::gone:
            case outcome::refused:
            case outcome::written: break;
        }
        if (a.list.what == outcome::refused && (any || a.list.job.facts.uid == owner)) {
            why = a.list.why;
            break;
        }
        if (a.list.what != outcome::gone) {  // written, or another's
            co_await put_back(a, a.list.job, a.spec.ids_file);
            if (a.again || a.of.watch.stop) co_return false;
            lists_in_hand_.erase(lists_in_hand_.find(a.list.job.name));
        }
        a.list = {};
        const auto of = any ? std::nullopt : std::optional(owner);
        // Others of its owner's go on meanwhile, since its list may be dropped after them.
        const bool lets_go = a.counted && waiting_for_lists_[owner] < waiting_for_lists_max;
        if (lets_go) arrived(owner);
        ++waiting_for_lists_[owner];
        const wait_note told(a.of, fmt::format("its list {} is not there yet, or not complete", a.spec.ids_file));
        sidecar_answer answer = co_await arrivals_.sidecar(a.spec.ids_file, deadline, of, &a.of.watch.stop);
        if (--waiting_for_lists_[owner] == 0) waiting_for_lists_.erase(owner);
        if (lets_go) ++on_their_way_[owner];
        if (answer.state == sidecar_state::stopped) co_return false;
        if (answer.state != sidecar_state::complete) {
            why = std::move(answer.why);
            break;
        }
        auto move = [this, &a, &answer] { return with_.files.take(a.spec.ids_file, &answer.facts); };
        auto taken = co_await small_.run(move);
        if (!taken) {
            log(log_level::error, "spool.take", taken.error().text(), {{"file", a.spec.ids_file}});
            a.again = true;
            co_return false;
        }
        a.list = std::move(*taken);
    }
    why.field = "ids_file";
    rejection r{.name = a.job.job.name, .as = a.name, .why = std::move(why), .job_id = a.spec.id};
    if (a.list.what == outcome::refused) {
        r.list = a.list.job.name;
        r.list_as = a.spec.ids_file;
        r.owner = a.list.job.facts.uid;  // it is at fault itself
    }
    a.bad = std::move(r);
    co_return false;
}

}  // namespace culld

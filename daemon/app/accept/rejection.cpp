// Files on their way to rejected/.
#include <fmt/format.h>

#include <utility>

#include "culld/core/base/backoff.hpp"
#include "culld/io/os/log.hpp"
#include "submission.hpp"

namespace culld {

namespace {
constexpr std::size_t rejecting_max = 4, left_max = 1024;
}

task<void> job_acceptor::refuse_arrival(arrived_file file) {
    if (left_.contains({file.facts.device, file.facts.inode})) {
        arrivals_.settled(file.name);
        arrived(file.facts.uid);
        co_return;
    }
    rejection r{.from = spool_folder::incoming,
                .name = file.name,
                .as = file.name,
                .why = std::move(*file.refuse),
                .facts = file.facts};
    const bool recorded = co_await reject(std::move(r));
    static_cast<void>(recorded);
    arrivals_.settled(file.name);
    arrived(file.facts.uid);
}

// One try. The ledger first: a file that is seen in rejected/ is in the ledger, whatever crashes in between.
result<job_acceptor::rejection::progress> job_acceptor::try_to_reject(rejection& r) {
    const auto there = with_.files.look(r.from, r.name);
    if (!there) return fail(there.error());
    // Gone, or another file by now, which has yet to be judged.
    if (!*there || (r.facts && **there != *r.facts)) return rejection::progress::gone;
    if (!r.line) {
        const std::string text = r.why.text();
        // Where a crash came between that line and the move, the ledger knows it by the file.
        auto line = with_.ledger.append({.job_id = r.job_id,
                                         .file = r.as,
                                         .status = "rejected",
                                         .error = text,
                                         .node = ledger_facts::rejected_file{(*there)->inode, (*there)->ctime}},
                                        r.at);
        if (!line) return fail(std::move(line.error()));
        r.line = std::move(*line);
    }
    if (!r.list.empty()) {
        const auto list = with_.files.look(r.list_from, r.list);
        if (!list) return fail(list.error());
        problem because = r.why;
        because.what = fmt::format("its job {} was rejected: {}", r.as, r.why.what);
        if (*list && (*list)->uid == r.owner)
            if (auto moved = with_.files.reject(r.list_from, r.list, because, r.at, r.list_as); !moved)
                return fail(std::move(moved.error()));
        r.list.clear();
    }
    auto moved = with_.files.reject(r.from, r.name, r.why, r.at, r.as);
    // The kernel moves another user's folder for nobody who may not write in it.
    if (!moved && (*there)->type == node_type::folder) return rejection::progress::stays;
    if (!moved) return fail(std::move(moved.error()));
    return rejection::progress::done;
}

task<bool> job_acceptor::reject(rejection r) {
    // A few at a time: journals of jobs that run wait for the same thread.
    while (rejecting_ >= rejecting_max && !stopping_) co_await changed_.wait();
    if (stopping_) co_return false;
    ++rejecting_;
    const bool recorded = co_await reject_now(std::move(r));
    --rejecting_;
    changed_.notify();
    co_return recorded;
}

task<bool> job_acceptor::reject_now(rejection r) {
    r.at = wall_now();
    constexpr backoff between{.base = std::chrono::seconds(1), .cap = std::chrono::seconds(30)};
    auto one_try = [this, &r]() { return try_to_reject(r); };
    bool told = false;  // that it is in the ledger
    for (std::uint32_t tries = 1;; ++tries) {
        const auto out = co_await with_.disk.run(one_try);
        if (r.line && !std::exchange(told, true)) {
            ++jobs_.counted.rejected;
            log(log_level::warn, "job.rejected", r.why.text(), {{"rejected", r.as}});
            with_.announce({.kind = notification_kind::rejected,
                            .job_id = r.job_id,
                            .file = r.as,
                            .error_class = "rejected",
                            .detail = r.why.text()});
        }
        if (out && *out == rejection::progress::stays) {
            log(log_level::warn, "spool.left",
                "a folder of another user cannot be moved: it stays in incoming/; remove it", {{"rejected", r.as}});
            if (r.facts && left_.size() < left_max) left_.emplace(r.facts->device, r.facts->inode);
        }
        if (out) co_return told;
        // Said once: a disk that stays full has nothing new to say.
        log(tries == 1 ? log_level::error : log_level::debug, "spool.reject",
            out.error().text() + "; culld tries again by itself", {{"rejected", r.as}, {"tries", tries}});
        --rejecting_;  // it waits for our disk, others need not
        changed_.notify();
        co_await sit_out(steady_now() + between.delay(tries, with_.chance()), r.from == spool_folder::incoming);
        ++rejecting_;
        if (stopping_) co_return told;
    }
}

task<void> job_acceptor::sit_out(steady_time until, bool handed) {
    ++sitting_out_;
    sitting_handed_ += handed ? 1U : 0U;
    with_.jobs_changed();
    const std::uint64_t rescans = rescans_;
    while (!stopping_ && rescans_ == rescans && steady_now() < until) co_await changed_.wait_until(until);
    --sitting_out_;
    sitting_handed_ -= handed ? 1U : 0U;
}

}  // namespace culld

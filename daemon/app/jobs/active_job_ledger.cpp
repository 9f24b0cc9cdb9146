// What the ledger is told of a job: that it was accepted, what people ordered, how it ended; and its files put away.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "culld/app/jobs/active_job.hpp"
#include "culld/io/os/log.hpp"

namespace culld {

void active_job::tell_ledger() {
    if (telling_ || !ledger_owed() || journal_.dead()) return;
    const std::uint64_t upto = journal_.durable_bytes();
    if (fresh_ && upto == 0) return;  // job.accepted is what becomes durable first
    std::vector<person_order> orders;
    for (const owed_order& o : orders_)
        if (o.upto <= upto) orders.push_back(o.what);
    if (in_ledger_ && orders.empty()) return;
    telling_ = true;
    const std::size_t count = orders.size();
    auto work = [this, orders = std::move(orders)] {
        return with_.ledger.tell_of(
            {.job_id = intake_.spec.id,
             .file = intake_.source.file,
             .uid = uid_,
             .gid = gid_,
             .ids = intake_.ids,
             .sha256 = intake_.source.sha256,
             .list_sha256 = intake_.list ? std::string_view(intake_.list->sha256) : std::string_view(),
             .journal = journal_.name(),
             .first = first_},
            orders, wall_now());
    };
    with_.disk.post(std::move(work), [this, alive = alive_, count](const result<void>& done) {
        if (*alive) told_ledger(done, count);
    });
}

void active_job::told_ledger(const result<void>& done, std::size_t orders) {
    telling_ = false;
    if (journal_.dead()) return with_.jobs_changed();  // it is the next reading of it that counts
    if (!done) {
        untold_ = true;
        return block(
            {"journal", "", done.error().text(),
             "nothing more of this job is deleted until the ledger tells of it: mend the disk that journal.dir "
             "is on; culld tries again by itself"});
    }
    in_ledger_ = true;
    orders_.erase(orders_.begin(), orders_.begin() + static_cast<std::ptrdiff_t>(orders));
    if (std::exchange(untold_, false)) unblock("the ledger can be written again");
    if (finishing_ && !finish_upto_ && !filing_) file_away();
    tell_ledger();
    if (std::exchange(held_up_, false)) ask_for_turn();
}

// Two threads, one behind the other: a spool that hangs must not hold up the journals of others.
void active_job::file_away() {
    if (ledger_owed()) return tell_ledger();   // which comes back here
    if (std::exchange(filing_, true)) return;  // a thread is at it, with what is ours
    const job_totals totals = count();
    auto work = [this, totals, head = hex(chain_.head().prev),
                 records = chain_.head().seq]() -> result<ledger_file::line> {
        // A start knows by the store's name that a job in the ledger has files to put away yet.
        if (auto synced = with_.plans.sync(); !synced) return fail(std::move(synced.error()));
        return with_.ledger.append({.job_id = intake_.spec.id,
                                    .file = intake_.source.file,
                                    .status = status_,
                                    .totals = &totals,
                                    .journal = journal_.name(),
                                    .head = head,
                                    .records = records},
                                   wall_now());
    };
    with_.disk.post(std::move(work), [this, alive = alive_, totals](const result<ledger_file::line>& line) {
        if (!*alive) return;
        if (line)
            put_files_away(*line, totals);
        else
            not_filed(line.error());
    });
}

void active_job::not_filed(const problem& why) {
    filing_ = false;
    block({"journal", "", why.text(),
           "the job is over and its journal complete, but the ledger or the spool cannot be "
           "written: mend that; culld tries again by itself"});
}

void active_job::put_files_away(const ledger_file::line& line, const job_totals& totals) {
    // done/ is for jobs of which nothing went wrong: failed ids, an abort, a cancellation and an expiry did.
    const bool well = totals.failed == 0 && (status_ == "completed" || status_ == "dry_run");
    auto work = [this, well]() -> result<bool> {
        const auto to = well ? spool_folder::done : spool_folder::failed;
        if (!active_list_.empty()) {
            const auto& name = intake_.list ? intake_.list->file : active_list_;
            if (auto filed = with_.files.file_away(active_list_, to, name); !filed)
                return fail(std::move(filed.error()));
        }
        if (auto filed = with_.files.file_away(active_file_, to, intake_.source.file); !filed)
            return fail(std::move(filed.error()));
        return with_.plans.remove(store_name(intake_.spec.id));
    };
    with_.filing.post(std::move(work), [this, alive = alive_, line, totals, well](const result<bool>& filed) {
        if (!*alive) return;
        if (!filed) return not_filed(filed.error());
        filing_ = false;
        state_ = job_state::finished;
        shown_ = totals;
        with_.jobs_changed();
        if (told_before_) return;
        log(log_level::info, "job.finished",
            fmt::format("{}: {} ids, {} deleted, {} absent, {} failed, {} skipped", status_, totals.ids, totals.deleted,
                        totals.absent, totals.failed, totals.skipped),
            {{"job_id", intake_.spec.id}, {"status", status_}, {"requests", totals.requests}});
        with_.announce({.kind = well ? notification_kind::finished : notification_kind::failed,
                        .job_id = intake_.spec.id,
                        .file = intake_.source.file,
                        .status = status_,
                        .totals = totals,
                        .labels = intake_.spec.labels});
    });
}

}  // namespace culld

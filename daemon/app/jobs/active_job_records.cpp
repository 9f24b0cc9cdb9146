// A job's ids, which a thread reads from the store that was checked: for requests, and for the records of verdicts.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "culld/app/jobs/active_job.hpp"
#include "culld/io/os/log.hpp"

namespace culld {

namespace {

constexpr std::uint64_t listed_max = 1000;  // ids in a record that could also name positions

void count_verdict(verdict_counts& in, const verdict& v) {
    switch (v.kind) {
        case verdict_kind::deleted: in.deleted += count_of(v.at); return;
        case verdict_kind::absent: in.absent += count_of(v.at); return;
        case verdict_kind::failed: in.failed += count_of(v.at); return;
        case verdict_kind::skipped: in.skipped += count_of(v.at); return;
    }
}

}  // namespace

// ---- for requests ----

void active_job::append_ids(const batch& b, std::string& out) {
    // Ids are mostly of one length: then this is all the room that is needed, and a string that grows would take twice.
    out.reserve(out.size() + ids_->room_for(b.count()));
    ids_->append_quoted(b.at, out);
}

task<result<std::string>> active_job::read_ids(const batch& b) {
    // Shared: whoever asks may be gone before the disk answers.
    struct answer {
        explicit answer(loop_executor on) : come(on) {}
        event come;
        std::optional<result<std::string>> text;
    };
    const auto got = std::make_shared<answer>(with_.loop);
    ids_->fetch(b.at, [got](result<std::string> text) {
        got->text = std::move(text);
        got->come.notify();
    });
    while (!got->text) co_await got->come.wait();
    co_return std::move(*got->text);
}

void active_job::lost_ids(const problem& why, const spans& at) {
    lost_ = at;
    block({"store", "", why.text(),
           fmt::format("mend the disk that journal.dir is on; culld tries again by itself. If the file is damaged for "
                       "good, stop culld, remove {}/{}, and start it: the list is made anew from the job's file",
                       with_.plans.path(), store_name(intake_.spec.id))});
}

void active_job::look_at_store() {
    if (!blocked_ || blocked_->error_class != "store" || journal_.dead()) return;
    if (!due_.empty()) return read_due();
    if (lost_.empty() || reading_due_) return;
    reading_due_ = true;
    ids_->fetch(lost_, [this](const result<std::string>& text) {
        reading_due_ = false;
        if (!text || !blocked_ || blocked_->error_class != "store") return;
        lost_.clear();
        unblock("the list can be read again");
    });
}

// ---- records ----

void active_job::record_verdicts(const std::vector<verdict>& all) {
    for (const verdict& v : all) record_verdict(v);
}

void active_job::record_verdict(const verdict& v) {
    due_record piece{.what = {.kind = v.kind, .reason = v.reason, .attempts = v.attempts, .at = {}}};
    const auto write = [&](bool named) {
        if (piece.what.at.empty()) return;
        piece.named = named;
        record(piece);
        piece.what.at.clear();
    };
    std::uint64_t listed = 0;
    for (span rest : v.at) {
        if (!ids_ || (v.kind == verdict_kind::skipped && rest.count > listed_max)) {
            write(true);
            listed = 0;
            piece.what.at = {rest};
            write(false);
            continue;
        }
        while (rest.count > 0) {
            const span part{rest.first, std::min(rest.count, listed_max - listed)};
            append(piece.what.at, part);
            listed += part.count;
            rest = {part.end(), rest.count - part.count};
            if (listed == listed_max) {
                write(true);
                listed = 0;
            }
        }
    }
    write(true);
    read_due();
}

void active_job::record(due_record piece) {
    if (due_.empty() && (!piece.named || ids_->at_hand(piece.what.at))) {
        ids_text_.clear();
        if (piece.named) ids_->append_quoted(piece.what.at, ids_text_);
        return write_record(piece, ids_text_);
    }
    count_verdict(due_counts_, piece.what);
    due_.push_back(std::move(piece));
}

void active_job::write_record(const due_record& piece, std::string_view ids) {
    const verdict& v = piece.what;
    write_verdict(chain_, journal_.buffer(), wall_now(), v, ids);
    if (v.kind != verdict_kind::failed) return;
    failed_[std::string(v.reason)] += count_of(v.at);
    log(log_level::debug, "ids.failed", fmt::format("{} ids failed: {}", count_of(v.at), v.reason),
        {{"job_id", intake_.spec.id}});
}

// One record at a time, so that what is read for them stays small.
void active_job::read_due() {
    if (due_.empty() || reading_due_ || journal_.dead()) return;
    reading_due_ = true;
    ids_->fetch(due_.front().named ? due_.front().what.at : spans(), [this](const result<std::string>& text) {
        reading_due_ = false;
        if (journal_.dead()) return;  // it is the next reading of the journal that counts
        if (!text) return lost_ids(text.error(), {});
        const due_record now = std::move(due_.front());
        due_.pop_front();
        verdict_counts written;
        count_verdict(written, now.what);
        due_counts_ = due_counts_ - written;
        write_record(now, *text);
        journal_.commit_soon();
        if (!due_.empty()) return read_due();
        if (std::exchange(withheld_due_, false)) {
            begins_at_ = journal_.appended();
            journal_.commit_now();
        }
        if (blocked_ && blocked_->error_class == "store" && lost_.empty()) unblock("the list can be read again");
        follow_up();
    });
}

}  // namespace culld

#include "culld/app/jobs/job_recovery.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>

#include "culld/core/journal/chain.hpp"
#include "culld/core/journal/replay.hpp"
#include "culld/core/spool/file_kind.hpp"
#include "culld/io/os/line_reader.hpp"
#include "culld/io/os/log.hpp"

namespace culld {

namespace {

constexpr std::string_view journal_suffix = ".jsonl";
constexpr std::string_view evidence_suffix = ".evidence";

std::string evidence_name(const std::string& job_id) {
    return job_id + std::string(evidence_suffix);
}

std::optional<std::string> job_of(std::string_view name, std::string_view suffix) {
    if (!name.ends_with(suffix) || name.starts_with('.')) return std::nullopt;
    return std::string(name.substr(0, name.size() - suffix.size()));
}

// Where `text` stands for the last time in the file's first `end` bytes. Read in blocks that grow: a line's end is
// near, a checkpoint is not.
result<std::optional<std::uint64_t>> last_in(int fd, std::uint64_t end, std::string_view text, std::string_view name) {
    std::string block;
    for (std::uint64_t window = 64U << 10U; end >= text.size();
         window = std::min<std::uint64_t>(4 * window, 4U << 20U)) {
        const std::uint64_t begin = end > window ? end - window : 0;
        block.resize(static_cast<std::size_t>(end - begin));
        const auto got = read_some_at(fd, block.data(), block.size(), begin, name);
        if (!got) return fail(got.error());
        block.resize(*got);
        const std::size_t found = block.rfind(text);
        if (found != std::string::npos) return std::optional(begin + found);
        if (begin == 0) break;
        end = begin + text.size() - 1;  // it may reach from one block into the next
    }
    return std::optional<std::uint64_t>();
}

// Another descriptor of the same file, for a reader that closes its own.
result<unique_fd> duplicate(int fd, std::string_view name) {
    unique_fd out(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!out) return fail(errno_problem("duplicate descriptor of", name, errno));
    return out;
}

// Where the last line that is a checkpoint begins. Ids hold no quotes, and quotes in strings are escaped, so the text
// can stand nowhere else; but a checkpoint that is torn, at its end or within, is none.
result<std::optional<std::uint64_t>> last_checkpoint(int fd, std::uint64_t size, std::string_view name) {
    const auto end = last_in(fd, size, "\n", name);
    if (!end || !*end) return end;
    const auto type = last_in(fd, **end, R"("type":"checkpoint")", name);
    if (!type || !*type) return type;
    const auto before = last_in(fd, **type, "\n", name);
    if (!before) return before;
    const std::uint64_t begin = *before ? **before + 1 : 0;
    auto again = duplicate(fd, name);
    if (!again) return fail(std::move(again.error()));
    line_reader lines(std::move(*again), std::string(name), begin);
    text_line line;
    if (const auto more = lines.next(line); !more) return fail(more.error());
    if (!line.ended) return last_checkpoint(fd, begin, name);
    return std::optional(begin);
}

struct journal_reading {
    recovered_job job;
    chain_head head;
    std::string first;  // SHA-256 of the first line
    std::uint64_t good_bytes = 0;
    std::uint64_t torn_bytes = 0;
    std::uint64_t behind_checkpoint = 0;  // good bytes from the last checkpoint on
};

// Why a journal could not be read: it is not what was written, or its disk does not answer.
struct reading_failure {
    problem why;
    bool damaged = false;
};
using reading_result = tl::expected<journal_reading, reading_failure>;

tl::unexpected<reading_failure> disk_failed(problem why) {
    return tl::unexpected(reading_failure{std::move(why), false});
}

tl::unexpected<reading_failure> damaged(const std::string& name, problem why) {
    why.file = name;
    why.hint =
        "this journal was changed or damaged, and is never repaired: nothing more of this job is sent. Keep a copy, run "
        "`cullctl verify`, and decide by hand";
    return tl::unexpected(reading_failure{std::move(why), true});
}

// Do both begin with the same `bytes` bytes?
result<bool> same_bytes(int one, int other, std::uint64_t bytes, const std::string& name) {
    constexpr std::uint64_t piece = 256U << 10U;
    std::string a, b;
    for (std::uint64_t at = 0; at < bytes; at += a.size()) {
        a.resize(static_cast<std::size_t>(std::min(piece, bytes - at)));
        b.resize(a.size());
        const auto got_a = read_some_at(one, a.data(), a.size(), at, name);
        if (!got_a) return fail(got_a.error());
        const auto got_b = read_some_at(other, b.data(), b.size(), at, name);
        if (!got_b) return fail(got_b.error());
        if (*got_a != a.size() || *got_b != a.size() || a != b) return false;
    }
    return true;
}

reading_result read_journal(const folder& journals, const std::string& name, std::uint64_t read_whole_up_to,
                            const std::optional<journal_mark>& left) {
    auto fd = journals.open_file(name, O_RDONLY);
    if (!fd) return disk_failed(std::move(fd.error()));
    struct stat st {};
    if (::fstat(fd->get(), &st) != 0) return disk_failed(errno_problem("look at", name, errno));
    const auto size = static_cast<std::uint64_t>(st.st_size);
    if (left && (left->file.device != st.st_dev || left->file.inode != st.st_ino)) {
        const auto same =
            left->kept ? same_bytes(fd->get(), left->kept->get(), left->bytes, name) : result<bool>(false);
        if (!same) return disk_failed(same.error());
        if (!*same)
            return disk_failed({.what = "is not, or not yet, byte for byte what was written",
                                .hint = "bring back the file itself, or all of its content",
                                .file = name});
    } else if (left && size < left->bytes)
        return damaged(name,
                       problem{.what = fmt::format("was cut to {} bytes, and {} were written", size, left->bytes)});
    journal_reading out;
    replay job;
    record_view record;
    text_line line;

    std::optional<std::uint64_t> from;
    if (size > read_whole_up_to) {
        const auto found = last_checkpoint(fd->get(), size, name);
        if (!found) return disk_failed(found.error());
        from = *found;
    }
    auto again = duplicate(fd->get(), name);
    if (!again) return disk_failed(std::move(again.error()));
    std::optional<line_reader> lines(std::in_place, std::move(*fd), name);
    chain_checker chain;
    std::uint64_t checkpoint_at = 0;
    bool jumped = !from;
    for (;;) {
        const auto more = lines->next(line);
        if (!more) return disk_failed(more.error());
        if (!*more || !line.ended) break;
        if (jumped && from && chain.records() == 0) {
            // The checkpoint itself: its own link is what the chain goes on from.
            if (auto read = read_record(line.text, record); !read) return damaged(name, read.error());
            chain = chain_checker(record.seq, record.prev);
        }
        if (auto fed = chain.feed(line.text, true, record); !fed) return damaged(name, fed.error());
        if (record.seq == 0) out.first = hex(chain.head());
        if (auto fed = job.feed(record); !fed) {
            problem why = fed.error();
            why.line = line.number;
            return damaged(name, std::move(why));
        }
        if (record.type == record_type::checkpoint) checkpoint_at = line.offset;
        if (!jumped) {
            jumped = true;
            if (*from > 0) {
                // Once: `jumped` is set. NOLINTNEXTLINE(bugprone-use-after-move)
                lines.emplace(std::move(*again), name, *from);
                chain = chain_checker();
            } else {
                from.reset();
            }
        }
    }
    if (left && lines->good_bytes() < left->bytes)
        return damaged(name, problem{.what = fmt::format("only the first {} of {} bytes are whole lines",
                                                         lines->good_bytes(), left->bytes)});
    if (from && chain.records() == 0)
        return damaged(name, problem{.what = "its last checkpoint is gone while it is read"});
    out.good_bytes = lines->good_bytes();  // counted from the file's beginning, wherever the reading began
    out.behind_checkpoint = out.good_bytes - checkpoint_at;
    out.torn_bytes = size - std::min(size, out.good_bytes);
    out.head = {chain.records(), chain.head()};
    out.job = job.finish();
    return out;
}

// The store made again from the job's own files, after checking that they are what was accepted.
// `lost`: they are not there any more, or not what they were.
result<id_store> rebuild_store(const recovered_job& job, const spool& files, const intake_surroundings& around,
                               bool& lost) {
    const std::string name = store_name(job.intake.spec.id);
    if (auto gone = around.plan.remove(name); !gone) return fail(std::move(gone.error()));
    auto taken = files.reopen(job.intake.source.active_name());
    if (!taken) return fail(std::move(taken.error()));
    const problem why{.what = "its list cannot be read: the job's file is not in active/ any more, or has changed",
                      .hint = "put the file back as it was; culld looks again every five seconds",
                      .file = job.intake.source.file};
    const auto gone = [&] {
        lost = true;
        return fail(why);
    };
    if (taken->what != take_result::outcome::taken) return gone();
    intake anew(around, job.accepted_at, 0);
    auto spec = anew.read_job(taken->job.fd.get(), job.intake.source.file);
    if (!spec) return fail(std::move(spec.error()));
    if (anew.wants_list()) {
        auto list = files.reopen(job.intake.list ? job.intake.list->active_name() : spec->ids_file);
        if (!list) return fail(std::move(list.error()));
        if (list->what != take_result::outcome::taken) return gone();
        if (auto read = anew.read_sidecar(list->job.fd.get(), spec->ids_file); !read)
            return fail(std::move(read.error()));
    }
    auto done = anew.finish();
    if (!done) return fail(std::move(done.error()));
    const std::string made = store_name(done->spec.id);
    const bool same = done->ids == job.intake.ids && done->source.sha256 == job.intake.source.sha256 &&
                      done->list.has_value() == job.intake.list.has_value() &&
                      (!done->list || done->list->sha256 == job.intake.list->sha256);
    if (!same) {
        static_cast<void>(around.plan.remove(made));
        return gone();
    }
    if (made != name) {
        const auto moved = around.plan.move(made, around.plan, name);
        if (!moved) return fail(moved.error());
        if (auto synced = around.plan.sync(); !synced) return fail(std::move(synced.error()));
    }
    return id_store::open(around.plan, name);
}

}  // namespace

result<std::vector<std::string>> open_jobs(const folder& journals, const folder& plans, const ledger_file& ledger) {
    std::vector<std::string> out;
    const auto each = [&](const folder& where, std::string_view suffix, bool in_ledger) -> result<void> {
        auto scan = folder_scan::open(where);
        if (!scan) return fail(std::move(scan.error()));
        for (;;) {
            auto name = scan->next();
            if (!name) return fail(std::move(name.error()));
            if (!*name) return {};
            const auto job = job_of(**name, suffix);
            if (job && *job != "ledger" && ledger.holds(*job) == in_ledger) out.push_back(*job);
        }
    };
    if (auto done = each(journals, journal_suffix, false); !done) return fail(std::move(done.error()));
    if (auto done = each(plans, ".ids", true); !done) return fail(std::move(done.error()));
    if (auto done = each(plans, evidence_suffix, false); !done) return fail(std::move(done.error()));
    for (std::string& id : ledger.open_ids()) out.push_back(std::move(id));
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

recovered recover_job(const std::string& job_id, const folder& journals, const ledger_file& ledger, const spool& files,
                      const intake_surroundings& around, const checkpoint_rules& checkpoints,
                      const std::optional<journal_mark>& left, const std::optional<end_order>& to_end) {
    const std::string name = job_id + std::string(journal_suffix);
    const auto quarantined = [&](const problem& why, bool is_damaged, const job_intake* of = nullptr) {
        quarantined_job out{
            .job_id = job_id, .file = {}, .why = {"journal", "", why.text(), why.hint}, .damaged = is_damaged};
        if (of == nullptr) return out;
        out.file = of->source.file;
        out.active_file = of->source.active_name();
        if (of->list) out.active_list = of->list->active_name();
        return out;
    };
    const auto noted = evidence_of(around.plan, job_id);
    if (!noted) return quarantined(noted.error(), false);
    const auto by_note = [&](const problem& why, bool is_damaged) {
        auto out = quarantined(why, is_damaged);
        out.file = (*noted)->file;
        out.active_file = (*noted)->active_file;
        out.active_list = (*noted)->active_list;
        return out;
    };
    if (*noted && (*noted)->bent)
        return by_note({.what = (*noted)->why, .hint = evidence_help(around.plan, job_id)}, true);
    if (*noted && !left) {  // it was gone when culld ended
        const auto there = look(journals, name);
        if (!there) return by_note(there.error(), false);
        if (!*there)
            return by_note(
                {.what = (*noted)->why,
                 .hint = "nothing of it is deleted without its journal: put it back, and culld goes on by itself"},
                false);
        if ((*there)->size < (*noted)->bytes)
            return by_note({.what = fmt::format("holds {} bytes, and {} were written", (*there)->size, (*noted)->bytes),
                            .hint = "put the whole of it back, and culld goes on by itself",
                            .file = name},
                           false);
    }
    // Nobody begins a job anew whose journal is missing: what it tells was done, and what people ordered.
    const ledger_file::open_job* const told = ledger.open_of(job_id);
    const auto by_ledger = [&](const problem& why, bool is_damaged) {
        auto out = quarantined(why, is_damaged);
        out.file = told->file;
        return out;
    };
    if (told != nullptr) {
        const auto there = look(journals, name);
        if (!there) return by_ledger(there.error(), false);
        if (!*there)
            return by_ledger(
                {.what = fmt::format("{}/{} is missing, and the ledger tells that the job was accepted",
                                     journals.path(), name),
                 .hint = "nothing of it is deleted without its journal: put it back (is its disk mounted?), "
                         "and culld goes on by itself"},
                false);
    }
    auto reading = read_journal(journals, name, checkpoints.read_whole_up_to, left);
    if (!reading && reading.error().damaged && left)
        if (auto kept =
                leave_evidence(around.plan, job_id, {true, left->bytes, {}, {}, {}, reading.error().why.text()});
            !kept)
            return quarantined(kept.error(), false);
    if (!reading) return quarantined(reading.error().why, reading.error().damaged);
    recovered_job& job = reading->job;
    if (!job.accepted && told != nullptr)
        return by_ledger({.what = fmt::format("{}/{} holds no record, and the ledger tells that the job was accepted",
                                              journals.path(), name),
                          .hint = "somebody emptied it: that is evidence. Put the whole of it back and restart culld"},
                         true);
    if (!job.accepted) {
        if (auto gone = journals.remove(name); !gone) return quarantined(gone.error(), false);
        if (auto synced = journals.sync(); !synced) return quarantined(synced.error(), false);
        // Its store would be in the way when the file is taken again.
        if (auto gone = around.plan.remove(store_name(job_id)); !gone) return quarantined(gone.error(), false);
        return never_accepted{};
    }
    const job_intake& accepted = job.intake;
    const bool answered = job.requests > 0 || job.state.counts.sum() > job.state.counts.skipped;
    switch (standing_of(ledger.acceptance_of(job_id, reading->first), answered)) {
        case journal_standing::sound: break;
        case journal_standing::replaced:
            return quarantined(
                problem{.what = "its first line is not the one that the ledger names: somebody replaced this journal",
                        .hint =
                            "nothing more of this job is deleted, and none of it is signed. Keep a copy, run `cullctl "
                            "verify`, find out who did it; then put the right one back and restart culld"},
                true, &accepted);
        case journal_standing::invented:
            return quarantined(
                problem{.what = "the ledger does not tell that this job was accepted: somebody made this journal",
                        .hint =
                            "nothing of it is deleted or signed. Keep a copy, run `cullctl verify`, find out who did "
                            "it; then take the journal away and restart culld"},
                true, &accepted);
    }
    // What was accepted is our own copy: a crash may have come before it had its place.
    if (auto ours = files.own(accepted.source.active_name()); !ours) return quarantined(ours.error(), false, &accepted);
    if (accepted.list)
        if (auto ours = files.own(accepted.list->active_name()); !ours)
            return quarantined(ours.error(), false, &accepted);
    if (find_resource(job.intake.spec.resource) == nullptr)
        return quarantined(
            problem{.what = fmt::format("resource \"{}\" is not known to this version", job.intake.spec.resource)},
            true, &accepted);
    auto ids = id_store::open(around.plan, store_name(job_id));
    const bool usable = ids && ids->count() == job.intake.ids;
    if (!usable && !job.status) {
        bool lost = false;
        ids = rebuild_store(job, files, around, lost);
        // What has but to end may do so by positions alone.
        const bool over = job.stopped || (accepted.spec.deadline && wall_now() >= *accepted.spec.deadline);
        if (!ids && !to_end && !(lost && over)) {
            quarantined_job out = quarantined(ids.error(), false, &accepted);
            out.uid = job.uid;
            return out;
        }
    }
    if (*noted)
        if (auto forgotten = forget_evidence(around.plan, job_id); !forgotten)
            return quarantined(forgotten.error(), false, &accepted);
    // Last: it cuts a torn end off, which the record that follows must tell.
    auto fd = journal_file::reopen(journals, name, reading->good_bytes);
    if (!fd) return quarantined(fd.error(), false, &accepted);
    ready_to_run out;
    if (ids) out.ids = std::move(*ids);
    job_state_record& seed = out.seed;
    seed.intake = std::move(job.intake);
    seed.uid = job.uid;
    seed.gid = job.gid;
    seed.modified_at = job.modified_at;
    seed.active_file = seed.intake.source.active_name();
    seed.active_list = seed.intake.list ? seed.intake.list->active_name() : std::string();
    seed.journal = std::move(*fd);
    seed.fresh = false;
    seed.journal_bytes = reading->good_bytes;
    seed.head = reading->head;
    seed.first = std::move(reading->first);
    seed.orders = std::move(job.orders);
    seed.state = std::move(job.state);
    seed.requests = job.requests;
    seed.retries = job.retries;
    seed.throttled = job.throttled;
    seed.accepted_at = job.accepted_at;
    seed.to_end = to_end;
    seed.paused = job.paused;
    seed.said = std::move(job.said);
    seed.paused_by = job.paused_by;
    seed.rate = job.rate;
    seed.stopped = job.stopped;
    seed.in_doubt = std::move(job.in_doubt);
    seed.rested = job.rested;
    seed.torn_bytes = reading->torn_bytes;
    seed.behind_checkpoint = reading->behind_checkpoint;
    seed.status = job.status;
    seed.told_before =
        job.status && !around.plan.exists(store_name(job_id));  // the store goes when its files are put away
    seed.finished_at = job.finished_at;
    seed.totals = job.totals;
    return out;
}

result<void> leave_evidence(const folder& plans, const std::string& job_id, const evidence& what) {
    return plans.replace(evidence_name(job_id),
                         fmt::format("{} {}\n{}\n{}\n{}\n{}\n", what.bent ? "bent" : "gone", what.bytes, what.file,
                                     what.active_file, what.active_list, what.why),
                         0600);
}

result<bool> forget_evidence(const folder& plans, const std::string& job_id) {
    return plans.remove(evidence_name(job_id));
}

result<std::optional<evidence>> evidence_of(const folder& plans, const std::string& job_id) {
    const auto text = plans.read_start(evidence_name(job_id), 8192);
    if (!text) return fail(text.error());
    if (!*text) return std::optional<evidence>();
    evidence out;
    std::istringstream lines(**text);
    std::string kind;
    lines >> kind >> out.bytes;
    out.bent = kind != "gone";  // what cannot be read is no reason to go on
    std::getline(lines, kind);
    for (std::string* field : {&out.file, &out.active_file, &out.active_list, &out.why}) std::getline(lines, *field);
    return std::optional(std::move(out));
}

std::string evidence_help(const folder& plans, const std::string& job_id) {
    return fmt::format(
        "what lies there is evidence: it is left as it is, and nothing more of this job is deleted. Keep a copy, run "
        "`cullctl verify`, find out who did it. To go on from what the journal says now, remove {}/{} and restart culld",
        plans.path(), evidence_name(job_id));
}

result<std::vector<std::string>> files_without_job(const spool& files, const std::set<std::string>& of_jobs,
                                                   bool all_known) {
    std::vector<std::string> out;
    auto done = files.scan(spool_folder::active, [&](std::string_view name) {
        const file_kind kind = type_of(name).kind;
        if (kind != file_kind::sidecar && kind != file_kind::ignored && !of_jobs.contains(std::string(name)))
            out.emplace_back(name);
        return true;
    });
    if (done && all_known) done = files.sweep_copies();
    if (!done) return fail(std::move(done.error()));
    return out;
}

void log_recovered(const job_state_record& job) {
    if (job.told_before) return;
    log(log_level::info, "job.recovered",
        fmt::format("{} of {} ids have their verdict, {} are in doubt", job.state.counts.sum(), job.state.ids,
                    count_of(job.in_doubt)),
        {{"job_id", job.intake.spec.id}, {"torn_bytes", job.torn_bytes}});
}

void tell_of_stuck(const daemon_context& with, const quarantined_job& job) {
    log(log_level::error, "job.stuck", job.why.detail, {{"job_id", job.job_id}});
    with.announce({.kind = notification_kind::blocked,
                   .job_id = job.job_id,
                   .file = job.file,
                   .error_class = job.why.error_class,
                   .code = job.why.code,
                   .detail = job.why.detail,
                   .help = job.why.help});
}

void log_ledger_line(const ledger_file::line& line) {
    const std::string text = fmt::format("ledger line {} has SHA-256 {}", line.seq, line.hash);
    if (line.job_id.empty())
        log_always(log_level::info, "ledger.line", text, {{"ledger_seq", line.seq}, {"ledger_sha256", line.hash}});
    else
        log_always(log_level::info, "ledger.line", text,
                   {{"job_id", line.job_id}, {"ledger_seq", line.seq}, {"ledger_sha256", line.hash}});
}

void warn_of(const ledger_file& ledger) {
    if (ledger.torn_bytes() > 0)
        log(log_level::warn, "ledger.torn",
            fmt::format("{} bytes of a torn last line were cut off", ledger.torn_bytes()));
    if (ledger.signing_ended())
        log(log_level::warn, "ledger.signing",
            "the ledger is signed, but journal.signing_key_file is not set any more: cullctl verify with a public key "
            "will fail");
}

void say_left_alone(const std::vector<std::string>& files) {
    for (const std::string& name : files)
        log(log_level::error, "recovery.left",
            "stays in active/: it may be the list of a job whose journal is missing or cannot be read; put that journal "
            "back as it was, then restart culld",
            {{"left", name}});
}

}  // namespace culld

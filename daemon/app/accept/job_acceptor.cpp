#include "culld/app/accept/job_acceptor.hpp"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <utility>

#include "culld/app/jobs/job_recovery.hpp"
#include "culld/core/job/api_resource.hpp"
#include "culld/io/os/log.hpp"
#include "culld/io/os/process_setup.hpp"
#include "submission.hpp"

namespace culld {

namespace {

// Of one submitter: jobs accepted and not over, and files on their way. Further files wait where they are, and nobody
// else's with them.
constexpr std::size_t open_jobs_max = 10'000, on_their_way_max = 128;
constexpr std::uint64_t large_file = 1U << 20U;  // bytes; packed ones count eightfold
constexpr auto try_again_after = std::chrono::seconds(5);
// Descriptors: of a job that runs (its journal and its store), of one on its way (its file, its list, the store, two
// scratch files, the journal), and of all the rest.
constexpr std::uint64_t files_of_a_run = 2, files_of_a_taking = 6, files_of_ours = 32;

}  // namespace

result<std::shared_ptr<const intake_settings>> intake_settings::load(std::shared_ptr<const config> from,
                                                                     const std::atomic<bool>* stop) {
    auto pattern = id_pattern::compile(from->ids.pattern);
    if (!pattern) return fail(std::move(pattern.error()));
    auto protect = load_protected_ids(from->ids.protected_file, *pattern, stop);
    if (!protect) {
        protect.error().field = "ids.protected_file";
        return fail(std::move(protect.error()));
    }
    return std::make_shared<const intake_settings>(
        intake_settings{std::move(from), std::move(*pattern), std::move(*protect)});
}

job_acceptor::job_acceptor(daemon_context& with, job_table& jobs, std::shared_ptr<const intake_settings> rules,
                           job_ready ready)
    : with_(with),
      jobs_(jobs),
      rules_(std::move(rules)),
      ready_(std::move(ready)),
      arrivals_(with.loop, with.files, {.rescan = with.settings->spool.rescan}),
      small_(with.loop),
      large_{large_lane(with.loop), large_lane(with.loop)},
      takings_(std::make_shared<std::vector<taking*>>()),
      changed_(with.loop) {
    arrivals_.may_take = [this](std::uint32_t uid) {
        const auto it = on_their_way_.find(uid);
        const std::size_t n = it == on_their_way_.end() ? 0 : it->second;
        return n < on_their_way_max && jobs_.open_of(uid) + n < open_jobs_max;
    };
    arrivals_.handed_out = [this](std::uint32_t uid) { ++on_their_way_[uid]; };
    with_.protect = {rules_, &rules_->protect};
    with_.waiting = this;
}

job_acceptor::~job_acceptor() {
    with_.waiting = nullptr;
}

void job_acceptor::arrived(std::uint32_t uid) {
    const auto it = on_their_way_.find(uid);
    if (it == on_their_way_.end()) return;
    if (--it->second == 0) on_their_way_.erase(it);
    arrivals_.more();
}

void job_acceptor::start(task<void> t) {
    ++taking_;
    asio::co_spawn(
        with_.loop,
        [](job_acceptor& self, task<void> inner) -> task<void> {
            co_await std::move(inner);
            --self.taking_;
            self.changed_.notify();
            self.with_.jobs_changed();
        }(*this, std::move(t)),
        rethrow_from_loop);
}

void job_acceptor::take_orphans(std::vector<std::string> names) {
    for (std::string& name : names) start(take({.name = std::move(name), .facts = {}, .refuse = {}}, true));
}

task<void> job_acceptor::run() {
    running_ = true;
    while (!stopping_) {
        if (with_.folders_lost) {
            co_await changed_.wait_until(steady_now() + std::chrono::milliseconds(200));
            continue;
        }
        auto batch = co_await arrivals_.next();
        if (!batch) break;
        for (const problem& p : batch->troubles) log(log_level::warn, "spool.trouble", p);
        for (arrived_file& file : batch->files) {
            if (file.refuse)
                start(refuse_arrival(std::move(file)));
            else
                start(take(std::move(file), false));
        }
        with_.jobs_changed();
    }
    running_ = false;
    changed_.notify();
}

void job_acceptor::stop() {
    stopping_ = true;
    for (taking* t : *takings_) t->watch.stop = true;
    arrivals_.stop();
    changed_.notify();
}

void job_acceptor::rescan() {
    ++rescans_;
    arrivals_.rescan();
    changed_.notify();
}

void job_acceptor::stop_waiting_for_project() {
    project_pending_ = false;
    changed_.notify();
}

task<void> job_acceptor::stopped() {
    while (running_ || taking_ > 0) co_await changed_.wait();
}

task<void> job_acceptor::take(arrived_file file, bool orphan) {
    const std::uint32_t uid = file.facts.uid;
    while (!stopping_ && (with_.folders_lost || !descriptors_left()))
        co_await changed_.wait_until(steady_now() + std::chrono::milliseconds(50));
    if (stopping_) co_return;
    taking t(takings_, file.name);
    if (!orphan) t.uid = uid;
    std::optional<rejection> bad;
    rejection ordered;  // should somebody order it
    bool again = false, awaits_project = false, anew = false;
    {
        submission a(t, file.name, orphan, rules_, with_.plans, static_cast<std::uint32_t>(with_.dice()));
        if (!orphan) a.seen = file.facts;
        a.counted = !orphan;
        ++inside_;
        co_await take_inside(a);
        --inside_;
        give_up_claim(a);
        if (a.list.what != take_result::outcome::gone) lists_in_hand_.erase(lists_in_hand_.find(a.list.job.name));
        if (a.reading.made_id()) t.job_id.clear();
        again = a.again;
        anew = a.anew;
        awaits_project = a.awaits_project;
        if (!a.job.job.name.empty()) file.name = a.job.job.name;  // in active/
        ordered = without_reason(a);
        bad = std::move(a.bad);
    }  // its files are closed while it waits
    changed_.notify();
    // In active/ by now: nobody but us will look at it again.
    const auto counts_no_more = [&] {
        if (!std::exchange(orphan, true)) arrived(uid);
    };
    if (awaits_project && !t.watch.stop) {
        counts_no_more();
        const wait_note told(t, "the id of its project is being asked for");
        co_await changed_.wait_until(steady_now() + try_again_after);
    } else if (again && !t.watch.stop) {
        counts_no_more();
        const wait_note told(t, "our own disk did not let it be taken: the log says more");
        co_await sit_out(steady_now() + try_again_after, false);
    }
    if (t.to_end && !t.to_end->done && !bad && !ordered.name.empty()) {
        ordered.why = reason_of(*t.to_end);
        bad = std::move(ordered);
    }
    bool recorded = false;
    if (bad && !stopping_) {
        t.waits = "it is on its way to rejected/";
        t.over = true;
        recorded = co_await reject(std::move(*bad));
    }
    counts_no_more();
    if (stopping_) co_return;
    if (t.to_end && !t.to_end->done) t.to_end->done = recorded ? withdrawal::rejected : withdrawal::gone;
    if (!bad && (again || anew || awaits_project)) start(take(std::move(file), true));
}

bool job_acceptor::descriptors_left() const {
    const auto limit = file_limit();
    if (!limit) return true;
    const std::uint64_t used = jobs_.running().size() * files_of_a_run + inside_ * files_of_a_taking;
    return used == 0 || used + files_of_a_taking + files_of_ours + with_.settings->limits.concurrency <= *limit;
}

// To a thread and back costs a small job more than its work there: what can be done in one trip is.
task<void> job_acceptor::take_inside(submission& a) {
    auto move = [this, &a]() -> result<void> {
        auto out = a.orphan ? with_.files.open_active(a.name) : with_.files.take(a.name, a.seen ? &*a.seen : nullptr);
        if (!out) return fail(std::move(out.error()));
        a.job = std::move(*out);
        if (a.orphan) a.name = spool::base_name(a.job.job);
        if (a.job.what == take_result::outcome::taken && !is_large(a.name, a.job.job.facts)) read_file(a);
        return {};
    };
    auto taken = co_await small_.run(move);
    if (!taken) {
        log(log_level::error, "spool.take", taken.error().text(), {{"file", a.name}});
        if (a.orphan)
            a.again = true;
        else
            arrivals_.again(a.name, try_again_after);
        co_return;
    }
    switch (a.job.what) {
        case take_result::outcome::taken: break;
        case take_result::outcome::gone:
            if (!a.orphan) arrivals_.settled(a.name);
            co_return;
        case take_result::outcome::moved:
            log(log_level::error, "spool.take", a.job.why.text(), {{"file", a.name}});
            if (!a.orphan) arrivals_.settled(a.name);
            a.again = true;
            co_return;
        case take_result::outcome::written:
            co_await put_back(a, a.job.job, a.name);
            if (!a.orphan) arrivals_.settled(a.name);
            co_return;
        case take_result::outcome::refused: {
            if (!a.orphan) arrivals_.settled(a.name);
            rejection r{.name = a.job.job.name, .as = a.name, .why = a.job.why};
            a.bad = std::move(r);
            co_return;
        }
    }
    a.of.uid = a.job.job.facts.uid;
    a.of.bytes = a.job.job.facts.size;
    if (!a.orphan) {
        arrivals_.settled(a.name);
        if (a.job.job.name != a.name)
            log(log_level::info, "spool.name",
                fmt::format("taken as {}: a job that is open has a file of its name", a.job.job.name),
                {{"file", a.name}});
    }
    const bool read_it = co_await read(a);
    if (read_it) co_await begin(a);
}

void job_acceptor::read_file(submission& a) {
    open_job& file = a.job.job;
    a.read = a.reading.read_job(file.fd.get(), a.name, file.copy.get());
    if (!whole(a, file, a.read->has_value()) || !*a.read) return;
    a.spec = **a.read;
    // The list decides whether there is a job: until it is there, the id is everybody's.
    if (!a.reading.wants_list()) static_cast<void>(claim_and_look(a));
}

bool job_acceptor::whole(submission& a, const open_job& file, bool good) const {
    const auto written = with_.files.written_since(file);
    if (!written || *written) {
        a.end = written ? submission::ending::written : submission::ending::disk;
        if (!written) a.disk_fault = written.error();
        return false;
    }
    if (!good) return true;
    if (auto sealed = with_.files.seal_copy(file); !sealed) {
        a.end = submission::ending::disk;
        a.disk_fault = std::move(sealed.error());
        return false;
    }
    return true;
}

task<bool> job_acceptor::ended_well(submission& a, open_job& file, std::string base) {
    switch (a.end) {
        case submission::ending::well: co_return true;
        case submission::ending::disk:
            log(log_level::error, "intake.failed", a.disk_fault.text(), {{"file", base}});
            a.again = true;
            break;
        case submission::ending::written: co_await put_back(a, file, std::move(base)); break;
    }
    co_return false;
}

bool job_acceptor::is_large(const std::string& name, const node_facts& f) {
    return (type_of(name).packed == compression::none ? f.size : f.size * 8) > large_file;
}

task<bool> job_acceptor::read(submission& a) {
    if (!a.read) {
        auto read_it = [this, &a] {
            read_file(a);
            return true;
        };
        co_await in_lane(true, a, std::move(read_it));
    }
    const bool whole_job = co_await ended_well(a, a.job.job, a.name);
    if (!whole_job) co_return false;
    problem why;
    if (*a.read) {
        const bool ours = co_await claim(a);
        if (!ours) co_return false;
        if (!a.finished) {
            const bool there = co_await fetch_sidecar(a);
            if (!there) co_return false;
            auto read_list = [this, &a]() -> result<void> {
                const open_job& file = a.list.job;
                auto listed = a.reading.read_sidecar(file.fd.get(), a.spec.ids_file, file.copy.get());
                if (whole(a, file, listed.has_value()) && listed) finish(a);
                return listed;
            };
            const bool large = is_large(a.spec.ids_file, a.list.job.facts);
            a.of.bytes = a.list.job.facts.size;
            a.of.watch.bytes = 0;
            auto listed = co_await in_lane(large, a, std::move(read_list));
            const bool whole_list = co_await ended_well(a, a.list.job, a.spec.ids_file);
            if (!whole_list) {
                // Half of it was read already: the job begins anew, and waits for it.
                a.anew = !a.again;
                co_return false;
            }
            if (!listed) why = std::move(listed.error());
        }
        if (a.finished) {
            if (*a.finished) {
                a.found = std::move(**a.finished);
                co_return true;
            }
            why = std::move(a.finished->error());
        }
    } else {
        why = std::move(a.read->error());
    }
    const bool came_meanwhile = a.rules->settings->api.project_id.empty() && !rules_->settings->api.project_id.empty();
    if (why.field == "project_id" && a.spec.project_id.empty() && (project_pending_ || came_meanwhile)) {
        a.awaits_project = true;
        co_return false;
    }
    switch (a.reading.fault()) {
        case intake_fault::stopped: break;
        case intake_fault::ours:
            log(log_level::error, "intake.failed", why.text(), {{"file", a.name}});
            a.again = true;
            break;
        case intake_fault::none:
        case intake_fault::file:
            rejection r{.name = a.job.job.name, .as = a.name, .why = std::move(why), .job_id = a.spec.id};
            if (a.list.what == take_result::outcome::taken) {
                r.list = a.list.job.name;
                r.list_as = a.spec.ids_file;
                r.owner = a.job.job.facts.uid;
            }
            a.bad = std::move(r);
    }
    co_return false;
}

bool job_acceptor::claim_and_look(submission& a) {
    for (;;) {
        const bool ours = claim_id(a, a.spec.id);
        if (ours) a.looked = look_for(a, a.spec.id);
        const bool taken = !ours || (*a.looked && **a.looked);
        if (!taken || !a.reading.made_id()) return ours;
        give_up_claim(a);
        a.looked.reset();
        a.spec.id = a.reading.draw_id(wall_now(), static_cast<std::uint32_t>(a.dice()));
    }
}

bool job_acceptor::claim_id(submission& a, const std::string& id) {
    const std::lock_guard lock(claims_);
    if (!starting_.insert(id).second) return false;
    a.claimed = id;
    return true;
}

void job_acceptor::give_up_claim(submission& a) {
    const std::lock_guard lock(claims_);
    starting_.erase(std::exchange(a.claimed, {}));
}

result<bool> job_acceptor::look_for(submission& a, const std::string& id) {
    const auto there = look(with_.journals, id + ".jsonl");
    if (!there) return fail(there.error());
    if (*there) return true;
    if (auto cleared = forget_evidence(with_.plans, id); !cleared) return cleared;
    // A store without a journal is left over from an attempt that our own disk broke off.
    if (auto cleared = with_.plans.remove(store_name(id)); !cleared) return cleared;
    if (!a.reading.wants_list()) finish(a);
    return false;
}

task<bool> job_acceptor::claim(submission& a) {
    // Claimed before the look: whoever had it before us has made its journal by the time he gives it up.
    while (a.claimed.empty()) {
        auto look_now = [this, &a] { return claim_and_look(a); };
        // To finish a large list takes as long as to read it.
        const bool large = !a.reading.wants_list() && is_large(a.name, a.job.job.facts);
        const bool ours = co_await in_lane(large, a, std::move(look_now));
        if (ours) break;
        // Perhaps nothing comes of the other one: whose list never comes, say.
        if (a.of.watch.stop) co_return false;
        const wait_note told(a.of, fmt::format("another job of the id \"{}\" is being read", a.spec.id));
        co_await changed_.wait_until(steady_now() + std::chrono::milliseconds(100));
    }
    a.of.job_id = a.spec.id;
    if (!*a.looked) {  // a disk that does not answer says nothing about the id
        log(log_level::error, "journal.look", a.looked->error().text(), {{"job_id", a.spec.id}});
        a.again = true;
        co_return false;
    }
    if (!**a.looked) co_return true;
    problem why{.what = fmt::format("a job with the id \"{}\" was accepted before", a.spec.id),
                .hint = "nothing was sent; give the job another id if it is meant to run again",
                .field = "id"};
    rejection r{.name = a.job.job.name, .as = a.name, .why = std::move(why), .job_id = a.spec.id};
    // A list that stayed behind would be taken for that of a later job which names it and whose own comes late.
    if (!a.spec.ids_file.empty()) {
        r.list = r.list_as = a.spec.ids_file;
        r.list_from = spool_folder::incoming;
        r.owner = a.job.job.facts.uid;
    }
    a.bad = std::move(r);
    co_return false;
}

void job_acceptor::finish(submission& a) {
    // In active/ before: perhaps since its fsync failed then.
    a.finished = a.reading.finish(a.orphan ? source_file::doubtful : source_file::durable);
    if (!*a.finished) return;
    const std::string& id = (*a.finished)->spec.id;
    a.begun.ids = id_store::open(with_.plans, store_name(id));
    if (a.begun.ids) a.begun.journal = journal_file::create(with_.journals, id + ".jsonl");
}

task<void> job_acceptor::begin(submission& a) {
    const std::string id = a.found.spec.id;
    submission::made& made = a.begun;
    if (!made.ids || !made.journal) {
        log(log_level::error, "journal.create", (made.ids ? made.journal.error() : made.ids.error()).text(),
            {{"job_id", id}});
        auto sweep = [this, &id]() -> result<bool> { return with_.plans.remove(store_name(id)); };
        const auto swept = co_await with_.disk.run(sweep);
        if (!swept) log(log_level::warn, "store.left", swept.error());
        a.again = true;
        co_return;
    }
    job_state_record seed;
    seed.intake = std::move(a.found);
    if (a.job.job.name != a.name) seed.intake.source.taken_as = a.job.job.name;
    if (auto& list = seed.intake.list; list) {
        list->owner = {a.list.job.facts.uid, a.list.job.facts.gid};
        if (a.list.job.name != list->file) list->taken_as = a.list.job.name;
    }
    seed.copied = a.job.job.copy || a.list.job.copy;
    seed.uid = a.job.job.facts.uid;
    seed.gid = a.job.job.facts.gid;
    seed.modified_at = a.job.job.facts.mtime;
    seed.active_file = a.job.job.name;
    seed.active_list = a.list.job.name;
    seed.journal = std::move(*made.journal);
    seed.accepted_at = wall_now();
    seed.state.ids = seed.intake.ids;
    seed.state.presettled = seed.intake.protected_at;
    seed.state.counts.skipped = count_of(seed.intake.protected_at);
    log(log_level::info, "job.accepted", fmt::format("{} ids, {} duplicates", seed.intake.ids, seed.intake.duplicates),
        {{"job_id", id}, {"file", a.name}, {"uid", seed.uid}, {"priority", seed.intake.spec.priority}});
    ++jobs_.counted.accepted;
    auto job = std::make_unique<active_job>(with_, std::move(seed), std::move(*made.ids));
    ready_(std::move(job));
    if (const auto& given = a.of.to_end) {  // too late to reject it
        given->done = withdrawal::cancelled;
        if (active_job* begun = jobs_.find(id)) begun->cancel(given->by, given->reason);
    }
}

}  // namespace culld

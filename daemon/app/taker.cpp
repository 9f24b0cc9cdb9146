#include "culld/app/taker.hpp"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <utility>

#include "culld/core/backoff.hpp"
#include "culld/core/resource.hpp"
#include "culld/io/log.hpp"
#include "culld/io/process.hpp"

namespace culld {

namespace {

constexpr std::size_t open_jobs_max = 10'000;    // accepted and not over; further files wait where they are
constexpr std::uint64_t large_file = 1U << 20U;  // bytes; packed ones count eightfold
constexpr auto try_again_after = std::chrono::seconds(5);
// Descriptors: of a job that runs (its journal and its store), of one on its way (its file, its list, the store, two
// scratch files, the journal), and of all the rest.
constexpr std::uint64_t files_of_a_run = 2, files_of_a_taking = 6, files_of_ours = 32;

}  // namespace

result<std::shared_ptr<const intake_settings>> intake_settings::load(std::shared_ptr<const config> from) {
    auto pattern = id_pattern::compile(from->ids.pattern);
    if (!pattern) return fail(std::move(pattern.error()));
    auto protect = load_protected_ids(from->ids.protected_file, *pattern);
    if (!protect) return fail(std::move(protect.error()));
    return std::make_shared<const intake_settings>(
        intake_settings{std::move(from), std::move(*pattern), std::move(*protect)});
}

// One file on its way from incoming/ to a job.
struct taker::attempt {
    attempt(std::string file, bool was_active, std::shared_ptr<const intake_settings> with, const folder& plans,
            const std::atomic<bool>& stop, std::uint32_t chance)
        : name(std::move(file)),
          orphan(was_active),
          rules(std::move(with)),
          reading(intake_surroundings{*rules->settings, rules->pattern, resource_names(), rules->protect, plans, stop},
                  wall_now(), chance) {}

    std::string name;
    bool orphan;
    std::shared_ptr<const intake_settings> rules;
    intake reading;
    take_result job;
    take_result list;
    std::optional<result<job_spec>> read;        // the job file was read
    std::optional<result<job_intake>> finished;  // and its list
    struct made {
        result<unique_fd> journal = fail("not made");
        result<id_store> ids = fail("not opened");
    };
    made begun;
    job_spec spec;
    job_intake found;
    std::string claimed;                 // the job id that is ours to begin
    std::optional<result<bool>> looked;  // whether that has a journal
    bool again = false;                  // our own disk's fault: to be tried again later
    bool awaits_project = false;         // likewise, once IAM has told the project's id
};

taker::taker(services& with, job_table& jobs, std::shared_ptr<const intake_settings> rules, job_ready ready)
    : with_(with),
      jobs_(jobs),
      rules_(std::move(rules)),
      ready_(std::move(ready)),
      arrivals_(with.loop, with.files, {.rescan = with.settings->spool.rescan}),
      small_(with.loop),
      large_(with.loop),
      changed_(with.loop) {}

taker::~taker() = default;

void taker::start(task<void> t) {
    ++taking_;
    asio::co_spawn(
        with_.loop,
        [](taker& self, task<void> inner) -> task<void> {
            co_await std::move(inner);
            --self.taking_;
            self.changed_.notify();
            self.with_.jobs_changed();
        }(*this, std::move(t)),
        or_leave_the_loop);
}

void taker::take_orphans(std::vector<std::string> names) {
    for (std::string& name : names) start(take(std::move(name), true));
}

task<void> taker::run() {
    running_ = true;
    while (!stopping_) {
        if (jobs_.open() + taking_ >= open_jobs_max) {
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
                start(take(std::move(file.name), false));
        }
        with_.jobs_changed();
    }
    running_ = false;
    changed_.notify();
}

void taker::stop() {
    stopping_ = true;
    stop_flag_ = true;
    arrivals_.stop();
    changed_.notify();
}

void taker::rescan() {
    ++rescans_;
    arrivals_.rescan();
    changed_.notify();
}

void taker::stop_waiting_for_project() {
    project_pending_ = false;
    changed_.notify();
}

task<void> taker::stopped() {
    while (running_ || taking_ > 0) co_await changed_.wait();
}

task<void> taker::refuse_arrival(arrived_file file) {
    rejection r{.from = spool_folder::incoming, .name = file.name, .why = std::move(*file.refuse), .facts = file.facts};
    co_await reject(std::move(r));
    arrivals_.settled(file.name);
}

task<void> taker::take(std::string name, bool orphan) {
    while (!stopping_ && !descriptors_left())
        co_await changed_.wait_until(steady_now() + std::chrono::milliseconds(50));
    if (stopping_) co_return;
    bool again = false, awaits_project = false;
    {
        attempt a(name, orphan, rules_, with_.plans, stop_flag_, static_cast<std::uint32_t>(with_.dice()));
        ++inside_;
        co_await take_inside(a);
        --inside_;
        give_up_claim(a);
        again = a.again;
        awaits_project = a.awaits_project;
    }  // its files are closed while it waits
    if (stopping_ || !(again || awaits_project)) co_return;
    // In active/ by now: nobody but us will look at it again.
    if (awaits_project)
        co_await changed_.wait_until(steady_now() + try_again_after);
    else
        co_await sit_out(steady_now() + try_again_after, false);
    if (!stopping_) start(take(std::move(name), true));
}

bool taker::descriptors_left() const {
    const auto limit = file_limit();
    if (!limit) return true;
    const std::uint64_t used = jobs_.running().size() * files_of_a_run + inside_ * files_of_a_taking;
    return used == 0 || used + files_of_a_taking + files_of_ours + with_.settings->limits.concurrency <= *limit;
}

// To a thread and back costs a small job more than its work there: what can be done in one trip is.
task<void> taker::take_inside(attempt& a) {
    auto move = [this, &a] {
        auto out = a.orphan ? with_.files.open_active(a.name) : with_.files.take(a.name);
        if (!out || out->what != take_result::outcome::taken || is_large(a.name, out->job.facts)) return out;
        a.read = a.reading.read_job(out->job.fd.get(), a.name);
        if (*a.read && !a.reading.wants_list() && claim_id(a, (*a.read)->id)) a.looked = look_for(a, (*a.read)->id);
        return out;
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
    a.job = std::move(*taken);
    if (a.job.what == take_result::outcome::moved) {
        log(log_level::error, "spool.take", a.job.why.text(), {{"file", a.name}});
        arrivals_.settled(a.name);
        a.again = true;
        co_return;
    }
    if (a.job.what == take_result::outcome::name_busy) {
        arrivals_.again(a.name, std::chrono::seconds(1));
        co_return;
    }
    if (!a.orphan) arrivals_.settled(a.name);
    if (a.job.what == take_result::outcome::gone) co_return;
    if (a.job.what == take_result::outcome::refused) {
        rejection r{.name = a.name, .why = a.job.why};
        co_await reject(std::move(r));
        co_return;
    }
    const bool read_it = co_await read(a);
    if (read_it) co_await begin(a);
}

bool taker::is_large(const std::string& name, const node_facts& f) {
    return (type_of(name).packed == compression::none ? f.size : f.size * 8) > large_file;
}

worker_thread& taker::lane_of(const std::string& name, const node_facts& f) {
    return is_large(name, f) ? large_ : small_;
}

task<bool> taker::read(attempt& a) {
    if (!a.read) {
        auto read_job = [&a] {
            a.read = a.reading.read_job(a.job.job.fd.get(), a.name);
            return true;
        };
        co_await large_.run(read_job);
    }
    problem why;
    if (*a.read) {
        a.spec = std::move(**a.read);
        const bool ours = co_await claim(a);
        if (!ours) co_return false;
        if (!a.finished) {
            const bool there = co_await fetch_sidecar(a);
            if (!there) co_return false;
            auto read_list = [this, &a]() -> result<void> {
                auto listed = a.reading.read_sidecar(a.list.job.fd.get(), a.spec.ids_file);
                if (listed) finish(a);
                return listed;
            };
            auto listed = co_await lane_of(a.spec.ids_file, a.list.job.facts).run(read_list);
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
            rejection r{.name = a.name, .why = std::move(why), .job_id = a.spec.id};
            if (a.list.what == take_result::outcome::taken) r.list = a.spec.ids_file;
            co_await reject(std::move(r));
    }
    co_return false;
}

bool taker::claim_id(attempt& a, const std::string& id) {
    const std::lock_guard lock(claims_);
    if (!starting_.insert(id).second) return false;
    a.claimed = id;
    return true;
}

void taker::give_up_claim(const attempt& a) {
    const std::lock_guard lock(claims_);
    starting_.erase(a.claimed);
}

result<bool> taker::look_for(attempt& a, const std::string& id) {
    const auto there = look(with_.journals, id + ".jsonl");
    if (!there) return fail(there.error());
    if (*there) return true;
    // A store without a journal is left over from an attempt that our own disk broke off.
    if (auto cleared = with_.plans.remove(store_name(id)); !cleared) return cleared;
    if (!a.reading.wants_list()) finish(a);
    return false;
}

task<bool> taker::claim(attempt& a) {
    const std::string& id = a.spec.id;
    // Claimed before the look: whoever had it before us has made its journal by the time he gives it up.
    bool known = false;
    if (!a.claimed.empty() || claim_id(a, id)) {
        if (!a.looked) {
            auto look_now = [this, &a, &id] { return look_for(a, id); };
            // To finish a large list takes as long as to read it.
            auto& lane = a.reading.wants_list() ? small_ : lane_of(a.name, a.job.job.facts);
            auto found = co_await lane.run(look_now);
            a.looked = std::move(found);
        }
        if (!*a.looked) {  // a disk that does not answer says nothing about the id
            log(log_level::error, "journal.look", a.looked->error().text(), {{"job_id", id}});
            a.again = true;
            co_return false;
        }
        known = **a.looked;
        if (!known) co_return true;
    }
    problem why{.what = fmt::format("a job with the id \"{}\" was accepted before", id),
                .hint = "nothing was sent; give the job another id if it is meant to run again",
                .field = "id"};
    rejection r{.name = a.name, .why = std::move(why), .job_id = id};
    // A list that stayed behind would be taken for that of a later job which names it and whose own comes late. But
    // where the other job of this id is only now being read, the list may be its own.
    if (known && !a.spec.ids_file.empty()) {
        r.list = a.spec.ids_file;
        r.list_from = spool_folder::incoming;
    }
    co_await reject(std::move(r));
    co_return false;
}

task<bool> taker::fetch_sidecar(attempt& a) {
    // After a crash it may be in active/ already.
    auto look = [this, &a] { return with_.files.open_active(a.spec.ids_file); };
    if (a.orphan) {
        auto there = co_await small_.run(look);
        if (!there) {
            log(log_level::error, "spool.take", there.error().text(), {{"file", a.spec.ids_file}});
            a.again = true;
            co_return false;
        }
        if (there->what == take_result::outcome::taken) {
            a.list = std::move(*there);
            co_return true;
        }
    }
    const steady_time deadline = steady_now() + with_.settings->spool.sidecar_wait;
    sidecar_answer answer = co_await arrivals_.sidecar(a.spec.ids_file, deadline);
    if (answer.state == sidecar_state::stopped) co_return false;
    if (answer.state == sidecar_state::complete) {
        auto move = [this, &a] { return with_.files.take(a.spec.ids_file); };
        auto taken = co_await small_.run(move);
        if (!taken) {
            log(log_level::error, "spool.take", taken.error().text(), {{"file", a.spec.ids_file}});
            a.again = true;
            co_return false;
        }
        a.list = std::move(*taken);
        if (a.list.what == take_result::outcome::moved) {
            log(log_level::error, "spool.take", a.list.why.text(), {{"file", a.spec.ids_file}});
            a.again = true;
            co_return false;
        }
        if (a.list.what == take_result::outcome::taken) co_return true;
        if (a.list.what == take_result::outcome::name_busy)
            answer.why = problem{.what = fmt::format("the list {} is in use by another job", a.spec.ids_file),
                                 .hint = "give each job a list of its own",
                                 .field = "ids_file"};
        else if (a.list.what == take_result::outcome::refused)
            answer.why = a.list.why;
        else
            answer.why =
                problem{.what = fmt::format("the list {} was taken away again", a.spec.ids_file), .field = "ids_file"};
    }
    if (answer.why.field.empty()) answer.why.field = "ids_file";
    rejection r{.name = a.name, .why = answer.why, .job_id = a.spec.id};
    if (a.list.what == take_result::outcome::refused) r.list = a.spec.ids_file;
    co_await reject(std::move(r));
    co_return false;
}

void taker::finish(attempt& a) {
    // In active/ before: perhaps since its fsync failed then.
    a.finished = a.reading.finish(a.orphan ? source_file::doubtful : source_file::durable);
    if (!*a.finished) return;
    const std::string& id = (*a.finished)->spec.id;
    a.begun.ids = id_store::open(with_.plans, store_name(id));
    if (a.begun.ids) a.begun.journal = journal_file::create(with_.journals, id + ".jsonl");
}

task<void> taker::begin(attempt& a) {
    const std::string id = a.found.spec.id;
    attempt::made& made = a.begun;
    if (!made.ids || !made.journal) {
        log(log_level::error, "journal.create", (made.ids ? made.journal.error() : made.ids.error()).text(),
            {{"job_id", id}});
        auto sweep = [this, &id]() -> result<bool> { return with_.plans.remove(store_name(id)); };
        const auto swept = co_await with_.disk.run(sweep);
        if (!swept) log(log_level::warn, "store.left", swept.error());
        a.again = true;
        co_return;
    }
    job_seed seed;
    seed.intake = std::move(a.found);
    seed.uid = a.job.job.facts.uid;
    seed.gid = a.job.job.facts.gid;
    seed.modified_at = a.job.job.facts.mtime;
    seed.active_file = a.name;
    seed.active_list = a.spec.ids_file;
    seed.journal = std::move(*made.journal);
    seed.accepted_at = wall_now();
    seed.state.ids = seed.intake.ids;
    seed.state.holes = seed.intake.protected_at;
    seed.state.counts.skipped = count_of(seed.intake.protected_at);
    log(log_level::info, "job.accepted", fmt::format("{} ids, {} duplicates", seed.intake.ids, seed.intake.duplicates),
        {{"job_id", id}, {"file", a.name}, {"uid", seed.uid}, {"priority", seed.intake.spec.priority}});
    ++jobs_.counted.accepted;
    auto job = std::make_unique<job_run>(with_, std::move(seed), std::move(*made.ids));
    ready_(std::move(job));
}

// One try. The ledger first: a file that is seen in rejected/ is in the ledger, whatever crashes in between.
result<taker::rejection::progress> taker::try_to_reject(rejection& r) {
    const auto there = with_.files.look(r.from, r.name);
    if (!there) return fail(there.error());
    // Gone, or another file by now, which has yet to be judged.
    if (!*there || (r.facts && **there != *r.facts)) return rejection::progress::gone;
    // Told before a crash, which came before its move: the file is as old as that line.
    if (!r.line && with_.ledger.rejected_since(r.name, (*there)->ctime)) r.line.emplace();
    if (!r.line) {
        const std::string text = r.why.text();
        auto line =
            with_.ledger.append({.job_id = r.job_id, .file = r.name, .status = "rejected", .error = text}, r.at);
        if (!line) return fail(std::move(line.error()));
        r.line = std::move(*line);
    }
    if (!r.list.empty()) {
        problem because = r.why;
        because.what = fmt::format("its job {} was rejected: {}", r.name, r.why.what);
        if (auto moved = with_.files.reject(r.list_from, r.list, because, r.at); !moved)
            return fail(std::move(moved.error()));
        r.list.clear();
    }
    if (auto moved = with_.files.reject(r.from, r.name, r.why, r.at); !moved) return fail(std::move(moved.error()));
    return rejection::progress::done;
}

task<void> taker::reject(rejection r) {
    r.at = wall_now();
    constexpr backoff between{.base = std::chrono::seconds(1), .cap = std::chrono::seconds(30)};
    auto one_try = [this, &r]() { return try_to_reject(r); };
    bool told = false;  // that it is in the ledger
    for (std::uint32_t tries = 1;; ++tries) {
        const auto out = co_await with_.disk.run(one_try);
        if (r.line && !std::exchange(told, true)) {
            ++jobs_.counted.rejected;
            log(log_level::warn, "job.rejected", r.why.text(), {{"rejected", r.name}});
            with_.announce({.kind = notice_kind::rejected,
                            .job_id = r.job_id,
                            .file = r.name,
                            .error_class = "rejected",
                            .detail = r.why.text()});
            if (!r.line->hash.empty())
                log(log_level::info, "ledger.line",
                    fmt::format("ledger line {} has SHA-256 {}", r.line->seq, r.line->hash),
                    {{"ledger_seq", r.line->seq}, {"ledger_sha256", r.line->hash}});
        }
        if (out) co_return;
        // Said once: a disk that stays full has nothing new to say.
        log(tries == 1 ? log_level::error : log_level::debug, "spool.reject",
            out.error().text() + "; culld tries again by itself", {{"rejected", r.name}, {"tries", tries}});
        co_await sit_out(steady_now() + between.delay(tries, with_.chance()), r.from == spool_folder::incoming);
        if (stopping_) co_return;
    }
}

task<void> taker::sit_out(steady_time until, bool handed) {
    ++sitting_out_;
    sitting_handed_ += handed ? 1U : 0U;
    with_.jobs_changed();
    const std::uint64_t rescans = rescans_;
    while (!stopping_ && rescans_ == rescans && steady_now() < until) co_await changed_.wait_until(until);
    --sitting_out_;
    sitting_handed_ -= handed ? 1U : 0U;
}

}  // namespace culld

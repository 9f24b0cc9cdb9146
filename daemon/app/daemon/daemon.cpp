#include "culld/app/daemon/daemon.hpp"

#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdlib>
#include <random>

#include "culld/app/accept/job_acceptor.hpp"
#include "culld/app/daemon/load.hpp"
#include "culld/app/daemon/reload_record.hpp"
#include "culld/app/jobs/job_recovery.hpp"
#include "culld/app/jobs/job_table.hpp"
#include "culld/app/send/limit_keeper.hpp"
#include "culld/app/send/sender.hpp"
#include "culld/app/status/control.hpp"
#include "culld/app/status/folder_guard.hpp"
#include "culld/app/status/listeners.hpp"
#include "culld/app/status/notifier.hpp"
#include "culld/app/status/watchdog.hpp"
#include "culld/core/base/exit_code.hpp"
#include "culld/core/job/api_resource.hpp"
#include "culld/io/auth/key_lockout_file.hpp"
#include "culld/io/http/http_client.hpp"
#include "culld/io/journal/last_send_file.hpp"
#include "culld/io/os/log.hpp"
#include "culld/io/os/process_setup.hpp"
#include "culld/io/os/systemd.hpp"

namespace culld {

namespace {

constexpr auto look_again_every = std::chrono::seconds(5);    // at whatever does not get on by itself
constexpr int active_tries = 5;                               // to read active/ at the start
constexpr auto last_words = std::chrono::milliseconds(1500);  // of the end, beside what answers in flight may take
constexpr auto last_lines = std::chrono::milliseconds(200);   // of the log, behind that

class daemon_process {
  public:
    daemon_process(const daemon_options& options, loaded from, std::shared_ptr<credential_memory> memory,
                   asio::io_context& context, const spool& files, const folder& journals, const folder& plans,
                   ledger_file& ledger, owned_folders& owned, last_send_file& mark, bool full_bucket)
        : options_(options),
          memory_(std::move(memory)),
          project_(std::move(from.project)),
          loop_(context.get_executor()),
          journals_(journals),
          mark_(mark),
          rules_(from.rules),
          disk_(loop_),
          filing_(loop_),
          ids_(loop_),
          papers_(loop_),
          manager_(loop_),
          with_{.loop = loop_,
                .disk = disk_,
                .filing = filing_,
                .ids = ids_,
                .files = files,
                .journals = journals,
                .plans = plans,
                .ledger = ledger,
                .settings = from.settings,
                .config_sha256 = from.file.sha256,
                .checkpoints = options.checkpoints,
                .dice = std::mt19937_64(std::random_device{}()),
                .few_jobs = [this] { return jobs_.few(); },
                .announce = [this](const notification& n) { notifier_.tell(n); },
                .pump = [this] { sender_->pump(); },
                .wake = [this](active_job& job) { sender_->wake(job); },
                .limits_changed = [this] { limits_.changed(); },
                .jobs_changed = [this] { changed_.notify(); }},
          sender_(std::make_unique<sender>(with_, std::move(from.who), std::move(from.api), full_bucket)),
          limits_(with_, *sender_),
          acceptor_(with_, jobs_, rules_, [this](std::unique_ptr<active_job> job) { adopt(std::move(job)); }),
          notifier_(loop_, {host_name(), CULLD_VERSION}, *from.settings, std::move(from.carriers),
                    [this] { return with_.chance(); }),
          control_(with_, jobs_, *sender_, notifier_),
          signals_(loop_, SIGTERM, SIGINT),
          hangup_(loop_, SIGHUP),
          changed_(loop_),
          folder_guard_(with_, owned, [this](const std::optional<problem>& lost) { folders_checked(lost); }),
          heart_(loop_, {&disk_, &ids_}, manager_, [this] { return status_line(); }),
          look_again_(loop_) {
        memory_->guard_changed = [this] { keep_key_mark(with_, memory_->guard.mark(steady_now(), wall_now())); };
        memory_->files = &papers_;
        limits_.restore();
    }

    // What the disk thread still does for a job (putting its file away) uses that job: it ends before the jobs go.
    ~daemon_process() {
        memory_->guard_changed = {};
        memory_->files = nullptr;
        disk_.join();
        filing_.join();
    }
    daemon_process(const daemon_process&) = delete;
    daemon_process& operator=(const daemon_process&) = delete;

    task<void> run() {
        heart_.watch_disk([this](bool hangs) { disk_hangs(hangs); });
        if (auto opened = open_listeners(); !opened) {
            log(log_level::error, "start.failed", opened.error());
            exit_code_ = io_error;
            co_await close_down();
            co_return;
        }
        signals_.async_wait([this](boost::system::error_code ec, int signal) {
            if (ec) return;
            log(log_level::info, "stopping", signal == SIGINT ? "interrupted" : "told to stop");
            stop_asked_ = rebuilding_.stop = true;
            heart_.bound_the_end(with_.settings->api.request_timeout + last_words);
            changed_.notify();
        });
        wait_for_hangup();
        learn_project();
        heart_.starting();
        co_await go_on_with_open_jobs();
        heart_.begin();
        folder_guard_.begin();
        asio::co_spawn(loop_, acceptor_.run(), rethrow_from_loop);
        control_.ready = true;
        control_.begin();
        notifier_.begin();
        let_go_of_code();
        manager_.ready(status_line());
        log(log_level::info, "ready", fmt::format("culld {} watches {}", CULLD_VERSION, with_.files.path()),
            {{"open_jobs", jobs_.to_go_on_with()},
             {"requests_per_second", with_.settings->limits.requests_per_second}});
        while (!stop_asked_) {
            co_await tend();
            if (options_.once && (once_is_over() || waits_for_nothing())) break;
            if (stop_asked_) break;
            co_await changed_.wait();
        }
        co_await close_down();
    }

    [[nodiscard]] int exit_code() const { return exit_code_; }

  private:
    void adopt(std::unique_ptr<active_job> job) {
        active_job& j = *job;
        jobs_.add(std::move(job));
        sender_->add(j);
        j.start();
        sender_->block_if_refused(j);
        sender_->pump();
        changed_.notify();
    }

    result<void> open_listeners() {
        control_.live = [this] { return heart_.disk_answers(); };
        control_.asked_if_ready = [this] { folder_guard_.look_soon(); };
        control_.try_again = [this] {
            look_due_ = true;
            changed_.notify();
        };
        auto opened = culld::open_listeners(loop_, *with_.settings, control_, options_.once);
        if (!opened) return fail(std::move(opened.error()));
        servers_ = std::move(*opened);
        return {};
    }

    intake_surroundings surroundings(const intake_settings& rules) {
        return {*rules.settings, rules.pattern, resource_names(), rules.protect, with_.plans, rebuilding_};
    }

    // ---- recovery ----

    task<void> go_on_with_open_jobs() {
        auto find = [this] { return open_jobs(journals_, with_.plans, with_.ledger); };
        auto open = co_await disk_.run(find);
        const auto give_up = [this](const problem& why) {
            log(log_level::error, "recovery.failed", why);
            exit_code_ = io_error;
            stop_asked_ = true;
        };
        if (!open) co_return give_up(open.error());
        auto sweep = [this, &open] { return sweep_stores(with_.plans, *open); };
        const auto swept = co_await disk_.run(sweep);
        if (!swept) log(log_level::warn, "store.sweep", swept.error());
        std::set<std::string> active;
        for (const std::string& id : *open) {
            co_await recover(id, &active);
            if (stop_asked_) co_return;
        }
        const bool all_known = jobs_.quarantined().empty();
        auto scan = [this, &active, all_known] { return files_without_job(with_.files, active, all_known); };
        auto orphans = co_await disk_.run(scan);
        // What lies there unseen would never be looked for again.
        for (int tries = 1; !orphans && tries < active_tries && !stop_asked_; ++tries) {
            log(log_level::error, "recovery.failed", orphans.error());
            co_await changed_.wait_until(steady_now() + std::chrono::seconds(1));
            auto once_more = co_await disk_.run(scan);
            orphans = std::move(once_more);
        }
        if (!orphans) co_return give_up(orphans.error());
        if (file_unknown_) {
            say_left_alone(*orphans);
            co_return;
        }
        acceptor_.take_orphans(std::move(*orphans));
    }

    // ---- the project's id, where IAM has to be asked for it ----

    void learn_project() {
        if (!project_) return;
        acceptor_.wait_for_project();
        asio::co_spawn(loop_, ask_for_project(), rethrow_from_loop);
    }

    task<void> ask_for_project() {
        const auto asked = with_.settings;
        auto id = co_await sender_->find_project(*project_);
        project_.reset();
        if (stop_asked_ || (id && id->empty())) co_return;
        if (with_.settings != asked) {  // the configuration was read again meanwhile
            project_ = std::move(next_project_);
            learn_project();
            if (!project_) acceptor_.stop_waiting_for_project();
            co_return;
        }
        if (id) {
            log(log_level::info, "project.found", fmt::format("the id of the project is {}", *id),
                {{"project_id", *id}});
            co_await use_project(*id);
        } else {
            log(log_level::error, "project.failed", id.error());
        }
        acceptor_.stop_waiting_for_project();
        changed_.notify();
    }

    task<void> use_project(std::string id) {
        config settings = *with_.settings;
        settings.api.project_id = std::move(id);
        with_.settings = std::make_shared<const config>(std::move(settings));
        const auto now = with_.settings;
        auto load = [this, now] { return intake_settings::load(now, &rebuilding_.stop); };
        auto rules = co_await papers_.run(std::move(load));
        if (with_.settings != now) co_return;  // a reload came in between
        if (!rules) co_return log(log_level::error, "project.failed", rules.error());
        rules_ = std::move(*rules);
        acceptor_.apply(rules_, with_.settings->spool.rescan);
    }

    // All that is left to do needs credentials that are refused: nothing here changes by waiting.
    [[nodiscard]] bool waits_for_nothing() const {
        return (acceptor_.waits_for_project() && sender_->gave_up()) || (with_.folders_lost && jobs_.running().empty());
    }

    task<void> recover(std::string id, std::set<std::string>* active) {
        // Shared: a variant of move-only parts must come back through a copyable completion.
        // Its rules are held by the work: a reload may replace ours meanwhile.
        const auto left = jobs_.left_of(id);
        const auto to_end = jobs_.end_of(id);
        auto work = [this, &id, &left, &to_end, rules = rules_] {
            return std::make_shared<recovered>(recover_job(id, journals_, with_.ledger, with_.files,
                                                           surroundings(*rules), with_.checkpoints, left, to_end));
        };
        const auto found = co_await disk_.run(work);
        if (auto* ready = std::get_if<ready_to_run>(found.get())) {
            if (active != nullptr) active->insert(ready->seed.active_file);
            log_recovered(ready->seed);
            adopt(std::make_unique<active_job>(with_, std::move(ready->seed), std::move(ready->ids)));
        } else if (auto* quarantined = std::get_if<quarantined_job>(found.get())) {
            if (stop_asked_) co_return;  // perhaps it is only that the reading was broken off
            if (active != nullptr && !quarantined->active_file.empty()) active->insert(quarantined->active_file);
            if (active == nullptr && !quarantined->damaged) co_return;  // said before
            tell_of_stuck(with_, *quarantined);
            // Its file must not be taken as a new job, and which file that is, its journal does not tell.
            if (quarantined->active_file.empty()) file_unknown_ = true;
            jobs_.quarantine(std::move(*quarantined));
        } else {
            // Its journal's very first write failed. At a start its file is found with the others in active/.
            const std::string file = jobs_.forget_quarantined(id);
            if (file.empty()) co_return;
            log(log_level::warn, "job.again", "its journal never held it: its file is taken anew",
                {{"job_id", id}, {"file", file}});
            acceptor_.take_orphans({file});
        }
    }

    // ---- tending ----
    // Where the ground is lost each job's journal is read again from the disk before it goes on.
    void folders_checked(const std::optional<problem>& lost) {
        control_.not_ready = lost ? lost->text() : std::string();
        for (const auto& [id, job] : jobs_.running()) lost ? job->lose_folders(*lost) : job->look_ahead(steady_now());
        if (std::exchange(with_.folders_lost, lost.has_value()) == lost.has_value()) return;
        if (!lost) look_due_ = true;
        acceptor_.rescan();
        changed_.notify();
    }

    task<void> tend() {
        for (const std::string& id : jobs_.reap([this](active_job& job) { sender_->remove(job); }))
            log(log_level::warn, "job.aside", "its journal will be read again", {{"job_id", id}});
        manager_.status(status_line());
        folder_guard_.jobs_are_open(jobs_.open() > 0 || with_.folders_lost);
        if (control_.ready) control_.keep_sampling();
        const bool needs_looks = !jobs_.quarantined().empty() || sender_->wants_look() ||
                                 std::any_of(jobs_.running().begin(), jobs_.running().end(), [](const auto& e) {
                                     const active_job& job = *e.second;
                                     return job.blocked() || job.ending() || job.spec().deadline;
                                 });
        if (needs_looks && !looking_) {
            looking_ = true;
            look_again_.expires_after(look_again_every);
            look_again_.async_wait([this](boost::system::error_code ec) {
                looking_ = false;
                if (ec || stop_asked_) return;
                look_due_ = true;
                changed_.notify();
            });
        }
        if (look_due_) {
            look_due_ = false;
            co_await look_at_troubles();
        }
    }

    task<void> look_at_troubles() {
        sender_->look_at_credentials();
        for (const auto& [id, job] : jobs_.running()) {
            if (job->waits_for_disk() && heart_.disk_answers()) job->unblock("trying again");
            job->look_at_store();
            // Nobody asks a job for batches that is paused, blocked, or behind one that has to wait.
            job->check_deadline();
            job->check_end();
        }
        sender_->pump();
        std::vector<std::string> again;
        for (const auto& [id, quarantined] : jobs_.quarantined())
            if (!quarantined.damaged && !with_.folders_lost) again.push_back(id);
        for (const std::string& id : again) co_await recover(id, nullptr);
        changed_.notify();
    }

    std::string status_line() const { return jobs_.status_line(steady_now()); }

    void disk_hangs(bool hangs) {
        jobs_.disk_hangs(hangs);
        sender_->pump();
        changed_.notify();
    }

    void wait_for_hangup() {
        hangup_.async_wait([this](boost::system::error_code ec, int) {
            if (ec) return;
            // One that comes during another reads again what that one may have read too early.
            reload_asked_ = true;
            if (!reloading_) asio::co_spawn(loop_, reload_as_asked(), rethrow_from_loop);
            wait_for_hangup();
        });
    }

    task<void> reload_as_asked() {
        for (reloading_ = true; std::exchange(reload_asked_, false) && !stop_asked_;) co_await reload();
        reloading_ = false;
    }

    task<void> reload() {
        manager_.reloading();
        control_.reloaded.successful = false;
        // The configuration, certificates, keys, secrets and the protected list: whatever disk they are on.
        auto load = [this] { return std::make_shared<loaded_or_not>(load_everything(options_, &rebuilding_.stop)); };
        auto read = co_await papers_.run(std::move(load));
        if (stop_asked_) co_return;
        auto old_rules = rules_;
        loaded_or_not& fresh = *read;
        if (!reload_refused(fresh, *with_.settings, rules_->protect)) {
            fresh->who->adopt(memory_);
            ruled_by before = reloads_.now();
            with_.settings = fresh->settings;
            with_.config_sha256 = fresh->file.sha256;
            rules_ = fresh->rules;
            acceptor_.apply(fresh->rules, with_.settings->spool.rescan);
            sender_->apply(*with_.settings, std::move(fresh->who));
            notifier_.apply(*with_.settings, std::move(fresh->carriers));
            const bool looked_up = project_ != nullptr;  // the look-up under way sees that things have changed
            (looked_up ? next_project_ : project_) = std::move(fresh->project);
            if (!looked_up) learn_project();
            // The ledger is the disk thread's. Shared: what is posted must be copyable.
            auto signing = std::make_shared<std::optional<ledger_signing>>(std::move(fresh->signing));
            auto swap_key = [this, signing] { return with_.ledger.sign_with(std::move(*signing)); };
            disk_.post(std::move(swap_key), [](const result<void>& done) {
                if (!done) log(log_level::error, "ledger.signing", done.error());
            });
            if (const auto level = log_level_of(with_.settings->log.level)) set_log_level(*level);
            acceptor_.rescan();
            look_due_ = true;
            control_.reloaded = {true, wall_now()};
            reloads_.tell(std::move(before));
        }
        // A list of a million ids takes a second to be forgotten: not here.
        papers_.post(
            [read = std::move(read), old = std::move(old_rules)]() mutable {
                read.reset();
                old.reset();
                return 0;
            },
            [](int) {});
        manager_.ready(status_line());
        changed_.notify();
    }

    // ---- the end ----

    bool once_is_over() { return acceptor_.at_rest() && jobs_.all_stuck(); }

    task<void> close_down() {
        manager_.stopping("letting answers in flight land");
        heart_.bound_the_end(with_.settings->api.request_timeout + last_words);
        const steady_time answers_until = steady_now() + with_.settings->api.request_timeout;
        boost::system::error_code ignored;
        signals_.cancel(ignored);
        hangup_.cancel(ignored);
        heart_.end();
        folder_guard_.end();
        look_again_.cancel();
        control_.end();
        const bool disk_awaited = acceptor_.waiting_for_disk() > 0;
        acceptor_.stop();
        if (project_) project_->break_off();
        co_await sender_->drain(with_.settings->api.request_timeout);
        co_await acceptor_.stopped();
        for (const auto& [id, job] : jobs_.running()) co_await job->close(answers_until);
        const steady_time now = steady_now();
        co_await notifier_.drain(std::min(now + with_.settings->notify.timeout, std::max(now, answers_until)));
        for (auto& server : servers_) co_await server->stop();
        // The last thing the disk thread does: whatever it was at before is over then, too.
        auto leave = [this, sent = sender_->last_sent()] { return mark_.leave(sent, wall_now()); };
        if (const auto done = co_await disk_.run(leave); !done) log(log_level::warn, "rate.mark", done.error());
        // What hangs is bounded by the limit on the end, which a destructor that joins is not.
        while (filing_.busy_since() || ids_.busy_since() || papers_.busy_since() || reloading_)
            co_await changed_.wait_until(steady_now() + std::chrono::milliseconds(20));
        heart_.ended();
        manager_.end();
        const bool left = jobs_.open() > 0 || acceptor_.waits_for_project() || disk_awaited || with_.folders_lost;
        if (exit_code_ == 0 && options_.once)
            exit_code_ = left ? try_later : jobs_.counted.rejected > 0 ? bad_job : jobs_.worst();
    }

    const daemon_options& options_;
    std::shared_ptr<credential_memory> memory_;
    std::unique_ptr<project_lookup> project_;       // while it is being looked up
    std::unique_ptr<project_lookup> next_project_;  // from a reload meanwhile
    loop_executor loop_;
    const folder& journals_;
    last_send_file& mark_;
    std::shared_ptr<const intake_settings> rules_;
    worker_thread disk_, filing_, ids_;  // as in services
    worker_thread papers_;               // reads what the configuration names
    service_manager manager_;
    daemon_context with_;
    job_table jobs_;
    std::unique_ptr<sender> sender_;
    limit_keeper limits_;
    job_acceptor acceptor_;
    notifier notifier_;
    reload_record reloads_{with_};
    control control_;
    std::vector<std::unique_ptr<http_server>> servers_;
    asio::basic_signal_set<loop_executor> signals_;
    asio::basic_signal_set<loop_executor> hangup_;
    event changed_;
    folder_guard folder_guard_;
    watchdog heart_;
    loop_timer look_again_;
    bool looking_ = false;
    bool look_due_ = false;
    bool stop_asked_ = false, reload_asked_ = false, reloading_ = false;
    bool file_unknown_ = false;  // some file in active/ belongs to a job set aside, nobody knows which
    reading_watch rebuilding_;   // of lists, from files of open jobs
    int exit_code_ = 0;
};

}  // namespace

int run_daemon(const daemon_options& options) {
    give_memory_back();
    static_cast<void>(::umask(0027));  // journals are 0640, whoever starts us; umask has no errors
    auto from = load_everything(options);
    if (!from) {
        complain(from.error());
        return bad_config;
    }
    const auto memory = std::make_shared<credential_memory>();
    from->who->adopt(memory);
    const config& c = *from->settings;
    start_log(style_of(c.log.format, look_around()), log_level_of(c.log.level).value_or(log_level::info));
    for (const config_complaint& w : from->file.warnings) log(log_level::warn, "config.warning", w.about);
    if (auto done = harden_process(); !done) log(log_level::warn, "process.harden", done.error());
    if (auto done = ignore_write_signals(); !done) log(log_level::warn, "process.signals", done.error());
    if (auto limit = raise_file_limit(); !limit) log(log_level::warn, "process.limit", limit.error());

    const auto refuse = [](const problem& why, int code) {
        log(log_level::error, "start.failed", why);
        return code;
    };
    auto files = spool::open(c.spool.dir);
    if (!files) return refuse(files.error(), io_error);
    auto journals = folder::open(c.journal.dir, 0750);
    if (!journals) return refuse(journals.error(), io_error);
    auto plans = journals->sub(".plan", 0700);
    if (!plans) return refuse(plans.error(), io_error);
    auto owned = own_folders(*files, *journals, *plans);
    if (!owned)
        return refuse(owned.error().what, owned.error().why == lock_refusal::cause::held ? try_later : io_error);
    if (auto same = keep_together(files->root(), *journals); !same) return refuse(same.error(), try_later);
    auto ledger = ledger_file::open(*journals, std::move(from->signing), log_ledger_line);
    if (!ledger) return refuse(ledger.error(), io_error);
    warn_of(*ledger);
    last_send_file mark(*journals);
    const auto full =
        mark.quiet_for(std::chrono::duration<double>(c.limits.burst / c.limits.requests_per_second), wall_now());
    if (!full) return refuse(full.error(), io_error);
    const auto refused_keys = read_key_mark(*journals);
    if (!refused_keys) return refuse(refused_keys.error(), io_error);
    if (!memory->guard.restore(*refused_keys, steady_now(), wall_now()))
        log(log_level::warn, "key.mark",
            fmt::format("{}/.refused-keys holds lines that are none of ours: they are not counted", journals->path()));

    // From here on nothing that does not read holds up the loop.
    log_from_a_thread();
    // One thread runs it all.
    asio::io_context context(1);
    int code = 0;
    {
        daemon_process alive(options, std::move(*from), memory, context, *files, *journals, *plans, *ledger, *owned,
                             mark, *full);
        asio::co_spawn(context, alive.run(), [&](std::exception_ptr e) {
            rethrow_from_loop(e);
            context.stop();
        });
        try {
            context.run();
        } catch (const std::exception& e) {
            // A broken invariant. Nothing more is sent or written: what is durable stays, and a restart goes on from
            // it. Not unwound, since coroutines are in the middle of things.
            log(log_level::error, "internal.error", fmt::format("please report this: {}", e.what()));
            static_cast<void>(end_log(last_lines));  // it ends either way
            std::_Exit(internal_error);
        }
        code = alive.exit_code();
    }
    log(log_level::info, "stopped", fmt::format("exit code {}", code));
    const bool written = end_log(last_lines);
    // What others hold up is left where it is: a line that nobody reads, a resolver that does not answer.
    if (!written || lookups_under_way() > 0) std::_Exit(code);
    return code;
}

}  // namespace culld

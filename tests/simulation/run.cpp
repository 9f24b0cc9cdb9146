#include "run.hpp"

#include <fmt/format.h>
#include <sys/inotify.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <fstream>

#include "cloud.hpp"
#include "culld/app/daemon.hpp"
#include "culld/core/exit_code.hpp"
#include "plants.hpp"
#include "real_calls.hpp"
#include "truth.hpp"
#include "world.hpp"

namespace culld::simulation {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Does the daemon listen for SIGTERM? Before it does, the signal would end us.
bool takes_signals() {
    struct sigaction now {};
    return ::sigaction(SIGTERM, nullptr, &now) == 0 && now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN;
}

// An operator with cullctl: one command, or one look.
struct operator_call : far_end {
    explicit operator_call(truth& judge) : judges(judge) {}
    void received(std::string_view bytes) override {
        answer += bytes;
        if (const std::size_t head = answer.find("\r\n\r\n"); head != std::string::npos)
            judges.reported(std::string_view(answer).substr(head + 4));
    }
    void gone() override {}
    truth& judges;
    std::string answer;
};

class course {
  public:
    course(std::uint64_t seed, const run_options& options)
        : options_(options), world_(seed, options.talk), on_(world_.on), chance_(on_.chance) {
        plant(options.plant, world_);
        draw_settings();
        auto jobs = plan_jobs(chance_, {.batch_size = batch_size_, .until = storm_ * 3 / 4}, on_.wall());
        truth_ = std::make_unique<truth>(world_, std::move(jobs), send_rules{rate_, burst_});
        cloud_ = std::make_unique<cloud>(world_, *truth_);
        world_.files.on_stable = [this] { truth_->look(); };
        on_.on_fail = [this] {
            for (const auto& [name, content] : world_.files.snapshot("/sim"))
                print_line(fmt::format("---- {}, {} bytes\n{}", name, content.size(), content));
        };
        world_.files.on_event = [this](const node& folder, std::uint32_t what, const std::string& name) {
            world_.tell_watchers(folder, what, name);
        };
        prepare_disk();
        write_config();
    }

    run_outcome go() {
        storm();
        calm();
        const auto exists = [this](const std::string& id) { return cloud_->exists(id); };
        truth_->judge(exists);
        once_more();
        out_.trace = on_.trace();
        out_.happenings = on_.told();
        out_.requests = truth_->requests();
        out_.ids = truth_->ids_total();
        out_.seconds = std::chrono::duration<double>(on_.now()).count();
        return out_;
    }

  private:
    // ---- what this seed is like ----

    void draw_settings() {
        storm_ = chance_.between(moment(seconds(5)), moment(seconds(90)));
        rate_ = std::array{2.0, 5.0, 7.5, 20.0, 100.0}[chance_.below(5)];
        burst_ = chance_.chance(0.7) ? 1 : static_cast<std::uint32_t>(chance_.between(2, 5));
        batch_size_ = static_cast<std::uint32_t>(chance_.between(1, 30));
        request_timeout_ = seconds(chance_.between(1, 10));
    }

    // Each seed has its own few kinds of bad weather.
    double odds(double share, double most) { return chance_.chance(share) ? chance_.fraction() * most : 0; }

    void draw_weather() {
        disk::weather& d = world_.files.now;
        d.ordered = chance_.chance(0.5);
        d.write = odds(0.15, 0.02);
        d.sync = odds(0.2, 0.05);
        d.name = odds(0.1, 0.02);
        d.read = odds(0.05, 0.005);
        d.short_write = odds(0.3, 0.3);
        if (chance_.chance(0.2)) d.sync_high = chance_.between(moment(milliseconds(20)), moment(seconds(3)));
        if (chance_.chance(0.15)) {
            d.full_from = chance_.between(moment(0), storm_);
            d.full_to = d.full_from + chance_.between(moment(milliseconds(100)), moment(seconds(20)));
        }
        world_.line.torn_request = odds(0.3, 0.05);
        world_.line.short_send = odds(0.3, 0.5);
        world_.no_events = chance_.chance(0.05);
        world_.events_lost = odds(0.2, 0.5);
        cloud::weather& c = cloud_->now;
        if (chance_.chance(0.3)) c.way_high = chance_.between(moment(milliseconds(20)), moment(seconds(2)));
        c.refuse = odds(0.2, 0.3);
        c.black_hole = odds(0.2, 0.2);
        c.reset = odds(0.3, 0.2);
        c.garbage = odds(0.2, 0.2);
        c.pieces = odds(0.4, 0.8);
        c.idle_close = odds(0.3, 0.5);
    }

    emulator::scenario draw_scenario() {
        emulator::scenario s;
        s.seed = chance_.next();
        s.latency_fixed = chance_.between(moment(0), moment(milliseconds(200)));
        s.latency_jitter = chance_.between(moment(0), moment(milliseconds(300)));
        s.post_form = !chance_.chance(0.1);
        s.chinese = chance_.chance(0.1);
        s.fail_ratio = odds(0.4, 0.3);
        s.missing_ratio = odds(0.3, 0.3);
        s.missing_deleted = chance_.chance(0.5);
        s.both_ratio = odds(0.2, 0.3);
        s.both_deleted = chance_.chance(0.5);
        if (chance_.chance(0.1)) {
            s.truncate_lists = chance_.between(1, 20);
            s.both_deleted = true;  // else a cut list would hide that the other one lies, and nobody could know
        }
        s.null_errors = chance_.chance(0.1);
        s.odd_samples = chance_.chance(0.2);
        s.shuffle = chance_.chance(0.3);
        s.lost_ratio = odds(0.3, 0.3);
        s.lost_before_ratio = odds(0.3, 0.3);
        s.cut_ratio = odds(0.2, 0.3);
        for (const int status : {500, 502, 503, 504, 403, 429, 401, 404, 400, 413, 301, 201})
            if (chance_.chance(0.06)) s.status_ratio[status] = chance_.fraction() * 0.2;
        s.status_applied = chance_.chance(0.5);
        s.html_502 = chance_.chance(0.5);
        if (chance_.chance(0.1))
            s.throttle = emulator::throttle_rule{.limit = chance_.between(1, 20),
                                                 .per_seconds = chance_.chance(0.8) ? chance_.between(1, 5) : 60,
                                                 .policy = "user",
                                                 .retry_after = chance_.chance(0.3),
                                                 .message = {}};
        if (chance_.chance(0.2)) {
            s.reject_token_after = chance_.between(1, 30);
        }
        const std::uint64_t outages = chance_.chance(0.3) ? chance_.between(1, 3) : 0;
        for (std::uint64_t i = 0; i < outages; ++i)
            s.outages.push_back({.after_requests = chance_.between(1, 20),
                                 .for_requests = {},
                                 .for_time = chance_.between(moment(milliseconds(100)), moment(seconds(10))),
                                 .kind = static_cast<emulator::outage::kind_type>(chance_.below(4))});
        for (const job_plan& job : truth_->jobs()) {
            const auto one = [&] { return job.ids[chance_.below(job.ids.size())]; };
            if (chance_.chance(0.1)) s.poison_ids.push_back(one());
            if (chance_.chance(0.1)) s.fail_always.push_back(one());
            if (chance_.chance(0.1)) s.fail_ids.push_back(one());
        }
        return s;
    }

    void prepare_disk() {
        disk& d = world_.files;
        node_ptr made;
        for (const char* const name : {"spool", "journal", "run"})
            if (d.make(d.root, name, node::kind_type::folder, 0755, made) != 0) on_.fail("no disk");
        for (const char* const name : {"tmp", "incoming", "active", "done", "failed", "rejected"})
            if (d.make(d.find("/sim/spool"), name, node::kind_type::folder, 0750, made) != 0) on_.fail("no disk");
        if (d.make(d.root, "token", node::kind_type::file, 0600, made) != 0) on_.fail("no disk");
        new_token();
        for (const char* const path : {"/sim", "/sim/spool"}) d.sync_folder(*d.find(path));
    }

    // Whoever gets tokens elsewhere puts a new one in place.
    void new_token() {
        token_ = fmt::format("token-{}", chance_.next());
        node& file = *world_.files.find("/sim/token");
        world_.files.cut(file, 0);
        world_.files.write(file, 0, token_ + "\n");
        world_.files.sync(file);
        if (life_ > 0) cloud_->inside().door.replace_token(token_, on_.wall());
    }

    void write_config() {
        config_ = options_.scratch + "/culld.yaml";
        std::ofstream file(config_, std::ios::trunc);
        file << fmt::format(
            "api: {{endpoint: \"http://127.0.0.1:8080\", project_id: p, workspace_id: w, connect_timeout: 1s, "
            "request_timeout: {}s}}\n"
            "auth: {{token_file: /sim/token}}\n"
            "spool: {{dir: /sim/spool, rescan: {}s, sidecar_wait: 2s}}\n"
            "journal: {{dir: /sim/journal}}\n"
            "batch: {{size: {}}}\n"
            "limits: {{requests_per_second: {}, burst: {}, concurrency: {}, adaptive: {}}}\n"
            "retry: {{max_attempts: {}, base_delay: {}ms, max_delay: {}s, give_up_after: {}s}}\n"
            "breaker: {{failures: {}, probe: {}s}}\n"
            "http: {{listen: \"\", socket: /sim/run/control.sock}}\n"
            "log: {{level: {}, format: text}}\n",
            std::chrono::duration_cast<seconds>(request_timeout_).count(), chance_.between(2, 10), batch_size_, rate_,
            burst_, chance_.between(1, 6), chance_.chance(0.7), chance_.between(1, 5), chance_.between(20, 500),
            chance_.between(1, 5), chance_.between(5, 600), chance_.between(2, 10), chance_.between(1, 5),
            options_.talk ? "debug" : "error");
    }

    // ---- the spool's users ----

    void drop(std::size_t number) {
        const job_plan& job = truth_->jobs()[number];
        if (job.how == job_plan::way::written) return write_slowly(number);
        if (!job.list.empty()) rename_in(job.list, job.list_content);
        const auto then = [this, number] {
            const job_plan& same = truth_->jobs()[number];
            rename_in(same.file, same.content);
            truth_->dropped(number);
            ++dropped_;
        };
        // The list first, and the job soon after.
        if (job.list.empty())
            then();
        else
            on_.in(chance_.between(moment(0), moment(milliseconds(500))), then);
    }

    // Written to tmp/, made durable, renamed: as cullctl submit does.
    void rename_in(const std::string& name, const std::string& content) {
        disk& d = world_.files;
        const node_ptr tmp = d.find("/sim/spool/tmp"), incoming = d.find("/sim/spool/incoming");
        node_ptr file;
        if (d.make(tmp, name, node::kind_type::file, 0640, file) != 0) on_.fail("tmp/ is not empty");
        d.write(*file, 0, content);
        d.sync(*file);
        if (d.rename(tmp, name, incoming, name, 0) != 0) on_.fail("cannot drop a file");
        d.sync_folder(*incoming);
        on_.tell(fmt::format("{} is dropped", name));
    }

    // Straight into incoming/, piece by piece, without an fsync: as cp does.
    void write_slowly(std::size_t number) {
        const job_plan& job = truth_->jobs()[number];
        if (!job.list.empty()) rename_in(job.list, job.list_content);
        const node_ptr incoming = world_.files.find("/sim/spool/incoming");
        node_ptr file;
        if (world_.files.make(incoming, job.file, node::kind_type::file, 0640, file) != 0) on_.fail("cannot write");
        ++file->writers;
        world_.files.event(*incoming, IN_OPEN, job.file);
        on_.tell(fmt::format("{} is being written", job.file));
        write_on(number, file, 0, cuts_);
    }

    void write_on(std::size_t number, const node_ptr& file, std::size_t at, std::uint64_t cuts) {
        if (cuts != cuts_) return;  // its writer died with the machine: truth was told
        const job_plan& job = truth_->jobs()[number];
        if (at < job.content.size()) {
            const std::size_t bytes = 1 + chance_.below(job.content.size() - at);
            world_.files.write(*file, at, std::string_view(job.content).substr(at, bytes));
            on_.in(chance_.between(moment(0), moment(milliseconds(800))),
                   [this, number, file, next = at + bytes, cuts] { write_on(number, file, next, cuts); });
            return;
        }
        --file->writers;
        world_.files.event(*world_.files.find("/sim/spool/incoming"), IN_CLOSE_WRITE, job.file);
        on_.tell(fmt::format("{} is written", job.file));
        truth_->dropped(number);
        ++dropped_;
    }

    // What was not yet durable when the power failed may be gone, or cut short.
    void doubt_unsynced() {
        for (const job_plan& job : truth_->jobs()) {
            if (job.how != job_plan::way::written || job.at > on_.now()) continue;
            const node_ptr incoming = world_.files.find("/sim/spool/incoming");
            const node_ptr active = world_.files.find("/sim/spool/active");
            bool durable = false;
            for (const char* const where : {"incoming", "active", "done", "failed", "rejected"}) {
                const node_ptr folder = world_.files.find(fmt::format("/sim/spool/{}", where));
                const auto it = folder->stable_entries.find(job.file);
                durable = durable || (it != folder->stable_entries.end() && it->second->stable == job.content);
            }
            if (truth_->is_doubtful(job.number) || (durable && truth_->was_dropped(job.number))) continue;
            truth_->doubtful(job.number);
            if (!truth_->was_dropped(job.number)) ++dropped_;
        }
    }

    // ---- operators ----

    void command(const std::string& job, const std::string& verb, const std::string& body) {
        auto who = std::make_shared<operator_call>(*truth_);
        const auto line = world_.dial("/sim/run/control.sock", who);
        if (!line) return;
        on_.tell(fmt::format("operator: {} {}", verb.empty() ? "look at" : verb, job));
        const std::string target = verb.empty() ? "GET /v1/jobs/" + job : fmt::format("POST /v1/jobs/{}/{}", job, verb);
        world_.deliver(
            line, fmt::format("{} HTTP/1.1\r\nHost: culld\r\nContent-Length: {}\r\n\r\n{}", target, body.size(), body));
        on_.in(seconds(1), [this, line] { world_.end(line, false); });
    }

    void meddle() {
        if (on_.now() >= storm_) return;
        on_.in(chance_.between(moment(milliseconds(500)), moment(seconds(20))), [this] { meddle(); });
        const auto ids = truth_->job_ids();
        if (ids.empty()) return;
        const std::string& id = ids[chance_.below(ids.size())];
        const std::uint64_t what = chance_.below(28);
        if (what >= 20)
            command(id, "", "");
        else if (what < 7)
            command(id, "pause", "");
        else if (what < 15)
            command(id, "resume", "");
        else if (what < 16)
            command(id, "cancel", "");
        else
            command(id, "rate", fmt::format("{{\"requests_per_second\": {}}}", 1 + chance_.below(20)));
    }

    // ---- lives ----

    // The program from its start to its end or death; its exit code, -1 if it died.
    int live(bool once) {
        ++life_;
        daemon_options options;
        options.sources.file = config_;
        options.once = once;
        int code = -1;
        alive_ = true;
        on_.tell(once ? "culld --once starts" : "culld starts");
        try {
            code = run_daemon(options);
        } catch (const power_cut&) {
            code = -1;
        }
        alive_ = false;
        if (on_.dead()) code = -1;
        if (code != -1) on_.tell(fmt::format("culld ends with {}", code));
        // A token that the disk does not hand out is a bad configuration.
        const bool excused = code == bad_config && world_.files.now.read > 0;
        if ((code == bad_config && !excused) || code == internal_error)
            on_.fail(fmt::format("culld ended with {}", code));
        on_.on_call = nullptr;
        world_.forget_open_files();
        on_.bury();
        return code;
    }

    void raise_term() {
        if (on_.dead() || !takes_signals()) return;
        on_.tell("SIGTERM");
        told_to_stop_ = on_.now();
        world_.signalled = true;
        static_cast<void>(std::raise(SIGTERM));
        in_life(life_, seconds(300), [this] { on_.fail("five minutes after SIGTERM it still runs"); });
    }

    // In life number `which`, if it lasts so long.
    void in_life(std::uint64_t which, moment span, std::function<void()> what) {
        on_.in(span, [this, which, what = std::move(what)] {
            if (alive_ && life_ == which) what();
        });
    }

    void storm() {
        draw_weather();
        cloud_->behave(draw_scenario(), token_);
        if (chance_.chance(0.2))
            for (const job_plan& job : truth_->jobs())
                for (const std::string& id : job.ids)
                    if (chance_.chance(0.1)) {
                        truth_->gone_before(id);
                        cloud_->forget(id);
                    }
        for (const job_plan& job : truth_->jobs()) on_.at(job.at, [this, n = job.number] { drop(n); });
        if (chance_.chance(0.4)) meddle();
        renew_token();
        on_.at(storm_, [this] {
            if (!alive_) return;
            if (chance_.chance(0.5))
                raise_term();
            else
                on_.die("the storm is over");
        });
        while (on_.now() < storm_) {
            choose_fate();
            told_to_stop_.reset();
            const int code = live(false);
            after(code);
        }
    }

    // How the next life ends, if the end of the storm does not come first.
    void choose_fate() {
        const std::uint64_t fate = chance_.below(10);
        if (fate < 6) {
            // In one of the next so many calls that change something; few more often than many.
            const auto most = static_cast<std::uint64_t>(std::exp(chance_.fraction() * std::log(3000.0)));
            on_.on_call = [this, left = most]() mutable {
                if (left-- == 0) on_.die("in the middle of something");
            };
            return;
        }
        in_life(life_ + 1, chance_.between(moment(milliseconds(1)), moment(seconds(40))), [this, fate] {
            if (on_.now() >= storm_) return;
            if (fate == 9)
                on_.die("while it waits");
            else
                raise_term();
        });
    }

    void after(int code) {
        if (code == -1) {
            if (chance_.chance(0.5)) {
                ++out_.power_cuts;
                doubt_unsynced();
                ++cuts_;
                world_.files.power_cut();
                on_.tell("power cut");
            } else {
                ++out_.kills;
            }
        } else {
            ++out_.stops;
            if (told_to_stop_) check_stop(code);
        }
        if (chance_.chance(0.1)) on_.wall_skew -= chance_.between(moment(0), moment(seconds(30)));
        on_.pass(on_.now() + (code == -1 || chance_.chance(0.5)
                                  ? chance_.between(moment(milliseconds(1)), moment(seconds(5)))
                                  : moment(milliseconds(1))));
    }

    void check_stop(int code) {
        const moment took = on_.now() - *told_to_stop_;
        const disk::weather& d = world_.files.now;
        // A slow disk may take its time.
        if (d.sync_high <= milliseconds(15) && took > request_timeout_ + seconds(2))
            on_.fail(fmt::format("it took {:.3f} s to stop, request_timeout is {} s",
                                 std::chrono::duration<double>(took).count(),
                                 std::chrono::duration_cast<seconds>(request_timeout_).count()));
        if (code != 0 && d.write + d.sync + d.name + d.read == 0 && d.full_to == moment())
            on_.fail(fmt::format("told to stop, it ended with {}", code));
    }

    void renew_token() {
        if (on_.now() >= storm_) return;
        on_.in(chance_.between(moment(seconds(2)), moment(seconds(30))), [this] {
            if (on_.now() >= storm_) return;
            new_token();
            renew_token();
        });
    }

    // The weather clears, the operators resume what was paused: everything must end.
    void calm() {
        const disk::weather before = world_.files.now;
        world_.files.now = {};
        world_.files.now.ordered = before.ordered;
        world_.line = {};
        world_.no_events = false;
        world_.events_lost = 0;
        cloud_->now = {};
        emulator::scenario fair;
        fair.latency_fixed = milliseconds(20);
        cloud_->behave(fair, token_);
        on_.tell("the weather clears");
        // Every id alone in a request, thirty times over, and half an hour beside.
        tends_max_ = static_cast<std::uint64_t>(900 + 15.0 * static_cast<double>(truth_->ids_total()) / rate_);
        for (int life = 0; !over(); ++life) {
            if (life == 5) on_.fail("after five starts in fair weather it is not over");
            tend(life_ + 1);
            told_to_stop_.reset();
            const int code = live(false);
            if (code != 0) on_.fail(fmt::format("in fair weather it ended with {}", code));
            check_stop(code);
            on_.pass(on_.now() + seconds(1));
        }
    }

    [[nodiscard]] bool over() const { return dropped_ == truth_->jobs().size() && truth_->all_over(); }

    void tend(std::uint64_t life) {
        in_life(life, seconds(2), [this, life] {
            if (over()) return raise_term();
            if (++tended_ > tends_max_) on_.fail("in fair weather it does not come to an end: " + truth_->left_over());
            for (const std::string& id : truth_->job_ids()) command(id, "resume", "");
            tend(life);
        });
    }

    // A start that finds nothing to do changes nothing.
    void once_more() {
        const auto all = [this] {
            auto out = world_.files.snapshot("/sim/journal");
            out.merge(world_.files.snapshot("/sim/spool"));
            return out;
        };
        const auto was = all();
        const int code = live(true);
        const auto is = all();
        if (was != is) on_.fail("a start that found nothing to do changed files");
        if (code != 0) on_.fail(fmt::format("a start that found nothing to do ended with {}", code));
    }

    const run_options& options_;
    world world_;
    machine& on_;
    dice& chance_;
    std::unique_ptr<truth> truth_;
    std::unique_ptr<cloud> cloud_;
    run_outcome out_;
    moment storm_{}, request_timeout_{};
    double rate_ = 0;
    std::uint32_t burst_ = 1, batch_size_ = 1;
    std::string token_, config_;
    std::size_t dropped_ = 0;
    std::uint64_t life_ = 0, cuts_ = 0, tended_ = 0, tends_max_ = 0;
    std::optional<moment> told_to_stop_;
    bool alive_ = false;
};

}  // namespace

run_outcome run_seed(std::uint64_t seed, const run_options& options) {
    course c(seed, options);
    return c.go();
}

}  // namespace culld::simulation

// One seed: bad weather of its own few kinds, in which culld is killed, cut off and started again until it clears.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "course.hpp"

namespace culld::simulation {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class storm : course {
  public:
    storm(std::uint64_t seed, const run_options& options) : course(seed, options) {
        const settings with = draw_settings();
        begin(with, plan_jobs(chance_, {.batch_size = with.batch_size, .until = storm_ * 3 / 4}, on_.wall()));
    }

    run_outcome go() {
        rage();
        calm();
        finish();
        judge();
        return out_;
    }

  private:
    settings draw_settings() {
        storm_ = chance_.between(moment(seconds(5)), moment(seconds(90)));
        const auto whole_seconds = [this](std::uint64_t low, std::uint64_t high) {
            return seconds(chance_.between(low, high));
        };
        settings out;
        out.rate = std::array{2.0, 5.0, 7.5, 20.0, 100.0}[chance_.below(5)];
        out.burst = chance_.chance(0.7) ? 1 : static_cast<std::uint32_t>(chance_.between(2, 5));
        out.batch_size = static_cast<std::uint32_t>(chance_.between(1, 30));
        out.request_timeout = whole_seconds(1, 10);
        out.rescan = whole_seconds(2, 10);
        out.concurrency = chance_.between(1, 6);
        out.adaptive = chance_.chance(0.7);
        out.max_attempts = chance_.between(1, 5);
        out.base_delay = milliseconds(chance_.between(20, 500));
        out.max_delay = whole_seconds(1, 5);
        out.give_up_after = whole_seconds(5, 600);
        out.breaker_failures = chance_.between(2, 10);
        out.probe = whole_seconds(1, 5);
        if (chance_.chance(0.5)) out.checkpoints.every = chance_.between(500, 20'000);
        out.signs = chance_.chance(0.3);
        out.checkpoints.read_whole_up_to = out.checkpoints.every * chance_.between(1, 2);
        return out;
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

    void rage() {
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
        if (chance_.chance(0.3)) reload();
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
            after(live(false));
        }
    }

    // systemctl reload, the configuration being what it was.
    void reload() {
        on_.in(chance_.between(moment(milliseconds(200)), moment(seconds(20))), [this] {
            if (on_.now() >= storm_) return;
            if (alive_) raise_hup();
            reload();
        });
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

    void renew_token() {
        if (on_.now() >= storm_) return;
        on_.in(chance_.between(moment(seconds(2)), moment(seconds(30))), [this] {
            if (on_.now() >= storm_) return;
            new_token();
            renew_token();
        });
    }

    moment storm_{};
};

}  // namespace

run_outcome run_seed(std::uint64_t seed, const run_options& options) {
    storm s(seed, options);
    return s.go();
}

}  // namespace culld::simulation

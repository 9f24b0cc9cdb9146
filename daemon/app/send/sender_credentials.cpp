// What a 401 does (contract, section 6): every worker stops; the credentials are renewed once, or the gateway's clock
// is learned; one request goes first, alone; then all jobs are blocked until something changes. And renewal ahead of
// time.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>

#include "culld/core/text/clean_message.hpp"
#include "culld/io/os/log.hpp"
#include "sender_worker.hpp"

namespace culld {

bool sender::have_credentials(steady_time now, std::optional<steady_time>& later) {
    if (const auto until = credentials_->hold(now)) {
        static_cast<void>(renewal_.hold(*until));
        give_up(
            {"auth", "",
             fmt::format("{} of our signatures in a row were refused: nothing is signed with this key for {} s, since "
                         "it could be locked",
                         key_lockout::failures_max, std::chrono::ceil<std::chrono::seconds>(*until - now).count()),
             fmt::format("mend {}; culld tries once more when that time is over", credentials_->describe())});
        return false;
    }
    if (credentials_->in_question(wall_now(), now) && send_gate_.credentials() == credential_state::good) {
        log(log_level::warn, "clock.jumped", "this host's clock jumped: one signed request goes first");
        send_gate_.credentials_renewed();
    }
    if (renewal_.waits()) {
        carry_out(renewal_.time_passed(now));
        if (const auto due = renewal_.due(); due && (!later || *due < *later)) later = due;
    }
    const bool usable = credentials_->usable(now);
    if (usable)
        no_credentials_.reset();
    else if (!no_credentials_)
        no_credentials_ = {.since = wall_now(), .what = credentials_->describe() + ": being fetched"};
    if (credentials_->due(now) && !renewal_.waits()) want_renewal(usable ? renewal_cause::ahead : renewal_cause::first);
    return usable;
}

void sender::unauthorized(worker& w, const http_answer& answer, const error_answer& r) {
    ++counted_.unauthorized;
    failing_.reset();
    const bool current = w.generation == credentials_->generation();
    block_facts why{"auth", r.code, r.message, fmt::format("{} ({})", r.help, credentials_->describe())};
    if (auto where = first_difference(w.sent(), r.refusal.canonical, w.secrets)) {
        log(log_level::error, "signature.refused", *where, {{"code", r.code}});
        // The echo itself is long, and says less.
        why.detail = "the gateway refuses the signature: " + *where;
    }
    if (current) send_gate_.credentials_refused();
    miss(w, plan::miss::declined, r.error_class, answer, r.code, why.detail, steady_now());
    if (!current) return;  // sent before they were renewed
    were_refused(std::move(why), r.refusal);
}

void sender::were_refused(block_facts why, const signature_rejection& refusal) {
    send_gate_.credentials_refused();
    refused_for_ = std::move(why);
    const bool taught = credentials_->refused(refusal, steady_now(), wall_now());
    const renewal_action what = draining_ ? renewal_action::none : renewal_.refused(taught);
    if (what == renewal_action::go_first)
        log(log_level::warn, "clock.learned",
            fmt::format(
                "the gateway's clock shows {}, ours differs: requests are signed with its time from now on; set this "
                "host's clock",
                rfc3339(*refusal.server_time)));
    carry_out(what);
}

void sender::want_renewal(renewal_cause why) {
    if (!draining_) carry_out(renewal_.wanted(why));
}

void sender::carry_out(renewal_action what) {
    switch (what) {
        case renewal_action::none: return;
        case renewal_action::renew: asio::co_spawn(with_.loop, renew(), rethrow_from_loop); return;
        case renewal_action::go_first: begin_trial(); return pump();
        case renewal_action::resume: return renewed();
        case renewal_action::give_up: return give_up(refused_for_);
    }
}

task<void> sender::renew() {
    const renewal_cause why = renewal_.cause();
    renewal got = co_await credentials_->renew(why);
    ended_.notify();
    const backoff wait{with_.settings->retry.base_delay, with_.settings->retry.max_delay};
    const steady_time now = steady_now();
    if (next_credentials_) {  // the configuration was read again meanwhile
        credentials_ = std::move(next_credentials_);
        static_cast<void>(renewal_.ended(renewal::outcome::changed, true, now));
        renewal_.begin_anew();
        if (!draining_) renewed();
        co_return;
    }
    const renewal_action next =
        renewal_.ended(got.what, credentials_->usable(now), now + wait.delay(renewal_.failures() + 1, with_.chance()));
    if (draining_) co_return;
    switch (got.what) {
        case renewal::outcome::changed: ++counted_.renewed; break;
        case renewal::outcome::unchanged:
            if (renewal_.waits()) ++counted_.renewals_failed;  // and those we hold are over
            break;
        case renewal::outcome::later:
            if (why == renewal_cause::look) break;
            ++counted_.renewals_failed;
            log(log_level::warn, "credentials.later", got.why);
            if (no_credentials_) no_credentials_->what = got.why.text();
            break;
        case renewal::outcome::refused:
            refused_for_ = {"auth", "", got.why.what, got.why.hint.empty() ? credentials_->describe() : got.why.hint};
            if (refusal_ && refusal_->detail == refused_for_.detail) break;  // said before
            ++counted_.renewals_refused;
            log(log_level::error, "credentials.failed", got.why);
            break;
    }
    carry_out(next);
    if (renewal_.waits()) with_.jobs_changed();  // whoever tends to the sender looks at it from time to time
    pump();
}

void sender::renewed() {
    log(log_level::info, "credentials.renewed", credentials_->describe() + ": renewed, one request goes first");
    begin_trial();
    unblock_all("the credentials changed");
    pump();
}

void sender::begin_trial() {
    refusal_.reset();
    send_gate_.credentials_renewed();
    credentials_changed_.notify();
}

// For jobs that wait for other permissions, as after a 403. A renewal is the stronger remedy, and is never held up by
// it: nothing here waits for anybody.
task<void> sender::reread() {
    const renewal got = co_await credentials_->reread();
    renewal_.reread_ended();
    ended_.notify();
    if (draining_) co_return;
    if (next_credentials_)
        credentials_ = std::move(next_credentials_);  // the configuration was read again meanwhile
    else if (got.what != renewal::outcome::changed)
        co_return;
    for (active_job* job : scheduler_.all())
        if (!job->blocked_by_disk()) job->unblock("the credentials changed");
    renewal_.begin_anew();
    renewed();
}

void sender::unblock_all(std::string_view why) {
    for (active_job* job : scheduler_.all())
        if (job->blocked() && job->blocked()->error_class == "auth") job->unblock(why);
}

void sender::give_up(block_facts why) {
    send_gate_.credentials_refused();
    why.cause = block_cause::credentials;
    block_all(why);
    refusal_ = std::move(why);
    with_.jobs_changed();
}

void sender::block_all(const block_facts& why) {
    for (active_job* job : scheduler_.all())
        if (job->state() == job_state::running || job->state() == job_state::waiting) job->block(why);
}

void sender::on_request_done(const worker& w) {
    failing_.reset();
    const bool current = w.generation == credentials_->generation();
    // An answer to what was sent before the credentials changed says nothing of those on trial.
    const bool on_trial = send_gate_.credentials() == credential_state::trial;
    if (!current && on_trial) return;
    if (send_gate_.on_request_done(steady_now())) {
        with_.limits_changed();
        log(log_level::info, "rate.adapted",
            fmt::format("{:.3g} requests a second from now on, by what the gateway let through",
                        send_gate_.per_second()));
    }
    if (!current) return;
    credentials_->accepted();
    renewal_.accepted();
    // A person resumed one job, the others were blocked for the same reason.
    if (on_trial) unblock_all("the credentials are accepted again");
}

void sender::on_request_failed(std::string_view why, bool answered) {
    if (!failing_) failing_ = {.since = wall_now()};
    failing_->what = clean_message(why);
    failing_->answered = answered;
    if (send_gate_.on_request_failed(steady_now()))
        log(log_level::error, "breaker.open",
            fmt::format("{}: one request at a time from now on, at most {} after the one before", why,
                        duration_text(with_.settings->breaker.probe)));
}

outlook sender::trouble() const {
    outlook out{
        .now = wall_now(), .api = failing_, .credentials = no_credentials_, .breaker_open = send_gate_.breaker_open()};
    const steady_time now = steady_now();
    if (const auto until = send_gate_.paused_until(); until && *until > now)
        out.throttled_until = out.now + std::chrono::duration_cast<wall_time::duration>(*until - now);
    return out;
}

bool sender::wants_look() const {
    if (renewal_.due() || send_gate_.credentials() == credential_state::refused) return true;
    const std::vector<active_job*> all = scheduler_.all();
    return std::any_of(all.begin(), all.end(),
                       [](const active_job* job) { return job->blocked() && job->blocked()->error_class == "auth"; });
}

void sender::look_at_credentials() {
    if (draining_) return;
    const bool rested = renewal_.stands() == renewal_fsm::standing::held;
    if (const renewal_action due = renewal_.time_passed(steady_now()); due != renewal_action::none) {
        if (rested && due == renewal_action::go_first) unblock_all("the key is safe again");
        return carry_out(due);
    }
    if (renewal_.waits()) return;
    if (refusal_) block_all(*refusal_);  // jobs that came since
    if (wants_look()) return want_renewal(renewal_cause::look);
    if (renewal_.begin_reread()) asio::co_spawn(with_.loop, reread(), rethrow_from_loop);
}

void sender::try_credentials_again() {
    if (send_gate_.credentials() == credential_state::refused) {
        renewal_.begin_anew();
        begin_trial();
    }
    pump();
}

void sender::replace_credentials(std::unique_ptr<credentials> who) {
    // A renewal under way still needs those it began with.
    (renewal_.under_way() ? next_credentials_ : credentials_) = std::move(who);
    renewal_.begin_anew();
    begin_trial();
}

task<result<std::string>> sender::find_project(project_lookup& by) {
    looking_up_ = true;
    std::uint32_t tries = 0;
    result<std::string> out;
    while (!draining_) {
        if (const std::string id = credentials_->project_id(); !id.empty()) {
            out = id;
            break;
        }
        const steady_time now = steady_now();
        std::optional<steady_time> later;
        if (send_gate_.credentials() == credential_state::refused || renewal_.under_way() ||
            !have_credentials(now, later)) {
            co_await credentials_changed_.wait_until(later.value_or(now + std::chrono::seconds(1)));
            continue;
        }
        const std::uint64_t generation = credentials_->generation();
        project_lookup::answer got = co_await by.ask(*credentials_);
        if (draining_) break;
        if (got.what == project_lookup::answer::outcome::found) {
            credentials_->accepted();
            out = std::move(got.id);
            break;
        }
        if (got.what == project_lookup::answer::outcome::none) {
            out = fail(std::move(got.why));
            break;
        }
        if (got.what == project_lookup::answer::outcome::unauthorized) {
            if (generation == credentials_->generation())
                were_refused(block_facts{"auth", "", got.why.what, got.why.hint}, got.refusal);
            continue;
        }
        log(log_level::warn, "project.later", got.why);
        const backoff wait{with_.settings->retry.base_delay, with_.settings->retry.max_delay};
        co_await credentials_changed_.wait_until(steady_now() + wait.delay(++tries, with_.chance()));
    }
    looking_up_ = false;
    ended_.notify();
    co_return out;
}

}  // namespace culld

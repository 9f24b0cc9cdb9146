// Sends what the jobs have ready: `limits.concurrency` workers, each with a connection of its own, under one traffic.
//
// Which job is next: the most urgent priority first, and inside one in turn, so that a job of ten ids never waits for
// one of ten million. Loop thread.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "culld/app/context/services.hpp"
#include "culld/app/jobs/active_job.hpp"
#include "culld/core/base/histogram.hpp"
#include "culld/core/plan/scheduler.hpp"
#include "culld/core/rate/send_gate.hpp"
#include "culld/core/rate/timer_compensation.hpp"
#include "culld/core/status/standstill.hpp"
#include "culld/io/auth/credentials.hpp"
#include "culld/io/auth/project_lookup.hpp"
#include "culld/io/http/api_route.hpp"

namespace culld {

class sender {
  public:
    // `full_bucket`: see pace. All referred to must outlive it.
    sender(daemon_context& with, std::unique_ptr<credentials> who, route api, bool full_bucket);
    ~sender();
    sender(const sender&) = delete;
    sender& operator=(const sender&) = delete;

    // The jobs to choose from, whatever their state; the daemon owns them and takes one out before destroying it.
    void add(active_job& job);
    // Blocks a job that was added while the credentials are refused, as those before it are. After its start().
    void block_if_refused(active_job& job);
    void remove(active_job& job);
    // It may have something to send: looked at with the next pump().
    void wake(active_job& job);

    // Hands out whatever may go now, and sets the timer for what may go later.
    void pump();
    // Takes nothing new; returns when every answer in flight has landed, at most after `limit`: then connections
    // are cut, and what was under way is in doubt.
    [[nodiscard]] task<void> drain(nanoseconds limit);

    // Rates, limits and credentials of another configuration. The endpoint does not change while we run.
    void apply(const config& settings, std::unique_ptr<credentials> who);
    // Something about the credentials is to be looked at from time to time: they are refused, or could not be had.
    [[nodiscard]] bool wants_look() const;
    // They are refused, and nothing will be tried until they change.
    [[nodiscard]] bool gave_up() const { return refusal_.has_value(); }
    // Looks whether the credentials have changed, and tries blocked jobs again if they have, also those whose
    // permissions were refused; has them fetched if that is owed.
    void look_at_credentials();
    // An operator says they are good: one request goes first, alone.
    void try_credentials_again();

    // The id of the project that `by` asks for; an error if there is none to be had, and empty where we are being
    // stopped. Waits for credentials, and for IAM, as long as it takes. Both outlive it; one at a time.
    [[nodiscard]] task<result<std::string>> find_project(project_lookup& by);

    [[nodiscard]] const send_gate& state() const { return send_gate_; }
    // What an earlier run knew of the gateway's limits. Before the first request.
    void restore(const send_gate::memory& known) { send_gate_.restore(known, steady_now()); }
    [[nodiscard]] std::uint32_t in_flight() const { return in_flight_; }
    [[nodiscard]] std::optional<wall_time> last_sent() const { return last_sent_; }
    [[nodiscard]] std::optional<steady_time> credentials_end() const { return credentials_->end(); }
    // What holds all jobs up now, but for the jobs themselves.
    [[nodiscard]] outlook trouble() const;
    // The last try to renew them brought none; those we hold may serve for a while.
    [[nodiscard]] bool renewal_fails() const { return renewal_.failing(); }

    struct counters {
        std::uint64_t delete_requests = 0, get_requests = 0, throttled = 0, server_errors = 0, transport_errors = 0,
                      unauthorized = 0;
        // Of the credentials; what is only looked at while they are refused counts when it has changed.
        std::uint64_t renewed = 0, renewals_failed = 0, renewals_refused = 0;
        histogram<request_steps> delete_answers, get_answers;  // from a request to its answer, or to the end of waiting
    };
    [[nodiscard]] const counters& counted() const { return counted_; }

  private:
    struct worker;
    struct work {
        active_job* job = nullptr;
        const batch* what = nullptr;
        std::optional<std::uint64_t> place = {};  // in the pace; none: connect first
        steady_time not_before = {};              // to be written then
        bool composed = false;                    // its ids are in the request
    };

    // Blocked jobs alike wait for one another's probe.
    [[nodiscard]] static std::string probe_name(const active_job& job);
    [[nodiscard]] bool may_probe(active_job& job, steady_time now);
    void unblock_like(const active_job& first);
    // What this worker is to do now, if anything.
    [[nodiscard]] work next(worker& w);
    [[nodiscard]] task<void> run(worker& w);
    [[nodiscard]] task<void> handle(worker& w);
    // Has the ids read, and connects. False where the batch in hand has to wait, or was brought back.
    [[nodiscard]] task<bool> reach(worker& w);
    [[nodiscard]] std::uint64_t take_place(steady_time now);
    // The batch in hand is not sent after all.
    void return_unsent(worker& w);
    // False where the ids cannot be read: then the batch was given back.
    [[nodiscard]] task<bool> read_body(worker& w);
    static void write_body(worker& w);
    // False where it holds ids that are protected by now.
    [[nodiscard]] bool compose(worker& w, delete_form form);
    // Where the API's words come in: what is told of them elsewhere holds no secret of ours from here on.
    void withhold_secrets(worker& w, http_answer& answer);
    void arrived(worker& w, const http_answer& answer, delete_form form);
    void answered_deletion(worker& w, const http_answer& answer);
    void answered_ask(worker& w, const http_answer& answer);
    void consequences(worker& w, const http_answer& answer, const error_answer& r, delete_form form);
    void miss(worker& w, plan::miss how, std::string_view error_class, const http_answer& answer, std::string_view code,
              std::string_view detail, steady_time earliest);
    void on_request_done(const worker& w);
    void on_request_failed(std::string_view why, bool answered = true);

    // ---- credentials (sender_credentials.cpp) ----

    // There is something to authenticate with, and nothing speaks against it; else `later` is when to look again, where
    // that is known. Has them renewed when it is time.
    [[nodiscard]] bool have_credentials(steady_time now, std::optional<steady_time>& later);
    void unauthorized(worker& w, const http_answer& answer, const error_answer& r);
    // The API or IAM answered 401 to what we hold now; `why`: what blocks all jobs where that is final.
    void were_refused(block_facts why, const signature_rejection& refusal);
    // Does what the state machine says.
    void carry_out(renewal_action what);
    void want_renewal(renewal_cause why);
    [[nodiscard]] task<void> renew();
    void renewed();
    void begin_trial();  // one request goes first, with what we hold now
    void give_up(block_facts why);
    void replace_credentials(std::unique_ptr<credentials> who);
    void block_all(const block_facts& why);
    [[nodiscard]] task<void> reread();
    void unblock_all(std::string_view why);  // whom the credentials blocked
    [[nodiscard]] delete_form form_of(const active_job& job) const;
    void start_workers();

    daemon_context& with_;
    std::unique_ptr<credentials> credentials_;
    std::unique_ptr<credentials> next_credentials_;  // from a reload during a renewal
    route api_;
    send_gate send_gate_;
    std::vector<std::unique_ptr<worker>> workers_;
    std::vector<worker*> idle_;
    std::string head_;  // of the request that is being composed
    scheduler<active_job> scheduler_;
    std::map<std::string, steady_time, std::less<>> probes_;  // of blocked jobs: when the next of that name may go
    std::map<std::string, delete_form, std::less<>> forms_;   // learned, by resource
    std::uint32_t in_flight_ = 0;
    std::uint32_t connecting_ = 0;  // of them
    nanoseconds lead_{};            // how long the latest connection took
    timer_compensation early_;
    bool draining_ = false;
    bool looking_up_ = false;  // a project's id
    renewal_fsm renewal_;
    block_facts refused_for_;             // the latest 401
    std::optional<block_facts> refusal_;  // why all jobs are blocked
    std::uint32_t running_ = 0;           // worker coroutines alive
    event ended_;
    event credentials_changed_;
    loop_timer wake_;
    std::optional<steady_time> wake_at_;
    std::optional<wall_time> last_sent_;
    std::optional<outlook::trouble> failing_;         // no request went well since
    std::optional<outlook::trouble> no_credentials_;  // since
    counters counted_;
};

}  // namespace culld

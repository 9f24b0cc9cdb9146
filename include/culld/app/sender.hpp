// Sends what the jobs have ready: `limits.concurrency` workers, each with a connection of its own, under one traffic.
//
// Which job is next: the most urgent priority first, and inside one in turn, so that a job of ten ids never waits for
// one of ten million. Loop thread.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <vector>

#include "culld/app/job_run.hpp"
#include "culld/app/services.hpp"
#include "culld/core/traffic.hpp"
#include "culld/io/credentials.hpp"
#include "culld/io/route.hpp"

namespace culld {

class sender {
  public:
    // `full_bucket`: see pace. All referred to must outlive it.
    sender(services& with, std::unique_ptr<credentials> who, route api, bool full_bucket);
    ~sender();
    sender(const sender&) = delete;
    sender& operator=(const sender&) = delete;

    // The jobs to choose from, whatever their state; the daemon owns them and takes one out before destroying it.
    void add(job_run& job);
    void remove(job_run& job);

    // Hands out whatever may go now, and sets the timer for what may go later.
    void pump();
    // Takes nothing new; returns when every answer in flight has landed, at most after `limit`: then connections
    // are cut, and what was under way is in doubt.
    [[nodiscard]] task<void> drain(nanoseconds limit);

    // Rates, limits and credentials of another configuration. The endpoint does not change while we run.
    void apply(const config& settings, std::unique_ptr<credentials> who);
    // Looks whether the credentials have changed, and tries blocked jobs again if they have.
    void look_at_credentials();
    // An operator says they are good: one request goes first, alone.
    void try_credentials_again();

    [[nodiscard]] const traffic& state() const { return traffic_; }
    [[nodiscard]] std::uint32_t in_flight() const { return in_flight_; }
    [[nodiscard]] std::optional<wall_time> last_sent() const { return last_sent_; }

    struct counters {
        std::uint64_t delete_requests = 0, get_requests = 0, throttled = 0, server_errors = 0, transport_errors = 0,
                      unauthorized = 0;
        double seconds_waiting_for_answers = 0;
    };
    [[nodiscard]] const counters& counted() const { return counted_; }

  private:
    struct worker;
    struct work {
        job_run* job = nullptr;
        const batch* what = nullptr;
        std::optional<std::uint64_t> place = {};  // in the pace; none: connect first
    };

    // What this worker is to do now, if anything.
    [[nodiscard]] work next(worker& w);
    [[nodiscard]] task<void> run(worker& w);
    [[nodiscard]] task<void> handle(worker& w);
    // Connects. False where the batch in hand has to wait, or was brought back.
    [[nodiscard]] task<bool> reach(worker& w);
    [[nodiscard]] std::uint64_t take_place(steady_time now);
    void lost_ids(worker& w, const problem& why);
    [[nodiscard]] bool compose(worker& w, delete_form form);
    void arrived(worker& w, const http_answer& answer, delete_form form, std::uint64_t generation);
    void answered_deletion(worker& w, const http_answer& answer);
    void answered_ask(worker& w, const http_answer& answer);
    void consequences(worker& w, const http_answer& answer, const reading& r, delete_form form,
                      std::uint64_t generation);
    void unauthorized(worker& w, const http_answer& answer, const reading& r, std::uint64_t generation);
    void miss(worker& w, plan::miss how, std::string_view error_class, const http_answer& answer, std::string_view code,
              std::string_view detail, steady_time earliest);
    // Another's credentials, if there are: then what they blocked goes on. Else `otherwise` blocks all jobs.
    [[nodiscard]] task<void> renew(std::optional<block_facts> otherwise);
    void start_renewing(std::optional<block_facts> otherwise);  // single-flight
    void went_badly(std::string_view why);
    void block_all(const block_facts& why);
    [[nodiscard]] delete_form form_of(const job_run& job) const;
    void start_workers();

    services& with_;
    std::unique_ptr<credentials> who_;
    route api_;
    traffic traffic_;
    std::vector<std::unique_ptr<worker>> workers_;
    std::vector<worker*> idle_;
    std::map<std::uint32_t, std::list<job_run*>> jobs_;      // by priority; each list in turn
    std::map<std::string, delete_form, std::less<>> forms_;  // learned, by resource
    std::uint32_t in_flight_ = 0;
    std::uint32_t connecting_ = 0;  // of them
    nanoseconds lead_{};            // how long the latest connection took
    bool draining_ = false;
    bool renewing_ = false;
    std::uint32_t running_ = 0;  // worker coroutines alive
    event ended_;
    loop_timer wake_;
    std::optional<steady_time> wake_at_;
    std::optional<wall_time> last_sent_;
    counters counted_;
};

}  // namespace culld

// A job that culld has accepted: its plan, its ids, its journal, from job.accepted to its file in done/ or failed/.
//
// A plain state machine on the loop: whoever sends asks it for batches and brings back what came of them; the journal
// tells it how far stable storage reaches. It writes every record before the fact is acted on or reported.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culld/app/context/services.hpp"
#include "culld/core/answer/error_answer.hpp"
#include "culld/core/job/api_resource.hpp"
#include "culld/core/job/job_spec.hpp"
#include "culld/core/journal/journal_write.hpp"
#include "culld/core/plan/plan.hpp"
#include "culld/core/rate/token_bucket.hpp"
#include "culld/core/status/job_view.hpp"
#include "culld/core/status/progress.hpp"
#include "culld/io/http/http_client.hpp"
#include "culld/io/ids/id_reader.hpp"
#include "culld/io/journal/journal_file.hpp"

namespace culld {

// What stands in a job's way, and so what may end it.
enum class block_cause : std::uint8_t {
    disk,         // our own; whatever writes to it tries again
    credentials,  // refused for every job: nothing is tried before they change, since a key could be locked
    ids,          // the API refused each of its first batch
    answer,  // what the API answered to this job: a gateway in maintenance does that too, so it is tried now and then
};

struct block_facts {
    std::string error_class;  // auth, rejected, journal, store, ...
    std::string code;
    std::string detail;
    std::string help;
    block_cause cause = block_cause::disk;
};

// A person's, to end a job.
struct end_order {
    person by;
    std::string reason;
};

// Everything a run starts from, for a new job and for one found at a restart.
struct job_state_record {
    job_intake intake;
    std::uint32_t uid = 0, gid = 0;  // the submitter
    wall_time modified_at;
    std::string active_file;
    std::string active_list;  // the sidecar's name in active/, may be empty
    bool copied = false;      // another user's files: once it is accepted, copies of ours take their place
    unique_fd journal;
    bool fresh = true;  // the journal is new and empty
    bool told_before = false;
    std::uint64_t journal_bytes = 0;
    chain_head head;
    std::string first;                 // SHA-256 of the journal's first line
    std::vector<person_order> orders;  // that may not be in the ledger yet
    plan_state state;
    std::uint64_t requests = 0, retries = 0, throttled = 0;
    wall_time accepted_at;
    std::optional<end_order> to_end{};  // it goes on to its end only
    bool paused = false;
    std::string said;                 // why, by whoever paused or cancelled it
    std::optional<person> paused_by;  // where that is known
    std::optional<double> rate;
    std::optional<skip_reason> stopped;  // it was being cancelled, aborted, or ran out of time
    spans in_doubt;                      // open intents whose fate is unknown
    bool rested = false;                 // see recovered_job
    std::uint64_t torn_bytes = 0;
    std::uint64_t behind_checkpoint = 0;  // bytes of journal that a restart has to read
    std::optional<std::string> status;    // job.finished is in the journal already: only the filing is left
    std::optional<wall_time> finished_at;
    std::optional<job_totals> totals;  // then also these
};

class active_job {
  public:
    // `ids` may be empty for a job whose journal is finished, and for one whose list is lost: that can but end.
    active_job(daemon_context& with, job_state_record seed, std::optional<id_store> ids);
    ~active_job();
    active_job(const active_job&) = delete;
    active_job& operator=(const active_job&) = delete;

    // Writes the first records and begins.
    void start();

    // ---- for the sender ----
    // In the queue of those that may have something to send. A blocked job may, now and then, send one probe.
    [[nodiscard]] bool dispatchable() const {
        return !finishing_ && (state_ == job_state::running || (probe_at_ && !paused_before_block_));
    }
    void put_off_probe(steady_time until) { probe_at_ = until; }
    [[nodiscard]] bool ready(steady_time now);
    [[nodiscard]] std::optional<steady_time> due(steady_time now) const;
    [[nodiscard]] const batch* take(steady_time now);
    // The batch's ids as they go on the wire, `"id","id",…`: at once where they are at hand, else by a thread that
    // reads.
    [[nodiscard]] bool ids_at_hand(const batch& b) const { return ids_->at_hand(b.at); }
    void append_ids(const batch& b, std::string& out);
    [[nodiscard]] task<result<std::string>> read_ids(const batch& b);
    // They cannot be read: nothing more is sent until they can.
    void lost_ids(const problem& why, const spans& at);

    void on_answered(const batch* b, const judgement& j, const http_answer& answer, std::string_view sent);
    // `earliest`: when the batch may go again at the earliest.
    void on_failed(const batch* b, plan::miss how, std::string_view error_class, const http_answer& answer,
                   std::string_view code, std::string_view detail, steady_time earliest, std::string_view sent);
    void on_split(const batch* b, const http_answer& answer, const error_answer& why, std::string_view sent);
    void on_lookup_answered(const batch* b, presence answer);
    void on_lookup_failed(const batch* b, plan::miss how, steady_time earliest);
    void on_lookup_refused(const batch* b, bool for_all, std::string_view code, std::string_view detail);
    void return_unsent(const batch* b);  // nothing was done with it
    // It was not sent since the ids at these indices are protected by now.
    void withhold(const batch* b, const std::vector<std::uint32_t>& indices);
    // Its workspace has answered 200 to it, in this run or before.
    [[nodiscard]] bool answered() const { return answered_; }

    // ---- for operators ----
    // False if the job's state does not allow it.
    bool pause(person by, std::string_view reason);
    bool resume(person by, std::string_view reason);
    bool cancel(person by, std::string_view reason);
    bool set_rate(person by, double per_second);
    // What was ordered until now is on record; none: not until `until`. It may be gone when this returns.
    [[nodiscard]] task<std::optional<result<void>>> recorded(steady_time until) { return journal_.durable(until); }

    // What it stands on is gone: nothing more is sent or written, until its journal is read again from the disk.
    void lose_folders(const problem& why) { journal_.give_up(why); }
    // Every second: what is sent slowly but steadily need not wait for a look each time.
    void look_ahead(steady_time now) {
        if (dispatchable() && now < taken_at_ + std::chrono::minutes(2)) journal_.look_soon();
    }
    void block(block_facts why);
    void unblock(std::string_view why);
    // Blocked since its ids cannot be read: looks whether they can, and goes on then.
    void look_at_store();
    // Stops a job whose deadline is over, whatever its state, and lets it end. (not_before is part of due() and
    // ready(), abort_when is looked at with every answer.)
    void check_deadline();
    // Being ended, it has but to ask for what is in doubt: not for longer than somebody answers. To be called now and
    // then while ending().
    void check_end();
    [[nodiscard]] bool ending() const { return plan_.stopping() && !finishing_; }

    // Ends the timers and writes what is buffered; the journal stays as a restart wants to find it. Nothing more is
    // sent. What never was is told to the next run, where there is time for it before `until`.
    [[nodiscard]] task<void> close(steady_time until);

    [[nodiscard]] const job_spec& spec() const { return intake_.spec; }
    [[nodiscard]] const job_intake& intake() const { return intake_; }
    [[nodiscard]] const resource_profile& resource() const { return *resource_; }
    [[nodiscard]] job_state state() const;
    [[nodiscard]] const std::optional<block_facts>& blocked() const { return blocked_; }
    // Why it stands still, in one line; empty where it does not, or nobody said.
    [[nodiscard]] std::string reason() const;
    // By our own disk, which no other credentials mend.
    [[nodiscard]] bool blocked_by_disk() const { return blocked_ && blocked_->cause == block_cause::disk; }
    [[nodiscard]] const std::string& status() const { return status_; }
    [[nodiscard]] const job_totals& totals() const { return shown_; }  // durable facts only
    // Durable verdicts of this run alone: what was before it is in the journal.
    [[nodiscard]] const reason_counts& failed_by_reason() const { return failed_shown_; }
    [[nodiscard]] std::uint64_t in_flight() const { return plan_.in_flight(); }
    [[nodiscard]] bool idle() const { return plan_.idle(); }
    [[nodiscard]] double rate_now(steady_time now) const;  // ids settled a second, lately
    [[nodiscard]] std::optional<std::uint64_t> seconds_left(steady_time now) const;
    [[nodiscard]] std::optional<double> rate_limit() const;
    [[nodiscard]] wall_time accepted_at() const { return accepted_at_; }
    [[nodiscard]] std::optional<wall_time> finished_at() const { return finished_at_; }
    [[nodiscard]] bool journal_dead() const { return journal_.dead(); }
    // Then: is it evidence, never to be read again by itself; and what the next run must find, once.
    [[nodiscard]] bool journal_bent() const { return journal_.ended_by() == journal_end::bent; }
    [[nodiscard]] std::optional<journal_mark> leave_journal() { return journal_.leave(); }
    // Blocked by its disk, and it may go on once that answers.
    [[nodiscard]] bool waits_for_disk() const {
        return blocked_ && blocked_->error_class == "journal" && !journal_dead();
    }
    // The disk thread does nothing for this job: it may be destroyed.
    [[nodiscard]] bool disk_quiet() const { return journal_.quiet() && !filing_ && !telling_; }
    [[nodiscard]] std::uint32_t submitter() const { return uid_; }
    [[nodiscard]] const std::string& active_file() const { return active_file_; }
    [[nodiscard]] const std::string& active_list() const { return active_list_; }
    [[nodiscard]] const std::optional<person>& paused_by() const { return paused_by_; }
    // By a person's order, even where something blocks it as well.
    [[nodiscard]] bool stands_paused() const {
        return state_ == job_state::paused || (state_ == job_state::blocked && paused_before_block_);
    }
    [[nodiscard]] bool being_cancelled() const { return stop_reason_ == skip_reason::cancelled; }
    // Accepted by this process, not by one before it.
    [[nodiscard]] bool fresh() const { return fresh_; }
    // It was over, filed and told before; only a ledger that was begun anew lacks it.
    [[nodiscard]] bool told_before() const { return told_before_; }
    // A request of it is under way, or could be, but for what all jobs share.
    [[nodiscard]] bool has_something_to_send(steady_time now) const;
    // What its next request waits for, but for what all jobs share.
    [[nodiscard]] job_outlook look_ahead(steady_time now, wall_time wall) const;

  private:
    void apply_rules();
    // Writes the record of it, and owes it to the ledger.
    void order(std::string_view type, person by, std::string_view reason, std::optional<double> rate = {});
    void follow_up();
    void checkpoint(bool at_rest);
    // Nothing may be sent before more of the journal is durable, and the ledger tells of the job.
    [[nodiscard]] bool journal_lags() const {
        return journal_.backlogged() || journal_.durable_bytes() < begins_at_ || withheld_due_ || !in_ledger_;
    }
    void on_durable();
    void record_verdicts(const std::vector<verdict>& all);
    void record_verdict(const verdict& v);
    void ask_for_turn() {
        with_.wake(*this);
        with_.pump();
    }
    [[nodiscard]] block_facts journal_trouble(problem why) const;
    void note_evidence(const problem& why);
    // A record's worth of a verdict.
    struct due_record {
        verdict what;
        bool named = true;  // with its ids, not by positions alone
    };
    void record(due_record piece);
    void write_record(const due_record& piece, std::string_view ids);
    void read_due();
    void check_rules();  // deadline and abort_when; whoever calls it goes on with follow_up()
    void stop(skip_reason reason);
    void leave_for_the_end();
    void go_on_to_the_end();
    void probe_ended(bool well);
    void block_for_all(const error_answer& why);
    // Somebody answers: the end may wait for him.
    void heard() { heard_at_ = steady_now(); }
    void begin_finish();
    // What the ledger must tell of the job, as soon as the journal's record of it is durable.
    void tell_ledger();
    void told_ledger(const result<void>& done, std::size_t orders);
    [[nodiscard]] bool ledger_owed() const { return !in_ledger_ || !orders_.empty(); }
    void file_away();
    void own_files();
    void put_files_away(const ledger_file::line& line, const job_totals& totals);
    void not_filed(const problem& why);
    [[nodiscard]] job_totals count() const;
    [[nodiscard]] std::string_view final_status() const;
    void append_error(const batch* b, std::string_view error_class, const http_answer& answer, std::string_view code,
                      std::string_view detail, std::optional<nanoseconds> retry_in, std::string_view sent);
    void count_request(const batch& b, const http_answer& answer);

    daemon_context& with_;
    job_intake intake_;
    const resource_profile* resource_;
    std::uint32_t uid_, gid_;
    wall_time modified_at_;
    std::string active_file_, active_list_;
    bool to_own_;  // the copies have not been told to take their place
    std::optional<id_reader> ids_;
    chain_writer chain_;
    std::uint64_t records_counted_;  // of the chain's, for /metrics
    journal_file journal_;
    plan plan_;
    std::optional<token_bucket> own_pace_;
    job_state state_ = job_state::running;
    bool paused_before_block_ = false;
    std::optional<block_facts> blocked_;
    std::optional<steady_time> probe_at_;  // blocked: when one request may be tried
    bool probing_ = false;                 // it is under way
    bool answered_;
    bool asks_refused_ = false;    // it was said
    steady_time heard_at_{};       // while it is being ended: when it began, or the last answer came
    std::string operator_reason_;  // by whoever paused or cancelled it
    std::optional<person> paused_by_;
    std::uint64_t requests_, retries_, throttled_;
    job_totals pending_, shown_;                            // at the commit under way; durable
    reason_counts failed_, failed_pending_, failed_shown_;  // recorded; and as the totals
    std::uint64_t checkpoint_at_ = 0;
    spans intent_;                               // written, not durable
    std::uint64_t intent_upto_ = 0;              // appended() with it
    bool held_up_ = false;                       // a batch waits for the disk to take what the journal has
    std::uint64_t begins_at_ = 0;                // appended() with the record that this run began with
    steady_time taken_at_ = steady_time::min();  // of the last batch
    bool fresh_, told_before_;
    std::optional<end_order> to_end_;
    bool waits_;  // accepted by this process, and nothing of it sent yet
    spans in_doubt_;
    bool rested_;
    std::uint64_t torn_bytes_;
    std::optional<skip_reason> stop_reason_;
    bool finishing_ = false;
    bool filing_ = false;  // file_away() is under way
    std::optional<std::uint64_t> finish_upto_;
    std::string first_;       // SHA-256 of the journal's first line
    bool in_ledger_ = false;  // which tells that the job was accepted
    bool telling_ = false;    // tell_ledger() is under way
    bool untold_ = false;     // it failed, and blocked the job
    struct owed_order {
        person_order what;
        std::uint64_t upto = 0;  // appended() with its record
    };
    std::deque<owed_order> orders_;  // that the ledger does not tell yet
    std::string status_;
    wall_time accepted_at_;
    std::optional<wall_time> finished_at_;
    std::optional<job_totals> final_;  // of a job.finished that was there at the restart
    progress progress_;
    std::uint64_t answers_ = 0;  // that brought it on, in this run
    std::string ids_text_;
    // Verdicts that have no record yet, in their order: their ids are being read, or cannot be. Nothing that builds on
    // them (a checkpoint, the end, the totals shown) comes before their records.
    std::deque<due_record> due_;
    verdict_counts due_counts_;
    bool reading_due_ = false;
    bool withheld_due_ = false;  // among them ids that are protected: nothing is sent before they are on record
    spans lost_;                 // what could not be read
    sorted_ids sorted_;
    std::shared_ptr<bool> alive_;
};

}  // namespace culld

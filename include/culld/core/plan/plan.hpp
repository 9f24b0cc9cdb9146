// The plan of one job: which ids are fresh, in flight, waiting for another try, waiting to be asked for, settled;
// and what to send next. Every position is in exactly one of these places and moves between them only here.
//
// Pure: no clock, no randomness, no I/O. One strand. Memory: the batches in flight plus at most
// `rules.outstanding_max` ids that wait; a job's size does not show.
//
// The caller writes what the calls hand back to the journal, in the order in which they hand it back.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "culld/core/answer/judge.hpp"
#include "culld/core/base/backoff.hpp"
#include "culld/core/base/span.hpp"
#include "culld/core/base/time.hpp"
#include "culld/core/job/job_spec.hpp"

namespace culld {

// The last thing known about an id that has no verdict yet.
enum class last_outcome : std::uint8_t {
    unsent,       // never sent
    unanswered,   // sent, or perhaps sent before a crash, and no answer read: its fate is unknown
    refused,      // the API listed it in error_ids
    unaccounted,  // the API's answer had it in neither list, or in both
    reported,     // the API says deleted; with verify: all that is no verdict
    present,      // asked for after it was reported deleted, and still there
    rejected,     // alone in a request that was refused for its content (400)
    doubted,      // listed in error_ids after an answer to it had been lost: perhaps that request deleted it
    withheld,     // its fate is unknown, and it is protected by now: asked for, never sent again
};
[[nodiscard]] std::string_view name_of(last_outcome w);
[[nodiscard]] std::optional<last_outcome> last_outcome_named(std::string_view name);

enum class verdict_kind : std::uint8_t { deleted, absent, failed, skipped };

enum class skip_reason : std::uint8_t { cancelled, aborted, deadline, dry_run, protected_id };
[[nodiscard]] std::string_view name_of(skip_reason r);

// A verdict to be journaled: ids.deleted, ids.absent, ids.failed, ids.skipped. (What a batch.result settles by itself
// is not repeated here.)
struct verdict {
    verdict_kind kind = verdict_kind::failed;
    std::string_view reason;  // for failed and skipped; a literal
    std::uint32_t attempts = 0;
    spans at;
};

struct batch {
    enum class purpose : std::uint8_t { remove, lookup };

    std::uint64_t number = 0;  // unique in the job; asks have none of their own and count nothing
    purpose what = purpose::remove;
    std::uint32_t attempt = 1;  // the counted attempt that sending it makes, from 1; for an ask: those made
    last_outcome last = last_outcome::unsent;  // the last word on all of its ids
    std::uint32_t tries = 0;                   // sends in a row that brought no answer
    bool sent_before = false;                  // its ids were in a request before, as far as anybody knows
    std::optional<steady_time> doubt_since;
    spans at;

    [[nodiscard]] std::uint64_t count() const { return count_of(at); }
};

struct verdict_counts {
    std::uint64_t deleted = 0, absent = 0, failed = 0, skipped = 0;

    [[nodiscard]] std::uint64_t sum() const { return deleted + absent + failed + skipped; }
    friend verdict_counts operator-(const verdict_counts& a, const verdict_counts& b) {
        return {a.deleted - b.deleted, a.absent - b.absent, a.failed - b.failed, a.skipped - b.skipped};
    }
    friend bool operator==(const verdict_counts&, const verdict_counts&) = default;
};

// All that a restart needs of a plan: what recovery builds from a journal and a checkpoint holds.
struct plan_state {
    struct open_ids {
        std::uint32_t attempts = 0;  // counted so far
        last_outcome last = last_outcome::unsent;
        spans at;
        bool declined = false;    // sent though the word is unsent: every answer declined it. Only plan::state tells
        bool never_sent = false;  // surely: the run before stopped in good order and said so. Only recovery tells
    };
    std::uint64_t ids = 0;
    position intended = 0;  // ids below it were intended
    std::uint64_t next_batch = 0;
    std::vector<open_ids> open;  // every intended id without a verdict
    spans presettled;            // settled positions from `intended` on
    verdict_counts counts;
    std::uint64_t first_good = 0, first_bad = 0;  // first answers to ids, for abort_when
    bool answered = false;                        // some deletion was answered 200; plan::state does not tell
};

struct plan_rules {
    std::uint32_t batch_size = 100;
    std::uint32_t max_attempts = 5;
    verify_mode verify = verify_mode::failed;
    backoff retry;
    nanoseconds give_up_after = std::chrono::hours(24);
    std::uint64_t window = 800;              // ids that intents may run ahead of sending, at least 2 batches
    std::uint64_t outstanding_max = 65'536;  // ids that wait; past it no fresh ones are started
};

// The positions of `at` that `indices` (ascending, counted through `at`) name.
[[nodiscard]] spans positions(const spans& at, const std::vector<std::uint32_t>& indices);

// What GET said of one id.
enum class presence : std::uint8_t { gone, there };

class plan {
  public:
    // A new job: `state.ids` and `state.holes` set, the rest empty. A restarted one: as recovery built it; every
    // open id whose last word is `unsent` is taken for `lost`, since nobody knows, unless it is `never_sent`.
    plan(const plan_rules& rules, const plan_state& state, steady_time now);

    // Verdicts that a restart found due and that no record holds yet; once.
    [[nodiscard]] std::vector<verdict> due_verdicts() { return std::exchange(due_verdicts_, {}); }

    // Some ids are intended and were never in a request.
    [[nodiscard]] bool has_unsent() const;

    // The ranges that should be intended next, to be made durable before intended() is called with them; settled
    // positions are left out. None while enough is intended, everything is, or the job is being stopped. At most
    // one answer is outstanding.
    [[nodiscard]] spans wants_intent();
    // Those ranges are durable: their ids may be sent from now on.
    void intended(const spans& ranges);

    // The next thing to send, if any is ready at `now`. The batch stays the plan's; the pointer is good until one of
    // landed, missed, return_unsent, halved, asked is called for it. Every batch taken must be brought back by exactly
    // one of them.
    [[nodiscard]] const batch* take(steady_time now);
    [[nodiscard]] bool ready(steady_time now) const;
    // When something becomes ready by the passing of time alone; none if nothing will.
    [[nodiscard]] std::optional<steady_time> due() const;

    // A deletion was answered. `chance` in [0,1) jitters the retries' delay.
    [[nodiscard]] std::vector<verdict> on_answered(const batch* b, const judgement& j, steady_time now, double chance);
    // Nothing usable came back: the same batch goes again, not before `earliest` and not before its back-off. In doubt
    // it may have been carried out, and give_up_after is counted from the first time that was so. Asks that nobody
    // answers for as long end all together: they wait for one another, and each for itself could take for ever.
    enum class miss : std::uint8_t {
        unsent,    // nothing left this machine
        declined,  // it was answered, and surely not carried out
        in_doubt,
    };
    // It was not sent after all, for no reason of its own: it may go again at once.
    [[nodiscard]] std::vector<verdict> return_unsent(const batch* b, steady_time now);
    // When on_failed() lets it go again, called with the same arguments before it: for the record.
    [[nodiscard]] steady_time retry_at(const batch& b, steady_time now, steady_time earliest, double chance) const;
    [[nodiscard]] std::vector<verdict> on_failed(const batch* b, miss how, steady_time now, steady_time earliest,
                                                 double chance);
    // Nor may it ever be, as it is: the ids at `indices` (ascending, counted through the batch) are protected. They are
    // skipped, or asked for where an earlier request may have deleted them; the others may go at once.
    [[nodiscard]] std::vector<verdict> withhold(const batch* b, const std::vector<std::uint32_t>& indices,
                                                steady_time now);
    // Refused for its content: two halves go again, or the one id that it held has its last word. While nothing has
    // ever passed that word waits: it may be all requests that are refused, and no id's fault.
    [[nodiscard]] std::vector<verdict> on_split(const batch* b, steady_time now);
    // An ask was answered.
    [[nodiscard]] std::vector<verdict> on_lookup_answered(const batch* b, presence answer, steady_time now,
                                                          double chance);

    // It was refused: the id ends as it would have without the ask. `for_all`: for a reason that holds of every ask, so
    // that after a few such in a row those that wait end likewise.
    [[nodiscard]] std::vector<verdict> on_lookup_refused(const batch* b, bool for_all);
    // Nobody is asked any more, now and later.
    [[nodiscard]] std::vector<verdict> end_asking();
    [[nodiscard]] bool asking() const { return !lookups_.empty() || !lookups_parked_.empty(); }
    // A whole first batch was refused id by id, and nothing has ever passed. Until something does, one id after
    // the other is ready, alone: a fresh one, or where none is left one of these.
    [[nodiscard]] bool nothing_passes() const;

    // No further fresh ids and no further tries: what was never sent is skipped for `reason`, what has failed so far
    // is asked for or fails. Batches in flight end as they land. Repeated calls change nothing.
    [[nodiscard]] std::vector<verdict> stop(skip_reason reason, steady_time now);

    // Every id has its verdict.
    [[nodiscard]] bool done() const { return counts_.sum() == ids_; }
    [[nodiscard]] bool stopping() const { return stop_.has_value(); }
    [[nodiscard]] bool idle() const { return flying_.empty(); }
    [[nodiscard]] std::uint64_t ids() const { return ids_; }
    [[nodiscard]] const verdict_counts& counts() const { return counts_; }
    [[nodiscard]] std::uint64_t in_flight() const { return in_flight_; }
    // How many more requests there will be if each one goes well.
    [[nodiscard]] std::uint64_t requests_left() const;
    [[nodiscard]] std::uint64_t first_good() const { return first_good_; }
    [[nodiscard]] std::uint64_t first_bad() const { return first_bad_; }
    [[nodiscard]] plan_state state() const;

  private:
    struct waiting {
        steady_time due;
        span at;
    };
    // Ids of one key can share a batch: they had as many attempts and the same last word.
    struct key {
        std::uint32_t attempts;
        last_outcome last;
        auto operator<=>(const key&) const = default;
    };
    struct queue {
        std::deque<waiting> entries;
        std::uint64_t ids = 0;
    };
    using queues = std::map<key, queue>;
    enum class source : std::uint8_t { none, parked, again, fresh, lookup_parked, lookup, suspect, single };
    struct choice {
        source from = source::none;
        const key* of = nullptr;
    };

    [[nodiscard]] choice choose(steady_time now) const;
    [[nodiscard]] bool fresh_ready() const;
    [[nodiscard]] bool fresh_left() const { return next_ < ids_; }
    // The runs of [from, to) that are not settled ahead of their turn, `most` positions of them; from >= next_.
    [[nodiscard]] spans unsettled(position from, position to, std::uint64_t most = UINT64_MAX) const;
    void skip_presettled();
    [[nodiscard]] batch next_fresh(std::uint64_t room);
    [[nodiscard]] batch next_of(queues& from, const key& of, batch::purpose what, std::uint64_t most, steady_time now);

    const batch* launch(batch b);
    [[nodiscard]] batch retrieve(const batch* b);
    void park(batch b, steady_time due);
    void park_whole(const batch& like, spans rest, steady_time due);
    void enqueue(queues& to, key k, const spans& at, steady_time due);
    void count_outstanding(std::uint64_t more, std::uint64_t fewer);

    void put_back(std::vector<verdict>& out, batch b, steady_time now);
    void suspect(std::vector<verdict>& out, key k, const spans& at, steady_time now);
    void clear_suspects(std::vector<verdict>& out, steady_time now);
    void settle(std::vector<verdict>& out, verdict v);
    void fail_unasked(std::vector<verdict>& out, key k, const spans& at);
    void skip(std::vector<verdict>& out, const spans& at);
    // One try less, or none left.
    void try_again(std::vector<verdict>& out, key k, const spans& at, steady_time due);
    // Nobody answers: what waits to be asked for ends as it would have without that.
    void end_asks(std::vector<verdict>& out);
    // The ids had their last try: ask for them, or fail them.
    void exhaust_retries(std::vector<verdict>& out, key k, const spans& at, steady_time due);

    plan_rules rules_;
    std::uint64_t ids_;
    position intended_;  // ids below it may be sent: durable
    position next_;      // the next fresh id
    bool intent_open_ = false;
    std::uint64_t next_batch_;
    spans presettled_;  // settled ahead of their turn, ascending
    std::size_t presettled_at_ = 0;
    std::unordered_map<const batch*, std::unique_ptr<batch>> flying_;
    std::multimap<steady_time, batch> parked_;          // whole batches that got no answer
    std::multimap<steady_time, batch> lookups_parked_;  // likewise asks
    queues again_;                                      // ids that failed and have tries left
    queues lookups_;                                    // ids to be asked for
    queues suspects_;                                   // refused alone, before anything passed
    std::optional<steady_time> asks_unanswered_;        // since when; none: the last request of any kind had an answer
    std::vector<verdict> due_verdicts_;
    std::uint64_t outstanding_ = 0;  // ids in parked_, lookups_parked_, again_, asks_, suspects_
    std::uint64_t in_flight_ = 0;
    bool full_ = false;  // outstanding_ reached its limit and has not yet fallen to half of it
    std::optional<skip_reason> stop_;
    verdict_counts counts_;
    std::uint64_t first_good_, first_bad_;
    std::uint64_t first_batch_;  // ids in the first whole one
    bool passed_;                // some deletion was answered, whatever became of its ids
    bool all_refused_ = false;   // nothing_passes() was true, or is
    bool asking_over_ = false;
    std::uint32_t asks_refused_ = 0;  // in a row, for what holds of all
};

}  // namespace culld

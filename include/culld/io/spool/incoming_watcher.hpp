// The files in incoming/ that are ready to be taken: the watch, the scan and the decisions of core/spool/file_readiness
// in one.
//
// A name is handed out once, until settled() or again() says what became of it. Memory is bounded, and so is each
// owner's share of it: past the limits names are passed over and found again by a later scan. Owners take turns, so
// that one who drops ten thousand files holds up nobody else's. A timer runs only while something must be looked at
// again, and for the regular rescan. Scanning goes on in slices of about a millisecond.
//
// Belongs to the loop's thread; next() is called by one coroutine at a time. The folder is looked at by a thread of its
// own: a spool that hangs holds up what arrives, and nothing else. While that thread looks all of this is its, and what
// the loop has to say waits till it is done.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "culld/core/base/problem.hpp"
#include "culld/core/base/time.hpp"
#include "culld/core/spool/file_readiness.hpp"
#include "culld/io/os/event_loop.hpp"
#include "culld/io/spool/inotify_watch.hpp"
#include "culld/io/spool/spool.hpp"

namespace culld {

// A name that came out of the waiting.
struct arrived_file {
    std::string name;
    node_facts facts;
    std::optional<problem> refuse;  // set: reject(incoming, name, *refuse); else take(name)
};

struct arrivals_batch {
    std::vector<arrived_file> files;  // each to be answered by settled() or again()
    std::vector<problem> troubles;    // for the log: the watch is lost, the folder cannot be read, it works again
};

struct arrivals_limits {
    nanoseconds rescan = std::chrono::seconds(30);
    std::size_t handed_max = 1024;   // names ready or handed out, of each owner
    std::size_t waiting_max = 4096;  // names not complete yet
    std::size_t batch_max = 64;      // files a call of next()
};

enum class sidecar_state {
    complete,    // take(name)
    refused,     // it is there, but no regular file: reject it and its job
    missing,     // not there at the deadline
    unfinished,  // there, but still being written at the deadline
    stopped,
};
struct sidecar_answer {
    sidecar_state state = sidecar_state::missing;
    problem why;       // unless complete or stopped: what to tell the submitter
    node_facts facts;  // complete
};

class incoming_watcher {
  public:
    // `from` must outlive this.
    incoming_watcher(loop_executor loop, const spool& from, arrivals_limits limits);

    // Waits until there is something; an empty batch when idle() holds again; nothing when stopped or cancelled.
    task<std::optional<arrivals_batch>> next();
    // True once a whole scan since the start is over and nothing is ready, waiting, or handed out but for
    // `kept` files that the caller has and can do nothing about now: --once may end.
    [[nodiscard]] bool idle(std::size_t kept = 0) const;

    // The file was taken, rejected or is gone: the name may come again.
    void settled(const std::string& name);
    // It could not be taken yet (its name is busy in active/): hand it out again after `delay`.
    void again(const std::string& name, nanoseconds delay);
    // Names of files that somebody has open for writing, and of those that may not be taken now; `most` of each.
    [[nodiscard]] std::vector<std::string> being_written(std::size_t most) const;
    [[nodiscard]] std::vector<std::string> held(std::size_t most) const;
    // Scan now, as on SIGHUP.
    void rescan();
    // Asked before a file of this owner is handed out (more() says that the answer may have changed), and told when one
    // is.
    std::function<bool(std::uint32_t uid)> may_take;
    std::function<void(std::uint32_t uid)> handed_out;
    void more() { wake_.cancel(); }
    // The next file of this inode that is moved in was put back by us.
    void comes_back(const node_facts& facts);
    // From the next scan on.
    void rescan_every(nanoseconds period);
    // next() and sidecar() end; nothing is handed out any more.
    void stop();

    // Waits until the sidecar `name` in incoming/ is complete, at most until `deadline`. One that belongs to another
    // than `owner` is not there. Several may wait at a time. `given_up`: borrowed, whether it is waited for no more;
    // looked at again by look_at_sidecars().
    task<sidecar_answer> sidecar(std::string name, steady_time deadline,
                                 std::optional<std::uint32_t> owner = std::nullopt,
                                 const std::atomic<bool>* given_up = nullptr);
    void look_at_sidecars() { wake_sidecars_now(); }

  private:
    using action = arrival_step::action;

    // What is known of a name. Names that are no business of ours, and complete sidecars, have no entry.
    struct entry {
        explicit entry(std::string_view name) : state(name) {}

        file_readiness state;
        enum class place { fresh, waiting, handed } where = place::fresh;  // handed: in ready_, or with the caller
        std::optional<steady_time> look_at;    // waiting: when to look again; none: the next sighting says more
        std::optional<file_event> seen_again;  // handed: the last since; looked into when it is settled
        std::uint32_t uid = 0;                 // handed: the owner
    };
    using entries = std::unordered_map<std::string, entry>;
    struct sidecar_wait;

    // ---- between the threads ----

    // Runs `look()` on the other thread, when it is free.
    template <class Look>
    [[nodiscard]] task<std::invoke_result_t<Look&>> by_eye(Look look) {
        while (looking_) co_await looked_.wait();
        before_ = {quiet(), handed_count_};
        looking_ = true;
        auto out = co_await eyes_.run(std::move(look));
        looked();
        co_return out;
    }
    void looked();
    // Nothing is to be found or waited for; what is handed out is another matter.
    [[nodiscard]] bool quiet() const;
    struct state_before {
        bool quiet = false;
        std::size_t handed = 0;
    };
    state_before before_;                       // the look that is under way
    void in_turn(std::function<void()> order);  // on the loop, and not while the other thread looks
    void tell_next();
    void wake_sidecar_now(const std::string& name);
    void wake_sidecars_now();

    // ---- on whichever has it ----

    [[nodiscard]] bool look_around();
    [[nodiscard]] bool came_back(const node_facts& facts);
    void open_watch(steady_time now);
    void lose_watch(problem why, nanoseconds again_in);
    void lose_folder(problem why);
    const folder* incoming();
    bool read_events(steady_time now);
    void look_at_due(steady_time now);
    void scan_slice(steady_time now);
    action saw(const std::string& name, file_event what, steady_time now);
    action carry_out(entries::iterator it, arrival_step step, const node_facts& facts, steady_time now);
    void put(entries::iterator it, entry::place where);
    void schedule(entries::iterator it, std::optional<steady_time> at);
    void forget(entries::iterator it);
    void forget_waiting();
    void want_scan(steady_time at);
    void complain(problem what);
    sidecar_answer ask_sidecar(const std::string& name, steady_time now, std::optional<std::uint32_t> owner);
    void wake_sidecar(const std::string& name);
    void wake_sidecars();
    void remember_sidecar(const std::string& name, const node_facts& facts);
    [[nodiscard]] bool room(std::uint32_t uid) const;
    void pass_over(std::uint32_t uid);
    void tell_of_leases(writer who, const std::string& name);
    void hand(entries::iterator it, const node_facts& facts, std::optional<problem> refuse);
    [[nodiscard]] bool something_to_hand_out() const;
    [[nodiscard]] steady_time next_due() const;
    arrivals_batch hand_out();
    task<void> wait(steady_time until);

    loop_executor loop_;
    worker_thread eyes_;
    bool looking_ = false;
    event looked_;
    std::vector<std::function<void()>> orders_;  // for when it is done
    std::vector<std::string> to_wake_;           // sidecars that it has news of
    bool wake_all_ = false;
    bool news_ = false;                                          // for next(), which may not be waiting yet
    std::deque<std::pair<std::string, file_event>> again_seen_;  // to be looked into

    const spool& spool_;
    arrivals_limits limits_;
    loop_timer wake_;  // the end of next()'s wait; cancelled when there is news
    bool stopped_ = false;
    bool idle_told_ = false;

    // Open only while next() is at work: the kernel tells of a removed folder when nobody has it open any
    // more.
    std::optional<folder> incoming_;
    bool present_ = false;  // incoming/ was there when last looked for
    std::optional<spool_watch> watch_;
    std::optional<node_facts> watched_;  // which folder that is
    steady_time watch_again_at_;         // without a watch: when to try again
    bool watch_loss_told_ = false;
    bool leases_told_ = false;  // that writers cannot be asked for

    entries entries_;
    std::size_t waiting_count_ = 0;
    std::size_t handed_count_ = 0;  // of all owners
    struct owner_share {
        std::size_t handed = 0;  // in ready, or with the caller
        std::deque<arrived_file> ready;
        bool passed_over = false;  // files of his were, since the scan began
    };
    std::map<std::uint32_t, owner_share> owners_;  // those with something handed, or passed over
    std::uint32_t last_turn_ = 0;                  // whose file was handed out last
    std::multimap<steady_time, std::string> due_;  // exactly one for each entry with look_at
    std::vector<problem> troubles_;

    std::optional<folder_scan> scan_;       // under way
    std::optional<std::string> scan_name_;  // the name it is at
    steady_time scan_patience_;             // when it passes over such names instead
    steady_time scan_began_, scan_ended_;
    bool scan_stands_ = false;   // at scan_name_, until its owner has room
    bool more_to_find_ = false;  // names were passed over since a scan began
    steady_time scan_at_;        // when the next one begins
    bool scanned_ = false;       // a whole one is over

    std::mutex coming_back_turn_;
    std::deque<std::pair<std::uint64_t, std::uint64_t>> coming_back_;   // device and inode, the last few
    std::deque<std::pair<std::string, node_facts>> complete_sidecars_;  // the last few, so that none waits twice
    std::vector<sidecar_wait*> sidecar_waits_;                          // each on the stack of a sidecar()
};

}  // namespace culld

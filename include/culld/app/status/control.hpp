// What the control socket and the status listener answer (contract, section 7). Changing a job is for the socket only,
// and for root, the daemon's own user and members of its group, as the kernel names them. Reading is anybody's who may
// connect; but names of files, reasons and the API's words are for those alone, and for the submitter of that job.
#pragma once

#include <functional>
#include <string>

#include "culld/app/jobs/job_table.hpp"
#include "culld/app/send/sender.hpp"
#include "culld/app/status/disk_usage.hpp"
#include "culld/app/status/notifier.hpp"
#include "culld/app/status/status_page.hpp"
#include "culld/core/base/sliding_counts.hpp"
#include "culld/io/http/http_server.hpp"

namespace culld {

// Who looks.
struct viewer {
    bool everything = false;           // may command
    std::optional<std::uint32_t> uid;  // whose jobs it may see in full; none on TCP

    [[nodiscard]] bool sees(std::optional<std::uint32_t> owner) const {
        return everything || (uid && owner && *uid == *owner);
    }
};

class control {
  public:
    control(daemon_context& with, job_table& jobs, sender& sending, const notifier& telling)
        : with_(with), jobs_(jobs), sending_(sending), telling_(telling), disks_(with), sampling_(with.loop) {}

    // From here on what happens is kept for the page's pictures; call it once the open jobs are recovered. end()
    // before the loop shall run dry.
    void begin();
    // To be called when a job was accepted. Nothing wakes us while none is open.
    void keep_sampling();
    void end();

    // `writable`: on the control socket.
    [[nodiscard]] server_answer answer(const server_request& request, bool writable);

    bool ready = false;     // set once recovery is done and the drop box is watched
    std::string not_ready;  // why nothing is done all the same; empty where all is well
    std::function<bool()> live;
    std::function<void()> asked_if_ready;
    std::function<void()> try_again;  // those jobs whose disk did not answer
    struct {
        bool successful = true;  // the last reload, or the start
        wall_time at = wall_now();
    } reloaded;

    [[nodiscard]] static bool may_command(const peer& who);

  private:
    // {"jobs":[{"job_id","file","state","status","totals","in_flight","remaining","rate","eta_seconds","reason","help",
    //  "accepted_at","finished_at"}…],"next":ID}: by job id, from behind `after` on, `limit` of them; `next` where
    //  there are more, to be asked for as `after`. Behind the last one the files that are no job yet, and wait or are
    //  read; their job_id is null where it is not known, and then for those alone who may see the file's name.
    [[nodiscard]] server_answer job_list(std::string_view query, const viewer& by) const;
    [[nodiscard]] std::optional<std::string> job_json(std::string_view id, const viewer& by) const;
    [[nodiscard]] server_answer command(const server_request& request, std::string_view id, std::string_view verb);
    [[nodiscard]] std::optional<waiting_file> taking(std::string_view name) const;
    // The answer to an order that is done, once it is on record.
    [[nodiscard]] task<server_answer> once_recorded(std::string id, viewer sees);
    // To one that is set aside, to end it.
    [[nodiscard]] task<server_answer> once_ended(std::string id, viewer sees);
    // What is no job yet, is taken no further.
    [[nodiscard]] task<server_answer> withdraw(std::string name, person by, std::string reason, viewer sees);
    // A piece of its journal, for those who may see it.
    [[nodiscard]] server_answer journal(const server_request& request, std::string_view id, std::string_view query);
    [[nodiscard]] task<server_answer> read_journal(std::string id, std::uint64_t offset,
                                                   std::optional<std::uint32_t> uid);
    [[nodiscard]] std::string metrics();
    [[nodiscard]] std::string page(const viewer& by);
    void sample();
    // When the credentials in use expire, to the second: it comes from the steady clock, and would look new each time.
    [[nodiscard]] std::optional<wall_time> credentials_end() const;

    static constexpr std::chrono::seconds sample_every{5};
    static constexpr std::chrono::seconds past_width{30};
    static constexpr std::size_t past_buckets = 120;

    daemon_context& with_;
    job_table& jobs_;
    sender& sending_;
    const notifier& telling_;
    disk_usage disks_;
    std::optional<worker_thread> reading_;  // from the first on who asks for a journal
    loop_timer sampling_;
    bool sampling_on_ = false;  // or over for good
    steady_time started_ = steady_now();
    wall_time started_wall_ = wall_now();
    sliding_counts past_{past_series, past_buckets, past_width};
};

}  // namespace culld

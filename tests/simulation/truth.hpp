// The judge: what culld promised, held against what really happened at the simulated server and on the simulated disk.
//
// While it runs: nothing is sent that no durable intent names, nothing that has its durable verdict, nothing that no
// job asked for, and no more than the rate in any window. At the end: one verdict for every id, each true; totals,
// chain and ledger in order; every file in its place.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/journal/ledger_signature.hpp"
#include "jobs.hpp"
#include "world.hpp"

namespace culld::simulation {

struct send_rules {
    double per_second = 5;
    std::uint32_t burst = 1;
};

class truth {
  public:
    // `keys`: whose signatures the ledger must bear; null for none.
    truth(world& in, std::vector<job_plan> jobs, send_rules rules, const public_keys* keys);

    [[nodiscard]] const std::vector<job_plan>& jobs() const { return jobs_; }
    // The file is whole and durable in incoming/: nothing may happen to it any more but what was promised.
    void dropped(std::size_t job) { state_[job].dropped = true; }
    // A power cut came while its writer had not made sure of it.
    void doubtful(std::size_t job) { state_[job].doubtful = true; }
    [[nodiscard]] bool is_doubtful(std::size_t job) const { return state_[job].doubtful; }
    [[nodiscard]] bool was_dropped(std::size_t job) const { return state_[job].dropped; }
    void gone_before(std::string_view id) { gone_.insert(std::string(id)); }
    [[nodiscard]] bool is_gone_before(const std::string& id) const { return gone_.contains(id); }

    // A whole request left the program.
    void sent(std::string_view method, std::string_view target, const std::vector<std::string_view>& ids);
    // The server's answer to a delete.
    void answered(const std::vector<std::string_view>& asked, int status, std::string_view body);
    // Something became durable: reads what is new in the journals.
    void look();

    // What the control socket says of a job: no more than is durable.
    void reported(std::string_view body);

    [[nodiscard]] std::vector<std::string> job_ids() const;  // of the journals
    // Nothing is left to be taken or finished. (The list of a job that a power cut took away may stay.)
    [[nodiscard]] bool all_over() const { return left_over().empty(); }
    // The first file that is.
    [[nodiscard]] std::string left_over() const;
    // At the end. `exists` says whether the server still has an id.
    void judge(const std::function<bool(const std::string&)>& exists);
    [[nodiscard]] std::uint64_t requests() const { return times_.size(); }
    [[nodiscard]] std::uint64_t ids_total() const;

  private:
    struct job_state {
        bool dropped = false, doubtful = false;
        std::vector<char> intended, verdict;  // by position; 0, or d a f s
    };
    struct journal_state {
        std::size_t read = 0;
        std::optional<std::size_t> job;
    };
    void read_line(const std::string& path, journal_state& journal, std::string_view line);
    void settle(std::size_t job, std::uint32_t position, char verdict, const std::string& path);
    void judge_journal(const std::string& job_id, const std::function<bool(const std::string&)>& exists);
    void judge_ledger();
    void judge_files();
    void look_at_filed();
    // Is `name` the file `of`, or that with a number before its suffix, as where its own name seemed taken?
    [[nodiscard]] static bool same_file(std::string_view name, std::string_view of);
    [[noreturn]] void fail(const std::string& what) const { in_.on.fail(what); }

    world& in_;
    std::vector<job_plan> jobs_;
    send_rules rules_;
    const public_keys* keys_;
    std::vector<job_state> state_;
    std::set<std::string> gone_;                       // ids the server never had
    std::set<std::string, std::less<>> said_deleted_;  // the server called them deleted, and nothing else
    std::map<std::uint64_t, journal_state> journals_;  // by the file's number
    std::vector<moment> times_;                        // of requests
    std::map<std::size_t, std::string> finished_;      // job: status
    std::set<std::size_t> rejected_;
    std::set<std::string> filed_;  // seen in done/ or failed/
};

}  // namespace culld::simulation

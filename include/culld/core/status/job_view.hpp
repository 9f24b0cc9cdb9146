// What is told of one job, to whoever asks (contract, section 7): by the daemon's answers and its page, and by cullctl,
// which reads it off the journals where no daemon answers. One form, written here alone. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "culld/core/journal/journal_write.hpp"
#include "culld/core/status/standstill.hpp"
#include "culld/core/verdict/job_totals.hpp"

namespace culld {

enum class job_state : std::uint8_t {
    waiting,   // nothing of it can be sent now, by no one's order
    running,   // it moves
    paused,    // by a person's order
    blocked,   // by what only somebody can mend
    finished,  // every id has its verdict
};
[[nodiscard]] std::string_view name_of(job_state s);
[[nodiscard]] std::optional<job_state> job_state_named(std::string_view name);

struct job_view {
    std::string job_id;  // empty: a rejected file that had none
    std::string file;    // base name; empty: not for whoever asks
    job_state state = job_state::running;
    std::string status;  // of a finished job, else empty
    job_totals totals;
    std::uint64_t in_flight = 0;
    double rate = 0;                           // ids a second, lately
    std::optional<std::uint64_t> eta_seconds;  // none while nothing moves
    std::string reason;                        // why it stands still, or was cancelled; of a rejected file the error
    std::string help;                          // and what to do about it
    std::string accepted_at;                   // RFC 3339, may be empty, as all times here
    std::string finished_at;
    standstill waits_for = standstill::none;
    std::string since;                 // it stands still from then on, where that is known
    std::string until;                 // till then, where that is known
    std::optional<person> paused_by;   // where that is known
    std::optional<std::uint32_t> uid;  // the submitter's

    [[nodiscard]] bool finished() const { return state == job_state::finished; }
    [[nodiscard]] std::uint64_t remaining() const;
    // It does not move, as `s` says: a running one waits, and has neither rate nor end.
    void stand_still(const standing& s);
};

// {"job_id","file","state","status","totals","in_flight","remaining","rate","eta_seconds","reason","accepted_at",
//  "finished_at","help","waits_for","since","until","paused_by":{"uid","pid"},"uid"}; null for what is empty.
void append_job(std::string& out, const job_view& job);

}  // namespace culld

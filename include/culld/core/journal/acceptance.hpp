// Whether a journal that is found may be gone on with, by what the ledger tells of its job. Before anything of a job is
// sent its acceptance is a durable line of the ledger, with the hash of the journal's first line. So a journal that the
// ledger does not know is one that culld began a moment before a crash, and that tells of no answer; any other was made
// by somebody else, and culld must neither go on with it nor sign it.
//
// Pure.
#pragma once

#include <cstdint>

namespace culld {

// What the ledger tells of a job.
enum class acceptance : std::uint8_t {
    told,      // accepted, with this first line; or finished already
    other,     // accepted, with another first line
    untold,    // nothing, though it tells of the jobs that were accepted
    not_kept,  // nothing, as of any: it was written by versions that told of ends alone
};

enum class journal_standing : std::uint8_t { sound, replaced, invented };

// `answered`: the journal tells of requests, or of verdicts that need one.
[[nodiscard]] constexpr journal_standing standing_of(acceptance by_ledger, bool answered) {
    switch (by_ledger) {
        case acceptance::other: return journal_standing::replaced;
        case acceptance::untold: return answered ? journal_standing::invented : journal_standing::sound;
        case acceptance::told:
        case acceptance::not_kept: break;
    }
    return journal_standing::sound;
}

}  // namespace culld

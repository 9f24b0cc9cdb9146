// What the exit codes of culld, cullctl and cull-emulator mean (contract, section 5; sysexits.h).
#pragma once

#include <string_view>

namespace culld {

enum exit_code : int {
    all_well = 0,
    some_failed = 1,      // done, some ids failed
    ended_early = 2,      // aborted, cancelled or expired
    no_daemon = 3,        // not reachable
    not_verified = 4,     // a journal or the ledger is not what it was
    usage = 64,           //
    bad_job = 65,         // bad job or list
    not_there = 66,       // no such job or file
    internal_error = 70,  // a bug: please report it
    io_error = 74,        //
    try_later = 75,       //
    not_allowed = 77,     //
    bad_config = 78,      //
    interrupted = 130,    //
};

// Of a job that ended with `status` (job.finished, or "rejected").
[[nodiscard]] inline exit_code exit_code_of(std::string_view status) {
    if (status == "completed" || status == "dry_run") return all_well;
    if (status == "completed_with_failures") return some_failed;
    if (status == "rejected") return bad_job;
    return ended_early;
}

}  // namespace culld

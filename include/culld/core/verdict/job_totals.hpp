// What a job's end counts, in job.finished, in the ledger and in status answers (contract, section 3).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace culld {

struct job_totals {
    std::uint64_t ids = 0;  // distinct
    std::uint64_t deleted = 0, absent = 0, failed = 0, skipped = 0;
    std::uint64_t duplicates = 0;
    std::uint64_t requests = 0;   // delete requests sent, each attempt
    std::uint64_t retries = 0;    // those of them that were not an id's first
    std::uint64_t throttled = 0;  // those answered 429

    [[nodiscard]] std::uint64_t settled() const { return deleted + absent + failed + skipped; }
    friend bool operator==(const job_totals&, const job_totals&) = default;
};

// Failed ids by the reason of their verdict.
using reason_counts = std::map<std::string, std::uint64_t, std::less<>>;

// {"ids":…,"deleted":…,"absent":…,"failed":…,"skipped":…,"duplicates":…,"requests":…,"retries":…,"throttled":…}
void append_totals(std::string& out, const job_totals& t);

}  // namespace culld

// What an HTTP 200 says about the ids that were sent (contract, section 6): set algebra on its two lists, never on
// `code` or `message`, which real answers fill with a UUID and "Error message" on success (secmaster-api.md, 1.2), nor
// on how anything else is spelt: see lenient_json.
//
// The lists are those in `data`; where it holds none, those at the top. An id that both places name, and differently,
// is unknown; and if `data` or a list stands there twice, every id is, since each reader of JSON takes another of the
// two.
//
// Pure and reusable: a judge keeps its tables between answers. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/base/problem.hpp"

namespace culld {

// Indices are those of the ids in the request, from 0, ascending.
struct judgement {
    std::uint64_t sent = 0;
    std::vector<std::uint32_t> refused;  // in error_ids alone
    std::vector<std::uint32_t> unknown;  // in neither list, or in both
    // All others are in success_ids alone.
    std::uint64_t unrequested_ids = 0;  // names in the lists that were not asked for: never believed
    bool repeated = false;              // `data` or a list stands there twice
    // As the answer has them, 1024 bytes of each: they may repeat our secrets (clean_message).
    std::string code, message;

    [[nodiscard]] std::uint64_t deleted() const { return sent - refused.size() - unknown.size(); }
};

// The request's list, sorted by what became of each id; each part as it can stand in a journal record.
struct sorted_ids {
    std::string deleted, refused, unknown;
};
// Only for an answer with some id refused or unknown: else `sent` itself is the list of those deleted.
void sort_out(std::string_view sent, const judgement& j, sorted_ids& out);

class judge {
  public:
    judge();
    ~judge();
    judge(judge&&) noexcept;
    judge& operator=(judge&&) noexcept;

    // `sent` is the request's list as it went out: `"id","id",…`, `count` ids without any byte that JSON would
    // escape. `body` is the answer. A problem if it cannot be read as an object: then the ids' fate is unknown.
    [[nodiscard]] result<judgement> operator()(std::string_view sent, std::uint64_t count, std::string_view body);

  private:
    struct reader;
    std::vector<std::uint8_t> marks_;     // a bit for each list an id was in
    std::vector<std::uint32_t> offsets_;  // where each id starts in `sent`, its quote left out
    std::vector<std::uint32_t> table_;    // open addressing: index + 1
};

}  // namespace culld

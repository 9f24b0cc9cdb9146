// cullctl verify --names: do the ids that a journal names stand at those positions in the list that was submitted?
// The chain and the audit prove what happened to every position; this proves which id each position is, from the job's
// own file, whose SHA-256 the journal holds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/journal/job_check.hpp"
#include "ctl/ui/context.hpp"
#include "culld/core/journal/journal_read.hpp"
#include "culld/io/ids/id_store.hpp"

namespace culld::ctl {

class names_check {
  public:
    // `with` outlives it.
    explicit names_check(const context& with) : with_(with) {}

    // The records of one journal, in order, each vouched for by its chain and with positions that the audit looked at.
    // An error where the list cannot be read; failed() then says which exit code that deserves.
    [[nodiscard]] result<void> feed(const record_view& record, std::uint64_t line);

    [[nodiscard]] const std::vector<problem>& findings() const { return findings_; }  // line set; at most 100
    [[nodiscard]] const std::optional<failure>& failed() const { return failed_; }

  private:
    [[nodiscard]] outcome<void> open(const record_view& accepted);
    [[nodiscard]] result<void> compare(const record_view& record, std::string_view key, const spans& at,
                                       std::uint64_t line);
    [[nodiscard]] result<void> name_the_first(const json_value& names, const spans& at, std::string_view key,
                                              std::uint64_t line);

    const context& with_;
    std::optional<scratch_folder> scratch_;
    std::optional<id_store> store_;
    std::string expected_;
    std::vector<problem> findings_;
    std::optional<failure> failed_;
};

}  // namespace culld::ctl

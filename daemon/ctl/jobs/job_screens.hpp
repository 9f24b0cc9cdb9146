// Jobs on a terminal: as a table, in full, in one line.
#pragma once

#include <string>
#include <vector>

#include "ctl/jobs/jobs.hpp"

namespace culld::ctl {

// `jobs` as a table.
void print_table(const context& with, const std::vector<job_facts>& jobs);
void print_waiting(const context& with, const std::vector<waiting_file>& files);
void print_rejected(const context& with, const std::vector<rejected_file>& files);
// One job in full.
void print_job(const context& with, const job_facts& job);
// One job in one line, with why it stands still.
[[nodiscard]] std::string line_of(const job_facts& job);
// Why it does not move, by whom and till when as far as that is known; empty for one that moves.
[[nodiscard]] std::string why_of(const job_facts& job);
// "alice (uid 1000)", or "uid 1000" where nobody here has that number.
[[nodiscard]] std::string name_of_user(std::uint32_t uid);

}  // namespace culld::ctl

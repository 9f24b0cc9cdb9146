// The jobs of one run: what is dropped into the spool, when and how, and what must come of it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dice.hpp"
#include "machine.hpp"

namespace culld::simulation {

struct job_plan {
    std::size_t number = 0;
    std::string file, content;
    std::string list, list_content;  // the sidecar, if any
    std::string job_id;              // where the job names it
    std::vector<std::string> ids;    // distinct, by first appearance
    std::map<std::string, std::uint32_t> place;
    std::uint64_t duplicates = 0;
    std::uint32_t batch_size = 0;
    bool bad = false;  // must be rejected
    bool dry_run = false;
    std::string verify;  // as resolved
    moment at{};         // when it is dropped
    enum class way { renamed, written } how = way::renamed;
};

struct job_rules {
    std::uint32_t batch_size = 10;  // the configuration's
    moment until{};                 // dropped before
};

[[nodiscard]] std::vector<job_plan> plan_jobs(dice& chance, const job_rules& rules, wall_time began);

// j3-00012-… is id 12 of job 3.
[[nodiscard]] std::optional<std::size_t> job_of_id(std::string_view id);

}  // namespace culld::simulation

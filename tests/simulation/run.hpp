// What can be run. One seed: a world, its weather, jobs dropped into it, culld started, killed, cut off and started
// again until the weather clears; then it has to finish everything, and the judge looks. Or every power cut of one
// story.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace culld::simulation {

struct run_options {
    bool talk = false;    // print what happens
    std::string plant;    // a bug to plant, by name; empty: none
    std::string scratch;  // a real folder for the configuration
};

struct run_outcome {
    std::uint64_t trace = 0;  // of everything that happened, with its time
    std::uint64_t happenings = 0;
    std::uint64_t requests = 0;
    std::uint64_t ids = 0;
    std::uint64_t kills = 0, power_cuts = 0, stops = 0;
    double seconds = 0;  // simulated
};

// Does not return if a promise was broken: machine::fail.
run_outcome run_seed(std::uint64_t seed, const run_options& options);

// One power cut: before which of the calls that change something, counted from 0 at culld's start, and in which of the
// ways that POSIX allows the disk comes out of it (disk::power_cut's picks, in order; those that are not given are 0).
struct cut_point {
    std::uint64_t call = 0;
    std::vector<std::uint64_t> ways;
};

struct cut_tally {
    std::uint64_t calls = 0;   // points of the first cut
    std::uint64_t states = 0;  // of the disk after it, in all
    std::uint64_t again = 0;   // second cuts, in what was started after the first
};

// Which of them.
struct cut_plan {
    std::uint64_t part = 0, parts = 1;  // at every call whose number is `part` modulo `parts`
    std::uint64_t ways = 0;             // so many of a cut's ways, by chance; 0: all
    std::uint64_t again = 0;            // after each of these so many second cuts, by chance
};

// A short story with everything in it: retries, doubt, a sidecar, a rejection, checkpoints, operators.
cut_tally run_every_cut(const cut_plan& plan, const run_options& options);

// The same story with these cuts; what run_every_cut says to be run when it fails.
void run_cuts(const std::vector<cut_point>& cuts, const run_options& options);

}  // namespace culld::simulation

// One seed: a world, its weather, jobs dropped into it, culld started, killed, cut off and started again until the
// weather clears; then it has to finish everything, and the judge looks.
#pragma once

#include <cstdint>
#include <string>

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

}  // namespace culld::simulation

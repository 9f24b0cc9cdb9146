// culld_simulation: runs seeds, or replays one with its trace. See docs/simulation.md.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>

#include "plants.hpp"
#include "run.hpp"

using namespace culld::simulation;

namespace {

// The daemon's own log goes nowhere, unless somebody watches.
void silence() {
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0) static_cast<void>(::dup2(nowhere, STDERR_FILENO));
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t seeds = 1000, from = 1, long_seconds = 0;
    bool twice = false, list_plants = false;
    run_options options;
    CLI::App app("Runs the whole daemon on a simulated machine, one seed after another.");
    app.add_option("--seeds", seeds, "how many")->capture_default_str();
    app.add_option("--from", from, "the first seed")->capture_default_str();
    app.add_option("--seconds", long_seconds, "run so long, however many seeds that is");
    app.add_flag("--trace", options.talk, "print what happens");
    app.add_flag("--twice", twice, "run each seed twice and compare");
    app.add_option("--plant", options.plant, "a bug to plant");
    app.add_flag("--list-plants", list_plants, "the bugs that can be planted");
    CLI11_PARSE(app, argc, argv);
    if (list_plants) {
        for (const planted_bug& bug : planted_bugs()) fmt::print("{}\t{}\n", bug.name, bug.what);
        return 0;
    }
    std::string scratch = (std::filesystem::temp_directory_path() / "culld-simulation-XXXXXX").string();
    if (::mkdtemp(scratch.data()) == nullptr) return std::perror("mkdtemp"), 74;
    options.scratch = scratch;
    static_cast<void>(std::signal(SIGTERM, SIG_IGN));
    if (!options.talk) silence();

    using clock = std::chrono::steady_clock;
    const auto begun = clock::now();
    const auto passed = [&] { return std::chrono::duration<double>(clock::now() - begun).count(); };
    run_outcome sum;
    std::uint64_t done = 0;
    for (std::uint64_t seed = from; long_seconds > 0 ? passed() < static_cast<double>(long_seconds) : done < seeds;
         ++seed, ++done) {
        const run_outcome one = run_seed(seed, options);
        if (twice && run_seed(seed, options).trace != one.trace) {
            fmt::print("FAILED seed {}: it ran differently the second time\n", seed);
            return 1;
        }
        sum.happenings += one.happenings;
        sum.requests += one.requests;
        sum.ids += one.ids;
        sum.kills += one.kills;
        sum.power_cuts += one.power_cuts;
        sum.stops += one.stops;
        sum.seconds += one.seconds;
        sum.trace = sum.trace * 31 + one.trace;
    }
    std::filesystem::remove_all(scratch);
    fmt::print(
        "{} seeds from {}: {:.1f} simulated hours, {} happenings, {} ids, {} requests, {} kills, {} power cuts, "
        "{} clean stops; trace {:016x}; {:.1f} s\n",
        done, from, sum.seconds / 3600, sum.happenings, sum.ids, sum.requests, sum.kills, sum.power_cuts, sum.stops,
        sum.trace, passed());
    return 0;
}

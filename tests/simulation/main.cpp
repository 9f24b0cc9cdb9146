// culld_simulation: runs seeds, or replays one with its trace. See docs/simulation.md.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
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

std::vector<std::uint64_t> numbers(std::string_view text, char between) {
    std::vector<std::uint64_t> out;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(between), text.size());
        std::uint64_t number = 0;
        std::from_chars(text.data(), text.data() + end, number);
        out.push_back(number);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

cut_point cut_of(std::string_view text) {
    const std::size_t colon = std::min(text.find(':'), text.size());
    cut_point out;
    for (const std::uint64_t call : numbers(text.substr(0, colon), ':')) out.call = call;
    if (colon < text.size()) out.ways = numbers(text.substr(colon + 1), '.');
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t seeds = 1000, from = 1, long_seconds = 0;
    cut_plan plan;
    std::string part;
    std::vector<std::string> cuts;
    bool twice = false, list_plants = false;
    run_options options;
    CLI::App app("Runs the whole daemon on a simulated machine, one seed after another.");
    app.add_option("--seeds", seeds, "how many")->capture_default_str();
    app.add_option("--from", from, "the first seed")->capture_default_str();
    app.add_option("--seconds", long_seconds, "run so long, however many seeds that is");
    app.add_flag("--trace", options.talk, "print what happens");
    app.add_flag("--twice", twice, "run each seed twice and compare");
    app.add_option("--every-cut", part, "every power cut of one story: PART/PARTS of them")->expected(1);
    app.add_option("--ways", plan.ways, "with --every-cut: so many of the ways a cut may end, by chance; 0: all")
        ->capture_default_str();
    app.add_option("--again", plan.again, "with --every-cut: so many second cuts after each")->capture_default_str();
    app.add_option("--cut", cuts, "the story with this cut (CALL:WAY.WAY…), twice for two")->expected(1, 2);
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
    if (!cuts.empty()) {
        std::vector<cut_point> points;
        for (const std::string& text : cuts) points.push_back(cut_of(text));
        run_cuts(points, options);
        std::filesystem::remove_all(scratch);
        return 0;
    }
    if (!part.empty()) {
        const std::vector<std::uint64_t> of = numbers(part, '/');
        if (of.size() != 2 || of[1] == 0) return fmt::print(stderr, "--every-cut wants PART/PARTS\n"), 64;
        plan.part = of[0];
        plan.parts = of[1];
        const cut_tally all = run_every_cut(plan, options);
        std::filesystem::remove_all(scratch);
        fmt::print("power cuts at {} calls, {} states of the disk; {} second cuts; {:.1f} s\n", all.calls, all.states,
                   all.again, passed());
        return 0;
    }
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

// cullctl: the companion of culld (contract, section 5). Parses the command line, finds the settings, runs
// one verb.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <sstream>
#include <string>
#include <vector>

#include "ctl/ui/verb.hpp"
#include "culld/core/base/did_you_mean.hpp"
#include "culld/io/os/process_setup.hpp"

namespace culld::ctl {
namespace {

constexpr const char* footer =
    "Exit codes: 0 all well; 1 done, some ids failed; 2 aborted, cancelled or expired; 3 daemon not "
    "reachable;\n"
    "4 verification failed; 64 usage; 65 bad job or list; 66 no such job or file; 74 I/O; 75 try later;\n"
    "77 not allowed; 78 bad configuration; 130 interrupted.";

void add_common(CLI::App& app, common_options& options) {
    // The type names tell completion what may stand there.
    app.add_option("--config", options.config_file, "culld's configuration (default /etc/culld/culld.yaml)")
        ->type_name("FILE");
    app.add_option("--socket", options.socket, "the daemon's control socket")->type_name("FILE");
    app.add_option("--spool", options.spool, "the spool folder")->type_name("DIR");
    app.add_option("--journal-dir", options.journal_dir,
                   "the journal folder; without --socket no daemon is asked about it")
        ->type_name("DIR");
    app.add_flag("--json", options.json, "data as JSON");
    app.add_flag("--no-color", options.no_colour, "no colours (NO_COLOR does the same)");
    app.add_flag("-q,--quiet", options.quiet, "errors only");
    app.add_flag("-v,--verbose", options.verbose, "say more");
}

// Long and short names of an app's options, with their dashes.
void add_flag_names(const CLI::App& app, std::vector<std::string>& out) {
    for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_lnames()) out.push_back("--" + name);
        for (const std::string& name : option->get_snames()) out.push_back("-" + name);
    }
}

std::string guess(std::string_view word, const std::vector<std::string>& known) {
    const std::vector<std::string_view> views(known.begin(), known.end());
    std::string hint = did_you_mean(word, views);
    return hint.empty() ? "--help lists what there is" : hint;
}

// `did you mean "failed"? `, or nothing.
std::string hint_before(std::string_view word, const std::vector<std::string>& known) {
    const std::vector<std::string_view> views(known.begin(), known.end());
    const std::string hint = did_you_mean(word, views);
    return hint.empty() ? hint : hint + " ";
}

// What stands on the command line and is not known, with the name that was probably meant.
problem complaint_of(const CLI::App& app, const CLI::ParseError& error) {
    const auto chosen = app.get_subcommands();
    std::vector<std::string> verbs, flags;
    for (const CLI::App* command : app.get_subcommands({})) verbs.push_back(command->get_name());
    add_flag_names(app, flags);
    if (!chosen.empty()) add_flag_names(*chosen.front(), flags);
    const auto rest = app.remaining(true);
    for (const std::string& word : rest) {
        if (word.size() > 1 && word[0] == '-') {
            const std::string name = word.substr(0, word.find('='));
            return {.what = fmt::format("no option {}", printable(name)), .hint = guess(name, flags)};
        }
        if (chosen.empty())
            return {.what = fmt::format("no command \"{}\"", printable(word)), .hint = guess(word, verbs)};
        return {.what = fmt::format("\"{}\" is one argument too many", printable(word)),
                .hint = fmt::format("cullctl {} --help", chosen.front()->get_name())};
    }
    // "--only: faild not in {failed,deleted}": of a value that is one of a few words.
    const std::string what = error.what();
    constexpr std::string_view not_in = " not in {";
    const std::size_t at = what.find(not_in), begin = what.find(": ");
    if (at != std::string::npos && begin < at) {
        std::vector<std::string> words;
        std::istringstream list(what.substr(at + not_in.size(), what.find('}', at) - at - not_in.size()));
        for (std::string word; std::getline(list, word, ',');) words.push_back(word);
        const std::string given = what.substr(begin + 2, at - begin - 2);
        return {.what = fmt::format("{} cannot be \"{}\"", what.substr(0, begin), printable(given)),
                .hint = fmt::format("{}one of {}", hint_before(given, words), fmt::join(words, ", "))};
    }
    return {.what = what,
            .hint = chosen.empty() ? "cullctl --help" : fmt::format("cullctl {} --help", chosen.front()->get_name())};
}

// `xargs cullctl pause` must not end well without having paused anything, whatever stands among its words.
bool asks_for_help_beside_jobs(const CLI::App& app) {
    constexpr std::array<std::string_view, 4> orders{"pause", "resume", "cancel", "rate"};
    for (const CLI::App* verb : app.get_subcommands())
        if (std::find(orders.begin(), orders.end(), verb->get_name()) != orders.end())
            for (const CLI::Option* option : verb->get_options())
                if (option->get_positional() && option->count() > 0) return true;
    return false;
}

int run(int argc, char** argv) {
    CLI::App app("Speaks with culld, and reads what it wrote.", "cullctl");
    app.set_version_flag("--version,-V", CULLD_VERSION);
    app.footer(footer);
    app.fallthrough();  // common options may stand behind the verb; subcommands made from here on inherit it
    app.require_subcommand(0, 1);
    common_options options;
    add_common(app, options);
    const std::array verbs = {submit_verb(app),     list_verb(app),
                              status_verb(app),     watch_verb(app),
                              pause_verb(app),      resume_verb(app),
                              cancel_verb(app),     rate_verb(app),
                              result_verb(app),     report_verb(app, options),
                              lint_verb(app),       verify_verb(app, options),
                              sign_verb(app),       demo_verb(app),
                              completion_verb(app), config_verb(app, options)};
    for (const verb& v : verbs)
        v.command->footer(
            std::string("--config, --socket, --json and the other options of all commands: cullctl --help\n\n") +
            footer);
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp& e) {
        if (asks_for_help_beside_jobs(app)) {
            console(options.no_colour, false)
                .error(problem{.what = "--help stands among jobs: nothing was done",
                               .hint = "is it the name of a job? None begins with -; -- ends the options"});
            return usage;
        }
        return app.exit(e) == 0 ? all_well : io_error;
    } catch (const CLI::Success& e) {  // --version
        return app.exit(e) == 0 ? all_well : io_error;
    } catch (const CLI::ParseError& e) {
        console out(options.no_colour, false);
        out.error(complaint_of(app, e));
        return usage;
    }
    console out(options.no_colour, options.quiet);
    const auto chosen = std::find_if(verbs.begin(), verbs.end(), [](const verb& v) { return v.command->parsed(); });
    if (chosen == verbs.end()) {
        out.error(app.help());
        return usage;
    }
    auto found = chosen->before == needs::nothing ? found_settings{} : find_settings(options);
    if (!found) {
        out.error(found.error());
        return bad_config;
    }
    const context with{.settings = std::move(found->settings),
                       .ask_daemon = options.journal_dir.empty() || !options.socket.empty(),
                       .have_config = found->from_file,
                       .json = options.json,
                       .verbose = options.verbose,
                       .out = out};
    const int code = chosen->run(with);
    if (auto flushed = out.flush(); !flushed) {
        out.error(flushed.error());
        return io_error;
    }
    return code;
}

}  // namespace
}  // namespace culld::ctl

int main(int argc, char** argv) {
    culld::open_standard_files();
    try {
        return culld::ctl::run(argc, argv);
    } catch (const std::exception& e) {
        // Memory, or the crypto library refusing to work: nobody can handle that.
        static_cast<void>(std::fprintf(stderr, "cullctl: %s\n", e.what()));
        return culld::io_error;
    }
}

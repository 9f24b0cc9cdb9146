#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>

#include "ctl/verbs/completion_model.hpp"

namespace culld::ctl {

namespace {

std::string fish_text(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

// What follows `complete … ` for a place where something may stand; empty where there is nothing to offer.
std::string source_of(const value_place& place) {
    switch (place.what) {
        case completes_to::file: return " -F";
        case completes_to::folder: return " -a '(__fish_complete_directories)'";
        case completes_to::words: return fmt::format(" -a '{}'", fmt::join(place.words, " "));
        case completes_to::job: return " -a '(__cullctl_jobs)'";
        case completes_to::open_job: return " -a '(__cullctl_jobs --open)'";
        case completes_to::nothing: break;
    }
    return {};
}

void options_of(std::string& out, const std::vector<option_model>& options, std::string_view condition) {
    for (const option_model& o : options) {
        std::string names;
        for (const std::string& name : o.names)
            names += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
        fmt::format_to(std::back_inserter(out), "complete -c cullctl{}{}{}{} -d '{}'\n", condition, names,
                       !o.takes_value                       ? ""
                       : o.value.what == completes_to::file ? " -r"
                                                            : " -x",
                       o.takes_value ? source_of(o.value) : "", fish_text(o.help));
    }
}

}  // namespace

std::string fish_completion(const command_line_model& of) {
    std::string out =
        R"sh(# fish completion for cullctl: cullctl completion fish > ~/.config/fish/completions/cullctl.fish
# Generated from cullctl's own command line.

complete -c cullctl -f

)sh";
    auto to = std::back_inserter(out);
    std::string values, verbs;
    for (const option_model& o : of.common.options)
        if (o.takes_value)
            for (const std::string& name : o.names) values.append(values.empty() ? "" : " ").append(name);
    for (const command_model& verb : of.verbs) verbs.append(verbs.empty() ? "" : " ").append(verb.name);
    // Which journals and which daemon are meant decides which jobs there are.
    fmt::format_to(
        to,
        "function __cullctl_jobs\n    set -l words (commandline -opc)\n    set -l where\n"
        "    for i in (seq 2 (count $words))\n        set -l option (string split -m1 = -- $words[$i])\n"
        "        if contains -- $option[1] {}\n            if set -q option[2]\n"
        "                set -a where $words[$i]\n            else if set -q words[(math $i + 1)]\n"
        "                set -a where $words[$i] $words[(math $i + 1)]\n            end\n        end\n    end\n"
        "    $words[1] $where list --names $argv 2>/dev/null\nend\n\n",
        values);
    options_of(out, of.common.options, "");
    for (const command_model& verb : of.verbs) {
        fmt::format_to(to, "\ncomplete -c cullctl -n 'not __fish_seen_subcommand_from {}' -a {} -d '{}'\n", verbs,
                       verb.name, fish_text(verb.help));
        const std::string condition = fmt::format(" -n '__fish_seen_subcommand_from {}'", verb.name);
        if (const std::string source = source_of(verb.positional); !source.empty())
            fmt::format_to(
                to, "complete -c cullctl -n '__fish_seen_subcommand_from {}{}'{}\n", verb.name,
                verb.takes_many || verb.positional.what != completes_to::words
                    ? std::string()
                    : fmt::format("; and not __fish_seen_subcommand_from {}", fmt::join(verb.positional.words, " ")),
                source);
        options_of(out, verb.options, condition);
    }
    return out;
}

}  // namespace culld::ctl

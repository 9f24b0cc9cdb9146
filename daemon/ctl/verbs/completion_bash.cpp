// For bash 4 and later, with nothing else: neither bash-completion nor compopt's newer options are needed.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>

#include "ctl/verbs/completion_model.hpp"

namespace culld::ctl {

namespace {

std::string generator_of(const value_place& place) {
    switch (place.what) {
        case completes_to::file: return "_cullctl_files";
        case completes_to::folder: return "_cullctl_folders";
        case completes_to::words: return fmt::format("_cullctl_words '{}'", fmt::join(place.words, " "));
        case completes_to::job: return "_cullctl_jobs";
        case completes_to::open_job: return "_cullctl_jobs --open";
        case completes_to::nothing: break;
    }
    return ":";
}

// --config|--journal-dir, of those that take a value.
std::string pattern_of(const std::vector<option_model>& options, bool with_value) {
    std::string out;
    for (const option_model& o : options)
        if (o.takes_value == with_value)
            for (const std::string& name : o.names) out.append(out.empty() ? "" : "|").append(name);
    return out;
}

std::string names_of(const std::vector<option_model>& options) {
    std::string out;
    for (const option_model& o : options)
        for (const std::string& name : o.names) out.append(out.empty() ? "" : " ").append(name);
    return out;
}

void value_cases(std::string& out, const std::vector<option_model>& options, std::string_view indent) {
    for (const option_model& o : options)
        if (o.takes_value)
            fmt::format_to(std::back_inserter(out), "{}{}) {}; return ;;\n", indent, fmt::join(o.names, "|"),
                           generator_of(o.value));
}

}  // namespace

std::string bash_completion(const command_line_model& of) {
    std::string out = R"sh(# bash completion for cullctl: eval "$(cullctl completion bash)"
# Generated from cullctl's own command line.

_cullctl_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }
_cullctl_files() {
    local IFS=$'\n'
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
}
_cullctl_folders() {
    local IFS=$'\n'
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -d -- "$cur")
}
_cullctl_jobs() {
    mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" "${where[@]}" list --names "$@" 2>/dev/null)" -- "$cur")
}

_cullctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb='' i args=0
    local -a where=()
    COMPREPLY=()
    # --option=value comes as three words.
    if [[ $cur == = ]]; then cur=''
    elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
)sh";
    // What stands behind one of these is its value.
    std::string values;
    for (const command_model& verb : of.verbs)
        if (const std::string pattern = pattern_of(verb.options, true); !pattern.empty()) values += pattern + "|";
    auto to = std::back_inserter(out);
    // Which journals and which daemon are meant decides which jobs there are.
    fmt::format_to(to,
                   "            {})\n"
                   "                local value=${{COMP_WORDS[i+1]}}; [[ $value == = ]] && value=${{COMP_WORDS[i+2]}}\n"
                   "                [[ -n $value ]] && where+=(\"${{COMP_WORDS[i]}}\" \"$value\")\n"
                   "                [[ ${{COMP_WORDS[i+1]}} == = ]] && ((i++)); ((i++)) ;;\n"
                   "            -*|=) ;;\n"
                   "            *) if [[ -z $verb ]]; then verb=${{COMP_WORDS[i]}}\n"
                   "                else case ${{COMP_WORDS[i-1]}} in {}=) ;; *) ((args++)) ;; esac\n"
                   "                fi ;;\n"
                   "        esac\n    done\n",
                   pattern_of(of.common.options, true), values);
    out += "    case $prev in\n";
    value_cases(out, of.common.options, "        ");
    out += "    esac\n    case $verb in\n";
    std::string verbs;
    for (const command_model& verb : of.verbs) {
        verbs.append(verbs.empty() ? "" : " ").append(verb.name);
        fmt::format_to(to, "        {})\n            case $prev in\n", verb.name);
        value_cases(out, verb.options, "                ");
        fmt::format_to(to,
                       "            esac\n            if [[ $cur == -* ]]; then _cullctl_words '{} {}'\n"
                       "            else {}{}\n            fi ;;\n",
                       names_of(verb.options), names_of(of.common.options), verb.takes_many ? "" : "((args > 0)) || ",
                       generator_of(verb.positional));
    }
    fmt::format_to(to,
                   "        '')\n            if [[ $cur == -* ]]; then _cullctl_words '{}'\n"
                   "            else _cullctl_words '{}'\n            fi ;;\n    esac\n}}\n"
                   "complete -F _cullctl cullctl\n",
                   names_of(of.common.options), verbs);
    return out;
}

}  // namespace culld::ctl

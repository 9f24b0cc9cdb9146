#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>

#include "ctl/verbs/completion_model.hpp"

namespace culld::ctl {

namespace {

// Inside single quotes, and inside the brackets and colons of _arguments.
std::string zsh_text(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\'') {
            out += "'\\''";
            continue;
        }
        if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

std::string action_of(const value_place& place) {
    switch (place.what) {
        case completes_to::file: return "file:_files";
        case completes_to::folder: return "folder:_files -/";
        case completes_to::words: return fmt::format("value:({})", fmt::join(place.words, " "));
        case completes_to::job: return "job:_cullctl_jobs";
        case completes_to::open_job: return "job:_cullctl_jobs --open";
        case completes_to::nothing: break;
    }
    return "value: ";
}

void arguments(std::string& out, const std::vector<option_model>& options, std::string_view indent) {
    for (const option_model& o : options)
        for (const std::string& name : o.names)
            fmt::format_to(std::back_inserter(out), "{}'{}{}[{}]{}' \\\n", indent, name,
                           !o.takes_value           ? ""
                           : name.starts_with("--") ? "="
                                                    : "+",
                           zsh_text(o.help), o.takes_value ? ":" + action_of(o.value) : "");
}

}  // namespace

std::string zsh_completion(const command_line_model& of) {
    std::string out = R"sh(#compdef cullctl
# zsh completion for cullctl: cullctl completion zsh > "${fpath[1]}/_cullctl"
# Generated from cullctl's own command line.

_cullctl_jobs() {
    local -a jobs open=(${(M)@:#--open})
    _cullctl_where
    jobs=(${(f)"$($service $where list --names $open 2>/dev/null)"})
    compadd "${(@)@:#--open}" -a jobs
}

# Which journals and which daemon are meant decides which jobs there are.
_cullctl_where() {
    local name value
)sh";
    auto to = std::back_inserter(out);
    std::string names;
    for (const option_model& o : of.common.options)
        if (o.takes_value)
            for (const std::string& name : o.names) names.append(names.empty() ? "" : " ").append(name);
    fmt::format_to(to,
                   "    for name in {}; do\n"
                   "        (( ${{+opt_args[$name]}} && ! ${{where[(Ie)$name]}} )) || continue\n"
                   "        value=${{(Q)${{(Q)opt_args[$name]}}}}\n"
                   "        [[ $value == \\~* ]] && value=${{~value}}\n"
                   "        where+=($name $value)\n"
                   "    done\n}}\n\n"
                   "_cullctl() {{\n    local curcontext=$curcontext state line\n    typeset -A opt_args\n"
                   "    local -a where\n    local -a verbs=(\n",
                   names);
    for (const command_model& verb : of.verbs) fmt::format_to(to, "        '{}:{}'\n", verb.name, zsh_text(verb.help));
    out += "    )\n    _arguments -C \\\n";
    arguments(out, of.common.options, "        ");
    out +=
        // (-): what stands behind the verb is the verb's, options too; else the verb would not be the first of $words.
        "        '(-)1: :->verb' '(-)*:: :->rest' && return\n    _cullctl_where\n    case $state in\n        verb) _describe -t verbs verb verbs ;;\n"
        "        rest)\n            case $words[1] in\n";
    for (const command_model& verb : of.verbs) {
        fmt::format_to(to, "                {})\n                    _arguments \\\n", verb.name);
        arguments(out, verb.options, "                        ");
        arguments(out, of.common.options, "                        ");
        fmt::format_to(to, "                        '{}:{}' ;;\n", verb.takes_many ? "*" : "1",
                       action_of(verb.positional));
    }
    out +=
        "            esac ;;\n    esac\n}\n\n"
        // As a file of fpath it is the function itself; evaluated, it names one.
        "if [[ $funcstack[1] == _cullctl ]]; then\n    _cullctl \"$@\"\nelse\n    compdef _cullctl cullctl\nfi\n";
    return out;
}

}  // namespace culld::ctl

// What a shell needs to know to complete cullctl's command line, taken from the very definition that parses it, so
// that the two cannot drift apart.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace culld::ctl {

// What may stand in a place.
enum class completes_to {
    nothing,   // a number, a free text
    file,      //
    folder,    //
    words,     // one of a few words
    job,       // a job's id
    open_job,  // likewise, of one that is not finished
};

struct value_place {
    completes_to what = completes_to::nothing;
    std::vector<std::string> words;
};

struct option_model {
    std::vector<std::string> names;  // with their dashes, long ones first
    std::string help;                // one line
    bool takes_value = false;
    value_place value;
};

struct command_model {
    std::string name;  // empty for cullctl itself
    std::string help;
    std::vector<option_model> options;
    value_place positional;   // of all its arguments
    bool takes_many = false;  // of them
};

struct command_line_model {
    command_model common;  // options that may stand anywhere
    std::vector<command_model> verbs;
};

[[nodiscard]] command_line_model model_of(const CLI::App& app);

[[nodiscard]] std::string bash_completion(const command_line_model& of);
[[nodiscard]] std::string zsh_completion(const command_line_model& of);
[[nodiscard]] std::string fish_completion(const command_line_model& of);

}  // namespace culld::ctl

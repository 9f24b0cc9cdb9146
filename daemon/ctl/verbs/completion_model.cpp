#include "ctl/verbs/completion_model.hpp"

#include <algorithm>

namespace culld::ctl {

namespace {

// {failed,deleted}: what CLI::IsMember shows of its set.
std::vector<std::string> words_in(const std::string& type) {
    std::vector<std::string> out;
    const std::size_t open = type.find('{'), close = type.find('}');
    if (open == std::string::npos || close == std::string::npos || close < open) return out;
    for (std::size_t at = open + 1; at <= close;) {
        const std::size_t end = std::min(type.find(',', at), close);
        out.push_back(type.substr(at, end - at));
        at = end + 1;
    }
    return out;
}

value_place place_of(const std::string& type, const std::string& name) {
    if (auto words = words_in(type); !words.empty()) return {completes_to::words, std::move(words)};
    const auto is = [&](std::string_view what) { return type == what || name == what; };
    if (is("FILE")) return {completes_to::file, {}};
    if (is("DIR")) return {completes_to::folder, {}};
    if (name.find("JOB") != std::string::npos) return {completes_to::job, {}};
    return {};
}

std::string one_line(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

command_model command_of(const CLI::App& app) {
    command_model out{app.get_name(), one_line(app.get_description()), {}, {}, false};
    for (const CLI::Option* option : app.get_options()) {
        if (option->get_positional() && option->get_lnames().empty()) {
            out.positional = place_of(option->get_type_name(), option->get_name(true));
            out.takes_many = option->get_items_expected_max() > 1;
            continue;
        }
        option_model one;
        for (const std::string& name : option->get_lnames()) one.names.push_back("--" + name);
        for (const std::string& name : option->get_snames()) one.names.push_back("-" + name);
        one.help = one_line(option->get_description());
        one.takes_value = option->get_items_expected_max() > 0;
        if (one.takes_value) one.value = place_of(option->get_type_name(), {});
        out.options.push_back(std::move(one));
    }
    return out;
}

}  // namespace

command_line_model model_of(const CLI::App& app) {
    command_line_model out{command_of(app), {}};
    out.common.name.clear();
    for (const CLI::App* verb : app.get_subcommands({})) {
        command_model one = command_of(*verb);
        // What is told to the daemon concerns jobs that are not over.
        const bool of_open = one.name == "pause" || one.name == "resume" || one.name == "cancel" || one.name == "rate";
        // --help stands behind every command, too.
        std::erase_if(one.options, [&](const option_model& o) {
            return std::any_of(out.common.options.begin(), out.common.options.end(),
                               [&](const option_model& c) { return c.names == o.names; });
        });
        if (of_open && one.positional.what == completes_to::job) one.positional.what = completes_to::open_job;
        out.verbs.push_back(std::move(one));
    }
    return out;
}

}  // namespace culld::ctl

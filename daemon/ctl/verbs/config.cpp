// cullctl config show: the configuration that culld would run with, from all its sources.
#include <fmt/format.h>

#include <memory>

#include "ctl/ui/verb.hpp"
#include "culld/core/config/settings.hpp"
#include "culld/io/config/config_files.hpp"

namespace culld::ctl {

namespace {

int show(const context& with, const std::string& file, yaml_comments comments) {
    config_sources sources{
        .file = std::string(default_config_path), .environment = process_environment(), .checks = {}};
    if (!file.empty()) sources.file = file;
    const auto loaded = load_config(sources);
    if (!loaded) {
        for (const config_complaint& c : loaded.error()) with.out.error(printable(c.text()));
        return bad_config;
    }
    for (const config_complaint& c : loaded->warnings) with.out.info("warning: " + printable(c.text()));
    with.out.data(with.json ? config_origins_json(loaded->effective) + "\n" : config_yaml(loaded->effective, comments));
    return all_well;
}

}  // namespace

verb config_verb(CLI::App& app, common_options& common) {
    auto* command =
        app.add_subcommand("config", "show the configuration that culld would run with, from all its sources");
    auto action = std::make_shared<std::string>();
    auto origin = std::make_shared<bool>(false);
    command->add_option("ACTION", *action, "what to do")->required()->check(CLI::IsMember({"show"}));
    command->add_flag("--origin", *origin, "behind each setting, the file and line or the variable that it came from");
    return {command,
            [&common, action, origin](const context& with) {  // action: CLI11 writes to it later
                return show(with, common.config_file, *origin ? yaml_comments::origins : yaml_comments::none);
            },
            needs::nothing};
}

}  // namespace culld::ctl

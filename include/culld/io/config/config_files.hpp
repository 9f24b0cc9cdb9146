// Reads the configuration: FILE, then FILE.d/*.yaml in name order (names that start with a dot are left
// alone), then CULLD_<SECTION>_<KEY> from the environment. Maps are merged, everything else replaces what
// came before.
//
// Variables. CULLD_AUTH_IAM_USER is auth.iam.user: the name is looked up in the table of settings, so
// underscores within a key need no escape. A list is written with commas. An unknown CULLD_ variable is an
// error, since a mistyped limit must not pass unnoticed; CULLD_CONFIG (a script's own name for FILE) and
// CULLD_TEST_… are left alone. Secrets are refused: the environment of a unit is readable by everyone.
//
// Relative paths are relative to the folder of the file they stand in, in a variable to the working folder.
//
// Blocking; callable from any thread. Reads files only, never writes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "culld/core/config/settings.hpp"

namespace culld {

inline constexpr std::string_view default_config_path = "/etc/culld/culld.yaml";

struct config_sources {
    std::string file = std::string(default_config_path);
    std::vector<std::string> environment;  // "NAME=value"; names without CULLD_ are skipped. See process_environment
    std::vector<config_check> checks;      // what other rooms want checked
};

// A complaint with the line it is about.
struct config_complaint {
    problem about;
    std::string excerpt;  // source line and caret, see source_excerpt; empty where there is none or it may
                          // hold a secret

    // "file:line:column: what (hint)", and the excerpt on two more lines.
    [[nodiscard]] std::string text() const;
};

struct loaded_config {
    sourced_config effective;
    std::string sha256;              // of config_json(effective.values), 64 hex digits
    std::vector<std::string> files;  // that were read, in order
    std::vector<config_complaint> warnings;
};

// The configuration, or all that is wrong with it, in the order in which it is written. A missing FILE is an
// error that says what to do.
[[nodiscard]] tl::expected<loaded_config, std::vector<config_complaint>> load_config(const config_sources& sources);

// A copy of the process's environment. Call it before threads start.
[[nodiscard]] std::vector<std::string> process_environment();

}  // namespace culld

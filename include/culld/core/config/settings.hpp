// The settings of the configuration (contract, section 4): one table from which everything else derives.
// Setting a value from text, the names for "did you mean", the checks, the printed configuration and its
// SHA-256, and the tests that compare the shipped example and the JSON schema with it, all walk this table.
//
// Pure. Files and the environment are read by io/config/config_files.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/base/problem.hpp"
#include "culld/core/config/config.hpp"

namespace culld {

// What a setting's value may look like.
enum class setting_type {
    text,         // any text
    path,         // a file or folder; relative ones are resolved by who reads the file they stand in
    secret_path,  // a path, or without a `/` the name of a systemd credential
    boolean,      // true or false
    count,        // a whole number
    number,       // a decimal number
    duration,     // a number and a unit, 500ms, 5s, 2m, 24h
    word,         // one of `words`
    text_list,    // a list of texts
};

struct setting {
    std::string_view name;  // dotted: "limits.burst", "auth.iam.user"
    setting_type type = setting_type::text;
    std::string_view help;                         // one line, without a full stop
    std::span<const std::string_view> words = {};  // of a word; of a text_list, where not any will do
    // The range, both ends allowed: of a count or a number as such, of a duration in nanoseconds.
    double min = 0;
    double max = 0;

    // How the value gets into the struct and out of it; assign() and json() call them.
    result<void> (*set)(const setting& self, config& into, std::string_view text) = nullptr;
    std::string (*print)(const config& from) = nullptr;

    // Reads one value. The problem names the setting and what it takes; it has no position. A list takes its
    // elements with commas between them.
    [[nodiscard]] result<void> assign(config& into, std::string_view text) const { return set(*this, into, text); }
    // The value as JSON text.
    [[nodiscard]] std::string json(const config& from) const { return print(from); }

    // "api" of "api.region", "auth.iam" of "auth.iam.user".
    [[nodiscard]] std::string_view section() const { return name.substr(0, name.rfind('.')); }
    [[nodiscard]] std::string_view key() const { return name.substr(name.rfind('.') + 1); }
    // The variable that overrides it: CULLD_AUTH_IAM_USER.
    [[nodiscard]] std::string variable() const;
    // `a whole number from 1 to 999`, for messages.
    [[nodiscard]] std::string takes() const;
};

// All of them, in the order in which they are documented and printed; sections are contiguous.
[[nodiscard]] std::span<const setting> settings();
// Null if there is none of that name.
[[nodiscard]] const setting* find_setting(std::string_view name);

// The names one level below `section` ("" for the top): settings and sub-sections, in table order.
[[nodiscard]] std::vector<std::string_view> names_in(std::string_view section);
// True for "api", "auth", "auth.iam", …
[[nodiscard]] bool is_section(std::string_view name);
// For a name that people use to put a secret itself into the configuration ("auth.token",
// "CULLD_AUTH_IAM_PASSWORD", "sk"): the setting that names a file instead. Empty for other names. The value
// of such a name must not be repeated in any message.
[[nodiscard]] std::string_view file_setting_for_secret(std::string_view name);

// Where a value came from.
struct setting_origin {
    std::string source;        // a file's path or a variable's name; empty: the default, or derived from others
    std::uint64_t line = 0;    // from 1; 0 for variables
    std::uint64_t column = 0;  // from 1, in bytes

    // "culld.yaml:3:11", "CULLD_LIMITS_BURST", "default".
    [[nodiscard]] std::string text() const;

    friend bool operator==(const setting_origin&, const setting_origin&) = default;
};

// A configuration with the origin of all that was set; a setting not found there has its default.
struct sourced_config {
    config values;
    std::map<std::string_view, setting_origin> origins;  // by setting::name

    [[nodiscard]] setting_origin origin_of(std::string_view name) const;
};

// A check across settings: appends a problem for each fault found. Make them with problem_at(), which knows
// where the setting at fault was written.
using config_check = std::function<void(const sourced_config& configuration, std::vector<problem>& out)>;
[[nodiscard]] problem problem_at(const sourced_config& configuration, std::string_view name, std::string what,
                                 std::string hint = {});

// What follows from other settings where it was left out: api.endpoint and auth.iam.endpoint from api.region.
void derive_settings(config& values);

// Every fault in the merged configuration, not only the first; `further` are checks that other rooms bring.
[[nodiscard]] std::vector<problem> check_config(const sourced_config& configuration,
                                                std::span<const config_check> further = {});
// What is allowed and yet may not be meant: a status page open to the network, settings that cancel each
// other.
[[nodiscard]] std::vector<problem> config_warnings(const sourced_config& configuration);

// All settings as one JSON object on one line, in table order. Equal configurations have equal texts, however
// they were written: config_sha256 in journals is the SHA-256 of it. It holds no secrets, only their files'
// names.
[[nodiscard]] std::string config_json(const config& values);
enum class yaml_comments {
    none,
    origins,  // behind each setting, where it came from
};
// The same as YAML for people.
[[nodiscard]] std::string config_yaml(const sourced_config& configuration,
                                      yaml_comments comments = yaml_comments::origins);
// [{"name","value","origin"},…] for programs.
[[nodiscard]] std::string config_origins_json(const sourced_config& configuration);

}  // namespace culld

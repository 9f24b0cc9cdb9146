// Which way to log in (contract, section 4: auth.method). Pure: what the surroundings hold comes from outside.
#pragma once

#include <string_view>

#include "culld/core/base/problem.hpp"
#include "culld/core/config/config.hpp"

namespace culld {

enum class credential_source {
    none,         // an API on this machine that asks for nothing
    token_file,   // auth.token_file
    key_files,    // auth.ak_file and auth.sk_file
    password,     // auth.iam
    environment,  // HUAWEICLOUD_SDK_AK and _SK
    profile,      // auth.profile_file
    metadata,     // the agency of this ECS host
};

struct credential_surroundings {
    bool keys_in_environment = false;
    bool profile_exists = false;
    bool service = false;  // started by a service manager: the environment is readable by everyone, and not used
    bool plain_http = false;
};

// The method that is set; with `auto` what auth: configures, else in the SDKs' order: environment, profile, metadata
// (secmaster-api.md 6.3). An API on this machine by plain http needs none, and no metadata is asked for it.
[[nodiscard]] credential_source choose_credentials(const config& settings, const credential_surroundings& around);

// The project whose id IAM can be asked for: auth.iam.project or api.region, where api.project_id is not set. Empty:
// nothing to ask.
[[nodiscard]] std::string_view project_to_look_up(const config& settings);

}  // namespace culld

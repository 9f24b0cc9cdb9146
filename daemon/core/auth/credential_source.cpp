#include "culld/core/auth/credential_source.hpp"

namespace culld {

credential_source choose_credentials(const config& settings, const credential_surroundings& around) {
    const auto& auth = settings.auth;
    switch (auth.method) {
        case auth_method::token: return credential_source::token_file;
        case auth_method::iam: return credential_source::password;
        case auth_method::aksk: return credential_source::key_files;
        case auth_method::metadata: return credential_source::metadata;
        case auth_method::profile: return credential_source::profile;
        case auth_method::automatic: break;
    }
    if (!auth.token_file.empty()) return credential_source::token_file;
    if (!auth.ak_file.empty()) return credential_source::key_files;
    if (!auth.iam.user.empty()) return credential_source::password;
    if (around.keys_in_environment && !around.service) return credential_source::environment;
    if (around.profile_exists || !auth.profile_file.empty()) return credential_source::profile;
    return around.plain_http ? credential_source::none : credential_source::metadata;
}

std::string_view project_to_look_up(const config& settings) {
    if (!settings.api.project_id.empty()) return {};
    return settings.auth.iam.project.empty() ? settings.api.region : settings.auth.iam.project;
}

}  // namespace culld

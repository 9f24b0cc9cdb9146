#include "culld/core/resource.hpp"

#include <fmt/format.h>

#include <array>

namespace culld {

namespace {
constexpr std::array<resource_profile, 3> profiles{{
    {"incidents", "soc/incidents", true, true, true, "20030005"},
    {"alerts", "soc/alerts", true, true, true, "20030005"},
    {"indicators", "soc/indicators", false, true, true, "20030005"},
}};
}

std::span<const resource_profile> resource_profiles() { return profiles; }

const resource_profile* find_resource(std::string_view name) {
    for (const resource_profile& p : profiles)
        if (p.name == name) return &p;
    return nullptr;
}

std::string delete_target(const resource_profile& r, delete_form form, std::string_view project,
                          std::string_view workspace) {
    return fmt::format("/v1/{}/workspaces/{}/{}{}", project, workspace, r.path,
                       form == delete_form::post ? "/batch-delete" : "");
}

std::string get_target(const resource_profile& r, std::string_view project, std::string_view workspace,
                       std::string_view id) {
    return fmt::format("/v1/{}/workspaces/{}/{}/{}", project, workspace, r.path, id);
}

}  // namespace culld

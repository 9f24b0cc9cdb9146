#include "culld/core/job/api_resource.hpp"

#include <fmt/format.h>

#include <array>

namespace culld {

namespace {
constexpr std::array<resource_profile, 6> profiles{{
    {"incidents", "v1", "soc/incidents", true, true, ""},
    {"alerts", "v1", "soc/alerts", true, true, ""},
    {"indicators", "v1", "soc/indicators", false, true, ""},
    {"notes", "v1", "soc/notes", false, false, ""},
    {"resources", "v1", "sa/resources", false, false, "en-us"},
    {"checkitems", "v2", "sa/baseline/checkitems", false, false, "en-us"},
}};
}

std::span<const resource_profile> resource_profiles() {
    return profiles;
}

std::span<const std::string_view> resource_names() {
    static constexpr auto names = [] {
        std::array<std::string_view, profiles.size()> out{};
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = profiles[i].name;
        return out;
    }();
    return names;
}

const resource_profile* find_resource(std::string_view name) {
    for (const resource_profile& p : profiles)
        if (p.name == name) return &p;
    return nullptr;
}

std::string delete_target(const resource_profile& r, delete_form form, std::string_view project,
                          std::string_view workspace) {
    return fmt::format("/{}/{}/workspaces/{}/{}{}", r.version, project, workspace, r.path,
                       form == delete_form::post ? "/batch-delete" : "");
}

std::string get_target(const resource_profile& r, std::string_view project, std::string_view workspace,
                       std::string_view id) {
    return fmt::format("/{}/{}/workspaces/{}/{}/{}", r.version, project, workspace, r.path, id);
}

}  // namespace culld

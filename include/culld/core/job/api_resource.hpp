// The resources that share one call shape: `{"batch_ids":[…]}` answered by two lists (secmaster-api.md, 1.5). The API's
// other bulk deletions answer without those lists, so that nobody would learn what became of an id: they are left out.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace culld {

struct resource_profile {
    std::string_view name;  // as in a job file
    std::string_view version;
    std::string_view path;       // below /{version}/{project_id}/workspaces/{workspace_id}/
    bool has_post_form = false;  // POST {path}/batch-delete; all have DELETE {path} with a body
    bool has_get = false;        // GET {path}/{id}; without it nothing can be verified
    std::string_view language;   // X-Language, where the API insists on one; else empty
};

[[nodiscard]] std::span<const resource_profile> resource_profiles();
// Their names, in the same order: the first is the default.
[[nodiscard]] std::span<const std::string_view> resource_names();
// nullptr if there is none of that name.
[[nodiscard]] const resource_profile* find_resource(std::string_view name);

enum class delete_form : unsigned char { post, remove };

// Request targets. `project` and `workspace` were checked to be [A-Za-z0-9-]{1,64}, ids by the pattern's rules, so that
// nothing needs escaping.
[[nodiscard]] std::string delete_target(const resource_profile& r, delete_form form, std::string_view project,
                                        std::string_view workspace);
[[nodiscard]] std::string get_target(const resource_profile& r, std::string_view project, std::string_view workspace,
                                     std::string_view id);

}  // namespace culld

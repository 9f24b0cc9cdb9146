// The resources that share one call shape: `{"batch_ids":[…]}` answered by two lists (secmaster-api.md, 1.5).
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace culld {

struct resource_profile {
    std::string_view name;         // as in a job file
    std::string_view path;         // below /v1/{project_id}/workspaces/{workspace_id}/
    bool has_post_form = false;    // POST {path}/batch-delete
    bool has_delete_form = false;  // DELETE {path} with a body
    bool has_get = false;          // GET {path}/{id}
    std::string_view gone_code;    // what GET answers for an id that is not there
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

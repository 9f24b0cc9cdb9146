#include "culld/io/auth/project_lookup.hpp"

#include <fmt/format.h>

#include "culld/core/answer/error_answer.hpp"
#include "culld/core/auth/credential_source.hpp"
#include "culld/core/auth/iam_messages.hpp"

namespace culld {

project_lookup::project_lookup(std::string name, route iam, const config& settings)
    : name_(std::move(name)),
      iam_(std::move(iam)),
      call_(iam_.to, iam_.tls.get(), settings.api.connect_timeout, settings.api.request_timeout) {}

result<std::unique_ptr<project_lookup>> project_lookup::make(const config& settings, const secret_access& secrets) {
    const std::string name(project_to_look_up(settings));
    if (name.empty()) return nullptr;
    auto iam = find_iam(settings, secrets);
    if (!iam) return fail(std::move(iam.error()));
    return std::make_unique<project_lookup>(name, std::move(*iam), settings);
}

task<project_lookup::answer> project_lookup::ask(credentials& who) {
    // Names are letters, digits and "-", of people's own ones also "_": nothing to escape in those that can be regions.
    const std::string target = "/v3/projects?name=" + name_;
    std::string request = call_.head("GET", target);
    const request_facts facts{.method = "GET",
                              .target = target,
                              .authority = iam_.to.authority,
                              .content_type = {},
                              .project_id = {},
                              .body = {}};
    who.authenticate(request, facts, wall_now());
    request += "\r\n";
    const call_answer got = co_await call_(std::move(request), "");
    answer out;
    const std::string asked = fmt::format("the id of project {} from IAM at {}", name_, iam_.to.authority);
    if (got.failure != transport_failure::none) {
        out.why = {.what = fmt::format("cannot get {}: {}", asked, got.detail), .hint = {}};
        co_return out;
    }
    if (got.status != 200) {
        error_answer r = read_answer(got.status, got.retry_after, got.body, wall_now(), got.secrets);
        out.why = {.what = fmt::format("cannot get {}: {} {}", asked, got.status, r.message),
                   .hint = "set api.project_id, or see to it that this identity may list projects"};
        if (got.status == 401) {
            out.what = answer::outcome::unauthorized;
            out.refusal = std::move(r.refusal);
            out.why.hint = r.help;
        } else if (got.status != 429 && got.status != 408 && got.status < 500) {
            out.what = answer::outcome::none;
        }
        co_return out;
    }
    auto id = read_projects(got.body, name_);
    if (id) {
        out.what = answer::outcome::found;
        out.id = std::move(*id);
    } else {
        out.what = answer::outcome::none;
        out.why = std::move(id.error());
    }
    co_return out;
}

}  // namespace culld

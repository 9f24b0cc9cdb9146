#include "culld/core/auth/iam_messages.hpp"

#include <fmt/format.h>

#include "culld/core/text/json_writer.hpp"
#include "culld/core/text/lenient_json.hpp"

namespace culld {

namespace {

void append_scope(json_object& auth, const token_scope& scope) {
    json_object outer(auth.begin("scope"));
    if (scope.project_name.empty() && scope.project_id.empty()) {
        json_object(outer.begin("domain")).member("name", scope.domain_name).close();
        outer.close();
        return;
    }
    json_object project(outer.begin("project"));
    if (!scope.project_name.empty())
        project.member("name", scope.project_name);
    else
        project.member("id", scope.project_id);
    project.close();
    outer.close();
}

// The member `key` of the object `text`, as it stands; empty if it is absent, stands there twice, or `text` is no
// object.
std::string_view member_of(std::string_view text, std::string_view key) {
    lenient_json json(text);
    if (json.what() != lenient_json::kind::object) return {};
    json.enter();
    std::string_view out;
    std::size_t found = 0;
    for (std::string_view name; json.next_member(name);) {
        const std::string_view value = json.skip();
        if (name != key) continue;
        out = value;
        ++found;
    }
    return found == 1 && json.ended() ? out : std::string_view();
}

bool is_object(std::string_view raw) {
    return raw.starts_with('{');
}

std::string text_of(std::string_view object, std::string_view key) {
    const std::string_view value = member_of(object, key);
    return value.starts_with('"') ? loosely_unescaped(value.substr(1, value.size() - 2)) : std::string();
}

std::optional<wall_time> time_of(std::string_view object, std::string_view key) {
    const auto time = parse_rfc3339(text_of(object, key));
    return time ? std::optional(*time) : std::nullopt;
}

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

}  // namespace

void append_password_order(std::string& out, std::string_view user, std::string_view domain, std::string_view password,
                           const token_scope& scope) {
    json_object top(out);
    json_object auth(top.begin("auth"));
    json_object identity(auth.begin("identity"));
    identity.raw("methods", R"(["password"])");
    json_object by_password(identity.begin("password"));
    json_object who(by_password.begin("user"));
    who.member("name", user).member("password", password);
    json_object(who.begin("domain")).member("name", domain).close();
    who.close();
    by_password.close();
    identity.close();
    append_scope(auth, scope);
    auth.close();
    top.close();
}

void append_agency_order(std::string& out, std::string_view agency, std::string_view domain, const token_scope& scope) {
    json_object top(out);
    json_object auth(top.begin("auth"));
    json_object identity(auth.begin("identity"));
    identity.raw("methods", R"(["assume_role"])");
    json_object(identity.begin("assume_role")).member("domain_name", domain).member("agency_name", agency).close();
    identity.close();
    append_scope(auth, scope);
    auth.close();
    top.close();
}

result<token_answer> read_token_answer(std::string_view body) {
    const std::string_view token = member_of(body, "token");
    if (!is_object(token)) return fail("IAM's answer holds no token");
    const auto expires = time_of(token, "expires_at");
    if (!expires) return fail("IAM's answer does not say when the token expires");
    token_answer out{.expires = *expires, .issued = time_of(token, "issued_at"), .project_id = {}};
    out.project_id = text_of(member_of(token, "project"), "id");
    return out;
}

result<temporary_keys> read_temporary_keys(std::string_view body) {
    const std::string_view credential = member_of(body, "credential");
    if (!is_object(credential)) return fail("the answer holds no credential");
    const auto expires = time_of(credential, "expires_at");
    if (!expires) return fail("the answer does not say when the keys expire");
    temporary_keys out{.access = text_of(credential, "access"),
                       .secret = text_of(credential, "secret"),
                       .security_token = text_of(credential, "securitytoken"),
                       .expires = *expires};
    if (out.access.empty() || out.secret.empty()) return fail("the answer holds no access key or no secret key");
    return out;
}

result<std::string> read_projects(std::string_view body, std::string_view name) {
    const std::string_view projects = member_of(body, "projects");
    if (!projects.starts_with('[')) return fail("IAM's answer holds no list of projects");
    std::string id;
    std::size_t found = 0;
    lenient_json all(projects);
    static_cast<void>(all.what());
    all.enter();
    while (all.next_element()) {
        const std::string_view project = all.skip();
        if (!is_object(project)) continue;
        ++found;
        id = text_of(project, "id");
    }
    if (all.broken() != nullptr) return fail("IAM's answer holds no list of projects");
    if (found == 1 && !id.empty()) return id;
    return fail(fmt::format("IAM knows {} projects named {}", found, name), "set api.project_id");
}

result<credential_profile> read_profile(std::string_view text) {
    credential_profile out;
    bool in_basic = false, seen = false, federated = false;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = trimmed(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty() || line.front() == '#' || line.front() == ';') continue;
        if (line.front() == '[') {
            in_basic = line == "[basic]";
            seen = seen || in_basic;
            continue;
        }
        const std::size_t sign = line.find_first_of("=:");
        if (!in_basic || sign == std::string_view::npos) continue;
        const std::string_view key = trimmed(line.substr(0, sign)), value = trimmed(line.substr(sign + 1));
        if (key == "ak") out.ak = value;
        if (key == "sk") out.sk = value;
        if (key == "security_token") out.security_token = value;
        if (key == "project_id") out.project_id = value;
        if (key == "idp_id" || key == "id_token_file") federated = true;
    }
    if (!seen) return fail("holds no section [basic]", "SecMaster is a project's service: [global] is not for it");
    if (out.ak.empty() || out.sk.empty())
        return fail(fmt::format("section [basic] has no {}", out.ak.empty() ? "ak" : "sk"),
                    federated ? "culld signs with ak and sk; it exchanges no token of an identity provider" : "");
    return out;
}

}  // namespace culld

// What is said to IAM and to the metadata service of an ECS host, and what they answer (secmaster-api.md 3, 6.4, 6.5).
// Pure texts: no secret is kept here; who calls wipes what holds one.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"
#include "culld/core/base/time.hpp"

namespace culld {

// What a token is for: a project by name, else by id, else the account.
struct token_scope {
    std::string_view project_name;
    std::string_view project_id;
    std::string_view domain_name;
};

// Bodies of POST /v3/auth/tokens?nocatalog=true.
void append_password_order(std::string& out, std::string_view user, std::string_view domain, std::string_view password,
                           const token_scope& scope);
// In the name of another account's agency; goes with the X-Auth-Token of a user who may act for it.
void append_agency_order(std::string& out, std::string_view agency, std::string_view domain, const token_scope& scope);

struct token_answer {
    wall_time expires;
    std::optional<wall_time> issued;  // by IAM's clock
    std::string project_id;           // empty: a token for the whole account
};
[[nodiscard]] result<token_answer> read_token_answer(std::string_view body);

// GET /openstack/latest/securitykey
struct temporary_keys {
    std::string access, secret, security_token;
    wall_time expires;
};
[[nodiscard]] result<temporary_keys> read_temporary_keys(std::string_view body);

// GET /v3/projects?name=NAME: the id of the one project. None or several are an error that says what to set.
[[nodiscard]] result<std::string> read_projects(std::string_view body, std::string_view name);

// ~/.huaweicloud/credentials, section [basic] (secmaster-api.md 6.2). Views into the text; empty where absent.
struct credential_profile {
    std::string_view ak, sk, security_token, project_id;
};
// An error if there is no section [basic] with ak and sk; it repeats nothing of the text.
[[nodiscard]] result<credential_profile> read_profile(std::string_view text);

}  // namespace culld

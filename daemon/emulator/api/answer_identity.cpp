// IAM (token by password, project by name) and the ECS metadata service (secmaster-api 3, 6.4, 6.5).
#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>
#include <charconv>

#include "culld/core/text/json_writer.hpp"
#include "emulator/api/cloud.hpp"

namespace culld::emulator {

namespace {

constexpr std::uint64_t wrong_passwords_max = 5;
constexpr std::uint64_t metadata_token_seconds_max = 21'600;

// The text at a path of object members; empty where there is none.
std::string text_at(const boost::json::value& from, std::initializer_list<const char*> path) {
    const boost::json::value* at = &from;
    for (const char* key : path) {
        const boost::json::object* object = at->if_object();
        at = object == nullptr ? nullptr : object->if_contains(key);
        if (at == nullptr) return {};
    }
    const boost::json::string* text = at->if_string();
    return text == nullptr ? std::string() : std::string(text->data(), text->size());
}

// Looks like the PKI-signed blobs that IAM hands out: base64 of several KB that begins with MII.
std::string make_token(const cloud& w, std::uint64_t bytes) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
    std::string token = "MIIatAYJKoZIhvcNAQcCoII";
    const auto start = static_cast<std::uint64_t>(w.started.time_since_epoch().count());
    std::uint64_t state = mix(w.replies ^ start);
    while (token.size() < bytes) {
        state = mix(state);
        for (unsigned shift = 0; shift < 60 && token.size() < bytes; shift += 6)
            token.push_back(digits[(state >> shift) & 63]);
    }
    return token;
}

void append_project(std::string& out, const iam_settings& iam) {
    json_object project(out);
    project.member("id", iam.project_id).member("name", iam.project).member("domain_id", "0123456789abcdef");
    project.member("enabled", true).close();
}

}  // namespace

namespace {

// True if this call of IAM fails, as the scenario says.
bool strike_iam(cloud& w, const iam_settings& iam, reply& to) {
    if (w.iam_calls++ >= iam.fail_first) return false;
    to.did = "IAM fails";
    iam_error(to, static_cast<int>(iam.fail_status), "The service is not available.");
    return true;
}

// Who asks for a token, by password. Empty: refused, and `to` says why.
std::string by_password(cloud& w, const iam_settings& iam, const boost::json::value& document, reply& to) {
    std::string user = text_at(document, {"auth", "identity", "password", "user", "name"});
    if (user.empty()) {
        to.did = "body refused";
        ++w.counts.malformed;
        iam_error(to, 400, "The request body is invalid");
        return {};
    }
    const std::string password = text_at(document, {"auth", "identity", "password", "user", "password"});
    const std::string domain = text_at(document, {"auth", "identity", "password", "user", "domain", "name"});
    if (w.wrong_passwords >= wrong_passwords_max) {
        ++w.counts.unauthorized;
        to.did = "account locked";
        iam_error(to, 401, "The account is locked.");
        return {};
    }
    if (w.rules.iam && (user != iam.user || password != iam.password || domain != iam.domain)) {
        ++w.wrong_passwords;
        ++w.counts.unauthorized;
        to.did = "wrong password";
        iam_error(to, 401, "The username or password is wrong.");
        return {};
    }
    w.wrong_passwords = 0;
    return user;
}

// The same for an agency, by a token of a user who may act for it.
std::string by_agency(cloud& w, const iam_settings& iam, const boost::json::value& document, const request& r,
                      reply& to) {
    const header* token = find_header(r.headers, "x-auth-token");
    if (token == nullptr || !w.door.is_good(token->value, w.now())) {
        ++w.counts.unauthorized;
        to.did = "not authorized";
        iam_error(to, 401, "The request you have made requires authentication.");
        return {};
    }
    std::string agency = text_at(document, {"auth", "identity", "assume_role", "agency_name"});
    if (iam.agency.empty() || agency != iam.agency ||
        text_at(document, {"auth", "identity", "assume_role", "domain_name"}) != iam.agency_domain) {
        to.did = "no such agency";
        iam_error(to, 403, "You have no right to do this action.");
        return {};
    }
    return agency;
}

}  // namespace

void answer_iam_token(cloud& w, const request& r, reply& to) {
    const iam_settings iam = w.rules.iam.value_or(iam_settings{});
    if (strike_iam(w, iam, to)) return;
    boost::system::error_code error;
    const boost::json::value parsed = boost::json::parse(boost::json::string_view(r.body.data(), r.body.size()), error);
    const boost::json::value document = error ? boost::json::value() : parsed;
    const bool agency = !text_at(document, {"auth", "identity", "assume_role", "agency_name"}).empty();
    const std::string who = agency ? by_agency(w, iam, document, r, to) : by_password(w, iam, document, to);
    if (who.empty()) return;
    const std::string scope = text_at(document, {"auth", "scope", "project", "name"});
    const std::string scope_id = text_at(document, {"auth", "scope", "project", "id"});
    if (w.rules.iam &&
        ((!scope.empty() && scope != iam.project) || (!scope_id.empty() && scope_id != iam.project_id))) {
        to.did = "no such project";
        return iam_error(to, 401, "The project is not found in the domain of the user.");
    }
    const wall_time now = w.now();
    const wall_time expires = now + std::chrono::duration_cast<std::chrono::microseconds>(iam.token_lifetime);
    std::string token = make_token(w, iam.token_bytes);
    to.status = 201;
    to.headers += fmt::format("X-Subject-Token: {}\r\n", token);
    w.door.issue(std::move(token), expires);

    json_object top(to.body);
    json_object body(top.begin("token"));
    body.member("expires_at", rfc3339(expires)).member("issued_at", rfc3339(now));
    body.raw("methods", agency ? R"(["assume_role"])" : R"(["password"])");
    if (!scope.empty() || !scope_id.empty()) append_project(body.begin("project"), iam);
    json_object(body.begin("user")).member("name", who).member("id", "fedcba9876543210fedcba9876543210").close();
    body.raw("roles", "[]").raw("catalog", "[]").close();
    top.close();
}

void answer_iam_projects(cloud& w, const request& r, reply& to) {
    const iam_settings iam = w.rules.iam.value_or(iam_settings{});
    if (strike_iam(w, iam, to)) return;
    if (const auto refused = w.door.check(r, w.now())) {
        ++w.counts.unauthorized;
        to.did = "not authorized";
        return gateway_error(to, 401, refused->code, refused->message);
    }
    const std::string_view name = r.query("name");
    json_object top(to.body);
    std::string& projects = top.begin("projects");
    projects.push_back('[');
    if (name.empty() || name == iam.project) append_project(projects, iam);
    projects.push_back(']');
    top.raw("links", R"({"next":null,"previous":null})").close();
}

void answer_metadata(cloud& w, const request& r, reply& to) {
    const metadata_settings& rules = w.rules.metadata;
    to.content_type = "text/plain";
    if (w.metadata_calls++ < rules.fail_first) {
        to.status = 500;
        to.did = "the metadata service fails";
        return;
    }
    const auto refuse = [&](int status, std::string_view text) {
        to.status = status;
        to.body = text;
        to.did = "refused";
    };
    if (r.method == "PUT") {
        if (rules.v2 == metadata_settings::v2_type::absent) return refuse(404, "404 Not Found");
        const header* ttl = find_header(r.headers, "x-metadata-token-ttl-seconds");
        std::uint64_t seconds = 0;
        if (ttl != nullptr) std::from_chars(ttl->value.data(), ttl->value.data() + ttl->value.size(), seconds);
        if (seconds == 0 || seconds > metadata_token_seconds_max) return refuse(400, "Bad Request");
        w.metadata_token = make_token(w, 64);
        to.body = w.metadata_token;
        return;
    }
    const header* token = find_header(r.headers, "x-metadata-token");
    const bool must = rules.v2 == metadata_settings::v2_type::required || token != nullptr;
    if (must && (token == nullptr || w.metadata_token.empty() || token->value != w.metadata_token))
        return refuse(401, "401 Unauthorized");
    if (!rules.agency || !w.door.keys()) return refuse(401, "Please configure Cloud Service Agency first");
    const wall_time expires = w.now() + std::chrono::duration_cast<std::chrono::microseconds>(rules.lifetime);
    std::string security_token = rules.security_token;
    if (rules.rotate) {
        security_token = make_token(w, 256);
        w.door.issue_security_token(security_token, expires);
    }
    to.content_type = "application/json";
    json_object top(to.body);
    json_object(top.begin("credential"))
        .member("access", w.door.keys()->ak)
        .member("secret", w.door.keys()->sk)
        .member("securitytoken", security_token)
        .member("expires_at", rfc3339(expires))
        .close();
    top.close();
}

}  // namespace culld::emulator

#include "culld/io/auth/iam_credentials.hpp"

#include <fmt/format.h>

#include "culld/core/answer/error_answer.hpp"
#include "culld/core/base/sha256.hpp"
#include "culld/io/secrets/known_secrets.hpp"

namespace culld {

namespace {

constexpr nanoseconds renew_ahead = std::chrono::minutes(30);
constexpr std::size_t order_bytes = 8192;  // reserved, so that a growing body leaves no copy of the password behind
constexpr std::size_t tokens_kept = 4;     // of the latest two renewals: an agency takes two each

// A value that goes into a header line.
bool fits_header(std::string_view text) {
    return !text.empty() && text.size() <= secret_bytes_max && text.find_first_of(" \r\n\t") == std::string_view::npos;
}

}  // namespace

iam_credentials::iam_credentials(const config& settings, secret_access secrets, route iam,
                                 std::shared_ptr<credential_memory> memory)
    : user_(settings.auth.iam.user),
      domain_(settings.auth.iam.domain),
      password_file_(settings.auth.iam.password_file),
      agency_(settings.auth.iam.agency),
      agency_domain_(settings.auth.iam.agency_domain),
      project_name_(settings.auth.iam.project),
      wanted_project_id_(settings.api.project_id),
      secrets_(std::move(secrets)),
      iam_(std::move(iam)),
      call_(iam_.to, iam_.tls.get(), settings.api.connect_timeout, settings.api.request_timeout),
      memory_(std::move(memory)) {
    if (project_name_.empty() && wanted_project_id_.empty()) project_name_ = settings.api.region;
}

void iam_credentials::authenticate(std::string& head, const request_facts&, wall_time) {
    head.append("X-Auth-Token: ").append(token_.view()).append("\r\n");
}

std::string iam_credentials::describe() const {
    std::string out = fmt::format("IAM user {} of {} at {}", user_, domain_, iam_.to.authority);
    if (!agency_.empty()) out += fmt::format(", for agency {} of {}", agency_, agency_domain_);
    return out;
}

token_scope iam_credentials::scope() const {
    return {.project_name = project_name_, .project_id = wanted_project_id_, .domain_name = domain_};
}

std::string iam_credentials::fingerprint(const secret& password) const {
    sha256 hash;
    for (const std::string_view part :
         {std::string_view(iam_.to.authority), std::string_view(user_), std::string_view(domain_), password.view()}) {
        hash.update(part);
        hash.update(std::string_view("\0", 1));
    }
    return hex(hash.finish());
}

task<iam_credentials::ordered> iam_credentials::order(std::string body, std::string_view token) {
    ordered out;
    std::string request = call_.head("POST", "/v3/auth/tokens?nocatalog=true");
    request.reserve(request.size() + body.size() + token.size() + 256);
    request += "Content-Type: application/json;charset=utf8\r\n";
    if (!token.empty()) request.append("X-Auth-Token: ").append(token).append("\r\n");
    request += fmt::format("Content-Length: {}\r\n\r\n", body.size());
    request += body;
    wipe(body);
    const call_answer got = co_await call_(std::move(request), "X-Subject-Token");
    const auto end = [&](renewal::outcome how, std::string what, std::string hint = {}) {
        out.failed = {how, problem{.what = std::move(what), .hint = std::move(hint)}};
    };
    if (got.failure != transport_failure::none) {
        end(renewal::outcome::later, fmt::format("no token from IAM at {}: {}", iam_.to.authority, got.detail));
        co_return out;
    }
    if (got.status != 201 && got.status != 200) {
        const error_answer r = read_answer(got.status, got.retry_after, got.body, wall_time(), got.secrets);
        const std::string what = fmt::format("IAM at {} refuses {}: {} {}", iam_.to.authority, user_, got.status,
                                             r.message.empty() ? "without a word" : r.message);
        if (got.status == 401)
            end(renewal::outcome::refused, what,
                "check auth.iam.user, auth.iam.domain and the password; it is not tried again until one of them is "
                "another, since failed logins lock the account");
        else if (got.status == 429 || got.status == 408 || got.status >= 500)
            end(renewal::outcome::later, what);
        else
            end(renewal::outcome::refused, what, "check auth.iam.project and the user's permissions");
        out.unauthorized = got.status == 401;
        co_return out;
    }
    make_known("token of IAM", got.header, tokens_kept);
    const auto read = read_token_answer(got.body);
    if (!read || !fits_header(got.header)) {
        end(renewal::outcome::later, fmt::format("IAM at {}: {}", iam_.to.authority,
                                                 read ? "the answer has no X-Subject-Token" : read.error().what));
        co_return out;
    }
    auto kept = secret::of(got.header);
    if (!kept) {
        end(renewal::outcome::later, kept.error().what);
        co_return out;
    }
    out.token = std::move(*kept);
    out.life = read->expires - read->issued.value_or(wall_now());
    out.project_id = read->project_id;
    out.failed.what = renewal::outcome::changed;
    co_return out;
}

task<renewal> iam_credentials::log_in(const secret& password) {
    std::string body;
    body.reserve(order_bytes);
    // A user who acts for an agency needs a token for the own account first.
    const token_scope wanted = scope();
    const token_scope own{.project_name = {}, .project_id = {}, .domain_name = domain_};
    append_password_order(body, user_, domain_, password.view(), agency_.empty() ? wanted : own);
    const std::string_view nobody;
    ordered got = co_await order(std::move(body), nobody);
    if (got.unauthorized) memory_->refused_login = used_login_;
    if (got.failed.what == renewal::outcome::changed && !agency_.empty()) {
        std::string second;
        append_agency_order(second, agency_, agency_domain_, wanted);
        const secret mine = std::move(got.token);
        got = co_await order(std::move(second), mine.view());
        if (got.failed.what == renewal::outcome::refused)
            got.failed.why.hint = "the agency must exist in that account, and the user have the role Agent Operator";
    }
    if (got.failed.what != renewal::outcome::changed) co_return std::move(got.failed);
    token_ = std::move(got.token);
    project_id_ = std::move(got.project_id);
    expiry_ = expiry(steady_now(), got.life, renew_ahead);
    generation_ = ++memory_->generations;
    co_return renewal{renewal::outcome::changed, {}};
}

task<renewal> iam_credentials::renew(renewal_cause why) {
    auto read = [this] { return read_secret(password_file_, secrets_); };
    auto password = co_await read_aside(memory_->files, std::move(read));
    if (!password) {
        expiry_.failed(steady_now());
        password.error().field = "auth.iam.password_file";
        co_return renewal{renewal::outcome::refused, std::move(password.error())};
    }
    make_known("password", password->view());
    std::string login = fingerprint(*password);
    if (why == renewal_cause::look && login == used_login_) co_return renewal{};
    if (login == memory_->refused_login) {
        expiry_.failed(steady_now());
        co_return renewal{
            renewal::outcome::refused,
            problem{.what = fmt::format("IAM at {} has refused the password of {}", iam_.to.authority, user_),
                    .hint = "it is not tried again until the password is another",
                    .file = secret_location(password_file_, secrets_.folder)}};
    }
    used_login_ = std::move(login);
    renewal out = co_await log_in(*password);
    if (out.what == renewal::outcome::changed)
        memory_->refused_login.clear();
    else
        expiry_.failed(steady_now());
    if (out.what == renewal::outcome::later) used_login_.clear();  // it has not had its answer
    co_return out;
}

}  // namespace culld

#include "emulator/api/authorizer.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "culld/io/os/file.hpp"

namespace culld::emulator {

namespace {

constexpr std::size_t tokens_max = 1000;
constexpr std::uint64_t failures_max = 5;  // "more than 5 consecutive failures lock that AK"
constexpr std::string_view iam_failure = "APIGW.0301";
constexpr std::string_view prefix = "Incorrect IAM authentication information: ";

std::string trimmed(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
    return text;
}

authorizer::refusal refuse(std::string_view text) {
    return {iam_failure, fmt::format("{}{}", prefix, text)};
}

}  // namespace

authorizer::authorizer(std::optional<std::string> token, std::optional<key_pair> keys, const scenario& rules)
    : rules_(rules), keys_(std::move(keys)), takes_tokens_(token || !rules.token_file.empty() || rules.iam) {
    if (token) replace_token(*std::move(token), wall_time{});
}

void authorizer::replace_token(std::string token, wall_time now) {
    takes_tokens_ = true;
    if (!current_.empty() && current_ != token) tokens_[current_].expires = now;
    tokens_[token] = {};
    current_ = std::move(token);
}

void authorizer::issue(std::string token, wall_time expires) {
    if (tokens_.size() >= tokens_max) {
        const auto oldest = std::min_element(tokens_.begin(), tokens_.end(), [](const auto& a, const auto& b) {
            return a.second.expires < b.second.expires;
        });
        tokens_.erase(oldest);
    }
    tokens_[std::move(token)] = {expires, 0};
}

void authorizer::issue_security_token(std::string token, wall_time expires) {
    if (security_tokens_.size() >= tokens_max) security_tokens_.erase(security_tokens_.begin());
    security_tokens_[std::move(token)] = expires;
}

bool authorizer::is_good(std::string_view token, wall_time now) const {
    const auto found = tokens_.find(token);
    return found != tokens_.end() && found->second.expires > now;
}

// A file that can't be read just now (it is being replaced) leaves things as they are.
void authorizer::read_token_file(wall_time now) {
    if (rules_.token_file.empty()) return;
    struct stat seen {};
    if (::stat(rules_.token_file.c_str(), &seen) != 0) return;
    if (seen.st_ino == file_seen_.st_ino && seen.st_size == file_seen_.st_size &&
        seen.st_mtim.tv_sec == file_seen_.st_mtim.tv_sec && seen.st_mtim.tv_nsec == file_seen_.st_mtim.tv_nsec)
        return;
    auto content = read_small_file(rules_.token_file, std::size_t{2} << 20);
    if (!content) return;
    file_seen_ = seen;
    std::string token = trimmed(*std::move(content));
    if (!token.empty() && token != current_) replace_token(std::move(token), now);
}

std::optional<authorizer::refusal> authorizer::check(const request& r, wall_time now) {
    read_token_file(now);
    if (!takes_tokens_ && !keys_) return std::nullopt;
    const bool token_given = find_header(r.headers, "x-auth-token") != nullptr;
    if (keys_ && (!takes_tokens_ || !token_given)) return check_keys(r, now);
    return check_token(r, now);
}

std::optional<authorizer::refusal> authorizer::check_token(const request& r, wall_time now) {
    const header* given = find_header(r.headers, "x-auth-token");
    if (given == nullptr || given->value.empty()) return refuse("x-auth-token not found");
    const auto found = tokens_.find(given->value);
    if (found == tokens_.end()) return refuse("decrypt token fail");
    token_state& state = found->second;
    if (state.expires <= now) return refuse(fmt::format("token expires, expires_at: {}", rfc3339(state.expires)));
    if (r.number > 0 && rules_.reject_token_after && ++state.uses > *rules_.reject_token_after)
        return refusal{"APIGW.0307", "The token must be updated."};
    return std::nullopt;
}

// A temporary AK is known only together with its token.
std::optional<authorizer::refusal> authorizer::check_security_token(const request& r, std::string_view ak,
                                                                    wall_time now) const {
    const header* given = find_header(r.headers, "x-security-token");
    const std::string& wanted = rules_.metadata.security_token;
    if (!wanted.empty() && (given == nullptr || given->value != wanted))
        return refuse(fmt::format("ak {} not exist", ak));
    if (security_tokens_.empty()) return std::nullopt;
    const auto found = given == nullptr ? security_tokens_.end() : security_tokens_.find(given->value);
    if (found == security_tokens_.end() || found->second <= now) return refuse(fmt::format("ak {} not exist", ak));
    return std::nullopt;
}

std::optional<authorizer::refusal> authorizer::check_keys(const request& r, wall_time now) {
    using outcome = signature_verdict::outcome;
    if (locked_until_ && r.arrived < *locked_until_) return refuse("AK access failed to reach the limit, forbidden");
    locked_until_.reset();
    const signed_request sent{r.method, r.target, r.headers, r.body};
    signature_verdict verdict = check_signature(sent, *keys_, now);
    if (verdict.what == outcome::no_signature) return refuse("x-auth-token not found");
    if (verdict.what == outcome::unknown_key) return refuse(fmt::format("ak {} not exist", verdict.access));
    if (verdict.what == outcome::good) {
        if (const auto refused = check_security_token(r, verdict.access, now)) return refused;
        failures_in_a_row_ = 0;
        return std::nullopt;
    }
    if (++failures_in_a_row_ > failures_max) {
        failures_in_a_row_ = 0;
        locked_until_ = r.arrived + rules_.ak_lock;
    }
    switch (verdict.what) {
        case outcome::expired:
            return refuse(fmt::format("calc aksk signature fail:signature expired, signature time:{},server time:{}",
                                      verdict.date, basic_utc(now)));
        case outcome::wrong:
            std::replace(verdict.canonical.begin(), verdict.canonical.end(), '\n', '|');
            return refuse(fmt::format("verify aksk signature fail, canonicalRequest:{}", verdict.canonical));
        default: return refuse("calc aksk signature fail:authorization or X-Sdk-Date is missing or malformed");
    }
}

}  // namespace culld::emulator

#include "culld/io/auth/signed_credentials.hpp"

#include <array>

#include "culld/io/secrets/known_secrets.hpp"

namespace culld {

bool signing_keys::equals(const signing_keys& other) const {
    return access.equals(other.access) && secret_key.equals(other.secret_key) &&
           security_token.equals(other.security_token);
}

result<signing_keys> signing_keys::of(std::string_view access, std::string_view secret_key,
                                      std::string_view security_token) {
    signing_keys out;
    for (auto [to, from] : {std::pair(&out.access, access), std::pair(&out.secret_key, secret_key),
                            std::pair(&out.security_token, security_token)}) {
        if (from.empty()) continue;
        auto copy = secret::of(from);
        if (!copy) return fail(std::move(copy.error()));
        *to = std::move(*copy);
    }
    return out;
}

bool signed_credentials::take(signing_keys keys, nanoseconds ahead, steady_time now) {
    const bool same = keys.equals(keys_);
    expiry_ = expiry(now, keys.life, ahead);
    keys_ = std::move(keys);
    make_known("secret key", keys_.secret_key.view());
    make_known("security token", keys_.security_token.view());
    memory_->guard.use(keys_.access.view());
    if (!same) generation_ = ++memory_->generations;
    return !same;
}

void signed_credentials::adopt(std::shared_ptr<credential_memory> memory) {
    memory_ = std::move(memory);
    if (!holds_any()) return;
    memory_->guard.use(keys_.access.view());
    generation_ = ++memory_->generations;
}

void signed_credentials::authenticate(std::string& head, const request_facts& request, wall_time now) {
    const std::string date = basic_utc(memory_->clock.at(now));
    std::array<header_view, 5> lines;
    std::size_t count = 0;
    const auto add = [&](std::string_view name, std::string_view value) {
        if (!value.empty()) lines[count++] = {name, value};
    };
    add("Host", request.authority);
    add("Content-Type", request.content_type);
    const std::size_t ours = count;  // those before stand in the head already
    add("X-Project-Id", request.project_id);
    add("X-Sdk-Date", date);
    add("X-Security-Token", keys_.security_token.view());
    signer_.sign({.method = request.method,
                  .target = request.target,
                  .headers = std::span(lines).first(count),
                  .body = request.body},
                 keys_.access.view(), keys_.secret_key.view());
    for (std::size_t i = ours; i < count; ++i)
        head.append(lines[i].name).append(": ").append(lines[i].value).append("\r\n");
    head.append("Authorization: ").append(signer_.authorization()).append("\r\n");
}

void signed_credentials::accepted() {
    if (memory_->guard.accepted() && memory_->guard_changed) memory_->guard_changed();
}

bool signed_credentials::refused(const signature_rejection& why, steady_time now, wall_time wall) {
    memory_->guard.refused(now);
    if (memory_->guard_changed) memory_->guard_changed();
    if (!why.server_time || !memory_->clock.learn(*why.server_time, wall)) return false;
    generation_ = ++memory_->generations;
    return true;
}

task<renewal> read_credentials::renew(renewal_cause) {
    auto keys = co_await read_aside(memory()->files, read_);
    if (!keys) co_return renewal{renewal::outcome::refused, std::move(keys.error())};
    const bool others = take(std::move(*keys), {}, {});
    co_return renewal{others ? renewal::outcome::changed : renewal::outcome::unchanged, {}};
}

}  // namespace culld

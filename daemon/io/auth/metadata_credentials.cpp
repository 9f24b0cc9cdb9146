#include "culld/io/auth/metadata_credentials.hpp"

#include <fmt/format.h>

#include "culld/core/auth/iam_messages.hpp"
#include "culld/core/text/clean_message.hpp"
#include "culld/io/secrets/known_secrets.hpp"

namespace culld {

namespace {

constexpr nanoseconds timeout = std::chrono::seconds(3);
constexpr nanoseconds renew_agency_keys_ahead = std::chrono::minutes(40);
constexpr nanoseconds look_every = std::chrono::minutes(1);

bool no_version_2(unsigned status) {
    return status == 404 || status == 405 || status == 503;
}

}  // namespace

metadata_credentials::metadata_credentials(api_endpoint service, std::shared_ptr<credential_memory> memory,
                                           bool guessed)
    : signed_credentials(std::move(memory)),
      service_(std::move(service)),
      call_(service_, nullptr, timeout, timeout),
      guessed_(guessed) {}

std::string metadata_credentials::describe() const {
    return fmt::format("the agency of this host, by the metadata service at {}", service_.authority);
}

task<renewal> metadata_credentials::renew(renewal_cause why) {
    const steady_time now = steady_now();
    if (why == renewal_cause::look && asked_ && now < *asked_ + look_every) co_return renewal{};
    asked_ = now;
    renewal out = co_await fetch();
    if (out.what == renewal::outcome::later || out.what == renewal::outcome::refused) renewal_failed(steady_now());
    co_return out;
}

task<renewal> metadata_credentials::fetch() {
    const auto failed = [this](const call_answer& got) {
        const bool silent = got.failure != transport_failure::none;
        problem why{.what = fmt::format("no keys from {}: {}", describe(),
                                        silent ? got.detail : fmt::format("HTTP status {}", got.status))};
        const bool passing = silent ? !guessed_ : got.status == 429 || got.status >= 500;
        if (silent && guessed_)
            why.hint = "no credentials are configured: set auth.token_file, auth.ak_file and auth.sk_file, or auth.iam";
        if (!silent && got.status == 401) {
            why.what += ": " + clean_message(got.body, got.secrets, 200);
            why.hint = "bind an agency that may use SecMaster to this ECS";
        }
        return renewal{passing ? renewal::outcome::later : renewal::outcome::refused, std::move(why)};
    };
    std::string order = call_.head("PUT", "/meta-data/latest/api/token");
    order += "X-Metadata-Token-Ttl-Seconds: 21600\r\nContent-Length: 0\r\n\r\n";
    const call_answer token = co_await call_(std::move(order), "");
    const bool silent = token.failure != transport_failure::none;
    if (silent || (token.status != 200 && !no_version_2(token.status))) co_return failed(token);
    std::string ask = call_.head("GET", "/openstack/latest/securitykey");
    if (token.status == 200) {
        const std::string_view text =
            trimmed_header(std::string_view(token.body).substr(0, token.body.find_first_of("\r\n")));
        make_known("token of the metadata service", text);
        ask.append("X-Metadata-Token: ").append(text).append("\r\n");
    }
    ask += "\r\n";
    const call_answer got = co_await call_(std::move(ask), "");
    if (got.failure != transport_failure::none || got.status != 200) co_return failed(got);
    auto read = read_temporary_keys(got.body);
    if (!read) co_return renewal{renewal::outcome::later, std::move(read.error())};
    auto keys = signing_keys::of(read->access, read->secret, read->security_token);
    const wall_time expires = read->expires;
    wipe(read->secret);
    wipe(read->security_token);
    if (!keys) co_return renewal{renewal::outcome::later, std::move(keys.error())};
    // By the cloud's clock, as far as we know it.
    keys->life = expires - memory()->clock.at(wall_now());
    if (keys->life <= nanoseconds(0))
        co_return renewal{renewal::outcome::later,
                          problem{.what = fmt::format("the keys from {} expired at {}", describe(), rfc3339(expires)),
                                  .hint = "if that is in the future, set this host's clock"}};
    const bool others = take(std::move(*keys), renew_agency_keys_ahead, steady_now());
    co_return renewal{others ? renewal::outcome::changed : renewal::outcome::unchanged, {}};
}

}  // namespace culld

#include "culld/io/auth/credentials.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "culld/core/auth/credential_source.hpp"
#include "culld/core/auth/iam_messages.hpp"
#include "culld/io/auth/iam_credentials.hpp"
#include "culld/io/auth/metadata_credentials.hpp"
#include "culld/io/auth/signed_credentials.hpp"
#include "culld/io/secrets/known_secrets.hpp"
#include "culld/io/secrets/secret_file.hpp"

namespace culld {

namespace {

constexpr std::string_view global_iam = "https://iam.myhuaweicloud.com";

// X-Auth-Token from a file: whoever gets tokens elsewhere replaces the file, and we read it again when asked to.
class token_file final : public credentials {
  public:
    token_file(std::string name, secret_access from, secret token, std::shared_ptr<credential_memory> memory)
        : name_(std::move(name)),
          from_(std::move(from)),
          token_(std::move(token)),
          memory_(std::move(memory)),
          generation_(++memory_->generations) {
        make_known("token", token_.view());
    }

    void adopt(std::shared_ptr<credential_memory> memory) override {
        memory_ = std::move(memory);
        generation_ = ++memory_->generations;
    }
    void authenticate(std::string& head, const request_facts&, wall_time) override {
        head += "X-Auth-Token: ";
        head += token_.view();
        head += "\r\n";
    }
    [[nodiscard]] std::uint64_t generation() const override { return generation_; }
    [[nodiscard]] task<renewal> renew(renewal_cause) override {
        auto read = [this] { return read_secret(name_, from_); };
        auto token = co_await read_aside(memory_->files, std::move(read));
        if (!token) co_return renewal{renewal::outcome::refused, std::move(token.error())};
        if (token->equals(token_)) co_return renewal{};
        token_ = std::move(*token);
        make_known("token", token_.view());
        generation_ = ++memory_->generations;
        co_return renewal{renewal::outcome::changed, {}};
    }
    [[nodiscard]] task<renewal> reread() override { return renew(renewal_cause::look); }
    [[nodiscard]] std::string describe() const override {
        return "the token in " + secret_location(name_, from_.folder);
    }

  private:
    std::string name_;
    secret_access from_;
    secret token_;
    std::shared_ptr<credential_memory> memory_;
    std::uint64_t generation_;
};

// Nothing: for an emulator on loopback that checks nothing.
class no_credentials final : public credentials {
  public:
    void authenticate(std::string&, const request_facts&, wall_time) override {}
    [[nodiscard]] std::uint64_t generation() const override { return 1; }
    [[nodiscard]] task<renewal> renew(renewal_cause) override { co_return renewal{}; }
    [[nodiscard]] std::string describe() const override { return "no credentials (auth is not configured)"; }
};

std::string_view variable(const std::vector<std::string>& environment, std::string_view name) {
    for (const std::string_view entry : environment)
        if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=')
            return entry.substr(name.size() + 1);
    return {};
}

using made = result<std::unique_ptr<credentials>>;

tl::unexpected<problem> at_setting(problem p, std::string_view field) {
    p.field = field;
    return fail(std::move(p));
}

made from_reader(std::shared_ptr<credential_memory> memory, read_credentials::reader read, std::string where) {
    auto keys = read();
    if (!keys) return fail(std::move(keys.error()));
    return std::make_unique<read_credentials>(std::move(memory), std::move(read), std::move(where), std::move(*keys));
}

result<signing_keys> read_key_files(const std::string& ak, const std::string& sk, const std::string& token,
                                    const secret_access& secrets) {
    signing_keys out;
    const std::pair<secret*, std::pair<std::string_view, const std::string*>> all[] = {
        {&out.access, {"auth.ak_file", &ak}},
        {&out.secret_key, {"auth.sk_file", &sk}},
        {&out.security_token, {"auth.security_token_file", &token}}};
    for (const auto& [to, from] : all) {
        if (from.second->empty() && to == &out.security_token) continue;
        if (from.second->empty())
            return at_setting(problem{.what = fmt::format("{} is not set", from.first)}, from.first);
        auto read = read_secret(*from.second, secrets);
        if (!read) return at_setting(std::move(read.error()), from.first);
        *to = std::move(*read);
    }
    return out;
}

result<signing_keys> read_profile_file(const std::string& name, const secret_access& secrets) {
    auto text = read_secret(name, secrets, secret_form::text);
    if (!text) return at_setting(std::move(text.error()), "auth.profile_file");
    auto profile = read_profile(text->view());
    if (!profile) {
        profile.error().file = secret_location(name, secrets.folder);
        return at_setting(std::move(profile.error()), "auth.profile_file");
    }
    auto keys = signing_keys::of(profile->ak, profile->sk, profile->security_token);
    if (keys) keys->project_id = profile->project_id;
    return keys;
}

result<signing_keys> keys_of_environment(const std::vector<std::string>& environment) {
    auto keys =
        signing_keys::of(variable(environment, "HUAWEICLOUD_SDK_AK"), variable(environment, "HUAWEICLOUD_SDK_SK"),
                         variable(environment, "HUAWEICLOUD_SDK_SECURITY_TOKEN"));
    if (keys) keys->project_id = variable(environment, "HUAWEICLOUD_SDK_PROJECT_ID");
    return keys;
}

// auth.profile_file, else where the SDKs look.
std::string profile_path(const config& settings, const std::vector<std::string>& environment) {
    if (!settings.auth.profile_file.empty()) return settings.auth.profile_file;
    if (const auto named = variable(environment, "HUAWEICLOUD_SDK_CREDENTIALS_FILE"); !named.empty())
        return named.find('/') == std::string_view::npos ? "./" + std::string(named) : std::string(named);
    const auto home = variable(environment, "HOME");
    return home.empty() ? std::string() : std::string(home) + "/.huaweicloud/credentials";
}

}  // namespace

result<route> find_iam(const config& settings, const secret_access& secrets) {
    const std::string& url = settings.auth.iam.endpoint;
    auto out =
        find_route(url.empty() ? global_iam : std::string_view(url), settings, secrets, read_proxy_environment());
    if (!out && out.error().field.empty()) return at_setting(std::move(out.error()), "auth.iam.endpoint");
    return out;
}

made make_credentials(const config& settings, const credential_places& places,
                      std::shared_ptr<credential_memory> memory) {
    if (!memory) memory = std::make_shared<credential_memory>();
    const auto& auth = settings.auth;
    const std::string profile = profile_path(settings, places.environment);
    const credential_surroundings around{
        .keys_in_environment = !variable(places.environment, "HUAWEICLOUD_SDK_AK").empty() &&
                               !variable(places.environment, "HUAWEICLOUD_SDK_SK").empty(),
        .profile_exists = !profile.empty() && ::access(profile.c_str(), F_OK) == 0,
        .service = !variable(places.environment, "INVOCATION_ID").empty() ||
                   !variable(places.environment, "NOTIFY_SOCKET").empty(),
        .plain_http = settings.api.endpoint.starts_with("http://")};  // to loopback only: the configuration saw to it
    switch (choose_credentials(settings, around)) {
        case credential_source::none: return std::make_unique<no_credentials>();
        case credential_source::token_file: {
            auto token = read_secret(auth.token_file, places.secrets);
            if (!token) return at_setting(std::move(token.error()), "auth.token_file");
            return std::make_unique<token_file>(auth.token_file, places.secrets, std::move(*token), std::move(memory));
        }
        case credential_source::key_files: {
            auto read = [ak = auth.ak_file, sk = auth.sk_file, token = auth.security_token_file,
                         secrets = places.secrets] { return read_key_files(ak, sk, token, secrets); };
            return from_reader(std::move(memory), std::move(read),
                               "the access key in " + secret_location(auth.ak_file, places.secrets.folder));
        }
        case credential_source::environment: {
            auto keys = keys_of_environment(places.environment);
            if (!keys) return fail(std::move(keys.error()));
            auto read = [environment = places.environment] { return keys_of_environment(environment); };
            return std::make_unique<read_credentials>(std::move(memory), std::move(read),
                                                      "the access key in HUAWEICLOUD_SDK_AK", std::move(*keys));
        }
        case credential_source::profile: {
            if (profile.empty())
                return at_setting(problem{.what = "there is no credentials file: HOME is not set"},
                                  "auth.profile_file");
            auto read = [profile, secrets = places.secrets] { return read_profile_file(profile, secrets); };
            return from_reader(std::move(memory), std::move(read),
                               "the access key in " + secret_location(profile, places.secrets.folder));
        }
        case credential_source::password: {
            // Read once now, so that a file that cannot be read is told at once.
            if (auto password = read_secret(auth.iam.password_file, places.secrets); !password)
                return at_setting(std::move(password.error()), "auth.iam.password_file");
            auto iam = find_iam(settings, places.secrets);
            if (!iam) return fail(std::move(iam.error()));
            return std::make_unique<iam_credentials>(settings, places.secrets, std::move(*iam), std::move(memory));
        }
        case credential_source::metadata: break;
    }
    auto service = parse_metadata_endpoint(auth.metadata.endpoint);
    if (!service) return at_setting(std::move(service.error()), "auth.metadata.endpoint");
    const bool guessed = auth.method == auth_method::automatic;
    return std::make_unique<metadata_credentials>(std::move(*service), std::move(memory), guessed);
}

}  // namespace culld

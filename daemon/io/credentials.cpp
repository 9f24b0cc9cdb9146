#include "culld/io/credentials.hpp"

#include "culld/io/secret_file.hpp"

namespace culld {

namespace {

// X-Auth-Token from a file: whoever gets tokens elsewhere replaces the file, and we read it again when asked to.
class token_file final : public credentials {
  public:
    token_file(std::string name, std::string folder, secret token)
        : name_(std::move(name)), folder_(std::move(folder)), token_(std::move(token)) {}

    void authenticate(std::string& head, const request_facts&, wall_time) override {
        head += "X-Auth-Token: ";
        head += token_.view();
        head += "\r\n";
    }
    [[nodiscard]] std::uint64_t generation() const override { return generation_; }
    [[nodiscard]] task<result<bool>> renew() override {
        auto token = read_secret(name_, folder_);
        if (!token) co_return fail(std::move(token.error()));
        if (token->equals(token_)) co_return false;
        token_ = std::move(*token);
        ++generation_;
        co_return true;
    }
    [[nodiscard]] std::string describe() const override { return "the token in " + secret_location(name_, folder_); }

  private:
    std::string name_;
    std::string folder_;
    secret token_;
    std::uint64_t generation_ = 1;
};

// Nothing: for an emulator on loopback that checks nothing.
class no_credentials final : public credentials {
  public:
    void authenticate(std::string&, const request_facts&, wall_time) override {}
    [[nodiscard]] std::uint64_t generation() const override { return 1; }
    [[nodiscard]] task<result<bool>> renew() override { co_return false; }
    [[nodiscard]] std::string describe() const override { return "no credentials (auth is not configured)"; }
};

}  // namespace

result<std::unique_ptr<credentials>> make_credentials(const config& settings, const std::string& credentials_folder) {
    const auto& auth = settings.auth;
    if (auth.method != auth_method::automatic && auth.method != auth_method::token)
        return fail(problem{.what = "this version authenticates with a token from a file only",
                            .hint = "set auth.method to token and auth.token_file",
                            .field = "auth.method"});
    if (!auth.token_file.empty()) {
        auto token = read_secret(auth.token_file, credentials_folder);
        if (!token) {
            token.error().field = "auth.token_file";
            return fail(std::move(token.error()));
        }
        return std::make_unique<token_file>(auth.token_file, credentials_folder, std::move(*token));
    }
    const bool plain = settings.api.endpoint.starts_with("http://");  // to loopback only: the configuration saw to it
    if (!plain || auth.method == auth_method::token)
        return fail(problem{.what = "no credentials are configured",
                            .hint = "set auth.token_file to a file with mode 0600, or to a systemd credential's name",
                            .field = "auth.token_file"});
    return std::make_unique<no_credentials>();
}

}  // namespace culld

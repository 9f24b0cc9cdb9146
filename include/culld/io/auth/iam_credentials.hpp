// Tokens from IAM by user and password, if wanted in the name of another account's agency (secmaster-api.md 3).
#pragma once

#include "culld/core/auth/expiry.hpp"
#include "culld/core/auth/iam_messages.hpp"
#include "culld/io/auth/credentials.hpp"
#include "culld/io/http/http_call.hpp"
#include "culld/io/secrets/secret_file.hpp"

namespace culld {

class iam_credentials final : public credentials {
  public:
    // The password file is read at each login.
    iam_credentials(const config& settings, secret_access secrets, route iam,
                    std::shared_ptr<credential_memory> memory);

    void authenticate(std::string& head, const request_facts& request, wall_time now) override;
    [[nodiscard]] bool usable(steady_time now) const override { return expiry_.usable(now); }
    [[nodiscard]] bool due(steady_time now) const override { return expiry_.due(now); }
    [[nodiscard]] std::optional<steady_time> end() const override { return expiry_.end(); }
    [[nodiscard]] std::uint64_t generation() const override { return generation_; }
    void adopt(std::shared_ptr<credential_memory> memory) override { memory_ = std::move(memory); }
    // A login that IAM answered 401 is not tried again until the password, or the user, is another: a wrong password
    // that is tried over and over locks the account.
    [[nodiscard]] task<renewal> renew(renewal_cause why) override;
    void break_off() override { call_.break_off(); }
    [[nodiscard]] std::string project_id() const override { return project_id_; }
    [[nodiscard]] std::string describe() const override;

  private:
    struct ordered {
        renewal failed;  // what: changed if there is a token
        bool unauthorized = false;
        secret token;
        nanoseconds life{};
        std::string project_id;
    };
    [[nodiscard]] task<ordered> order(std::string body, std::string_view token);
    [[nodiscard]] task<renewal> log_in(const secret& password);
    [[nodiscard]] token_scope scope() const;
    [[nodiscard]] std::string fingerprint(const secret& password) const;

    std::string user_, domain_, password_file_, agency_, agency_domain_, project_name_, wanted_project_id_;
    secret_access secrets_;
    route iam_;
    http_call call_;
    std::shared_ptr<credential_memory> memory_;
    secret token_;
    expiry expiry_;
    std::string project_id_;
    std::string used_login_;  // fingerprint of the last one
    std::uint64_t generation_ = 0;
};

}  // namespace culld

// Temporary keys of the agency that is bound to this ECS host, from its metadata service: version 2 (a token first),
// and where that is not offered version 1 (secmaster-api.md 6.4). Never by a proxy: the service is on this machine's
// link.
#pragma once

#include "culld/io/auth/signed_credentials.hpp"
#include "culld/io/http/http_call.hpp"

namespace culld {

class metadata_credentials final : public signed_credentials {
  public:
    // `guessed`: chosen because nothing else is configured; then a service that does not answer is no passing trouble.
    metadata_credentials(api_endpoint service, std::shared_ptr<credential_memory> memory, bool guessed);

    [[nodiscard]] task<renewal> renew(renewal_cause why) override;
    void break_off() override { call_.break_off(); }
    [[nodiscard]] std::string describe() const override;

  private:
    [[nodiscard]] task<renewal> fetch();

    api_endpoint service_;
    http_call call_;
    bool guessed_;
    std::optional<steady_time> asked_;
};

}  // namespace culld

// Credentials that sign: access key, secret key and perhaps a security token, whatever they were read from.
#pragma once

#include <functional>
#include <string>

#include "culld/core/auth/expiry.hpp"
#include "culld/core/auth/request_signature.hpp"
#include "culld/io/auth/credentials.hpp"
#include "culld/io/secrets/secret_file.hpp"

namespace culld {

struct signing_keys {
    secret access, secret_key, security_token;  // the last may be empty
    nanoseconds life = expiry::forever;
    std::string project_id;

    [[nodiscard]] bool equals(const signing_keys& other) const;
    [[nodiscard]] static result<signing_keys> of(std::string_view access, std::string_view secret_key,
                                                 std::string_view security_token);
};

class signed_credentials : public credentials {
  public:
    explicit signed_credentials(std::shared_ptr<credential_memory> memory) : memory_(std::move(memory)) {}

    void adopt(std::shared_ptr<credential_memory> memory) override;
    void authenticate(std::string& head, const request_facts& request, wall_time now) override;
    [[nodiscard]] bool usable(steady_time now) const override { return expiry_.usable(now); }
    [[nodiscard]] bool due(steady_time now) const override { return expiry_.due(now); }
    [[nodiscard]] std::optional<steady_time> end() const override { return expiry_.end(); }
    [[nodiscard]] std::uint64_t generation() const override { return generation_; }
    bool refused(const signature_rejection& why, steady_time now, wall_time wall) override;
    void accepted() override;
    [[nodiscard]] std::optional<steady_time> hold(steady_time now) const override { return memory_->guard.hold(now); }
    [[nodiscard]] bool in_question(wall_time wall, steady_time now) override {
        return memory_->clock.jumped(wall, now);
    }
    [[nodiscard]] std::string project_id() const override { return keys_.project_id; }

  protected:
    // Holds `keys` from now on; renewed `ahead` of their end. False if they are the ones it held before.
    bool take(signing_keys keys, nanoseconds ahead, steady_time now);
    void renewal_failed(steady_time now) { expiry_.failed(now); }
    [[nodiscard]] bool holds_any() const { return !keys_.access.empty(); }
    [[nodiscard]] const std::shared_ptr<credential_memory>& memory() const { return memory_; }

  private:
    std::shared_ptr<credential_memory> memory_;
    signing_keys keys_;
    expiry expiry_;
    request_signer signer_;
    std::uint64_t generation_ = 0;
};

// Keys that a file or the environment holds: `read` gets them anew.
class read_credentials final : public signed_credentials {
  public:
    using reader = std::function<result<signing_keys>()>;

    read_credentials(std::shared_ptr<credential_memory> memory, reader read, std::string where, signing_keys first)
        : signed_credentials(std::move(memory)), read_(std::move(read)), where_(std::move(where)) {
        take(std::move(first), {}, {});
    }
    [[nodiscard]] task<renewal> renew(renewal_cause why) override;
    [[nodiscard]] task<renewal> reread() override { return renew(renewal_cause::look); }
    [[nodiscard]] std::string describe() const override { return where_; }

  private:
    reader read_;
    std::string where_;
};

}  // namespace culld

// The two ways in which news reaches others: a command that reads it, and a webhook that it is posted to. Each carries
// one at a time and says what came of it; trying again is the caller's. Loop thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"
#include "culld/core/config/config.hpp"
#include "culld/core/notify/notification_queue.hpp"
#include "culld/io/os/event_loop.hpp"
#include "culld/io/secrets/secret_file.hpp"

namespace culld {

class notification_transport {
  public:
    struct outcome {
        delivery what = delivery::again;
        std::string why;  // where it has not arrived; holds no secret
    };

    notification_transport() = default;
    notification_transport(const notification_transport&) = delete;
    notification_transport& operator=(const notification_transport&) = delete;
    virtual ~notification_transport() = default;

    // Within notify.timeout. `json` is good until it is over.
    [[nodiscard]] virtual task<outcome> carry(std::string_view json) = 0;
    // Ends the one under way, at once.
    virtual void break_off() = 0;
    // For messages: "the command /usr/local/bin/page-me", "the webhook at hooks.example"; never its path or query.
    [[nodiscard]] virtual std::string describe() const = 0;
};

// Null where none is configured. Shared, since a reload may come while one is under way.
struct notice_carriers {
    std::shared_ptr<notification_transport> command, webhook;
};
// As the configuration says. Reads the files that it names: blocking, at start and on reload only. TLS, certificates
// and proxies are those of api:, but for our own certificate, which is for the API alone.
[[nodiscard]] result<notice_carriers> make_notice_carriers(const config& settings, const secret_access& secrets);

}  // namespace culld

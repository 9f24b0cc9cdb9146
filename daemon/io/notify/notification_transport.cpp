#include "culld/io/notify/notification_transport.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "culld/core/base/ascii.hpp"
#include "culld/core/net/endpoint.hpp"
#include "culld/core/text/shell_quote.hpp"
#include "culld/io/http/api_route.hpp"
#include "culld/io/http/http_call.hpp"
#include "culld/io/os/child_process.hpp"
#include "culld/io/os/file.hpp"
#include "culld/io/secrets/known_secrets.hpp"
#include "culld/io/secrets/secret_file.hpp"

namespace culld {

namespace {

// What of a secret text is secret: an address is made of words such as "services", a header's value has its scheme.
constexpr std::size_t part_min = 12, word_min = 8;

class by_command final : public notification_transport {
  public:
    explicit by_command(const config& settings) : run_(settings.notify.command), limit_(settings.notify.timeout) {}

    task<outcome> carry(std::string_view json) override {
        const std::string line = std::string(json) + "\n";
        const auto end = co_await run_(line, limit_);
        if (!end) co_return outcome{delivery::never, end.error().what};
        outcome out{end->in_time ? delivery_of_exit(end->code) : delivery::again, {}};
        if (!end->in_time)
            out.why = fmt::format("it did not end within {}", duration_text(limit_));
        else if (end->code < 0)
            out.why = "a signal ended it";
        else if (end->code > 0)
            out.why = fmt::format("exit code {}", end->code);
        if (!end->said.empty()) out.why += ": " + (*known_secrets())(end->said);
        co_return out;
    }
    void break_off() override { run_.break_off(); }
    [[nodiscard]] std::string describe() const override { return "the command " + run_.program(); }

  private:
    command run_;
    nanoseconds limit_;
};

class by_webhook final : public notification_transport {
  public:
    by_webhook(route channel, const secret& target, secret header, nanoseconds limit)
        : way_(std::move(channel)),
          target_(target.view()),
          header_(std::move(header)),
          limit_(limit),
          call_(way_.to, way_.tls.get(), limit, limit) {}
    ~by_webhook() override { wipe(target_); }
    by_webhook(const by_webhook&) = delete;
    by_webhook& operator=(const by_webhook&) = delete;

    task<outcome> carry(std::string_view json) override {
        std::string request;
        request.reserve(1024 + target_.size() + header_.view().size() +
                        json.size());  // no copy of a secret stays behind
        std::string head = call_.head("POST", target_);
        request += head;
        wipe(head);
        if (!header_.empty()) request.append(header_.view()).append("\r\n");
        request += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", json.size());
        request += json;
        const call_answer got = co_await call_(std::move(request), "");
        if (got.failure != transport_failure::none) co_return outcome{delivery::again, got.detail};
        outcome out{delivery_of_status(got.status), {}};
        if (out.what != delivery::arrived) out.why = fmt::format("HTTP status {}", got.status);
        co_return out;
    }
    void break_off() override { call_.break_off(); }
    [[nodiscard]] std::string describe() const override { return "the webhook at " + way_.to.authority; }

  private:
    route way_;
    std::string target_;
    secret header_;
    nanoseconds limit_;
    http_call call_;
};

tl::unexpected<problem> at_notify(problem p, std::string_view setting) {
    p.field = setting;
    return fail(std::move(p));
}

// One header line of somebody else's that goes between ours.
bool fit_header(std::string_view line) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return false;
    const std::string_view name = line.substr(0, colon);
    const bool token = std::ranges::all_of(name, [](char c) { return ascii_alnum(c) || c == '-' || c == '_'; });
    // What says where a message begins and ends is ours to say.
    constexpr std::string_view framing[] = {"host",        "content-length", "transfer-encoding", "connection",
                                            "expect",      "upgrade",        "trailer",           "te",
                                            "content-type"};
    return token && std::ranges::none_of(framing, [name](std::string_view f) { return same_ignoring_case(f, name); });
}

result<std::shared_ptr<notification_transport>> make_webhook(const config& settings, const secret_access& secrets) {
    const auto& n = settings.notify;
    const std::string_view url_setting = n.webhook.empty() ? "notify.webhook_file" : "notify.webhook";
    auto url = n.webhook.empty() ? read_secret(n.webhook_file, secrets) : secret::of(n.webhook);
    if (!url) return at_notify(std::move(url.error()), url_setting);
    auto where = parse_webhook(url->view());
    if (!where) {
        problem p = std::move(where.error());
        if (n.webhook.empty()) p.file = secret_location(n.webhook_file, secrets.folder);
        p.what = std::string(url_setting) + ": " + p.what;
        return at_notify(std::move(p), url_setting);
    }
    const auto target = secret::of(where->target);
    wipe(where->target);
    if (target && n.webhook.empty()) make_words_known("webhook address", target->view(), "/?&=", part_min);
    if (!target) return at_notify(target.error(), url_setting);
    secret header;
    if (!n.header_file.empty()) {
        auto line = read_secret(n.header_file, secrets);
        if (!line) return at_notify(std::move(line.error()), "notify.header_file");
        if (!fit_header(line->view()))
            return at_notify({.what = "notify.header_file does not hold a header line",
                              .hint = "one line, such as Authorization: Bearer TOKEN",
                              .file = secret_location(n.header_file, secrets.folder)},
                             "notify.header_file");
        header = std::move(*line);
        make_words_known("webhook header", header.view().substr(header.view().find(':') + 1), " ", word_min);
    }
    if (where->plain() && (!header.empty() || !n.webhook_file.empty()))
        return at_notify(
            {.what = fmt::format("{} must be https: a secret would go over the network in the clear", url_setting)},
            url_setting);
    config others = settings;
    others.api.client_cert_file.clear();
    others.api.client_key_file.clear();
    auto channel = find_route(std::move(where->to), others, secrets, read_proxy_environment());
    if (!channel) return fail(std::move(channel.error()));
    return std::make_shared<by_webhook>(std::move(*channel), *target, std::move(header), n.timeout);
}

}  // namespace

result<notice_carriers> make_notice_carriers(const config& settings, const secret_access& secrets) {
    notice_carriers out;
    const auto& n = settings.notify;
    if (!n.command.empty()) {
        // Looked at now, so that a wrong name is told at once, and not when something has gone wrong.
        if (::access(n.command.front().c_str(), X_OK) != 0) {
            const int error = errno;
            problem why = errno_problem("cannot be run", n.command.front(), error);
            why.hint = error == EACCES ? fmt::format("chmod a+x {}, if it is a program", shell_file(n.command.front()))
                                       : "the first word is the program, by its whole path; its arguments follow as "
                                         "further words of the list";
            return at_notify(std::move(why), "notify.command");
        }
        out.command = std::make_shared<by_command>(settings);
    }
    if (!n.webhook.empty() || !n.webhook_file.empty()) {
        auto webhook = make_webhook(settings, secrets);
        if (!webhook) return fail(std::move(webhook.error()));
        out.webhook = std::move(*webhook);
    }
    return out;
}

}  // namespace culld

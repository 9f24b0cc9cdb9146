// What must hold across settings, and what is allowed and yet may not be meant.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "culld/core/base/ascii.hpp"
#include "culld/core/config/settings.hpp"
#include "culld/core/net/endpoint.hpp"
#include "culld/core/net/proxy.hpp"

namespace culld {

namespace {

// sun_path is 108 bytes with its final NUL (unix(7)).
constexpr std::size_t socket_path_max = 107;

bool all_of(std::string_view text, std::string_view further) {
    return std::all_of(text.begin(), text.end(),
                       [&](char c) { return ascii_alnum(c) || further.find(c) != std::string_view::npos; });
}

bool is_api_name(std::string_view text) {
    return !text.empty() && text.size() <= 64 && all_of(text, "-");
}

// Region names become part of a host name.
bool is_region(std::string_view text) {
    return is_api_name(text) && text.front() != '-' && text.back() != '-';
}

class checker {
  public:
    checker(const sourced_config& configuration, std::vector<problem>& out) : all_(configuration), out_(out) {}

    void run() {
        const config& c = all_.values;
        api(c);
        auth(c);
        folders(c);
        orders(c);
        if (c.ids.pattern.empty()) say("ids.pattern", "ids.pattern must not be empty");
        listen(c.http.listen);
        notify(c);
        if (c.http.socket.empty() || c.http.socket.size() > socket_path_max)
            say("http.socket", fmt::format("http.socket must be a path of 1 to {} bytes, not of {}", socket_path_max,
                                           c.http.socket.size()));
    }

  private:
    void say(std::string_view name, std::string what, std::string hint = {}) {
        out_.push_back(problem_at(all_, name, std::move(what), std::move(hint)));
    }

    void endpoint(std::string_view name, std::string_view url) {
        const bool plain = url.starts_with("http://");
        if (!plain && !url.starts_with("https://"))
            return say(name, fmt::format("{} must begin with https://", name), "write it like https://host[:port]");
        const std::string_view authority = url.substr(plain ? 7 : 8);
        if (authority.find('@') != std::string_view::npos)
            return say(name, fmt::format("{} must not hold a user or password", name), "see auth: for how to log in");
        if (authority.find_first_of("/?#") != std::string_view::npos)
            return say(name, fmt::format("{} must end after the host or port", name),
                       "leave out the path, a final / too");
        const auto where = parse_host_port(authority);
        if (!where || where->port == 0U)
            return say(name, fmt::format("{} names no valid host or port", name), "write it like https://host[:port]");
        if (plain && !is_loopback(where->host))
            say(name, fmt::format("{} must be https: credentials would go over the network in the clear", name),
                "http is for 127.0.0.0/8, ::1 and localhost only");
    }

    void api(const config& c) {
        if (!c.api.region.empty() && !is_region(c.api.region))
            say("api.region", "api.region must be letters, digits and \"-\"", "such as cn-north-4");
        if (!c.api.endpoint.empty())
            endpoint("api.endpoint", c.api.endpoint);
        else if (c.api.region.empty())
            say("api.endpoint", "neither api.endpoint nor api.region is set", "one of them must say where the API is");
        if (!c.api.project_id.empty() && !is_api_name(c.api.project_id))
            say("api.project_id", "api.project_id must match [A-Za-z0-9-]{1,64}");
        if (!c.api.workspace_id.empty() && !is_api_name(c.api.workspace_id))
            say("api.workspace_id", "api.workspace_id must match [A-Za-z0-9-]{1,64}");
        if (!c.api.proxy.empty()) proxy(c.api.proxy);
        if (c.api.client_cert_file.empty() != c.api.client_key_file.empty())
            say(c.api.client_cert_file.empty() ? "api.client_key_file" : "api.client_cert_file",
                "api.client_cert_file and api.client_key_file belong together", "set both or neither");
        if (!c.api.proxy_login_file.empty() && c.api.proxy.empty())
            say("api.proxy_login_file", "api.proxy_login_file is set, and api.proxy is not", "which proxy is it for?");
    }

    void proxy(std::string_view url) {
        if (const auto read = parse_proxy(url, false); !read)
            say("api.proxy", "api.proxy: " + read.error().what, read.error().hint);
    }

    void auth(const config& c) {
        const auto& a = c.auth;
        const auto need = [&](std::string_view name, const std::string& value, std::string_view because) {
            if (value.empty()) {
                problem p = problem_at(all_, name, fmt::format("{} is needed {}", name, because));
                // The setting is absent; what asks for it has a place.
                if (p.file.empty()) {
                    const setting_origin at = all_.origin_of("auth.method");
                    p.file = at.source, p.line = at.line, p.column = at.column;
                }
                out_.push_back(std::move(p));
            }
        };
        if (!a.iam.endpoint.empty()) endpoint("auth.iam.endpoint", a.iam.endpoint);
        if (auto where = parse_metadata_endpoint(a.metadata.endpoint); !where)
            say("auth.metadata.endpoint", fmt::format("auth.metadata.endpoint: {}", where.error().what),
                where.error().hint);
        if (a.iam.agency.empty() != a.iam.agency_domain.empty())
            say(a.iam.agency.empty() ? "auth.iam.agency_domain" : "auth.iam.agency",
                a.iam.agency.empty() ? "auth.iam.agency_domain is set without auth.iam.agency"
                                     : "auth.iam.agency is set without auth.iam.agency_domain");
        const bool by_password =
            a.method == auth_method::iam || (a.method == auth_method::automatic && !a.iam.user.empty());
        if (by_password && c.api.project_id.empty() && c.api.region.empty())
            need("auth.iam.project", a.iam.project, "where neither api.project_id nor api.region is set");
        switch (a.method) {
            case auth_method::token: need("auth.token_file", a.token_file, "with auth.method: token"); break;
            case auth_method::iam:
                need("auth.iam.user", a.iam.user, "with auth.method: iam");
                need("auth.iam.domain", a.iam.domain, "with auth.method: iam");
                need("auth.iam.password_file", a.iam.password_file, "with auth.method: iam");
                break;
            case auth_method::aksk:
                need("auth.ak_file", a.ak_file, "with auth.method: aksk");
                need("auth.sk_file", a.sk_file, "with auth.method: aksk");
                break;
            case auth_method::automatic: pairs(c); break;
            case auth_method::metadata:
            case auth_method::profile: break;
        }
    }

    // With method auto a half-written login must not be passed over in favour of another one.
    void pairs(const config& c) {
        const auto& a = c.auth;
        if (!a.ak_file.empty() && a.sk_file.empty()) say("auth.ak_file", "auth.ak_file is set without auth.sk_file");
        if (!a.sk_file.empty() && a.ak_file.empty()) say("auth.sk_file", "auth.sk_file is set without auth.ak_file");
        if (!a.security_token_file.empty() && a.ak_file.empty() && a.sk_file.empty())
            say("auth.security_token_file", "auth.security_token_file is set without auth.ak_file and auth.sk_file");
        const std::array iam{std::pair("auth.iam.user", &a.iam.user), std::pair("auth.iam.domain", &a.iam.domain),
                             std::pair("auth.iam.password_file", &a.iam.password_file)};
        for (const auto& [name, value] : iam)
            for (const auto& [other, missing] : iam)
                if (!value->empty() && missing->empty()) say(name, fmt::format("{} is set without {}", name, other));
    }

    void folders(const config& c) {
        if (c.spool.dir.empty()) say("spool.dir", "spool.dir must not be empty");
        if (c.journal.dir.empty()) say("journal.dir", "journal.dir must not be empty");
        const auto inside = [](std::string_view inner, std::string_view outer) {
            while (outer.size() > 1 && outer.ends_with('/')) outer.remove_suffix(1);
            return !outer.empty() && inner.starts_with(outer) &&
                   (inner.size() == outer.size() || inner[outer.size()] == '/');
        };
        if (inside(c.journal.dir, c.spool.dir) || inside(c.spool.dir, c.journal.dir))
            say(all_.origins.contains("journal.dir") ? "journal.dir" : "spool.dir",
                "journal.dir and spool.dir must be apart, neither inside the other",
                "submitters may write to the spool, and to nothing of the journal");
    }

    void orders(const config& c) {
        const auto at_most = [&](std::string_view low, nanoseconds a, std::string_view high, nanoseconds b) {
            if (a > b)
                say(all_.origins.contains(low) ? low : high,
                    fmt::format("{} ({}) must be at most {} ({})", low, duration_text(a), high, duration_text(b)));
        };
        at_most("api.connect_timeout", c.api.connect_timeout, "api.request_timeout", c.api.request_timeout);
        at_most("retry.base_delay", c.retry.base_delay, "retry.max_delay", c.retry.max_delay);
        at_most("retry.max_delay", c.retry.max_delay, "retry.give_up_after", c.retry.give_up_after);
    }

    void notify(const config& c) {
        const auto& n = c.notify;
        if (!n.command.empty() && !n.command.front().starts_with('/'))
            say("notify.command",
                fmt::format("notify.command must name its program by a whole path, not {}", n.command.front()),
                "there is no shell, and no PATH is searched");
        if (!n.webhook.empty() && !n.webhook_file.empty())
            say("notify.webhook_file", "notify.webhook and notify.webhook_file are both set", "remove one of them");
        if (!n.header_file.empty() && n.webhook.empty() && n.webhook_file.empty())
            say("notify.header_file", "notify.header_file is set without notify.webhook");
        if (n.webhook.empty()) return;
        const auto where = parse_webhook(n.webhook);
        if (!where)
            say("notify.webhook", "notify.webhook: " + where.error().what, where.error().hint);
        else if (where->plain() && !n.header_file.empty())
            say("notify.webhook",
                "notify.webhook must be https: notify.header_file would go over the network in the clear");
    }

    void listen(std::string_view text) {
        if (text.empty()) return;
        const auto where = parse_host_port(text);
        if (!where || !where->port)
            say("http.listen", "http.listen must be address:port", "such as 127.0.0.1:9464 or [::1]:9464, or \"\"");
    }

    const sourced_config& all_;
    std::vector<problem>& out_;
};

}  // namespace

void derive_settings(config& values) {
    if (!is_region(values.api.region)) return;
    // The hosts of Huawei Cloud's Chinese site and most others; elsewhere api.endpoint says so itself.
    if (values.api.endpoint.empty())
        values.api.endpoint = fmt::format("https://secmaster.{}.myhuaweicloud.com", values.api.region);
    if (values.auth.iam.endpoint.empty())
        values.auth.iam.endpoint = fmt::format("https://iam.{}.myhuaweicloud.com", values.api.region);
}

std::vector<problem> check_config(const sourced_config& configuration, std::span<const config_check> further) {
    std::vector<problem> out;
    checker(configuration, out).run();
    for (const config_check& check : further) check(configuration, out);
    return out;
}

std::vector<problem> config_warnings(const sourced_config& configuration) {
    std::vector<problem> out;
    const config& c = configuration.values;
    const auto warn = [&](std::string_view name, std::string what, std::string hint) {
        out.push_back(problem_at(configuration, name, std::move(what), std::move(hint)));
    };
    const auto where = parse_host_port(c.http.listen);
    if (!c.http.listen.empty() && where && !is_loopback(where->host))
        warn("http.listen", "the status page and the metrics are open to the network, without a login",
             "they show job names and counts; 127.0.0.1:9464 keeps them on this machine");
    const auto idle = [&](std::string_view name, const std::string& value, auth_method user) {
        if (!value.empty() && c.auth.method != user && c.auth.method != auth_method::automatic)
            warn(name, fmt::format("{} has no effect with this auth.method", name), "remove one of them");
    };
    idle("auth.token_file", c.auth.token_file, auth_method::token);
    idle("auth.ak_file", c.auth.ak_file, auth_method::aksk);
    idle("auth.iam.user", c.auth.iam.user, auth_method::iam);
    idle("auth.profile_file", c.auth.profile_file, auth_method::profile);
    return out;
}

}  // namespace culld

#include "culld/core/config/settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "culld/core/base/ascii.hpp"
#include "culld/core/base/did_you_mean.hpp"
#include "culld/core/notify/notification.hpp"
#include "culld/core/text/json_writer.hpp"
#include "culld/core/text/visible_text.hpp"

namespace culld {

namespace {

using namespace std::string_view_literals;

constexpr double day_ns = 86'400e9;
constexpr double year_ns = 366 * day_ns;  // a bound on every duration, so that "now + it" never overflows

template <class T>
std::string json_text(const T& value) {
    std::string out;
    if constexpr (std::is_same_v<T, std::string>) {
        append_json_string(out, value);
    } else if constexpr (std::is_same_v<T, bool>) {
        out = value ? "true" : "false";
    } else if constexpr (std::is_same_v<T, double>) {
        // Without an exponent, which the setter would not read back. The range of numbers keeps it short.
        std::array<char, 64> digits{};
        const auto [end, ec] =
            std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed);
        if (ec == std::errc{}) out.append(digits.data(), end);
    } else {
        append_number(out, static_cast<std::uint64_t>(value));
    }
    return out;
}

// Long values are cut: a message is one line on a terminal.
std::string quoted(std::string_view text) {
    std::string out;
    append_json_string(out, text.substr(0, 80));
    if (text.size() > 80) out += "…";
    return out;
}

tl::unexpected<problem> refuse(const setting& self, std::string_view text, std::string hint = {}) {
    auto p = fail(fmt::format("{} must be {}, not {}", self.name, self.takes(), quoted(text)), std::move(hint));
    p.value().field = self.name;
    return p;
}

bool has_control(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) {
        const auto u = static_cast<unsigned char>(c);
        return u < 0x20 || u == 0x7F;
    });
}

bool fit_text(std::string_view text) {
    return text.size() <= 4096 && !has_control(text) && !unseen_in(text);
}

// Each of these makes a row of the table. Get is a stateless lambda that hands out the member, of a const
// configuration too.
template <class Get>
constexpr setting text(std::string_view name, std::string_view help, Get, setting_type type = setting_type::text) {
    return {.name = name,
            .type = type,
            .help = help,
            .set = [](const setting& self, config& into, std::string_view value) -> result<void> {
                if (!fit_text(value)) return refuse(self, value);
                Get{}(into) = value;
                return {};
            },
            .print = [](const config& from) { return json_text(Get{}(from)); }};
}

template <class Get>
constexpr setting path(std::string_view name, std::string_view help, Get get) {
    return text(name, help, get, setting_type::path);
}

template <class Get>
constexpr setting secret_path(std::string_view name, std::string_view help, Get get) {
    return text(name, help, get, setting_type::secret_path);
}

template <class Get>
constexpr setting boolean(std::string_view name, std::string_view help, Get) {
    return {.name = name,
            .type = setting_type::boolean,
            .help = help,
            .set = [](const setting& self, config& into, std::string_view value) -> result<void> {
                if (value != "true" && value != "false") return refuse(self, value);
                Get{}(into) = value == "true";
                return {};
            },
            .print = [](const config& from) { return json_text(Get{}(from)); }};
}

template <class Get>
constexpr setting count(std::string_view name, double min, double max, std::string_view help, Get) {
    return {.name = name,
            .type = setting_type::count,
            .help = help,
            .min = min,
            .max = max,
            .set = [](const setting& self, config& into, std::string_view value) -> result<void> {
                std::uint64_t number = 0;
                const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), number);
                if (ec != std::errc{} || end != value.data() + value.size() || static_cast<double>(number) < self.min ||
                    static_cast<double>(number) > self.max)
                    return refuse(self, value);
                auto& member = Get{}(into);
                member = static_cast<std::remove_reference_t<decltype(member)>>(number);
                return {};
            },
            .print = [](const config& from) { return json_text(Get{}(from)); }};
}

template <class Get>
constexpr setting number(std::string_view name, double min, double max, std::string_view help, Get) {
    return {.name = name,
            .type = setting_type::number,
            .help = help,
            .min = min,
            .max = max,
            .set = [](const setting& self, config& into, std::string_view value) -> result<void> {
                double number = 0;
                const auto [end, ec] =
                    std::from_chars(value.data(), value.data() + value.size(), number, std::chars_format::fixed);
                if (ec != std::errc{} || end != value.data() + value.size() || !std::isfinite(number) ||
                    number < self.min || number > self.max)
                    return refuse(self, value);
                Get{}(into) = number;
                return {};
            },
            .print = [](const config& from) { return json_text(Get{}(from)); }};
}

template <class Get>
constexpr setting duration(std::string_view name, double min_ns, std::string_view help, Get) {
    return {.name = name,
            .type = setting_type::duration,
            .help = help,
            .min = min_ns,
            .max = year_ns,
            .set = [](const setting& self, config& into, std::string_view value) -> result<void> {
                const auto parsed = parse_duration(value);
                if (!parsed) return refuse(self, value, parsed.error().hint);
                const auto nanos = static_cast<double>(parsed->count());
                if (nanos < self.min || nanos > self.max) return refuse(self, value);
                Get{}(into) = *parsed;
                return {};
            },
            .print = [](const config& from) { return fmt::format("\"{}\"", duration_text(Get{}(from))); }};
}

// Words for the values of an enum, in the enum's order.
constexpr std::array delete_methods{"auto"sv, "post"sv, "delete"sv};
constexpr std::array auth_methods{"auto"sv, "token"sv, "iam"sv, "aksk"sv, "metadata"sv, "profile"sv};
constexpr std::array log_formats{"auto"sv, "text"sv, "json"sv, "journald"sv};
constexpr std::array log_levels{"trace"sv, "debug"sv, "info"sv, "warn"sv, "error"sv};

template <const auto& Words, class Get>
constexpr setting word(std::string_view name, std::string_view help, Get) {
    return {.name = name,
            .type = setting_type::word,
            .help = help,
            .words = Words,
            .set = [](const setting& self, config& into, std::string_view value) -> result<void> {
                const auto found = std::find(Words.begin(), Words.end(), value);
                if (found == Words.end()) return refuse(self, value, did_you_mean(value, Words));
                auto& member = Get{}(into);
                using member_type = std::remove_reference_t<decltype(member)>;
                if constexpr (std::is_enum_v<member_type>)
                    member = static_cast<member_type>(found - Words.begin());
                else
                    member = *found;
                return {};
            },
            .print =
                [](const config& from) {
                    const auto& member = Get{}(from);
                    if constexpr (std::is_enum_v<std::remove_cvref_t<decltype(member)>>)
                        return json_text(std::string(Words.at(static_cast<std::size_t>(member))));
                    else
                        return json_text(member);
                }};
}

// `words`: the only texts it takes, or none: any.
template <class Get>
constexpr setting text_list(std::string_view name, std::string_view help, Get,
                            std::span<const std::string_view> words = {}) {
    return {.name = name,
            .type = setting_type::text_list,
            .help = help,
            .words = words,
            .set = [](const setting& self, config& into, std::string_view value) -> result<void> {
                std::vector<std::string> items;
                for (std::string_view rest = value; !value.empty();) {
                    const std::size_t comma = rest.find(',');
                    std::string_view item = rest.substr(0, comma);
                    while (item.starts_with(' ')) item.remove_prefix(1);
                    while (item.ends_with(' ')) item.remove_suffix(1);
                    if (item.empty() || !fit_text(item)) return refuse(self, value);
                    if (!self.words.empty() && std::ranges::find(self.words, item) == self.words.end())
                        return refuse(self, item, did_you_mean(item, self.words));
                    items.emplace_back(item);
                    if (comma == std::string_view::npos) break;
                    rest.remove_prefix(comma + 1);
                }
                Get{}(into) = std::move(items);
                return {};
            },
            .print =
                [](const config& from) {
                    std::string out = "[";
                    for (const std::string& item : Get{}(from)) {
                        if (out.size() > 1) out += ",";
                        append_json_string(out, item);
                    }
                    return out + "]";
                }};
}

constexpr std::array table{
    text(
        "api.endpoint", "where the API is, https://host[:port]; http only to this machine",
        [](auto& c) -> auto& { return c.api.endpoint; }),
    text(
        "api.region", "gives the endpoint https://secmaster.REGION.myhuaweicloud.com where none is set",
        [](auto& c) -> auto& { return c.api.region; }),
    text(
        "api.project_id", "for jobs that name none", [](auto& c) -> auto& { return c.api.project_id; }),
    text(
        "api.workspace_id", "for jobs that name none", [](auto& c) -> auto& { return c.api.workspace_id; }),
    word<delete_methods>(
        "api.method", "how a delete is sent; auto tries POST first and remembers what works",
        [](auto& c) -> auto& { return c.api.method; }),
    path(
        "api.ca_file", "certificates to trust beside the system's store",
        [](auto& c) -> auto& { return c.api.ca_file; }),
    path(
        "api.client_cert_file", "our own certificate and its chain, where the other side asks for one",
        [](auto& c) -> auto& { return c.api.client_cert_file; }),
    secret_path(
        "api.client_key_file", "its key, PEM without a passphrase",
        [](auto& c) -> auto& { return c.api.client_key_file; }),
    text(
        "api.proxy", "http://host:port; where not set, https_proxy and no_proxy count",
        [](auto& c) -> auto& { return c.api.proxy; }),
    secret_path(
        "api.proxy_login_file", "user:password for api.proxy", [](auto& c) -> auto& { return c.api.proxy_login_file; }),
    duration(
        "api.connect_timeout", 1e6, "for TCP and TLS together", [](auto& c) -> auto& { return c.api.connect_timeout; }),
    duration(
        "api.request_timeout", 1e6, "for one request and its whole answer",
        [](auto& c) -> auto& { return c.api.request_timeout; }),

    word<auth_methods>(
        "auth.method", "auto takes what is configured below, else the environment, a profile, metadata",
        [](auto& c) -> auto& { return c.auth.method; }),
    secret_path(
        "auth.token_file", "a ready token", [](auto& c) -> auto& { return c.auth.token_file; }),
    secret_path(
        "auth.ak_file", "the access key", [](auto& c) -> auto& { return c.auth.ak_file; }),
    secret_path(
        "auth.sk_file", "the secret key", [](auto& c) -> auto& { return c.auth.sk_file; }),
    secret_path(
        "auth.security_token_file", "goes with temporary access keys",
        [](auto& c) -> auto& { return c.auth.security_token_file; }),
    secret_path(
        "auth.profile_file", "Huawei's own credentials file; ~/.huaweicloud/credentials where left out",
        [](auto& c) -> auto& { return c.auth.profile_file; }),
    text(
        "auth.iam.endpoint", "where tokens are fetched; from api.region where left out",
        [](auto& c) -> auto& { return c.auth.iam.endpoint; }),
    text(
        "auth.iam.user", "IAM user name", [](auto& c) -> auto& { return c.auth.iam.user; }),
    text(
        "auth.iam.domain", "account name", [](auto& c) -> auto& { return c.auth.iam.domain; }),
    secret_path(
        "auth.iam.password_file", "the user's password", [](auto& c) -> auto& { return c.auth.iam.password_file; }),
    text(
        "auth.iam.project", "scope of the token, a project name such as cn-north-4; from api.project_id where left out",
        [](auto& c) -> auto& { return c.auth.iam.project; }),
    text(
        "auth.iam.agency", "an agency of another account that the user acts for",
        [](auto& c) -> auto& { return c.auth.iam.agency; }),
    text(
        "auth.iam.agency_domain", "the account that made the agency",
        [](auto& c) -> auto& { return c.auth.iam.agency_domain; }),
    text(
        "auth.metadata.endpoint", "where this ECS host's metadata is served",
        [](auto& c) -> auto& { return c.auth.metadata.endpoint; }),

    path(
        "spool.dir", "holds tmp, incoming, active, done, failed, rejected",
        [](auto& c) -> auto& { return c.spool.dir; }),
    duration(
        "spool.rescan", 100e6, "how often incoming is read anew, beside the kernel's events",
        [](auto& c) -> auto& { return c.spool.rescan; }),
    duration(
        "spool.sidecar_wait", 0, "how long a job waits for its ids_file",
        [](auto& c) -> auto& { return c.spool.sidecar_wait; }),

    path(
        "journal.dir", "holds the journals and the ledger", [](auto& c) -> auto& { return c.journal.dir; }),
    secret_path(
        "journal.signing_key_file", "Ed25519 private key (PEM) that signs the ledger",
        [](auto& c) -> auto& { return c.journal.signing_key_file; }),
    path(
        "journal.public_key_file", "its public key, for cullctl verify",
        [](auto& c) -> auto& { return c.journal.public_key_file; }),

    text(
        "ids.pattern", "what an id looks like, as a regular expression for the whole of it",
        [](auto& c) -> auto& { return c.ids.pattern; }),
    path(
        "ids.protected_file", "ids that are never deleted, one a line",
        [](auto& c) -> auto& { return c.ids.protected_file; }),

    count(
        "batch.size", 1, 999, "ids in one request, for jobs that do not say",
        [](auto& c) -> auto& { return c.batch.size; }),

    number(
        "limits.requests_per_second", 0.00001, 100'000, "over all jobs; 0.1667 is ten a minute",
        [](auto& c) -> auto& { return c.limits.requests_per_second; }),
    count(
        "limits.burst", 1, 10'000, "requests that may go at once after a pause",
        [](auto& c) -> auto& { return c.limits.burst; }),
    count(
        "limits.concurrency", 1, 256, "requests on their way at the same time",
        [](auto& c) -> auto& { return c.limits.concurrency; }),
    boolean(
        "limits.adaptive", "keep to the limit that a 429 names, and find out one that it does not",
        [](auto& c) -> auto& { return c.limits.adaptive; }),
    count(
        "limits.max_ids_per_job", 0, 1e12, "longer jobs are rejected; 0: no cap",
        [](auto& c) -> auto& { return c.limits.max_ids_per_job; }),

    text_list(
        "jobs.require_labels", "labels without which a job is rejected",
        [](auto& c) -> auto& { return c.jobs.require_labels; }),

    count(
        "retry.max_attempts", 1, 100, "per id, for jobs that do not say",
        [](auto& c) -> auto& { return c.retry.max_attempts; }),
    duration(
        "retry.base_delay", 1e6, "the first pause, doubled each time and drawn at random up to that",
        [](auto& c) -> auto& { return c.retry.base_delay; }),
    duration(
        "retry.max_delay", 1e6, "the longest pause", [](auto& c) -> auto& { return c.retry.max_delay; }),
    duration(
        "retry.give_up_after", 1e6, "then what is unknown gets its last word by GET",
        [](auto& c) -> auto& { return c.retry.give_up_after; }),
    duration(
        "retry.blocked_probe", 1e9, "how often a blocked job tries one request by itself",
        [](auto& c) -> auto& { return c.retry.blocked_probe; }),

    count(
        "breaker.failures", 1, 1e6, "server errors in a row that stop all sending",
        [](auto& c) -> auto& { return c.breaker.failures; }),
    duration(
        "breaker.probe", 1e6, "then how often one request is tried", [](auto& c) -> auto& { return c.breaker.probe; }),

    text(
        "http.listen", "status page and metrics, read-only, address:port; empty: none",
        [](auto& c) -> auto& { return c.http.listen; }),
    path(
        "http.socket", "control socket for cullctl", [](auto& c) -> auto& { return c.http.socket; }),

    text_list(
        "notify.command", "a program by its path, and its arguments: is run, and reads the event as JSON",
        [](auto& c) -> auto& { return c.notify.command; }),
    text(
        "notify.webhook", "a URL that the event is posted to as JSON",
        [](auto& c) -> auto& { return c.notify.webhook; }),
    secret_path(
        "notify.webhook_file", "holds that URL, where it is a secret itself",
        [](auto& c) -> auto& { return c.notify.webhook_file; }),
    secret_path(
        "notify.header_file", "holds a header line for the webhook, such as Authorization: Bearer TOKEN",
        [](auto& c) -> auto& { return c.notify.header_file; }),
    text_list(
        "notify.on", "which events", [](auto& c) -> auto& { return c.notify.on; }, notice_words),
    duration(
        "notify.timeout", 100e6, "for one try", [](auto& c) -> auto& { return c.notify.timeout; }),
    count(
        "notify.attempts", 1, 100, "then an event is given up", [](auto& c) -> auto& { return c.notify.attempts; }),

    word<log_levels>(
        "log.level", "the least that is shown", [](auto& c) -> auto& { return c.log.level; }),
    word<log_formats>(
        "log.format", "auto: journald under systemd, text elsewhere", [](auto& c) -> auto& { return c.log.format; }),
};

char upper(char c) {
    return c == '.' ? '_' : ascii_upper(c);
}
char lower(char c) {
    return c == '.' ? '_' : ascii_lower(c);
}

// What people call a secret, and the setting for a file with it; longer names first.
constexpr std::array<std::pair<std::string_view, std::string_view>, 14> secret_words{{
    {"security_token", "auth.security_token_file"},
    {"secret_access_key", "auth.sk_file"},
    {"access_key_id", "auth.ak_file"},
    {"private_key", "journal.signing_key_file"},
    {"signing_key", "journal.signing_key_file"},
    {"access_key", "auth.ak_file"},
    {"secret_key", "auth.sk_file"},
    {"password", "auth.iam.password_file"},
    {"passwd", "auth.iam.password_file"},
    {"secret", "auth.sk_file"},
    {"token", "auth.token_file"},
    {"pass", "auth.iam.password_file"},
    {"ak", "auth.ak_file"},
    {"sk", "auth.sk_file"},
}};

}  // namespace

std::string setting::variable() const {
    std::string out = "CULLD_";
    std::transform(name.begin(), name.end(), std::back_inserter(out), upper);
    return out;
}

std::string setting::takes() const {
    switch (type) {
        case setting_type::text: return "a text on one line";
        case setting_type::path: return "a path";
        case setting_type::secret_path: return "a path, or the name of a systemd credential";
        case setting_type::boolean: return "true or false";
        case setting_type::count:
            return fmt::format("a whole number from {} to {}", static_cast<std::uint64_t>(min),
                               static_cast<std::uint64_t>(max));
        case setting_type::number: return fmt::format("a number from {} to {}", json_text(min), json_text(max));
        case setting_type::duration:
            return fmt::format("a duration from {} to {}", duration_text(nanoseconds(static_cast<std::int64_t>(min))),
                               duration_text(nanoseconds(static_cast<std::int64_t>(max))));
        case setting_type::word: return fmt::format("one of {}", fmt::join(words, ", "));
        case setting_type::text_list:
            return words.empty() ? "a list of texts" : fmt::format("a list of {}", fmt::join(words, ", "));
    }
    return {};
}

std::span<const setting> settings() {
    return table;
}

const setting* find_setting(std::string_view name) {
    const auto found = std::find_if(table.begin(), table.end(), [&](const setting& s) { return s.name == name; });
    return found == table.end() ? nullptr : &*found;
}

std::vector<std::string_view> names_in(std::string_view section) {
    std::vector<std::string_view> out;
    for (const setting& s : table) {
        std::string_view rest = s.name;
        if (!section.empty()) {
            if (!rest.starts_with(section) || rest.size() <= section.size() || rest[section.size()] != '.') continue;
            rest.remove_prefix(section.size() + 1);
        }
        rest = rest.substr(0, rest.find('.'));
        if (std::find(out.begin(), out.end(), rest) == out.end()) out.push_back(rest);
    }
    return out;
}

bool is_section(std::string_view name) {
    return !name.empty() && !names_in(name).empty();
}

std::string_view file_setting_for_secret(std::string_view name) {
    std::string words;
    std::transform(name.begin(), name.end(), std::back_inserter(words), lower);
    for (const auto& [word, instead] : secret_words)
        if (words == word || words.ends_with(fmt::format("_{}", word))) return instead;
    return {};
}

std::string setting_origin::text() const {
    if (source.empty()) return "default";
    return line == 0 ? source : fmt::format("{}:{}:{}", source, line, column);
}

setting_origin sourced_config::origin_of(std::string_view name) const {
    const auto found = origins.find(name);
    return found == origins.end() ? setting_origin{} : found->second;
}

problem problem_at(const sourced_config& configuration, std::string_view name, std::string what, std::string hint) {
    const setting_origin at = configuration.origin_of(name);
    return problem{.what = std::move(what),
                   .hint = std::move(hint),
                   .file = at.source,
                   .line = at.line,
                   .column = at.column,
                   .field = std::string(name)};
}

}  // namespace culld

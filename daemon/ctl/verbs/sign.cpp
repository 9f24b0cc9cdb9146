// cullctl sign: what a request's signature is made of, for finding out why a gateway refuses it. Needs no daemon and
// no configuration, and sends nothing.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>

#include "ctl/ui/verb.hpp"
#include "culld/core/auth/request_signature.hpp"
#include "culld/core/base/ascii.hpp"
#include "culld/core/base/time.hpp"
#include "culld/core/net/endpoint.hpp"
#include "culld/core/text/json_writer.hpp"
#include "culld/io/os/clock.hpp"
#include "culld/io/os/file.hpp"
#include "culld/io/secrets/secret_file.hpp"

namespace culld::ctl {

namespace {

constexpr std::size_t body_bytes_max = std::size_t{12} << 20U;  // what the gateway takes with a signature

struct sign_options {
    std::string method, url, body_file, date, ak_file, sk_file, security_token_file;
    std::vector<std::string> headers;
};

struct url_parts {
    std::string host;    // as the Host header has it
    std::string target;  // path and query
};

outcome<url_parts> parse_url(const std::string& url) {
    const auto refuse = [&](std::string_view why) {
        return give_up(usage, problem{.what = fmt::format("--url \"{}\" {}", printable(url), why),
                                      .hint = "write it like https://secmaster.cn-north-4.myhuaweicloud.com/v1/…"});
    };
    const bool plain = url.starts_with("http://");
    if (!plain && !url.starts_with("https://")) return refuse("does not begin with https:// or http://");
    std::string_view rest = std::string_view(url).substr(plain ? 7 : 8);
    rest = rest.substr(0, rest.find('#'));
    const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
    rest.remove_prefix(authority.size());
    const auto where = parse_host_port(authority);
    if (!where || authority.find('@') != std::string_view::npos) return refuse("names no valid host");
    url_parts out;
    const bool usual = !where->port || *where->port == (plain ? 80U : 443U);
    out.host = authority.substr(0, usual && where->port ? authority.rfind(':') : std::string_view::npos);
    out.target = rest.starts_with('/') ? std::string(rest) : "/" + std::string(rest);
    return out;
}

// A key from its file, else from the environment name that the SDKs use.
outcome<secret> read_key(const std::string& file, const char* flag, const char* variable, bool needed) {
    if (!file.empty()) {
        const char* folder = std::getenv("CREDENTIALS_DIRECTORY");  // NOLINT(concurrency-mt-unsafe)
        const bool credential = file.find('/') == std::string::npos && folder != nullptr;
        auto read = read_secret(credential || file.find('/') != std::string::npos ? file : "./" + file,
                                folder == nullptr ? "" : folder);
        if (!read) return give_up_on(file, std::move(read.error()));
        return std::move(*read);
    }
    const char* value = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe)
    if (value == nullptr || *value == '\0') {
        if (!needed) return secret();
        return give_up(usage, problem{.what = fmt::format("{} is missing", flag),
                                      .hint = fmt::format("a file of mode 0600, or the variable {}", variable)});
    }
    auto copy = secret::of(value);
    if (!copy) return give_up(io_error, std::move(copy.error()));
    return std::move(*copy);
}

outcome<std::vector<header_view>> read_headers(const std::vector<std::string>& lines) {
    std::vector<header_view> out;
    for (const std::string& line : lines) {
        const std::size_t colon = line.find(':');
        const std::string_view name = std::string_view(line).substr(0, std::min(colon, line.size()));
        const bool good = colon != std::string::npos && !name.empty() &&
                          name.find_first_not_of(
                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "!#$%&'*+-.^_`|~") == std::string_view::npos &&
                          line.find_first_of("\r\n") == std::string::npos;
        if (!good)
            return give_up(usage, problem{.what = fmt::format("--header \"{}\" is no header", printable(line)),
                                          .hint = "write it like 'Content-Type: application/json'"});
        for (const header_view& other : out)
            if (same_ignoring_case(other.name, name))
                return give_up(usage, problem{.what = fmt::format("header {} is given twice", printable(name))});
        out.push_back({name, std::string_view(line).substr(colon + 1)});
    }
    return out;
}

bool has(const std::vector<header_view>& headers, std::string_view name) {
    for (const header_view& h : headers)
        if (same_ignoring_case(h.name, name)) return true;
    return false;
}

outcome<int> sign(const context& with, const sign_options& given) {
    auto url = parse_url(given.url);
    if (!url) return tl::unexpected(std::move(url.error()));
    auto headers = read_headers(given.headers);
    if (!headers) return tl::unexpected(std::move(headers.error()));
    std::string body;
    if (!given.body_file.empty()) {
        auto read = read_small_file(given.body_file, body_bytes_max);
        if (!read) return give_up_on(given.body_file, std::move(read.error()));
        body = std::move(*read);
    }
    const auto access = read_key(given.ak_file, "--ak-file", "HUAWEICLOUD_SDK_AK", true);
    if (!access) return tl::unexpected(access.error());
    const auto secret_key = read_key(given.sk_file, "--sk-file", "HUAWEICLOUD_SDK_SK", true);
    if (!secret_key) return tl::unexpected(secret_key.error());
    // The environment's token belongs to the environment's key.
    const auto token =
        given.security_token_file.empty() && !given.ak_file.empty()
            ? outcome<secret>()
            : read_key(given.security_token_file, "--security-token-file", "HUAWEICLOUD_SDK_SECURITY_TOKEN", false);
    if (!token) return tl::unexpected(token.error());

    const std::string now = basic_utc(wall_now());
    if (!given.date.empty() && !parse_basic_utc(given.date))
        return give_up(usage, problem{.what = fmt::format("--date \"{}\" is no date", printable(given.date)),
                                      .hint = "write it in UTC, like 20260115T081530Z"});
    if (!has(*headers, "host")) headers->push_back({"host", url->host});
    if (has(*headers, "x-sdk-date") && !given.date.empty())
        return give_up(usage, problem{.what = "the date is given twice, by --date and by --header"});
    if (!has(*headers, "x-sdk-date")) headers->push_back({"X-Sdk-Date", given.date.empty() ? now : given.date});
    if (!token->empty() && !has(*headers, "x-security-token")) headers->push_back({"X-Security-Token", token->view()});

    const std::string_view whole = body;
    request_signer signer;
    signer.sign({.method = given.method, .target = url->target, .headers = *headers, .body = {&whole, 1}},
                access->view(), secret_key->view());
    if (with.json) {
        std::string out;
        json_object o(out);
        o.member("canonical_request", signer.canonical_request()).member("string_to_sign", signer.string_to_sign());
        o.member("authorization", signer.authorization()).close();
        with.out.data(out + "\n");
    } else {
        with.out.data(fmt::format("{}\n{}\n\n{}\n{}\n\n{}\n{}\n", with.out.on_stdout(colour::bold, "canonical request"),
                                  signer.canonical_request(), with.out.on_stdout(colour::bold, "string to sign"),
                                  signer.string_to_sign(), with.out.on_stdout(colour::bold, "Authorization"),
                                  signer.authorization()));
    }
    return all_well;
}

}  // namespace

verb sign_verb(CLI::App& app) {
    auto* command = app.add_subcommand("sign", "show how a request is signed; nothing is sent");
    auto given = std::make_shared<sign_options>();
    command->add_option("--method", given->method, "GET, POST, DELETE, …")->required();
    command->add_option("--url", given->url, "the whole URL, with its query")->required();
    command->add_option("--header", given->headers, "'Name: value', signed too; may be repeated")
        ->allow_extra_args(false);
    command->add_option("--body-file", given->body_file, "the exact bytes of the body");
    command->add_option("--date", given->date, "X-Sdk-Date, 20260115T081530Z; else now");
    command->add_option("--ak-file", given->ak_file, "the access key; else HUAWEICLOUD_SDK_AK");
    command->add_option("--sk-file", given->sk_file, "the secret key; else HUAWEICLOUD_SDK_SK");
    command->add_option("--security-token-file", given->security_token_file,
                        "goes with temporary keys; without --ak-file else HUAWEICLOUD_SDK_SECURITY_TOKEN");
    return {command, [given](const context& with) -> int {
                const auto done = sign(with, *given);
                return done ? *done : report(with, done.error());
            }};
}

}  // namespace culld::ctl

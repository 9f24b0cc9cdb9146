// cull-emulator: a stand-in for the SecMaster API, IAM tokens and ECS metadata, for the demo, tests and
// benchmarks.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/ssl/context.hpp>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <iostream>

#include "culld/core/base/exit_code.hpp"
#include "culld/io/os/file.hpp"
#include "culld/io/os/process_setup.hpp"
#include "emulator/http/server.hpp"

namespace culld::emulator {

namespace asio = boost::asio;

namespace {

constexpr std::size_t scenario_bytes_max = std::size_t{16} << 20;

struct options {
    std::string listen = "127.0.0.1:0";
    std::vector<std::string> tls;  // certificate, key
    std::string scenario, ids, token, ak, sk, log;
    std::uint64_t track = 2'000'000;
    bool fast = false;
};

int complain(const problem& p, int code) {
    std::fprintf(stderr, "cull-emulator: %s\n", p.text().c_str());
    return code;
}

// "127.0.0.1:8080", "[::1]:8080", or a port alone.
result<asio::ip::tcp::endpoint> parse_listen(const std::string& text) {
    const auto colon = text.rfind(':');
    std::string host = colon == std::string::npos ? "127.0.0.1" : text.substr(0, colon);
    const std::string port_text = colon == std::string::npos ? text : text.substr(colon + 1);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    if (host == "localhost") host = "127.0.0.1";
    boost::system::error_code error;
    const asio::ip::address address = asio::ip::make_address(host, error);
    std::uint16_t port = 0;
    const char* end = port_text.data() + port_text.size();
    const auto [stop, bad] = std::from_chars(port_text.data(), end, port);
    if (error || bad != std::errc{} || stop != end)
        return fail("--listen: \"" + text + "\" is not an address and a port", "write it like 127.0.0.1:8080");
    return asio::ip::tcp::endpoint(address, port);
}

result<void> load_certificate(asio::ssl::context& context, const std::vector<std::string>& files) {
    boost::system::error_code error;
    context.use_certificate_chain_file(files.at(0), error);
    if (error) return fail("--tls: " + files.at(0) + ": " + error.message(), "it must be a PEM certificate");
    context.use_private_key_file(files.at(1), asio::ssl::context::pem, error);
    if (error) return fail("--tls: " + files.at(1) + ": " + error.message(), "it must be the certificate's PEM key");
    return {};
}

// What a scenario builds on: without it each request would be refused, and nobody would know why.
void say_what_is_missing(const scenario& rules, const options& o) {
    const auto warn = [](std::string_view what) { std::cerr << "cull-emulator: warning: " << what << '\n'; };
    if (rules.metadata.asked_for && rules.metadata.agency && o.ak.empty())
        warn("metadata hands out no key pair without --ak AK --sk SK");
    if (rules.iam && (rules.iam->user.empty() || rules.iam->domain.empty() || rules.iam->password.empty()))
        warn("iam gives no token without all of user, domain and password");
    if (!rules.token_file.empty() && !std::ifstream(rules.token_file))
        warn("token_file " + rules.token_file + " cannot be read: every token is refused until it can");
}

int run(const options& o) {
    scenario rules;
    if (!o.scenario.empty()) {
        const auto text = read_small_file(o.scenario, scenario_bytes_max);
        if (!text) return complain(text.error(), not_there);
        auto parsed = parse_scenario(*text, o.scenario);
        if (!parsed) return complain(parsed.error(), bad_config);
        rules = *std::move(parsed);
    }
    say_what_is_missing(rules, o);
    incidents ids(o.fast ? 0 : o.track);
    if (!o.ids.empty())
        if (const auto loaded = ids.load(o.ids); !loaded) return complain(loaded.error(), not_there);
    request_log log;
    if (!o.log.empty()) {
        auto opened = request_log::open(o.log);
        if (!opened) return complain(opened.error(), io_error);
        log = *std::move(opened);
    }
    asio::ssl::context context(asio::ssl::context::tls_server);
    context.set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);  // APIGW.0204
    if (!o.tls.empty())
        if (const auto loaded = load_certificate(context, o.tls); !loaded) return complain(loaded.error(), not_there);
    const auto at = parse_listen(o.listen);
    if (!at) return complain(at.error(), usage);

    cloud w(std::move(rules), std::move(ids), o.token.empty() ? std::nullopt : std::optional(o.token),
            o.ak.empty() ? std::nullopt : std::optional(key_pair{o.ak, o.sk}));
    asio::io_context loop(1);
    server s(loop, w, log, o.tls.empty() ? nullptr : &context);
    // Before the first line is out: who reads it may signal at once.
    asio::signal_set signals(loop, SIGINT, SIGTERM);
    signals.async_wait([&s](const boost::system::error_code& error, int) {
        if (!error) s.stop();
    });
    if (const auto listening = s.listen(*at); !listening) return complain(listening.error(), io_error);
    std::cout << "listening on " << s.endpoint() << std::endl;
    s.start();
    loop.run();
    if (const auto written = write_all(STDOUT_FILENO, truth(w, true) + "\n", "standard output"); !written)
        return complain(written.error(), io_error);
    return 0;
}

int parse_and_run(int argc, char** argv) {
    options o;
    CLI::App app(
        "cull-emulator: a stand-in for the SecMaster API on loopback.\n"
        "Prints \"listening on ADDRESS:PORT\" first, and the ground truth as JSON when it is ended.");
    app.set_version_flag("--version", "cull-emulator " CULLD_VERSION);
    app.add_option("--listen", o.listen, "loopback address and port, or a port; 0: any free one")
        ->capture_default_str();
    app.add_option("--tls", o.tls, "serve HTTPS with this certificate and key (PEM)")
        ->expected(2)
        ->type_name("CERT KEY");
    app.add_option("--scenario", o.scenario, "how to misbehave, see config/emulator-scenario.yaml")->type_name("FILE");
    app.add_option("--ids", o.ids, "only the ids in this list exist, one a line")->type_name("FILE");
    CLI::Option* token = app.add_option("--token", o.token, "the X-Auth-Token to accept");
    CLI::Option* ak = app.add_option("--ak", o.ak, "the access key to accept signatures of")->excludes(token);
    CLI::Option* sk = app.add_option("--sk", o.sk, "its secret key")->needs(ak);
    ak->needs(sk);
    app.add_option("--log", o.log, "one JSON line a request; -: standard output")->type_name("FILE");
    CLI::Option* track =
        app.add_option("--track", o.track, "remember what becomes of so many ids")->capture_default_str();
    app.add_flag("--fast", o.fast, "remember no ids at all: every id always exists")->excludes(track);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        const int code = app.exit(e);
        return code == 0 ? 0 : usage;
    }
    return run(o);
}

}  // namespace

}  // namespace culld::emulator

int main(int argc, char** argv) {
    culld::open_standard_files();
    try {
        return culld::emulator::parse_and_run(argc, argv);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "cull-emulator: %s\n", e.what());
        return culld::internal_error;
    }
}

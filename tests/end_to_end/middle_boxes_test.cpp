// Between culld and the API stand other people's programs: nginx in front of it, with TLS; squid or tinyproxy on the
// way.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "programs.hpp"
#include "support/certificates.hpp"

namespace culld::programs {
namespace {

// A port nobody listens on, as far as anybody can know.
int free_port() {
    const unique_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), size) != 0 ||
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size) != 0)
        throw std::runtime_error("no port is free");
    return ntohs(at.sin_port);
}

bool listens(int port) {
    return emulator_test::client(static_cast<std::uint16_t>(port)).connected();
}

class MiddleBoxes : public Programs {
  protected:
    static constexpr const char* nginx = "/usr/sbin/nginx";

    // `location` says how nginx passes requests on; culld is told to go there, and to know no other authority.
    void behind_nginx(setup s, const std::string& protocols, const std::string& location) {
        if (!fs::exists(nginx)) GTEST_SKIP() << "NOT TESTED: nginx is not installed";
        fs::permissions(here_.path(""), fs::perms::others_exec | fs::perms::others_read, fs::perm_options::add);
        const certificate authority = make_certificate({.name = "authority"});
        const certificate gateway =
            make_certificate({.name = "gateway", .alternative = "DNS:localhost,IP:127.0.0.1"}, &authority);
        write_certificate(authority, here_.path("authority.pem"));
        write_certificate(gateway, here_.path("gateway.pem"));
        here_.write("gateway.key", key_pem(gateway));
        gateway_port_ = free_port();
        s.endpoint = fmt::format("https://localhost:{}", gateway_port_);
        s.api += fmt::format(", ca_file: {}", here_.path("authority.pem"));
        s.more += fmt::format("auth: {{method: token, token_file: {}}}\n", secret_file("token", "a-token"));
        configure(s);
        start_nginx("127.0.0.1", protocols, location);
        ASSERT_TRUE(eventually([&] { return listens(gateway_port_); })) << read("nginx.out") << read("nginx.log");
    }
    void start_nginx(const std::string& address, const std::string& protocols, const std::string& location) {
        const std::string folder = here_.path("");
        const std::string user = ::geteuid() == 0 ? "user root;\n" : "";
        here_.write(
            "nginx.conf",
            user + fmt::format("daemon off;\nmaster_process off;\npid {0}nginx.pid;\nerror_log {0}nginx.log;\n"
                               "events {{}}\nhttp {{\n  access_log off;\n  client_body_temp_path {0}body;\n"
                               "  proxy_temp_path {0}proxy;\n  fastcgi_temp_path {0}f;\n  uwsgi_temp_path {0}u;\n"
                               "  scgi_temp_path {0}s;\n  server {{\n    listen {1}:{2} ssl;\n"
                               "    ssl_certificate {0}gateway.pem;\n    ssl_certificate_key {0}gateway.key;\n"
                               "    ssl_protocols {3};\n    location / {{\n      proxy_pass http://127.0.0.1:{4};\n"
                               "      proxy_http_version 1.1;\n      {5}\n    }}\n  }}\n}}\n",
                               folder, address, gateway_port_, protocols, port_, location));
        box_.reset();
        box_.emplace(std::vector<std::string>{nginx, "-c", here_.path("nginx.conf"), "-p", folder},
                     here_.path("nginx.out"));
    }
    // Classes of a job's batch.error records, with their status where there was an answer: `server 504`.
    [[nodiscard]] std::set<std::string> errors(const std::string& job) const {
        std::set<std::string> out;
        for (const json::object& r : records(job, "batch.error")) {
            std::string one(r.at("class").as_string());
            if (const auto* status = r.if_contains("http_status")) one += fmt::format(" {}", status->to_number<int>());
            out.insert(std::move(one));
        }
        return out;
    }

    int gateway_port_ = 0;
    std::optional<child> box_;  // nginx
};

// nginx's own pages (HTML): 504 for a server that hangs, 502 for one that hangs up, 413 for a body over its limit; each
// seventh request the end of its connection; request ids of its own beside the server's.
TEST_F(MiddleBoxes, NginxAnswersForAServerThatDoesNot) {
    for (const std::string protocol : {"TLSv1.2", "TLSv1.3"}) {
        const std::string job = "tls-" + protocol.substr(protocol.size() - 1);
        const std::string scenario =
            "seed: 1\nfail_ratio: 0.1\noutages:\n  - {after_requests: 3, for_requests: 2, kind: hang}\n"
            "  - {after_requests: 12, for_requests: 2, kind: reset}\n";
        behind_nginx({.scenario = scenario, .batch_size = 200}, protocol,
                     "proxy_read_timeout 500ms; client_max_body_size 1k; keepalive_requests 7;"
                     " add_header X-Request-Id $request_id always;");
        if (IsSkipped()) return;
        if (job != "tls-2") restart_server(scenario);
        drop_job(job, 1000, "verify: failed\n");
        const int code = once();
        EXPECT_TRUE(code == 0 || code == 1) << code << log();  // 1: an id may fail three times
        expect_true_verdicts(job, 1000);
        expect_verified();
        const auto told = errors(job);
        EXPECT_TRUE(told.contains("server 504")) << log();
        EXPECT_TRUE(told.contains("server 502")) << log();
        EXPECT_TRUE(told.contains("rejected 413")) << log();
        for (const json::object& r : records(job, "batch.result")) EXPECT_EQ(r.at("request_ids").as_array().size(), 2U);
        box_.reset();
    }
}

// A server that is not there at all is nginx's 502, and nothing is lost by it.
TEST_F(MiddleBoxes, NginxWithoutAServerIsWaitedFor) {
    behind_nginx({.more = "breaker: {failures: 3, probe: 300ms}\n"}, "TLSv1.2 TLSv1.3", "");
    if (IsSkipped()) return;
    server_.reset();
    child daemon = started();
    drop_job("waits", 200);
    ASSERT_TRUE(eventually([&] { return errors("waits").contains("server 502"); })) << log();
    restart_server("seed: 1\n");
    EXPECT_TRUE(reaches("waits", "finished")) << log();
    expect_true_verdicts("waits", 200);
}

// A certificate of another name: nothing of ours reaches it.
TEST_F(MiddleBoxes, NginxOfAnotherNameIsNotSpokenTo) {
    behind_nginx({}, "TLSv1.3", "");
    if (IsSkipped()) return;
    setup other = settings_;
    other.endpoint = fmt::format("https://127.0.0.2:{}", gateway_port_);
    write_config(other);
    start_nginx("127.0.0.2", "TLSv1.3", "");
    child daemon = started();
    drop_job("nothing", 20);
    EXPECT_TRUE(eventually([&] { return errors("nothing").contains("tls"); })) << log();
    EXPECT_EQ(truth("api_requests"), 0);
}

class ForwardProxies : public MiddleBoxes, public testing::WithParamInterface<const char*> {
  protected:
    // Starts the proxy, where it was if it was started before; it lets `culld:secret` through, to the gateway's port.
    void start_proxy() {
        const std::string folder = here_.path("");
        if (proxy_port_ == 0) proxy_port_ = free_port();
        std::vector<std::string> command;
        if (GetParam() == std::string_view("squid")) {
            command = {"/usr/sbin/squid", "-N", "-f", here_.path("squid.conf")};
            // `openssl passwd -apr1 -salt culldtst secret`
            here_.write("logins", "culld:$apr1$culldtst$Fty.vFQ/ShWPr0C.hqyQW1\n");
            here_.write(
                "squid.conf",
                fmt::format("http_port 127.0.0.1:{1}\npid_filename none\naccess_log none\ncache_log {0}squid.log\n"
                            "coredump_dir {0}\ncache deny all\nshutdown_lifetime 0 seconds\n"
                            "auth_param basic program /usr/lib/squid/basic_ncsa_auth {0}logins\n"
                            "auth_param basic children 1\nacl known proxy_auth REQUIRED\n"
                            "acl there port {2}\nacl tunnel method CONNECT\n"
                            "http_access allow tunnel there known\nhttp_access deny all\nhosts_file {0}hosts\n",
                            folder, proxy_port_, gateway_port_));
            here_.write("hosts", "127.0.0.1 localhost\n");  // a bare root has none
        } else {
            command = {"/usr/bin/tinyproxy", "-d", "-c", here_.path("tinyproxy.conf")};
            here_.write("tinyproxy.conf",
                        fmt::format("Port {}\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nBasicAuth culld secret\n"
                                    "ConnectPort {}\nLogFile \"{}tinyproxy.log\"\n",
                                    proxy_port_, gateway_port_, folder));
        }
        if (!fs::exists(command.front())) GTEST_SKIP() << "NOT TESTED: " << GetParam() << " is not installed";
        proxy_.emplace(std::move(command), here_.path("proxy.out"));
        ASSERT_TRUE(eventually([&] { return listens(proxy_port_); })) << read("proxy.out") << read("squid.log");
    }
    void go_through_it(const std::string& login) const {
        setup s = settings_;
        s.api += fmt::format(", proxy: \"http://127.0.0.1:{}\", proxy_login_file: {}", proxy_port_,
                             secret_file("login", login));
        write_config(s);
    }
    // nginx and the proxy run; false: the test is over.
    bool both_run(setup s) {
        s.more = "breaker: {failures: 3, probe: 300ms}\n";
        behind_nginx(std::move(s), "TLSv1.2 TLSv1.3", "");
        if (!IsSkipped() && !HasFatalFailure()) start_proxy();
        return !IsSkipped() && !HasFatalFailure();
    }

    int proxy_port_ = 0;
    std::optional<child> proxy_;
};

TEST_P(ForwardProxies, CarryTheJobAndAWrongLoginIsSaid) {
    if (!both_run({.scenario = "seed: 1\nfail_ratio: 0.1\nlost_ratio: 0.05\n"})) return;
    go_through_it("culld:mistaken");
    {
        child daemon = started();
        drop_job("carried", 1000);
        EXPECT_TRUE(eventually([&] { return log().find("wants a login") != std::string::npos; })) << log();
        EXPECT_EQ(log().find("mistaken"), std::string::npos) << "the password is in the log";
        EXPECT_EQ(truth("api_requests"), 0);
    }
    go_through_it("culld:secret");
    const int code = once();
    EXPECT_TRUE(code == 0 || code == 1) << code << log();  // 1: an id may fail three times
    expect_true_verdicts("carried", 1000);
    expect_verified();
    EXPECT_EQ(log().find("secret"), std::string::npos) << "the password is in the log";
}

// The proxy is killed in the middle, and comes back.
TEST_P(ForwardProxies, MayGoAwayAndComeBack) {
    if (!both_run({.limits = "requests_per_second: 50, concurrency: 4"})) return;
    go_through_it("culld:secret");
    child daemon = started();
    drop_job("twice", 2000);
    ASSERT_TRUE(settles_some("twice", 200)) << log();
    proxy_.reset();
    ASSERT_TRUE(eventually([&] { return !errors("twice").empty(); })) << log();
    start_proxy();
    ASSERT_FALSE(HasFatalFailure());
    EXPECT_TRUE(reaches("twice", "finished", patience)) << log();
    expect_true_verdicts("twice", 2000);
    expect_verified();
}

INSTANTIATE_TEST_SUITE_P(Between, ForwardProxies, testing::Values("squid", "tinyproxy"),
                         [](const auto& which) { return std::string(which.param); });

}  // namespace
}  // namespace culld::programs

// Every way to log in, culld against cull-emulator: what is right works, what is wrong blocks and is taken up again.
#include <csignal>
#include <thread>

#include "programs.hpp"

namespace culld::programs {
namespace {

constexpr std::string_view good_sk = "sKtEsTeXaMpLe0123456789abcdefABCDEF+/0=z";
const std::vector<std::string> keys{"--ak", "AKTESTEXAMPLE0000001", "--sk", std::string(good_sk)};

class Credentials : public Programs {
  protected:
    // `api` and `auth` as they stand inside the braces; EMULATOR is its URL, HERE the folder.
    void settings(std::string auth, std::string api = "project_id: p, workspace_id: w") {
        fs::create_directories(here_.path("spool/incoming"));
        fs::create_directories(here_.path("spool/tmp"));
        const std::string url = fmt::format("http://127.0.0.1:{}", server_->port());
        for (std::string* text : {&auth, &api}) {
            for (std::size_t at = 0; (at = text->find("EMULATOR")) != std::string::npos;) text->replace(at, 8, url);
            for (std::size_t at = 0; (at = text->find("HERE")) != std::string::npos;)
                text->replace(at, 4, here_.path(""));
        }
        here_.write(
            "culld.yaml",
            fmt::format("api: {{endpoint: \"{}\", request_timeout: 10s, {}}}\nauth: {{{}}}\nspool: {{dir: {}}}\n"
                        "journal: {{dir: {}}}\nlimits: {{requests_per_second: 200, concurrency: 8}}\n"
                        "batch: {{size: 5}}\nretry: {{base_delay: 20ms, max_delay: 200ms}}\n"
                        "http: {{listen: \"\", socket: {}}}\n",
                        url, api, auth, here_.path("spool"), here_.path("journal"), here_.path("control.sock")));
    }
    void key_files(std::string_view sk = good_sk) {
        secret_file("ak", "AKTESTEXAMPLE0000001\n");
        secret_file("sk", std::string(sk) + "\n");
    }
    // `scenario` ends the emulator's iam, and goes on behind it.
    void log_in_by_password(const std::string& scenario, std::string_view password = "pa ss\"word\n",
                            std::string_view more = "") {
        restart_server(
            "seed: 1\niam: {user: alice, domain: acme, password: \"pa ss\\\"word\", project: cn-north-4, "
            "token_bytes: 12000" +
            scenario);
        secret_file("pw", password);
        settings(
            fmt::format("method: iam, iam: {{endpoint: \"EMULATOR\", user: alice, domain: acme, "
                        "password_file: HERE/pw, project: cn-north-4{}}}",
                        more));
    }
    static constexpr const char* by_keys = "method: aksk, ak_file: HERE/ak, sk_file: HERE/sk";

    void run_daemon() { daemon_.emplace(start()); }
    [[nodiscard]] bool logged(std::string_view text) const { return log().find(text) != std::string::npos; }
    [[nodiscard]] int told(const char* what) const { return server_->truth().at(what).to_number<int>(); }
    // 0 where none of the kind came.
    [[nodiscard]] int calls(const char* kind) const {
        const auto truth = server_->truth();
        const auto* n = truth.at("requests").at("by_kind").as_object().if_contains(kind);
        return n == nullptr ? 0 : n->to_number<int>();
    }

    std::optional<child> daemon_;
};

TEST_F(Credentials, AnAccessKeySignsWhatTheGatewayAccepts) {
    restart_server("seed: 1", keys);
    key_files();
    settings(by_keys);
    drop("list.txt", list("id", 500));
    ASSERT_EQ(once(), 0) << log();
    EXPECT_EQ(told("deleted_distinct"), 500);
    EXPECT_EQ(told("unauthorized"), 0);
}

// GETs are signed too, without a body; the DELETE form with one.
TEST_F(Credentials, EveryFormOfRequestIsSigned) {
    restart_server("seed: 1\npost_form: false\nfail_always: [id-3]\n", keys);
    key_files();
    settings(by_keys);
    drop("list.txt", list("id", 30));
    ASSERT_EQ(once(), 1) << log();
    EXPECT_EQ(told("deleted_distinct"), 29);
    EXPECT_GE(told("get_requests"), 1);
    EXPECT_EQ(told("unauthorized"), 0);
}

TEST_F(Credentials, AClockTwentyMinutesOffIsLearnedFromOneRefusal) {
    for (const char* skew : {"20m", "-20m"}) {
        restart_server(fmt::format("seed: 1\nclock_skew: {}\n", skew), keys);
        key_files();
        settings(by_keys);
        drop(fmt::format("list{}.txt", skew), list("id", 200));
        ASSERT_EQ(once(), 0) << log();
        EXPECT_EQ(told("deleted_distinct"), 200);
        EXPECT_EQ(told("unauthorized"), 1) << log();
    }
    EXPECT_TRUE(logged("the gateway's clock shows"));
}

TEST_F(Credentials, AWrongSecretKeyBlocksAfterOneBadSignatureAndIsTakenUpWhenTheFileChanges) {
    restart_server("seed: 1\n", keys);
    key_files("nOnSeNsE");
    settings(by_keys);
    drop("list.txt", list("id", 100));
    run_daemon();
    ASSERT_TRUE(eventually([&] { return logged("refuses the signature"); })) << log();
    std::this_thread::sleep_for(std::chrono::seconds(6));  // it looks at the file meanwhile, and sends nothing
    EXPECT_LE(told("unauthorized"), 2);
    EXPECT_EQ(told("deletions"), 0);
    EXPECT_TRUE(logged("the secret key is another than the one it knows")) << log();
    EXPECT_FALSE(logged("nOnSeNsE")) << "no secret in the log";
    secret_file("sk", std::string(good_sk) + "\n");
    EXPECT_TRUE(eventually([&] { return told("deleted_distinct") == 100; })) << log();
    EXPECT_LE(told("unauthorized"), 2);
}

// However often an operator insists: the key is never locked.
TEST_F(Credentials, NoMoreThanFourBadSignaturesWhateverAnOperatorAsksFor) {
    restart_server("seed: 1\n", keys);
    key_files("wrong");
    settings(by_keys);
    drop("job.yaml", "version: 1\nid: j\nids: [a, b]\n");
    run_daemon();
    ASSERT_TRUE(eventually([&] { return told("unauthorized") >= 1; })) << log();
    for (int i = 0; i < 8; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        EXPECT_EQ(ctl({"resume", "j"}), 0);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    EXPECT_EQ(told("unauthorized"), 4) << log();
    EXPECT_TRUE(logged("nothing is signed with this key")) << log();
}

TEST_F(Credentials, WhatOneResumedJobShowsToBeGoodServesAll) {
    secret_file("gateway", "another\n");
    restart_server("seed: 1\ntoken_file: " + here_.path("gateway") + "\n");
    secret_file("token", "ours\n");
    settings("method: token, token_file: HERE/token");
    drop("a.yaml", "version: 1\nid: a\nids: [a1, a2]\n");
    drop("b.yaml", "version: 1\nid: b\nids: [b1, b2]\n");
    run_daemon();
    const auto blocked = [&](const char* job) {
        return read(std::string("journal/") + job + ".jsonl").find("\"job.blocked\"") != std::string::npos;
    };
    ASSERT_TRUE(eventually([&] { return blocked("a") && blocked("b"); })) << log();
    secret_file("gateway", "ours\n");
    EXPECT_EQ(ctl({"resume", "a"}), 0);
    EXPECT_TRUE(eventually([&] { return told("deleted_distinct") == 4; })) << log();
}

// However often somebody starts it: cron, systemd, an operator who does not read.
TEST_F(Credentials, NorDoRestartsMakeItMoreThanFour) {
    restart_server("seed: 1\n", keys);
    key_files("wrong");
    settings(by_keys);
    drop("job.yaml", "version: 1\nid: j\nids: [a, b]\n");
    for (int i = 0; i < 4; ++i) EXPECT_EQ(once(), 75) << log();
    run_daemon();
    EXPECT_TRUE(eventually([&] { return logged("nothing is signed with this key"); })) << log();
    daemon_->kill();
    EXPECT_EQ(told("unauthorized"), 4) << log();
    key_files();  // the right one at last; but if it were not, that would be the fifth
    EXPECT_EQ(once(), 75) << log();
    EXPECT_EQ(told("deletions"), 0);
    fs::remove(here_.path("journal/.refused-keys"));
    EXPECT_EQ(once(), 0) << log();
    EXPECT_EQ(told("unauthorized"), 4) << log();
    EXPECT_EQ(told("deleted_distinct"), 2);
}

TEST_F(Credentials, ATemporaryKeyGoesWithItsSecurityToken) {
    restart_server("seed: 1\nmetadata: {security_token: \"temporary+/==\"}\n", keys);
    key_files();
    secret_file("st", "temporary+/==");
    settings(std::string(by_keys) + ", security_token_file: HERE/st");
    drop("list.txt", list("id", 20));
    ASSERT_EQ(once(), 0) << log();
    EXPECT_EQ(told("unauthorized"), 0);
}

TEST_F(Credentials, IamGivesATokenOfSeveralKilobytes) {
    log_in_by_password("}\n");
    drop("list.txt", list("id", 100));
    ASSERT_EQ(once(), 0) << log();
    EXPECT_EQ(told("deleted_distinct"), 100);
    EXPECT_EQ(calls("iam_token"), 1);
    EXPECT_EQ(told("unauthorized"), 0);
}

TEST_F(Credentials, ATokenIsRenewedAheadOfItsEndAndNoRequestIsRefused) {
    log_in_by_password(", token_lifetime: 2s}\nlatency: 40ms\n");
    drop("list.txt", list("id", 4000));
    ASSERT_EQ(once(), 0) << log();
    EXPECT_EQ(told("deleted_distinct"), 4000);
    EXPECT_GE(calls("iam_token"), 3);
    EXPECT_LE(calls("iam_token"), 8);
    EXPECT_EQ(told("unauthorized"), 0) << log();
}

TEST_F(Credentials, ATokenThatMustBeUpdatedIsFetchedAnewOnce) {
    log_in_by_password("}\nreject_token_after: 10\n");
    drop("list.txt", list("id", 100));
    ASSERT_EQ(once(), 0) << log();
    EXPECT_EQ(told("deleted_distinct"), 100);
    EXPECT_LE(calls("iam_token"), 4) << "20 batches, ten a token; those in flight with an old one start no other login";
}

TEST_F(Credentials, AWrongPasswordIsTriedOnceUntilItIsAnother) {
    log_in_by_password("}\n", "nonsense\n");
    drop("job.yaml", "version: 1\nid: j\nids: [a, b]\n");
    run_daemon();
    ASSERT_TRUE(eventually([&] { return logged("The username or password is wrong."); })) << log();
    EXPECT_EQ(ctl({"resume", "j"}), 0);
    daemon_->signal(SIGHUP);
    std::this_thread::sleep_for(std::chrono::seconds(6));
    EXPECT_EQ(calls("iam_token"), 1) << log();
    EXPECT_FALSE(logged("nonsense"));
    secret_file("pw", "pa ss\"word\n");
    EXPECT_TRUE(eventually([&] { return told("deleted_distinct") == 2; })) << log();
    EXPECT_EQ(calls("iam_token"), 2);
}

TEST_F(Credentials, AnIamThatIsDownIsWaitedFor) {
    log_in_by_password(", fail_first: 2}\n");
    drop("list.txt", list("id", 10));
    ASSERT_EQ(once(), 0) << log();
    EXPECT_EQ(calls("iam_token"), 3);
    EXPECT_FALSE(logged("job.blocked"));
}

TEST_F(Credentials, ThatCannotBeRenewedShowInTheMetrics) {
    log_in_by_password(", fail_first: 12}\n");
    drop("list.txt", list("id", 10));
    run_daemon();
    const auto shows = [this](const std::string& sample) {
        return eventually([&] {
            const std::string all = emulator_test::get_from_socket(here_.path("control.sock"), "/metrics");
            return all.find("\nculld_credentials_" + sample + "\n") != std::string::npos;
        });
    };
    ASSERT_TRUE(eventually([&] { return logged(" watches "); })) << log();
    EXPECT_TRUE(shows("renewal_failing 1")) << log();
    ASSERT_TRUE(eventually([&] { return told("deleted_distinct") == 10; })) << log();
    EXPECT_TRUE(shows("renewal_failing 0"));
    EXPECT_TRUE(shows("renewals_total{result=\"failed\"} 12"));
    EXPECT_TRUE(shows("renewals_total{result=\"renewed\"} 1"));
    EXPECT_TRUE(shows("renewals_total{result=\"refused\"} 0"));
}

TEST_F(Credentials, RootChecksThemForTheUserWhomTheServiceRunsAs) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
    restart_server("seed: 1\n", keys);
    key_files();
    settings(by_keys);
    const auto check = [this] {
        return child(command({"--check-config"}), here_.path("culld.log")).ends_within(patience).value_or(-2);
    };
    constexpr uid_t service = 12345;
    fs::create_directories(here_.path("journal"));
    ASSERT_EQ(::chown(here_.path("ak").c_str(), service, service), 0);
    EXPECT_EQ(check(), 78) << "the journals are root's: so will be the service";
    ASSERT_EQ(::chown(here_.path("journal").c_str(), service, service), 0);
    EXPECT_EQ(check(), 0) << log();
    ASSERT_EQ(::chown(here_.path("sk").c_str(), service + 1, service + 1), 0);
    EXPECT_EQ(check(), 78);
    EXPECT_TRUE(logged(fmt::format("(chown {} '", service))) << log();
    EXPECT_EQ(once(), 78) << "whoever is not that user trusts neither";
}

TEST_F(Credentials, AnAgencyIsActedForByTheUsersToken) {
    log_in_by_password(", agency: ops, agency_domain: customer}\n", "pa ss\"word\n",
                       ", agency: ops, agency_domain: customer");
    drop("list.txt", list("id", 10));
    ASSERT_EQ(once(), 0) << log();
    EXPECT_EQ(calls("iam_token"), 2);
}

TEST_F(Credentials, TheMetadataServiceGivesKeysThatRotate) {
    for (const char* v2 : {"required", "optional", "absent"}) {
        restart_server(fmt::format("seed: 1\nlatency: 40ms\nmetadata: {{v2: {}, rotate: true, lifetime: 2s}}\n", v2),
                       keys);
        settings("method: metadata, metadata: {endpoint: \"EMULATOR\"}");
        drop(fmt::format("list-{}.txt", v2), list("id", 2000));
        ASSERT_EQ(once(), 0) << log();
        EXPECT_EQ(told("deleted_distinct"), 2000);
        EXPECT_GE(calls("metadata"), 4);
        EXPECT_LE(calls("metadata"), 20);
        EXPECT_EQ(told("unauthorized"), 0) << log();
    }
}

TEST_F(Credentials, AHostWithoutAnAgencyIsToldSo) {
    restart_server("seed: 1\nmetadata: {agency: false}\n", keys);
    settings("method: metadata, metadata: {endpoint: \"EMULATOR\"}");
    drop("list.txt", list("id", 5));
    EXPECT_EQ(once(), 75);
    EXPECT_TRUE(logged("Please configure Cloud Service Agency first")) << log();
}

TEST_F(Credentials, AProfileOfTheSdksServes) {
    restart_server("seed: 1\n", keys);
    secret_file("profile",
                fmt::format("[basic]\nak = AKTESTEXAMPLE0000001\nsk = {}\nproject_id = from-profile\n", good_sk));
    settings("method: profile, profile_file: HERE/profile", "workspace_id: w, region: cn-north-4");
    drop("list.txt", list("id", 5));
    ASSERT_EQ(once(), 0) << log();
    EXPECT_EQ(told("unauthorized"), 0);
    EXPECT_EQ(calls("iam_projects"), 0);
    EXPECT_TRUE(logged("from-profile"));
}

TEST_F(Credentials, TheProjectsIdIsLookedUpWhereNoneIsSet) {
    restart_server("seed: 1\niam: {project: cn-north-4, project_id: 77aa, fail_first: 1}\n", keys);
    key_files();
    settings(std::string(by_keys) + ", iam: {endpoint: \"EMULATOR\"}", "workspace_id: w, region: cn-north-4");
    drop("list.txt", list("id", 5));
    ASSERT_EQ(once(), 0) << log();
    EXPECT_EQ(calls("iam_projects"), 2);
    EXPECT_EQ(told("deleted_distinct"), 5);
    std::string journal;
    for (const auto& entry : fs::directory_iterator(here_.path("journal")))
        if (entry.path().filename().string().starts_with("list-"))
            journal = read_small_file(entry.path(), 1U << 20U).value_or("");
    EXPECT_NE(journal.find(R"("project_id":"77aa")"), std::string::npos) << journal.substr(0, 600);
}

TEST_F(Credentials, AProjectThatIamDoesNotKnowRejectsTheJob) {
    restart_server("seed: 1\niam: {project: cn-north-4}\n", keys);
    key_files();
    settings(std::string(by_keys) + ", iam: {endpoint: \"EMULATOR\"}", "workspace_id: w, region: cn-south-1");
    drop("list.txt", list("id", 5));
    EXPECT_EQ(once(), 65) << log();
    EXPECT_TRUE(logged("IAM knows 0 projects named cn-south-1")) << log();
}

TEST_F(Credentials, AJobWithoutAProjectWaitsWhileTheKeyIsRefused) {
    restart_server("seed: 1\niam: {project: cn-north-4}\n", keys);
    key_files("wrong");
    settings(std::string(by_keys) + ", iam: {endpoint: \"EMULATOR\"}", "workspace_id: w, region: cn-north-4");
    drop("list.txt", list("id", 5));
    EXPECT_EQ(once(), 75) << log();
    EXPECT_LE(told("unauthorized"), 2);
    EXPECT_FALSE(fs::exists(here_.path("spool/rejected/list.txt")));
    key_files();
    EXPECT_EQ(once(), 0) << log();
    EXPECT_EQ(told("deleted_distinct"), 5);
}

TEST_F(Credentials, TheSdksVariablesServeADeveloperAndNoService) {
    restart_server("seed: 1\n", keys);
    settings("");
    drop("list.txt", list("id", 5));
    ::setenv("HUAWEICLOUD_SDK_AK", "AKTESTEXAMPLE0000001", 1);
    ::setenv("HUAWEICLOUD_SDK_SK", std::string(good_sk).c_str(), 1);
    EXPECT_EQ(once(), 0) << log();
    ::setenv("INVOCATION_ID", "0123456789abcdef0123456789abcdef", 1);
    drop("again.txt", list("other", 5));
    EXPECT_EQ(once(), 75) << log();  // nothing configured, an API on this machine: sent without, and refused
    for (const char* name : {"HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "INVOCATION_ID"}) ::unsetenv(name);
    EXPECT_EQ(told("deleted_distinct"), 5);
}

}  // namespace
}  // namespace culld::programs

// Each kind of credentials, held against cull-emulator's gateway, IAM and metadata service.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "culld/io/auth/credentials.hpp"
#include "culld/io/auth/project_lookup.hpp"
#include "support/emulator_support.hpp"
#include "support/loop_fixture.hpp"

namespace culld {
namespace {

using emulator_test::emulator;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* ak = "AKTESTEXAMPLE0000001";
constexpr const char* sk = "sKtEsTeXaMpLe0123456789abcdefABCDEF+/0=z";

class CredentialKinds : public testing::Test {
  protected:
    void start(const std::string& scenario, bool keys = true) {
        std::ofstream(scratch_.path("scenario.yaml")) << scenario;
        std::vector<std::string> words{"--scenario", scratch_.path("scenario.yaml")};
        if (keys) words.insert(words.end(), {"--ak", ak, "--sk", sk});
        server_ = std::make_unique<emulator>(words);
        url_ = "http://127.0.0.1:" + std::to_string(server_->port());
        settings_.api.endpoint = settings_.auth.iam.endpoint = settings_.auth.metadata.endpoint = url_;
    }
    std::string secret_file(const std::string& name, std::string_view text, mode_t mode = 0600) {
        std::ofstream(scratch_.path(name)) << text;
        EXPECT_EQ(::chmod(scratch_.path(name).c_str(), mode), 0);
        return scratch_.path(name);
    }
    void key_files() {
        settings_.auth.method = auth_method::aksk;
        settings_.auth.ak_file = secret_file("ak", ak);
        settings_.auth.sk_file = secret_file("sk", sk);
    }
    void login(std::string_view password) {
        settings_.auth.method = auth_method::iam;
        settings_.auth.iam.user = "alice";
        settings_.auth.iam.domain = "acme";
        settings_.auth.iam.password_file = secret_file("pw", password);
        settings_.auth.iam.project = "cn-north-4";
    }
    std::unique_ptr<credentials> make(std::vector<std::string> environment = {}) {
        auto out = make_credentials(settings_, {scratch_.path(), std::move(environment)}, memory_);
        if (!out) throw std::runtime_error(out.error().text());
        return std::move(*out);
    }
    renewal renew(credentials& of, renewal_cause why = renewal_cause::first) { return loop_.wait(of.renew(why)); }
    // Sends one deletion that `by` authenticates; the status.
    int send(credentials& by, nanoseconds late = {}) {
        const std::string authority = "127.0.0.1:" + std::to_string(server_->port());
        const std::string_view body[] = {R"({"batch_ids":[)", R"("a","b")", "]}"};
        std::string text = "POST " + emulator_test::batch_delete + " HTTP/1.1\r\nHost: " + authority +
                           "\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: 23\r\n";
        by.authenticate(text,
                        {.method = "POST",
                         .target = emulator_test::batch_delete,
                         .authority = authority,
                         .content_type = "application/json;charset=UTF-8",
                         .project_id = "p1",
                         .body = body},
                        std::chrono::time_point_cast<wall_time::duration>(wall_now() + late));
        text += "\r\n";
        for (const std::string_view piece : body) text += piece;
        emulator_test::client to(server_->port());
        to.send(text);
        last_ = to.receive();
        return last_.status;
    }

    scratch_folder scratch_;
    std::unique_ptr<emulator> server_;
    std::string url_;
    config settings_;
    std::shared_ptr<credential_memory> memory_ = std::make_shared<credential_memory>();
    looped loop_;
    emulator_test::answer last_;
};

TEST_F(CredentialKinds, KeyFilesSign) {
    start("seed: 1");
    key_files();
    const auto made = make();
    EXPECT_TRUE(made->usable(steady_now()));
    EXPECT_FALSE(made->due(steady_now()));
    EXPECT_EQ(send(*made), 200) << last_.body;
    EXPECT_EQ(send(*made), 200) << "signed afresh";
    EXPECT_THAT(made->describe(), AllOf(HasSubstr(scratch_.path("ak")), Not(HasSubstr(sk))));
}

TEST_F(CredentialKinds, KeyFilesAreReadAgainOnRenewal) {
    start("seed: 1");
    key_files();
    secret_file("sk", "other");
    const auto made = make();
    EXPECT_EQ(send(*made), 401);
    EXPECT_EQ(renew(*made, renewal_cause::look).what, renewal::outcome::unchanged);
    const auto before = made->generation();
    secret_file("sk", sk);
    EXPECT_EQ(renew(*made, renewal_cause::look).what, renewal::outcome::changed);
    EXPECT_GT(made->generation(), before);
    EXPECT_EQ(send(*made), 200) << last_.body;
}

TEST_F(CredentialKinds, AKeyFileThatOthersMayReadIsRefusedByItsSetting) {
    start("seed: 1");
    key_files();
    secret_file("sk", "hush", 0644);
    const auto made = make_credentials(settings_, {}, memory_);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().field, "auth.sk_file");
    EXPECT_THAT(made.error().text(), AllOf(HasSubstr("chmod 0600"), Not(HasSubstr("hush"))));
}

TEST_F(CredentialKinds, TheGatewaysClockIsTakenOver) {
    start("seed: 1\nclock_skew: 20m\n");
    key_files();
    const auto made = make();
    ASSERT_EQ(send(*made), 401);
    const auto before = made->generation();
    const signature_rejection why = read_refusal("APIGW.0301", last_.body);
    ASSERT_EQ(why.kind, refusal_kind::wrong_clock) << last_.body;
    EXPECT_TRUE(made->refused(why, steady_now(), wall_now()));
    EXPECT_GT(made->generation(), before) << "a 401 to what was signed before says nothing of what is signed now";
    EXPECT_EQ(send(*made), 200) << last_.body;
    EXPECT_FALSE(made->refused(why, steady_now(), wall_now()));
    EXPECT_EQ(send(*make()), 200) << "a reload forgets it not";
}

TEST_F(CredentialKinds, ATemporaryKeySendsItsToken) {
    start("seed: 1\nmetadata: {security_token: \"t+/==\"}\n");
    key_files();
    EXPECT_EQ(send(*make()), 401);
    settings_.auth.security_token_file = secret_file("st", "t+/==\n");
    EXPECT_EQ(send(*make()), 200) << last_.body;
}

TEST_F(CredentialKinds, AProfileSigns) {
    start("seed: 1");
    settings_.auth.method = auth_method::profile;
    settings_.auth.profile_file = secret_file(
        "profile", "[basic]\nak = " + std::string(ak) + "\nsk = " + std::string(sk) + "\nproject_id = p9\n");
    const auto made = make();
    EXPECT_EQ(made->project_id(), "p9");
    EXPECT_EQ(send(*made), 200) << last_.body;
    secret_file("profile", "[basic]\nak = a\n");
    const auto bad = make_credentials(settings_, {}, memory_);
    ASSERT_FALSE(bad);
    EXPECT_THAT(bad.error().text(), AllOf(HasSubstr(scratch_.path("profile")), HasSubstr("has no sk")));
}

TEST_F(CredentialKinds, TheSdksEnvironmentNamesKeysAndTheProfile) {
    start("seed: 1");
    const std::vector<std::string> keys{"HUAWEICLOUD_SDK_AK=" + std::string(ak),
                                        "HUAWEICLOUD_SDK_SK=" + std::string(sk)};
    EXPECT_EQ(send(*make(keys)), 200);
    secret_file("mine", "[basic]\nak = " + std::string(ak) + "\nsk = " + std::string(sk) + "\n");
    EXPECT_EQ(send(*make({"HUAWEICLOUD_SDK_CREDENTIALS_FILE=" + scratch_.path("mine")})), 200);
    ASSERT_EQ(::mkdir(scratch_.path(".huaweicloud").c_str(), 0700), 0);
    secret_file(".huaweicloud/credentials", "[basic]\nak = " + std::string(ak) + "\nsk = " + std::string(sk) + "\n");
    EXPECT_EQ(send(*make({"HOME=" + scratch_.path()})), 200);
    EXPECT_EQ(send(*make()), 401) << "nothing is configured, and this machine's own API needs nothing";
}

TEST_F(CredentialKinds, IamLogsIn) {
    start("seed: 1\niam: {user: alice, domain: acme, password: secret, project_id: 77aa, token_bytes: 20000}\n", false);
    login("secret");
    const auto made = make();
    EXPECT_FALSE(made->usable(steady_now())) << "nothing is fetched before it is needed";
    ASSERT_EQ(renew(*made).what, renewal::outcome::changed);
    EXPECT_TRUE(made->usable(steady_now()));
    EXPECT_EQ(made->project_id(), "77aa");
    EXPECT_EQ(send(*made), 200) << last_.body;
    // The one before stays good: those in flight need it.
    EXPECT_EQ(renew(*made, renewal_cause::ahead).what, renewal::outcome::changed);
    EXPECT_EQ(send(*made), 200);
    EXPECT_EQ(renew(*made, renewal_cause::look).what, renewal::outcome::unchanged) << "the password is the same";
}

TEST_F(CredentialKinds, APasswordThatIamRefusedIsNotTriedAgain) {
    start("seed: 1\niam: {user: alice, domain: acme, password: secret}\n", false);
    login("hush");
    const auto made = make();
    for (const auto why : {renewal_cause::first, renewal_cause::refused, renewal_cause::first}) {
        const renewal got = renew(*made, why);
        EXPECT_EQ(got.what, renewal::outcome::refused);
        EXPECT_THAT(got.why.text(), Not(HasSubstr("hush")));
    }
    const auto reloaded = make();
    EXPECT_EQ(renew(*reloaded).what, renewal::outcome::refused);
    EXPECT_EQ(server_->truth().at("unauthorized").to_number<int>(), 1);
    secret_file("pw", "secret");
    EXPECT_EQ(renew(*reloaded, renewal_cause::look).what, renewal::outcome::changed);
    EXPECT_EQ(send(*reloaded), 200);
}

TEST_F(CredentialKinds, AnIamThatFailsIsAskedAgainLater) {
    start("seed: 1\niam: {user: alice, domain: acme, password: secret, fail_first: 1, fail_status: 503}\n", false);
    login("secret");
    const auto made = make();
    EXPECT_EQ(renew(*made).what, renewal::outcome::later);
    EXPECT_EQ(renew(*made, renewal_cause::look).what, renewal::outcome::changed);
    settings_.auth.iam.endpoint = "http://127.0.0.1:1";
    const auto nobody = make();
    const renewal got = renew(*nobody);
    EXPECT_EQ(got.what, renewal::outcome::later);
    EXPECT_THAT(got.why.text(), HasSubstr("127.0.0.1:1"));
}

TEST_F(CredentialKinds, AnAgencysTokenComesByTheUsersToken) {
    start("seed: 1\niam: {user: alice, domain: acme, password: secret, agency: ops, agency_domain: customer}\n", false);
    login("secret");
    settings_.auth.iam.agency = "ops";
    settings_.auth.iam.agency_domain = "customer";
    const auto made = make();
    ASSERT_EQ(renew(*made).what, renewal::outcome::changed);
    EXPECT_EQ(send(*made), 200);
    settings_.auth.iam.agency = "nobody";
    const auto other = make();
    const renewal got = renew(*other);
    EXPECT_EQ(got.what, renewal::outcome::refused);
    EXPECT_THAT(got.why.text(), HasSubstr("Agent Operator"));
}

TEST_F(CredentialKinds, MetadataGivesKeysByEitherVersion) {
    for (const char* v2 : {"optional", "required", "absent"}) {
        start("seed: 1\nmetadata: {rotate: true, v2: " + std::string(v2) + "}\n");
        settings_.auth.method = auth_method::metadata;
        const auto made = make();
        ASSERT_EQ(renew(*made).what, renewal::outcome::changed) << v2;
        EXPECT_EQ(send(*made), 200) << last_.body;
        EXPECT_FALSE(made->due(steady_now() + std::chrono::hours(23)));
        EXPECT_TRUE(made->due(steady_now() + std::chrono::hours(24) - std::chrono::minutes(39)));
    }
}

TEST_F(CredentialKinds, MetadataWithoutAnAgencyAndWithoutAService) {
    start("seed: 1\nmetadata: {agency: false}\n");
    settings_.auth.method = auth_method::metadata;
    auto made = make();
    renewal got = renew(*made);
    EXPECT_EQ(got.what, renewal::outcome::refused);
    EXPECT_THAT(got.why.text(), HasSubstr("bind an agency"));
    EXPECT_EQ(renew(*made, renewal_cause::look).what, renewal::outcome::unchanged) << "not asked again at once";
    settings_.auth.metadata.endpoint = "http://127.0.0.1:1";
    made = make();
    EXPECT_EQ(renew(*made).what, renewal::outcome::later);
    settings_.auth.method = auth_method::automatic;
    settings_.api.endpoint = "https://api.test";
    made = make();
    got = renew(*made);
    EXPECT_EQ(got.what, renewal::outcome::refused);
    EXPECT_THAT(got.why.text(), HasSubstr("no credentials are configured"));
}

TEST_F(CredentialKinds, AProjectIsLookedUpSigned) {
    start("seed: 1\niam: {project: cn-north-4, project_id: 77aa}\n");
    key_files();
    settings_.api.region = "cn-north-4";
    auto lookup = project_lookup::make(settings_, {}).value();
    const auto made = make();
    const auto found = loop_.wait(lookup->ask(*made));
    ASSERT_EQ(found.what, project_lookup::answer::outcome::found) << found.why.text();
    EXPECT_EQ(found.id, "77aa");
    settings_.api.region = "cn-south-1";
    lookup = project_lookup::make(settings_, {}).value();
    EXPECT_EQ(loop_.wait(lookup->ask(*made)).what, project_lookup::answer::outcome::none);
    secret_file("sk", "other");
    const auto wrong = make();
    const auto refused = loop_.wait(lookup->ask(*wrong));
    EXPECT_EQ(refused.what, project_lookup::answer::outcome::unauthorized);
    EXPECT_EQ(refused.refusal.kind, refusal_kind::wrong_signature);
    settings_.api.project_id = "p";
    EXPECT_EQ(project_lookup::make(settings_, {}).value(), nullptr);
}

}  // namespace
}  // namespace culld

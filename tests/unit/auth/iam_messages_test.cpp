#include "culld/core/auth/iam_messages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "culld/core/auth/credential_source.hpp"
#include "culld/core/net/endpoint.hpp"

namespace culld {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(IamMessages, AsksByPasswordForAProject) {
    std::string out;
    append_password_order(out, "alice", "acme", "p\"w",
                          {.project_name = "cn-north-4", .project_id = "7", .domain_name = "acme"});
    EXPECT_EQ(out,
              R"({"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"alice","password":"p\"w",)"
              R"("domain":{"name":"acme"}}}},"scope":{"project":{"name":"cn-north-4"}}}})");
    out.clear();
    append_password_order(out, "a", "b", "c", {.project_name = {}, .project_id = "7", .domain_name = "acme"});
    EXPECT_THAT(out, HasSubstr(R"("scope":{"project":{"id":"7"}})"));
    out.clear();
    append_password_order(out, "a", "b", "c", {.project_name = {}, .project_id = {}, .domain_name = "acme"});
    EXPECT_THAT(out, HasSubstr(R"("scope":{"domain":{"name":"acme"}})"));
}

TEST(IamMessages, AsksForAnAgency) {
    std::string out;
    append_agency_order(out, "ops", "customer", {.project_name = "cn-north-4", .project_id = {}, .domain_name = {}});
    EXPECT_EQ(out, R"({"auth":{"identity":{"methods":["assume_role"],"assume_role":{"domain_name":"customer",)"
                   R"("agency_name":"ops"}},"scope":{"project":{"name":"cn-north-4"}}}})");
}

TEST(IamMessages, ReadsATokensLifeAndProject) {
    const auto got = read_token_answer(
        R"({"token":{"expires_at":"2020-01-04T09:05:22.701000Z","issued_at":"2020-01-03T09:05:22.701000Z",)"
        R"("methods":["password"],"project":{"id":"p1","name":"cn-north-4","domain":{"id":"d"}},"catalog":[{"a":[1]}]}})");
    ASSERT_TRUE(got);
    EXPECT_EQ(got->expires - got->issued.value(), std::chrono::hours(24));
    EXPECT_EQ(got->project_id, "p1");
    for (const char* bad : {"", "[]", "{}", R"({"token":1})", R"({"token":{"expires_at":"tomorrow"}})", "<html>"})
        EXPECT_FALSE(read_token_answer(bad)) << bad;
}

TEST(IamMessages, ReadsTemporaryKeys) {
    const auto got = read_temporary_keys(
        R"({"credential":{"access":"AK","secret":"S\/K","securitytoken":"t==","expires_at":"2020-01-08T02:56:19.587000Z"}})");
    ASSERT_TRUE(got);
    EXPECT_EQ(got->access, "AK");
    EXPECT_EQ(got->secret, "S/K");
    EXPECT_EQ(got->security_token, "t==");
    EXPECT_EQ(rfc3339(got->expires), "2020-01-08T02:56:19.587000Z");
    const auto bad =
        read_temporary_keys(R"({"credential":{"access":"","secret":"hush","expires_at":"2020-01-08T02:56:19Z"}})");
    ASSERT_FALSE(bad);
    EXPECT_THAT(bad.error().text(), Not(HasSubstr("hush")));
}

TEST(IamMessages, TakesTheOneProjectAndNoOther) {
    EXPECT_EQ(read_projects(R"({"projects":[{"id":"p1","name":"cn-north-4"}]})", "cn-north-4"), "p1");
    const auto none = read_projects(R"({"projects":[]})", "cn-north-4");
    ASSERT_FALSE(none);
    EXPECT_THAT(none.error().text(), AllOf(HasSubstr("0 projects named cn-north-4"), HasSubstr("api.project_id")));
    EXPECT_THAT(read_projects(R"({"projects":[{"id":"a"},{"id":"b"}]})", "x").error().text(), HasSubstr("2 projects"));
    EXPECT_FALSE(read_projects("{}", "x"));
}

TEST(Profile, HoldsTheKeysOfItsBasicSection) {
    const auto got = read_profile(
        "# mine\n[global]\nak = G\n\n[basic]\r\nak = AK1\nsk=a+b/c==\nsecurity_token : t\n"
        "project_id = p1\nunknown = x\n");
    ASSERT_TRUE(got);
    EXPECT_EQ(got->ak, "AK1");
    EXPECT_EQ(got->sk, "a+b/c==");
    EXPECT_EQ(got->security_token, "t");
    EXPECT_EQ(got->project_id, "p1");
}

TEST(Profile, NamesWhatIsMissingAndNoSecret) {
    EXPECT_THAT(read_profile("[global]\nak=a\nsk=hush\n").error().text(),
                AllOf(HasSubstr("[basic]"), Not(HasSubstr("hush"))));
    EXPECT_THAT(read_profile("[basic]\nsk=hush\n").error().text(),
                AllOf(HasSubstr("has no ak"), Not(HasSubstr("hush"))));
    EXPECT_THAT(read_profile("[basic]\nak=a\n").error().text(), HasSubstr("has no sk"));
    EXPECT_THAT(read_profile("[basic]\nidp_id=a\nid_token_file=b\n").error().text(), HasSubstr("identity provider"));
    EXPECT_FALSE(read_profile(""));
}

class CredentialChoice : public testing::Test {
  protected:
    config settings_;
    credential_surroundings around_;
    [[nodiscard]] credential_source chosen() const { return choose_credentials(settings_, around_); }
};

TEST_F(CredentialChoice, AutoTakesTheSdksOrderBehindWhatIsConfigured) {
    EXPECT_EQ(chosen(), credential_source::metadata);
    around_.profile_exists = true;
    EXPECT_EQ(chosen(), credential_source::profile);
    around_.keys_in_environment = true;
    EXPECT_EQ(chosen(), credential_source::environment);
    settings_.auth.iam.user = "u";
    EXPECT_EQ(chosen(), credential_source::password);
    settings_.auth.ak_file = "ak";
    EXPECT_EQ(chosen(), credential_source::key_files);
    settings_.auth.token_file = "t";
    EXPECT_EQ(chosen(), credential_source::token_file);
}

TEST_F(CredentialChoice, AServiceDoesNotLookAtItsEnvironment) {
    around_.keys_in_environment = true;
    around_.service = true;
    EXPECT_EQ(chosen(), credential_source::metadata);
}

TEST_F(CredentialChoice, ThisMachinesOwnApiNeedsNone) {
    around_.plain_http = true;
    EXPECT_EQ(chosen(), credential_source::none);
    settings_.auth.method = auth_method::metadata;
    EXPECT_EQ(chosen(), credential_source::metadata);
}

TEST_F(CredentialChoice, AMethodThatIsSetIsTheOne) {
    settings_.auth.token_file = "t";
    around_.keys_in_environment = true;
    for (const auto& [method, source] : {std::pair(auth_method::iam, credential_source::password),
                                         std::pair(auth_method::aksk, credential_source::key_files),
                                         std::pair(auth_method::profile, credential_source::profile),
                                         std::pair(auth_method::metadata, credential_source::metadata),
                                         std::pair(auth_method::token, credential_source::token_file)}) {
        settings_.auth.method = method;
        EXPECT_EQ(chosen(), source);
    }
}

TEST_F(CredentialChoice, AProjectIsLookedUpByItsNameOrTheRegionsWhereNoIdIsSet) {
    EXPECT_EQ(project_to_look_up(settings_), "");
    settings_.api.region = "cn-north-4";
    EXPECT_EQ(project_to_look_up(settings_), "cn-north-4");
    settings_.auth.iam.project = "cn-north-4_sec";
    EXPECT_EQ(project_to_look_up(settings_), "cn-north-4_sec");
    settings_.api.project_id = "p";
    EXPECT_EQ(project_to_look_up(settings_), "");
}

TEST(MetadataEndpoint, IsPlainHttpOnThisMachinesLink) {
    EXPECT_TRUE(parse_metadata_endpoint("http://169.254.169.254"));
    EXPECT_TRUE(parse_metadata_endpoint("http://127.0.0.1:8080"));
    for (const char* bad : {"https://169.254.169.254", "http://169.255.1.1", "http://169.254.evil.example",
                            "http://10.0.0.1", "169.254.169.254", ""})
        EXPECT_FALSE(parse_metadata_endpoint(bad)) << bad;
    EXPECT_FALSE(parse_endpoint("http://169.254.169.254")) << "for the API it is no loopback";
}

}  // namespace
}  // namespace culld

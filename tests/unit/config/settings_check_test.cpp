#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "culld/core/config/settings.hpp"

namespace culld {
namespace {

using testing::HasSubstr;

using settings_given = std::vector<std::pair<std::string_view, std::string_view>>;

// A configuration with a region and `given`, each written in a line of its own.
sourced_config with(const settings_given& given, bool region = true) {
    sourced_config c;
    std::uint64_t line = 0;
    const auto set = [&](std::string_view name, std::string_view value) {
        const setting* s = find_setting(name);
        ASSERT_NE(s, nullptr) << name;
        ASSERT_TRUE(s->assign(c.values, value)) << name;
        c.origins[s->name] = {"f.yaml", ++line, 3};
    };
    if (region) set("api.region", "cn-north-4");
    for (const auto& [name, value] : given) set(name, value);
    derive_settings(c.values);
    return c;
}

std::vector<std::string> faults(const settings_given& given, bool region = true) {
    std::vector<std::string> out;
    for (const problem& p : check_config(with(given, region))) out.push_back(p.text());
    return out;
}

TEST(ConfigCheck, ARegionIsEnough) {
    EXPECT_THAT(faults({}), testing::IsEmpty());
}

TEST(ConfigCheck, TheRegionGivesTheEndpoints) {
    const config c = with({}).values;
    EXPECT_EQ(c.api.endpoint, "https://secmaster.cn-north-4.myhuaweicloud.com");
    EXPECT_EQ(c.auth.iam.endpoint, "https://iam.cn-north-4.myhuaweicloud.com");
    EXPECT_EQ(with({{"api.endpoint", "https://other"}}).values.api.endpoint, "https://other");
}

TEST(ConfigCheck, WithoutEndpointAndRegionNothingCanBeAsked) {
    EXPECT_THAT(faults({}, false), testing::ElementsAre(HasSubstr("neither api.endpoint nor api.region is set")));
}

TEST(ConfigCheck, ARegionThatIsNoPartOfAHostNameGivesNoEndpoint) {
    for (const char* bad : {"cn_north", "a.b", "evil.com/", "-x", "x-", "a b"}) {
        EXPECT_THAT(faults({{"api.region", bad}}, false), testing::ElementsAre(HasSubstr("f.yaml:1:3: api.region")))
            << bad;
        EXPECT_EQ(with({{"api.region", bad}}, false).values.api.endpoint, "");
    }
}

TEST(ConfigCheck, EndpointsAreHttpsOrLoopback) {
    for (const char* good :
         {"https://a.example", "https://a.example:8443", "https://10.0.0.1", "https://[2001:db8::1]:1",
          "http://127.0.0.1:1", "http://127.255.3.4", "http://localhost:65535", "http://[::1]:80"})
        EXPECT_THAT(faults({{"api.endpoint", good}}), testing::IsEmpty()) << good;
    for (const auto& [bad, why] :
         std::vector<std::pair<const char*, const char*>>{{"a.example", "must begin with https://"},
                                                          {"ftp://a.example", "must begin with https://"},
                                                          {"HTTPS://a.example", "must begin with https://"},
                                                          {"http://a.example", "must be https"},
                                                          {"http://127.0.0.1.evil.example", "must be https"},
                                                          {"http://127.1", "must be https"},
                                                          {"http://127.0.0.256", "must be https"},
                                                          {"http://localhost.evil.example", "must be https"},
                                                          {"http://[::2]", "must be https"},
                                                          {"https://u:p@a.example", "must not hold a user"},
                                                          {"http://localhost@evil.example", "must not hold a user"},
                                                          {"https://a.example/", "must end after the host"},
                                                          {"https://a.example/v1", "must end after the host"},
                                                          {"https://a.example?x=1", "must end after the host"},
                                                          {"https://a.example#x", "must end after the host"},
                                                          {"https://", "no valid host"},
                                                          {"https://a b", "no valid host"},
                                                          {"https://a:port", "no valid host"},
                                                          {"https://a:0", "no valid host"},
                                                          {"https://a:65536", "no valid host"},
                                                          {"https://a:", "no valid host"},
                                                          {"https://[::1", "no valid host"},
                                                          {"https://::1", "no valid host"}}) {
        EXPECT_THAT(faults({{"api.endpoint", bad}}), testing::ElementsAre(HasSubstr(why))) << bad;
        EXPECT_THAT(faults({{"auth.iam.endpoint", bad}}), testing::ElementsAre(HasSubstr(why))) << bad;
    }
}

TEST(ConfigCheck, NamesOfTheApiHaveAForm) {
    EXPECT_THAT(faults({{"api.project_id", "3bb27e-A"}, {"api.workspace_id", std::string(64, 'a')}}),
                testing::IsEmpty());
    for (const std::string_view bad : {"a/b", "../x", "a b", "a_b", "a%2f"}) {
        EXPECT_THAT(faults({{"api.project_id", bad}}), testing::ElementsAre(HasSubstr("f.yaml:2:3: api.project_id")));
        EXPECT_THAT(faults({{"api.workspace_id", bad}}), testing::SizeIs(1));
    }
    EXPECT_THAT(faults({{"api.project_id", std::string(65, 'a')}}), testing::SizeIs(1));
}

TEST(ConfigCheck, AProxyIsPlainHttpWithoutAPassword) {
    EXPECT_THAT(faults({{"api.proxy", "http://proxy.example:3128"}}), testing::IsEmpty());
    EXPECT_THAT(faults({{"api.proxy", "http://proxy.example:3128/"}}), testing::IsEmpty());
    EXPECT_THAT(faults({{"api.proxy", "http://u:p@proxy.example"}}), testing::ElementsAre(HasSubstr("by file only")));
    for (const char* bad : {"proxy.example:3128", "https://proxy.example", "socks5://p", "http://"})
        EXPECT_THAT(faults({{"api.proxy", bad}}), testing::ElementsAre(HasSubstr("api.proxy: the proxy "))) << bad;
}

TEST(ConfigCheck, AMethodHasWhatItNeeds) {
    EXPECT_THAT(faults({{"auth.method", "token"}}),
                testing::ElementsAre(HasSubstr("f.yaml:2:3: auth.token_file is needed with auth.method: token")));
    EXPECT_THAT(faults({{"auth.method", "iam"}}), testing::SizeIs(3));
    EXPECT_THAT(faults({{"auth.method", "aksk"}, {"auth.ak_file", "ak"}}),
                testing::ElementsAre(HasSubstr("auth.sk_file is needed")));
    EXPECT_THAT(faults({{"auth.method", "metadata"}}), testing::IsEmpty());
}

TEST(ConfigCheck, AHalfWrittenLoginIsNotPassedOver) {
    EXPECT_THAT(faults({{"auth.ak_file", "ak"}}), testing::ElementsAre(HasSubstr("without auth.sk_file")));
    EXPECT_THAT(faults({{"auth.sk_file", "sk"}}), testing::ElementsAre(HasSubstr("without auth.ak_file")));
    EXPECT_THAT(faults({{"auth.security_token_file", "t"}}), testing::SizeIs(1));
    EXPECT_THAT(faults({{"auth.iam.user", "u"}, {"auth.iam.domain", "d"}}),
                testing::ElementsAre(HasSubstr("auth.iam.user is set without auth.iam.password_file"),
                                     HasSubstr("auth.iam.domain is set without auth.iam.password_file")));
    EXPECT_THAT(faults({{"auth.ak_file", "ak"}, {"auth.sk_file", "sk"}}), testing::IsEmpty());
}

TEST(ConfigCheck, DelaysAndTimeoutsAreInOrder) {
    EXPECT_THAT(faults({{"retry.base_delay", "2m"}}),
                testing::ElementsAre("f.yaml:2:3: retry.base_delay (2m) must be at most retry.max_delay (1m)"));
    EXPECT_THAT(faults({{"retry.max_delay", "100ms"}}),
                testing::ElementsAre(HasSubstr("f.yaml:2:3: retry.base_delay (500ms) must be at most")));
    EXPECT_THAT(faults({{"retry.give_up_after", "1s"}}), testing::SizeIs(1));
    EXPECT_THAT(faults({{"api.connect_timeout", "31s"}}), testing::SizeIs(1));
}

TEST(ConfigCheck, SpoolAndJournalAreApart) {
    EXPECT_THAT(faults({{"spool.dir", "/x"}, {"journal.dir", "/x"}}), testing::SizeIs(1));
    EXPECT_THAT(faults({{"spool.dir", "/x/"}, {"journal.dir", "/x/journal"}}), testing::SizeIs(1));
    EXPECT_THAT(faults({{"spool.dir", "/x/spool"}, {"journal.dir", "/x"}}), testing::SizeIs(1));
    EXPECT_THAT(faults({{"spool.dir", "/x/spool"}, {"journal.dir", "/x/spool2"}}), testing::IsEmpty());
    EXPECT_THAT(faults({{"spool.dir", ""}}), testing::ElementsAre(HasSubstr("spool.dir must not be empty")));
}

TEST(ConfigCheck, AddressesAndSocketsCanBeBound) {
    for (const char* good : {"127.0.0.1:0", "[::1]:9464", "localhost:1", "0.0.0.0:9464", ""})
        EXPECT_THAT(faults({{"http.listen", good}}), testing::IsEmpty()) << good;
    for (const char* bad : {"9464", ":9464", "127.0.0.1", "127.0.0.1:99999", "a b:1", "http://127.0.0.1:1"})
        EXPECT_THAT(faults({{"http.listen", bad}}), testing::SizeIs(1)) << bad;
    EXPECT_THAT(faults({{"http.socket", std::string(107, 'a')}}), testing::IsEmpty());
    EXPECT_THAT(faults({{"http.socket", std::string(108, 'a')}}), testing::SizeIs(1));
    EXPECT_THAT(faults({{"http.socket", ""}}), testing::SizeIs(1));
}

TEST(ConfigCheck, AnIamLoginNeedsAProjectToActIn) {
    const settings_given login{{"api.endpoint", "https://a.example"},
                               {"auth.method", "iam"},
                               {"auth.iam.user", "u"},
                               {"auth.iam.domain", "d"},
                               {"auth.iam.password_file", "p"}};
    EXPECT_THAT(faults(login, false), testing::ElementsAre(HasSubstr("f.yaml:2:3: auth.iam.project is needed")));
    EXPECT_THAT(faults(login), testing::IsEmpty());
    for (const char* enough : {"api.project_id", "auth.iam.project"}) {
        settings_given more = login;
        more.emplace_back(enough, "p");
        EXPECT_THAT(faults(more, false), testing::IsEmpty()) << enough;
    }
}

TEST(ConfigCheck, AnAgencyIsNamedWithItsAccount) {
    EXPECT_THAT(faults({{"auth.iam.agency", "a"}}), testing::ElementsAre(HasSubstr("without auth.iam.agency_domain")));
    EXPECT_THAT(faults({{"auth.iam.agency_domain", "a"}}), testing::ElementsAre(HasSubstr("without auth.iam.agency")));
    EXPECT_THAT(faults({{"auth.iam.agency", "a"}, {"auth.iam.agency_domain", "b"}}), testing::IsEmpty());
}

TEST(ConfigCheck, MetadataComesFromThisMachinesLink) {
    EXPECT_THAT(faults({{"auth.metadata.endpoint", "http://127.0.0.1:8080"}}), testing::IsEmpty());
    EXPECT_THAT(faults({{"auth.metadata.endpoint", "http://10.0.0.1"}}),
                testing::ElementsAre(HasSubstr("f.yaml:2:3: auth.metadata.endpoint")));
}

TEST(ConfigCheck, AllFaultsAreNamed) {
    EXPECT_THAT(faults({{"api.endpoint", "x"}, {"api.project_id", "/"}, {"http.listen", "x"}, {"ids.pattern", ""}}),
                testing::SizeIs(4));
}

TEST(ConfigCheck, FurtherChecksTakePart) {
    const config_check further = [](const sourced_config& c, std::vector<problem>& out) {
        if (c.values.ids.pattern == "(") out.push_back(problem_at(c, "ids.pattern", "no regular expression"));
    };
    const auto found = check_config(with({{"ids.pattern", "("}}), {&further, 1});
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found.front().text(), "f.yaml:2:3: no regular expression");
}

TEST(ConfigWarnings, TellOfWhatMayNotBeMeant) {
    EXPECT_TRUE(config_warnings(with({})).empty());
    EXPECT_TRUE(config_warnings(with({{"http.listen", ""}})).empty());
    EXPECT_THAT(config_warnings(with({{"http.listen", "0.0.0.0:9464"}})).at(0).text(),
                HasSubstr("f.yaml:2:3: the status page and the metrics are open to the network"));
    EXPECT_EQ(config_warnings(with({{"auth.method", "metadata"}, {"auth.token_file", "t"}})).size(), 1U);
}

}  // namespace
}  // namespace culld

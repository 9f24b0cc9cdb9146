#include "culld/core/net/proxy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace culld {
namespace {

using testing::HasSubstr;
using testing::Not;

api_endpoint api(std::string_view url = "https://secmaster.example.com") {
    return parse_endpoint(url).value();
}

std::optional<proxy_endpoint> chosen(std::string_view configured, const proxy_environment& environment,
                                     std::string_view url = "https://secmaster.example.com") {
    return choose_proxy(configured, {}, environment, api(url)).value();
}

TEST(Proxy, TheConfiguredOneIsAlwaysUsed) {
    const auto via = chosen("http://[::1]:3128/", {.https_proxy = "http://other:1", .no_proxy = "*"});
    ASSERT_TRUE(via);
    EXPECT_EQ(via->host, "::1");
    EXPECT_EQ(via->port, "3128");
    EXPECT_EQ(via->authorization, "");
    EXPECT_TRUE(chosen("http://proxy.example", {}, "http://127.0.0.1:80"));
}

TEST(Proxy, TheEnvironmentNamesOneForWhatIsNotOurOwnMachine) {
    const proxy_environment set{.https_proxy = "http://proxy.example", .no_proxy = ""};
    ASSERT_TRUE(chosen("", set));
    EXPECT_EQ(chosen("", set)->port, "80");
    for (const char* url : {"https://localhost", "https://127.0.0.1:8443", "https://[::1]", "http://127.0.0.1"})
        EXPECT_FALSE(chosen("", set, url)) << url;
    EXPECT_FALSE(chosen("", {}));
}

TEST(Proxy, NoProxyExceptsNamesTheirSubdomainsAddressesNetworksAndPorts) {
    const auto excepted = [](const char* list, const char* host) { return is_excepted(list, host, "443"); };
    EXPECT_TRUE(excepted("*", "a.example"));
    EXPECT_TRUE(excepted("other, a.example", "a.example"));
    EXPECT_TRUE(excepted("EXAMPLE", "a.example"));
    EXPECT_TRUE(excepted(".example", "a.example"));
    EXPECT_TRUE(excepted("*.example", "a.example"));
    EXPECT_TRUE(excepted("a.example:443", "a.example"));
    EXPECT_TRUE(excepted("10.0.0.0/8", "10.1.2.3"));
    EXPECT_TRUE(excepted("10.1.2.0/23", "10.1.3.4"));
    EXPECT_TRUE(excepted("10.1.2.3", "10.1.2.3"));
    EXPECT_TRUE(excepted("fd00::/8", "fd12::1"));
    EXPECT_TRUE(excepted("[fd12::1]:443", "fd12::1"));
    EXPECT_TRUE(excepted("fd12:0::1", "fd12::1"));
    EXPECT_FALSE(excepted("", "a.example"));
    EXPECT_FALSE(excepted("b.example", "a.example"));
    EXPECT_FALSE(excepted("example", "anexample"));
    EXPECT_FALSE(excepted("a.example:80", "a.example"));
    EXPECT_FALSE(excepted("10.0.0.0/8", "11.1.2.3"));
    EXPECT_FALSE(excepted("10.1.2.0/23", "10.1.4.1"));
    EXPECT_FALSE(excepted("10.0.0.0/40", "10.0.0.1"));
    EXPECT_FALSE(excepted("10.0.0.0/8x", "10.0.0.1"));
    EXPECT_FALSE(excepted("0.0.0.0/0", "fd12::1"));
    EXPECT_FALSE(excepted("..,:,/,[]", "a.example"));
}

TEST(Proxy, ALoginComesFromAFileOrTheEnvironmentAndNeverFromTheConfiguration) {
    const auto by_file = choose_proxy("http://proxy:1", "Aladdin:open sesame", {}, api());
    EXPECT_EQ(by_file.value()->authorization, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==") << "RFC 7617, section 2";
    const auto by_environment = chosen("", {.https_proxy = "http://Aladdin:open%20sesame@proxy:1", .no_proxy = ""});
    EXPECT_EQ(by_environment->authorization, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    EXPECT_EQ(by_environment->host, "proxy");
    EXPECT_THAT(parse_proxy("http://u:p@proxy", false).error().what, HasSubstr("by file only"));
    EXPECT_FALSE(choose_proxy("http://proxy:1", "nocolon", {}, api()));
    EXPECT_FALSE(choose_proxy("http://proxy:1", "a:b\r\nEvil: 1", {}, api()));
}

TEST(Proxy, WhatIsNoProxyIsRefusedWithoutRepeatingIt) {
    for (const char* bad : {"proxy:3128", "https://proxy", "socks5://proxy", "http://", "http://proxy:0",
                            "http://proxy/path", "http://hush@proxy", "http://:hush@proxy", "http://u:hush%zz@proxy",
                            "http://u:hush%0a@proxy", "http://u:hush%1@proxy"}) {
        const auto refused = parse_proxy(bad, true);
        ASSERT_FALSE(refused) << bad;
        EXPECT_THAT(refused.error().text(), Not(HasSubstr("hush")));
    }
}

}  // namespace
}  // namespace culld

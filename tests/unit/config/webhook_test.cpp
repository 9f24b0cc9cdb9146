// Where notifications go: the URL, and what must hold between the settings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "culld/core/config/settings.hpp"
#include "culld/core/net/endpoint.hpp"

namespace culld {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Webhook, IsAHostWithAPath) {
    const auto w = parse_webhook("https://hooks.example:8443/services/T0/B0?x=1&y=/2");
    ASSERT_TRUE(w);
    EXPECT_TRUE(w->to.tls);
    EXPECT_EQ(w->to.host, "hooks.example");
    EXPECT_EQ(w->to.port, "8443");
    EXPECT_EQ(w->to.authority, "hooks.example:8443");
    EXPECT_EQ(w->target, "/services/T0/B0?x=1&y=/2");
    EXPECT_EQ(parse_webhook("https://h")->target, "/");
    EXPECT_EQ(parse_webhook("https://h?x=1")->target, "/?x=1");
    EXPECT_FALSE(w->plain());
}

TEST(Webhook, MayBePlainHttpAndSaysSo) {
    EXPECT_TRUE(parse_webhook("http://alerts.example:9093/x")->plain());
    EXPECT_FALSE(parse_webhook("http://127.0.0.1:9093/x")->plain()) << "nobody listens in on loopback";
    EXPECT_EQ(parse_webhook("http://alerts.example/x")->to.port, "80");
}

TEST(Webhook, RefusalsNeverHoldItsPath) {
    for (const char* bad :
         {"hooks.example/SECRET", "ftp://h/SECRET", "https:///SECRET", "https://u:SECRET@h/x", "https://SECRET@h",
          "https://h/SECRET#x", "https://h/SECRET x", "https://h:0/SECRET", "https://h:x/SECRET",
          "https://h/SECRET\x7f", "https://h/SECRET\xC3\xA4", "https://h_/SECRET", "", "://SECRET"}) {
        const auto w = parse_webhook(bad);
        ASSERT_FALSE(w) << bad;
        EXPECT_EQ(w.error().text().find("SECRET"), std::string::npos) << w.error().text();
    }
}

std::vector<std::string> complaints(const std::vector<std::pair<std::string_view, std::string_view>>& given) {
    sourced_config c;
    EXPECT_TRUE(find_setting("api.region")->assign(c.values, "cn-north-4"));
    for (const auto& [name, value] : given) EXPECT_TRUE(find_setting(name)->assign(c.values, value)) << name;
    derive_settings(c.values);
    std::vector<std::string> out;
    for (const problem& p : check_config(c)) out.push_back(p.text());
    return out;
}

TEST(NotifySettings, BelongTogether) {
    EXPECT_THAT(complaints({{"notify.command", "/bin/x,y"}, {"notify.webhook", "http://h/x"}}), IsEmpty());
    EXPECT_THAT(complaints({{"notify.command", "x"}}), ElementsAre(HasSubstr("by a whole path, not x")));
    EXPECT_THAT(complaints({{"notify.header_file", "x"}}), ElementsAre(HasSubstr("without notify.webhook")));
    EXPECT_THAT(complaints({{"notify.header_file", "x"}, {"notify.webhook_file", "y"}}), IsEmpty());
    EXPECT_THAT(complaints({{"notify.webhook", "https://h"}, {"notify.webhook_file", "y"}}),
                ElementsAre(HasSubstr("both set")));
    EXPECT_THAT(complaints({{"notify.webhook", "h"}}), ElementsAre(HasSubstr("notify.webhook: it does not begin")));
    EXPECT_THAT(complaints({{"notify.webhook", "http://h/x"}, {"notify.header_file", "x"}}),
                ElementsAre(HasSubstr("in the clear")));
    EXPECT_THAT(complaints({{"notify.webhook", "http://[::1]/x"}, {"notify.header_file", "x"}}), IsEmpty());
}

TEST(NotifySettings, KnowTheirWords) {
    config c;
    EXPECT_THAT(find_setting("notify.on")->assign(c, "finished, block").error().text(),
                HasSubstr("a list of finished, failed, blocked, rejected, not \"block\" (did you mean \"blocked\"?)"));
}

}  // namespace
}  // namespace culld

#include "culld/core/config/settings.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <set>

namespace culld {
namespace {

// For each setting: texts it takes with the JSON they become, and texts it refuses.
struct row {
    const char* name;
    std::vector<std::pair<const char*, const char*>> good;
    std::vector<const char*> bad;
};

const std::vector<const char*> no_count{
    "", " 5", "5 ", "-1", "+5", "5.0", "5e1", "0x10", "1_000", "many", "18446744073709551616"};
const std::vector<const char*> no_duration{"", "5", "s", "-1s", "5 s", "1e3s", "367d", "never"};

std::vector<const char*> also(std::vector<const char*> all, std::initializer_list<const char*> more) {
    all.insert(all.end(), more);
    return all;
}

const std::vector<row>& rows() {
    static const std::vector<row> all = [] {
        std::vector<row> out;
        for (const char* name : {"api.endpoint",
                                 "api.region",
                                 "api.project_id",
                                 "api.workspace_id",
                                 "api.ca_file",
                                 "api.client_cert_file",
                                 "api.client_key_file",
                                 "api.proxy",
                                 "api.proxy_login_file",
                                 "auth.token_file",
                                 "auth.ak_file",
                                 "auth.sk_file",
                                 "auth.security_token_file",
                                 "auth.profile_file",
                                 "auth.iam.endpoint",
                                 "auth.iam.user",
                                 "auth.iam.domain",
                                 "auth.iam.password_file",
                                 "auth.iam.project",
                                 "auth.iam.agency",
                                 "auth.iam.agency_domain",
                                 "auth.metadata.endpoint",
                                 "spool.dir",
                                 "journal.dir",
                                 "journal.signing_key_file",
                                 "journal.public_key_file",
                                 "ids.pattern",
                                 "ids.protected_file",
                                 "http.listen",
                                 "notify.webhook",
                                 "notify.webhook_file",
                                 "notify.header_file",
                                 "http.socket"})
            out.push_back({name, {{"some text", R"("some text")"}, {"", R"("")"}}, {"a\nb", "a\x1b", "\xFF"}});
        out.push_back({"api.method",
                       {{"auto", R"("auto")"}, {"post", R"("post")"}, {"delete", R"("delete")"}},
                       {"", "POST", "get"}});
        out.push_back({"auth.method",
                       {{"auto", R"("auto")"},
                        {"token", R"("token")"},
                        {"iam", R"("iam")"},
                        {"aksk", R"("aksk")"},
                        {"metadata", R"("metadata")"},
                        {"profile", R"("profile")"}},
                       {"", "ak", "Token"}});
        out.push_back({"log.level",
                       {{"trace", R"("trace")"},
                        {"debug", R"("debug")"},
                        {"info", R"("info")"},
                        {"warn", R"("warn")"},
                        {"error", R"("error")"}},
                       {"", "INFO", "warning", "off"}});
        out.push_back(
            {"log.format",
             {{"auto", R"("auto")"}, {"text", R"("text")"}, {"json", R"("json")"}, {"journald", R"("journald")"}},
             {"", "xml"}});
        out.push_back({"batch.size", {{"1", "1"}, {"999", "999"}}, also(no_count, {"0", "1000"})});
        out.push_back({"limits.burst", {{"1", "1"}, {"10000", "10000"}}, also(no_count, {"0", "10001"})});
        out.push_back({"limits.concurrency", {{"1", "1"}, {"256", "256"}}, also(no_count, {"0", "257"})});
        out.push_back({"limits.max_ids_per_job",
                       {{"0", "0"}, {"1000000000000", "1000000000000"}},
                       also(no_count, {"1000000000001"})});
        out.push_back({"retry.max_attempts", {{"1", "1"}, {"100", "100"}}, also(no_count, {"0", "101"})});
        out.push_back({"breaker.failures", {{"1", "1"}, {"1000000", "1000000"}}, also(no_count, {"0"})});
        out.push_back({"limits.requests_per_second",
                       {{"0.1667", "0.1667"}, {"5", "5"}, {"100000", "100000"}, {"0.00001", "0.00001"}},
                       {"", "0", "-1", "nan", "inf", "1e3", "100001", "0.000001", "5/s", "ten"}});
        out.push_back({"limits.adaptive", {{"true", "true"}, {"false", "false"}}, {"", "yes", "on", "1", "True"}});
        for (const char* name : {"api.connect_timeout", "api.request_timeout", "retry.base_delay", "retry.max_delay",
                                 "retry.give_up_after", "breaker.probe", "retry.blocked_probe"})
            out.push_back({name, {{"1.5s", R"("1500ms")"}, {"24h", R"("1d")"}}, also(no_duration, {"0s", "1us"})});
        out.push_back({"spool.rescan", {{"100ms", R"("100ms")"}}, also(no_duration, {"0s", "99ms"})});
        out.push_back({"spool.sidecar_wait", {{"0s", R"("0s")"}, {"1m", R"("1m")"}}, no_duration});
        out.push_back({"jobs.require_labels",
                       {{"", "[]"}, {"ticket", R"(["ticket"])"}, {"a, b", R"(["a","b"])"}},
                       {",", "a,,b", "a,", "a\n"}});
        out.push_back(
            {"notify.command", {{"", "[]"}, {"/bin/true,-x", R"(["/bin/true","-x"])"}}, {",", "/a,,b", "/a\n"}});
        out.push_back({"notify.on",
                       {{"", "[]"}, {"blocked, failed", R"(["blocked","failed"])"}},
                       {",", "block", "failed,Blocked", "all"}});
        out.push_back({"notify.timeout", {{"100ms", R"("100ms")"}}, also(no_duration, {"0s", "99ms"})});
        out.push_back({"notify.attempts", {{"1", "1"}, {"100", "100"}}, also(no_count, {"0", "101"})});
        return out;
    }();
    return all;
}

TEST(Settings, EachHasARowInThisTest) {
    std::set<std::string_view> tested;
    for (const row& r : rows()) tested.insert(r.name);
    for (const setting& s : settings()) EXPECT_TRUE(tested.contains(s.name)) << s.name;
    EXPECT_EQ(tested.size(), settings().size());
}

TEST(Settings, EachTakesWhatItShould) {
    for (const row& r : rows()) {
        const setting* s = find_setting(r.name);
        ASSERT_NE(s, nullptr) << r.name;
        for (const auto& [text, json] : r.good) {
            config c;
            const auto done = s->assign(c, text);
            ASSERT_TRUE(done) << r.name << " " << text << ": " << done.error().text();
            EXPECT_EQ(s->json(c), json) << r.name;
        }
    }
}

TEST(Settings, EachRefusesTheRestSaysWhatItTakesAndKeepsItsValue) {
    for (const row& r : rows()) {
        const setting* s = find_setting(r.name);
        ASSERT_NE(s, nullptr) << r.name;
        for (const char* text : r.bad) {
            config c;
            const std::string before = s->json(c);
            const auto done = s->assign(c, text);
            ASSERT_FALSE(done) << r.name << " took \"" << text << '"';
            EXPECT_TRUE(done.error().what.starts_with(std::string(r.name) + " must be " + s->takes() + ", not "))
                << done.error().what;
            EXPECT_EQ(done.error().field, r.name);
            EXPECT_EQ(s->json(c), before);
        }
    }
}

// Two settings that share a member, or a setter that writes another's, would show here.
TEST(Settings, EachChangesItselfAlone) {
    for (const row& r : rows()) {
        config c;
        const setting* changed = find_setting(r.name);
        ASSERT_TRUE(changed->assign(c, r.good.back().first));
        const config untouched;
        for (const setting& s : settings()) {
            if (s.name != r.name) {
                EXPECT_EQ(s.json(c), s.json(untouched)) << r.name << " changed " << s.name;
            }
        }
    }
}

TEST(Settings, DefaultsLieInTheirRanges) {
    const config defaults;
    for (const setting& s : settings()) {
        if (s.type == setting_type::text_list) continue;
        std::string text = s.json(defaults);
        if (text.starts_with('"')) text = text.substr(1, text.size() - 2);
        config c;
        EXPECT_TRUE(s.assign(c, text)) << s.name << " " << text;
    }
}

TEST(Settings, ErrorsReadLikeSentences) {
    config c;
    EXPECT_EQ(find_setting("batch.size")->assign(c, "1000").error().what,
              "batch.size must be a whole number from 1 to 999, not \"1000\"");
    EXPECT_EQ(find_setting("limits.requests_per_second")->assign(c, "0").error().what,
              "limits.requests_per_second must be a number from 0.00001 to 100000, not \"0\"");
    EXPECT_EQ(find_setting("log.level")->assign(c, "inof").error().text(),
              "log.level must be one of trace, debug, info, warn, error, not \"inof\" (did you mean \"info\"?)");
    EXPECT_EQ(find_setting("spool.rescan")->assign(c, "30").error().text(),
              "spool.rescan must be a duration from 100ms to 366d, not \"30\" (write a number and a unit: "
              "500ms, 5s, "
              "2m, 24h, 7d)");
    EXPECT_EQ(find_setting("limits.adaptive")->assign(c, "yes").error().what,
              "limits.adaptive must be true or false, not \"yes\"");
}

TEST(Settings, HaveNamesVariablesAndHelpThatAreTheirOwn) {
    std::set<std::string> variables;
    for (const setting& s : settings()) {
        EXPECT_TRUE(variables.insert(s.variable()).second) << s.name;
        EXPECT_FALSE(s.help.empty()) << s.name;
        EXPECT_FALSE(s.help.ends_with('.')) << s.name;
    }
    EXPECT_TRUE(variables.contains("CULLD_AUTH_IAM_USER"));
    EXPECT_TRUE(variables.contains("CULLD_LIMITS_REQUESTS_PER_SECOND"));
}

TEST(Settings, SectionsListWhatIsInThem) {
    EXPECT_EQ(names_in("").front(), "api");
    EXPECT_EQ(names_in("jobs"), std::vector<std::string_view>{"require_labels"});
    const auto auth = names_in("auth");
    EXPECT_EQ(std::count(auth.begin(), auth.end(), "iam"), 1);
    EXPECT_TRUE(is_section("auth.iam"));
    EXPECT_FALSE(is_section("auth.iam.user"));
    EXPECT_FALSE(is_section("aut"));
    EXPECT_FALSE(is_section(""));
}

TEST(Settings, NamesThatAskForASecretPointToTheFileSetting) {
    EXPECT_EQ(file_setting_for_secret("token"), "auth.token_file");
    EXPECT_EQ(file_setting_for_secret("CULLD_AUTH_SK"), "auth.sk_file");
    EXPECT_EQ(file_setting_for_secret("CULLD_AUTH_IAM_PASSWORD"), "auth.iam.password_file");
    EXPECT_EQ(file_setting_for_secret("auth.security_token"), "auth.security_token_file");
    EXPECT_EQ(file_setting_for_secret("burst"), "");
    for (const setting& s : settings()) EXPECT_EQ(file_setting_for_secret(s.name), "") << s.name;
}

TEST(ConfigJson, IsCanonicalAndComplete) {
    config c;
    const std::string text = config_json(c);
    EXPECT_EQ(text, config_json(config{}));
    for (const setting& s : settings())
        EXPECT_NE(text.find("\"" + std::string(s.key()) + "\":" + s.json(c)), std::string::npos) << s.name;
    EXPECT_TRUE(text.starts_with(R"({"api":{"endpoint":"","region":"",)")) << text;
    EXPECT_NE(text.find(R"("iam":{"endpoint":"","user":"")"), std::string::npos);
    c.limits.burst = 2;
    EXPECT_NE(text, config_json(c));
}

TEST(ConfigYaml, NamesTheOriginOfEachValue) {
    sourced_config c;
    ASSERT_TRUE(find_setting("limits.burst")->assign(c.values, "7"));
    c.origins["limits.burst"] = {"/etc/culld/culld.yaml", 3, 10};
    c.origins["log.level"] = {"CULLD_LOG_LEVEL", 0, 0};
    const std::string text = config_yaml(c);
    EXPECT_NE(text.find("  burst: 7  "), std::string::npos) << text;
    EXPECT_NE(text.find("# /etc/culld/culld.yaml:3:10\n"), std::string::npos);
    EXPECT_NE(text.find("# CULLD_LOG_LEVEL\n"), std::string::npos);
    EXPECT_NE(text.find("# default\n"), std::string::npos);
    EXPECT_NE(config_origins_json(c).find(R"({"name":"limits.burst","value":7,"origin":"/etc/culld/culld.yaml:3:10"})"),
              std::string::npos);
}

TEST(Settings, NoTextMakesASetterFailInAnotherWay) {
    EXPECT_TRUE(rc::check([](const std::string& text) {
        for (const setting& s : settings()) {
            config c;
            if (const auto done = s.assign(c, text); !done) RC_ASSERT(!done.error().what.empty());
        }
    }));
}

}  // namespace
}  // namespace culld

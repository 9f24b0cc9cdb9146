#include "culld/core/config/settings_merge.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>

namespace culld {
namespace {

struct outcome {
    sourced_config configuration;
    std::vector<problem> problems;
};

outcome merged(std::initializer_list<std::string_view> files, std::vector<std::string> environment = {}) {
    outcome out;
    int n = 0;
    for (const std::string_view text : files) {
        auto tree = parse_strict_yaml(text);
        if (!tree) {
            out.problems = tree.error();
            return out;
        }
        merge_yaml(out.configuration, *tree, "file" + std::to_string(++n), "/base", out.problems);
    }
    merge_environment(out.configuration, environment, out.problems);
    return out;
}

std::string only_problem(std::string_view text) {
    const outcome o = merged({text});
    EXPECT_EQ(o.problems.size(), 1U) << text;
    return o.problems.empty() ? "" : o.problems.front().text();
}

TEST(ConfigMerge, LaterSourcesReplaceValuesAndKeepTheOthers) {
    const outcome o = merged({"limits: {burst: 2, concurrency: 3}\njobs: {require_labels: [a, b]}\n",
                              "limits: {burst: 5}\njobs: {require_labels: [c]}\n"},
                             {"CULLD_LIMITS_CONCURRENCY=9", "PATH=/bin"});
    ASSERT_TRUE(o.problems.empty()) << o.problems.front().text();
    EXPECT_EQ(o.configuration.values.limits.burst, 5U);
    EXPECT_EQ(o.configuration.values.limits.concurrency, 9U);
    EXPECT_EQ(o.configuration.values.jobs.require_labels, std::vector<std::string>{"c"});
    EXPECT_EQ(o.configuration.origin_of("limits.burst").text(), "file2:1:17");
    EXPECT_EQ(o.configuration.origin_of("limits.concurrency").text(), "CULLD_LIMITS_CONCURRENCY");
    EXPECT_EQ(o.configuration.origin_of("limits.adaptive").text(), "default");
}

TEST(ConfigMerge, EmptySectionsAndFilesChangeNothing) {
    const outcome o = merged({"", "api:\nauth:\n  iam:\n"});
    EXPECT_TRUE(o.problems.empty());
    EXPECT_TRUE(o.configuration.origins.empty());
}

TEST(ConfigMerge, AnUnknownNameSaysWhatWasMeant) {
    EXPECT_EQ(only_problem("limts: {burst: 1}\n"), "file1:1:1: unknown section \"limts\" (did you mean \"limits\"?)");
    EXPECT_EQ(only_problem("limits:\n  brust: 1\n"),
              "file1:2:3: unknown setting \"brust\" in limits (did you mean \"burst\"?)");
    EXPECT_EQ(only_problem("burst: 1\n"), "file1:1:1: unknown section \"burst\" (burst belongs below limits:)");
    EXPECT_EQ(only_problem("limits.burst: 1\n"),
              "file1:1:1: unknown section \"limits.burst\" (burst belongs below limits:)");
    EXPECT_EQ(only_problem("batch: {colour: 1}\n"),
              "file1:1:9: unknown setting \"colour\" in batch (known settings: size)");
}

TEST(ConfigMerge, ValuesOfTheWrongKindAreRefusedWithTheirPlace) {
    EXPECT_EQ(only_problem("batch: {size: many}\n"),
              "file1:1:15: batch.size must be a whole number from 1 to 999, not \"many\"");
    EXPECT_EQ(only_problem("batch: {size: \"5\"}\n"),
              "file1:1:15: batch.size must be a whole number from 1 to 999, not a text in quotes (remove the "
              "quotes)");
    EXPECT_EQ(only_problem("batch: {size: [5]}\n"),
              "file1:1:15: batch.size must be a whole number from 1 to 999, not a list");
    EXPECT_EQ(only_problem("api: {region: {a: b}}\n"), "file1:1:15: api.region must be a text on one line, not a map");
    EXPECT_EQ(only_problem("jobs: {require_labels: ticket}\n"),
              "file1:1:24: jobs.require_labels must be a list of texts, not a single text (write [ticket])");
    EXPECT_EQ(only_problem("jobs: {require_labels: [a, [b]]}\n"),
              "file1:1:28: each element of jobs.require_labels must be a text without commas");
    EXPECT_NE(only_problem("api:\n  region:\n").find("api.region must be a text on one line, not nothing"),
              std::string::npos);
    EXPECT_NE(only_problem("limits: {adaptive: yes}\n").find("must be true or false, not \"yes\""), std::string::npos);
    EXPECT_NE(only_problem("limits: 5\n").find("limits must be a map"), std::string::npos);
    EXPECT_NE(only_problem("- api\n").find("the configuration must be a map"), std::string::npos);
    EXPECT_NE(only_problem("just text\n").find("the configuration must be a map"), std::string::npos);
}

TEST(ConfigMerge, EveryFaultIsNamedAndTheRestIsStillRead) {
    const outcome o = merged({"batch: {size: 0}\nlimits: {burst: 0, concurrency: 7}\nx: 1\n"}, {"CULLD_LOG_LEVEL=x"});
    EXPECT_EQ(o.problems.size(), 4U);
    EXPECT_EQ(o.configuration.values.limits.concurrency, 7U);
}

TEST(ConfigMerge, RelativePathsStartAtTheFilesFolder) {
    const outcome o = merged({"spool: {dir: ./spool}\njournal: {dir: /abs, signing_key_file: keys/k}\n"
                              "auth: {token_file: token, ak_file: ./ak}\nids: {protected_file: p.ids}\n"},
                             {"CULLD_API_CA_FILE=ca.pem"});
    const config& c = o.configuration.values;
    EXPECT_EQ(c.spool.dir, "/base/spool");
    EXPECT_EQ(c.journal.dir, "/abs");
    EXPECT_EQ(c.journal.signing_key_file, "/base/keys/k");
    EXPECT_EQ(c.auth.token_file, "token") << "a name without a / is a credential";
    EXPECT_EQ(c.auth.ak_file, "/base/ak");
    EXPECT_EQ(c.ids.protected_file, "/base/p.ids");
    EXPECT_EQ(c.api.ca_file, "ca.pem") << "variables know no folder";
}

TEST(ConfigMerge, ASecretInAFileIsRefusedAndNotRepeated) {
    for (const char* text : {"auth: {token: hush}\n", "auth: {sk: hush}\n", "auth: {iam: {password: hush}}\n",
                             "token: hush\n", "api: {access_key: hush}\n"}) {
        const std::string message = only_problem(text);
        EXPECT_NE(message.find("must not hold a secret"), std::string::npos) << message;
        EXPECT_NE(message.find("_file"), std::string::npos) << message;
        EXPECT_EQ(message.find("hush"), std::string::npos) << message;
    }
}

TEST(ConfigEnvironment, UnderscoresAreResolvedByTheTable) {
    const outcome o =
        merged({}, {"CULLD_LIMITS_REQUESTS_PER_SECOND=0.5", "CULLD_AUTH_IAM_USER=me", "CULLD_AUTH_IAM_PASSWORD_FILE=/p",
                    "CULLD_JOBS_REQUIRE_LABELS=a, b", "CULLD_HTTP_LISTEN="});
    ASSERT_TRUE(o.problems.empty()) << o.problems.front().text();
    const config& c = o.configuration.values;
    EXPECT_EQ(c.limits.requests_per_second, 0.5);
    EXPECT_EQ(c.auth.iam.user, "me");
    EXPECT_EQ(c.auth.iam.password_file, "/p");
    EXPECT_EQ(c.jobs.require_labels, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(c.http.listen, "");
}

TEST(ConfigEnvironment, UnknownNamesAndSecretsAreErrors) {
    const outcome o =
        merged({}, {"CULLD_LIMITS_BRUST=1", "CULLD_NONSENSE=1", "CULLD_AUTH_TOKEN=hush", "CULLD_LIMITS_BURST=0"});
    ASSERT_EQ(o.problems.size(), 4U);
    EXPECT_EQ(o.problems[0].text(), "CULLD_LIMITS_BRUST: unknown variable (did you mean \"CULLD_LIMITS_BURST\"?)");
    EXPECT_EQ(o.problems[1].text(),
              "CULLD_NONSENSE: unknown variable (names are CULLD_<SECTION>_<KEY>, such as CULLD_LIMITS_BURST)");
    EXPECT_EQ(o.problems[2].text().find("hush"), std::string::npos);
    EXPECT_NE(o.problems[2].text().find("CULLD_AUTH_TOKEN_FILE"), std::string::npos);
    EXPECT_EQ(o.problems[3].text(),
              "CULLD_LIMITS_BURST: limits.burst must be a whole number from 1 to 10000, not \"0\"");
}

TEST(ConfigEnvironment, OtherProgramsNamesAreLeftAlone) {
    EXPECT_TRUE(merged({}, {"CULLD_CONFIG=/x", "CULLD_TEST_DIR=/x", "CULLDX=1", "culld_limits_burst=x", "CULLD"})
                    .problems.empty());
}

// What is printed reads back as the same configuration.
TEST(ConfigMerge, ThePrintedConfigurationReadsBack) {
    EXPECT_TRUE(rc::check([](std::uint16_t burst, double rate, std::uint32_t seconds, const std::string& user) {
        sourced_config c;
        c.values.limits.burst = std::uint32_t{burst} % 10'000 + 1;
        c.values.limits.requests_per_second = 0.00001 + std::abs(std::fmod(rate, 99'999.0));
        c.values.api.request_timeout = std::chrono::seconds(seconds % 100'000 + 1);
        static_cast<void>(find_setting("auth.iam.user")->assign(c.values, user));
        c.values.jobs.require_labels = {"a", "b c"};
        const auto tree = parse_strict_yaml(config_yaml(c));
        RC_ASSERT(tree.has_value());
        sourced_config again;
        std::vector<problem> problems;
        merge_yaml(again, *tree, "f", "", problems);
        RC_ASSERT(problems.empty());
        RC_ASSERT(config_json(again.values) == config_json(c.values));
    }));
}

}  // namespace
}  // namespace culld

#include "culld/io/config/config_files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "culld/core/base/sha256.hpp"

namespace culld {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ConfigFiles : public testing::Test {
  protected:
    ConfigFiles() {
        std::string pattern = testing::TempDir() + "culld-config-XXXXXX";
        folder_ = ::mkdtemp(pattern.data());
        sources_.file = folder_ + "/culld.yaml";
    }
    ~ConfigFiles() override { std::filesystem::remove_all(folder_); }

    void write(const std::string& name, std::string_view text) {
        const std::filesystem::path path = folder_ + "/" + name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text;
    }

    std::vector<std::string> complaints() {
        std::vector<std::string> out;
        const auto loaded = load_config(sources_);
        EXPECT_FALSE(loaded);
        if (!loaded)
            for (const config_complaint& c : loaded.error()) out.push_back(c.text());
        return out;
    }

    std::string folder_;
    config_sources sources_;
};

TEST_F(ConfigFiles, AreReadInOrderAndTheEnvironmentComesLast) {
    write("culld.yaml", "api: {region: r1}\nlimits: {burst: 1, concurrency: 1}\nretry: {max_attempts: 1}\n");
    write("culld.yaml.d/20-b.yaml", "limits: {burst: 20}\n");
    write("culld.yaml.d/10-a.yaml", "limits: {burst: 10, concurrency: 10}\n");
    write("culld.yaml.d/.hidden.yaml", "nonsense: 1\n");
    write("culld.yaml.d/notes.txt", "nonsense: 1\n");
    write("culld.yaml.d/30-empty.yaml", "");
    sources_.environment = {"CULLD_RETRY_MAX_ATTEMPTS=9"};
    const auto loaded = load_config(sources_);
    ASSERT_TRUE(loaded) << loaded.error().front().text();
    const config& c = loaded->effective.values;
    EXPECT_EQ(c.limits.burst, 20U);
    EXPECT_EQ(c.limits.concurrency, 10U);
    EXPECT_EQ(c.retry.max_attempts, 9U);
    EXPECT_EQ(c.api.endpoint, "https://secmaster.r1.myhuaweicloud.com");
    EXPECT_EQ(loaded->effective.origin_of("limits.burst").text(), sources_.file + ".d/20-b.yaml:1:17");
    EXPECT_THAT(loaded->files, ElementsAre(sources_.file, sources_.file + ".d/10-a.yaml",
                                           sources_.file + ".d/20-b.yaml", sources_.file + ".d/30-empty.yaml"));
}

TEST_F(ConfigFiles, TheDigestIsOfTheValuesNotOfTheirSpelling) {
    write("culld.yaml", "api: {region: r1, request_timeout: 60s}\n");
    const auto one = load_config(sources_);
    write("culld.yaml", "# another text\napi:\n  request_timeout: 1m\n  region: \"r1\"\n");
    const auto two = load_config(sources_);
    write("culld.yaml", "api: {region: r2}\n");
    const auto three = load_config(sources_);
    ASSERT_TRUE(one && two && three);
    EXPECT_EQ(one->sha256, two->sha256);
    EXPECT_NE(one->sha256, three->sha256);
    sha256 hash;
    hash.update(config_json(one->effective.values));
    EXPECT_EQ(one->sha256, hex(hash.finish()));
}

TEST_F(ConfigFiles, AMissingFileSaysWhatToDo) {
    EXPECT_THAT(complaints(), ElementsAre(sources_.file + ": no such file (look at the name given with --config)"));
}

TEST_F(ConfigFiles, AComplaintShowsTheLineAndACaret) {
    write("culld.yaml", "api: {region: r1}\nlimits:\n  burst: many\n");
    EXPECT_THAT(complaints(),
                ElementsAre(sources_.file + ":3:10: limits.burst must be a whole number from 1 to 10000, not \"many\"\n"
                                            "    burst: many\n"
                                            "           ^"));
}

TEST_F(ConfigFiles, ASyntaxErrorHasItsPlaceAndTheOtherFilesAreStillChecked) {
    write("culld.yaml", "api: {region: r1\n");
    write("culld.yaml.d/a.yaml", "limits: {burst: 0}\n");
    const auto found = complaints();
    ASSERT_EQ(found.size(), 2U);
    EXPECT_THAT(found[0], HasSubstr(sources_.file + ":2:1: no valid YAML: "));
    EXPECT_THAT(found[1], HasSubstr("a.yaml:1:17: limits.burst"));
}

TEST_F(ConfigFiles, DuplicateKeysAreFoundInOneFileOnly) {
    write("culld.yaml", "api: {region: r1}\napi: {region: r2}\n");
    EXPECT_THAT(complaints(), ElementsAre(HasSubstr(":2:1: duplicate key \"api\"")));
    write("culld.yaml", "api: {region: r1}\n");
    write("culld.yaml.d/a.yaml", "api: {region: r2}\n");
    EXPECT_TRUE(load_config(sources_));
}

TEST_F(ConfigFiles, AFaultAcrossSettingsIsShownWhereItWasWritten) {
    write("culld.yaml", "api: {region: r1}\n");
    write("culld.yaml.d/a.yaml", "retry:\n  base_delay: 10m\n");
    EXPECT_THAT(complaints(),
                ElementsAre(HasSubstr("a.yaml:2:15: retry.base_delay (10m) must be at most retry.max_delay (1m)\n"
                                      "    base_delay: 10m\n                ^")));
}

TEST_F(ConfigFiles, AbsentSettingsAreComplainedAboutUnderTheMainFile) {
    write("culld.yaml", "");
    EXPECT_THAT(complaints(), ElementsAre(HasSubstr(sources_.file + ": neither api.endpoint nor api.region")));
}

TEST_F(ConfigFiles, ASecretWrittenByMistakeDoesNotReachTheLog) {
    write("culld.yaml", "api: {region: r1}\nauth:\n  token: hush\n  tokn_file: hush\n");
    write("culld.yaml.d/a.yaml", "token: hush\n");
    const auto found = complaints();
    EXPECT_EQ(found.size(), 3U);
    for (const std::string& text : found) EXPECT_EQ(text.find("hush"), std::string::npos) << text;
}

TEST_F(ConfigFiles, RelativePathsStartAtTheFolderOfTheFile) {
    write("culld.yaml", "api: {region: r1}\nspool: {dir: spool}\n");
    const auto loaded = load_config(sources_);
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->effective.values.spool.dir, folder_ + "/spool");
}

TEST_F(ConfigFiles, WhatIsNoRegularFileOrTooLargeIsRefused) {
    std::filesystem::create_directory(sources_.file);
    EXPECT_THAT(complaints(), ElementsAre(HasSubstr("is no regular file")));
    std::filesystem::remove(sources_.file);
    ASSERT_EQ(::mkfifo(sources_.file.c_str(), 0600), 0);
    EXPECT_THAT(complaints(), ElementsAre(HasSubstr("is no regular file")));
    std::filesystem::remove(sources_.file);
    write("culld.yaml", std::string((1U << 20U) + 1, '#'));
    EXPECT_THAT(complaints(), ElementsAre(HasSubstr("larger than")));
}

TEST_F(ConfigFiles, ADropInIsMaskedByDevNull) {
    write("culld.yaml", "api: {region: r1}\n");
    std::filesystem::create_directory(sources_.file + ".d");
    std::filesystem::create_symlink("/dev/null", sources_.file + ".d/a.yaml");
    EXPECT_TRUE(load_config(sources_));
}

TEST_F(ConfigFiles, FurtherChecksAndWarningsTakePart) {
    write("culld.yaml", "api: {region: r1}\nhttp: {listen: \"0.0.0.0:1\"}\n");
    const auto loaded = load_config(sources_);
    ASSERT_TRUE(loaded);
    ASSERT_EQ(loaded->warnings.size(), 1U);
    EXPECT_THAT(loaded->warnings[0].text(), HasSubstr(":2:16: the status page"));
    sources_.checks.emplace_back([](const sourced_config& c, std::vector<problem>& out) {
        out.push_back(problem_at(c, "api.region", "not today"));
    });
    EXPECT_THAT(complaints(), ElementsAre(HasSubstr(":1:15: not today\n  api: {region: r1}\n")));
}

TEST(ProcessEnvironment, HoldsWhatTheProcessGot) {
    EXPECT_THAT(process_environment(), testing::Contains(testing::StartsWith("PATH=")));
}

}  // namespace
}  // namespace culld

// culld --check-config: all that is wrong, with the place of the setting; what it would run with; what is hardly meant.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "culld/app/daemon/daemon.hpp"
#include "culld/io/secrets/secret_file.hpp"
#include "support/scratch.hpp"

namespace culld {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class CheckConfig : public testing::Test {
  protected:
    CheckConfig() {
        options_.sources.file = dir_.path() + "/culld.yaml";
        std::filesystem::create_directory(dir_.path() + "/spool");
        std::filesystem::create_directory(dir_.path() + "/journal");
    }
    void write(const std::string& name, std::string_view text, mode_t mode = 0600) {
        std::ofstream(dir_.path() + "/" + name) << text;
        ASSERT_EQ(::chmod((dir_.path() + "/" + name).c_str(), mode), 0);
    }
    // The configuration with `more` behind what it needs, checked: exit code, and what was said to whom.
    int check(std::string_view more, mode_t mode = 0600) {
        write("culld.yaml",
              "api: {endpoint: \"https://127.0.0.1:1\", project_id: p, workspace_id: w}\nspool: {dir: spool}\n"
              "journal: {dir: journal}\n" +
                  std::string(more),
              mode);
        testing::internal::CaptureStdout();
        testing::internal::CaptureStderr();
        const int code = check_config(options_);
        out_ = testing::internal::GetCapturedStdout();
        err_ = testing::internal::GetCapturedStderr();
        return code;
    }
    [[nodiscard]] std::string at(int line, int column) const {
        return options_.sources.file + ":" + std::to_string(line) + ":" + std::to_string(column) + ": ";
    }

    scratch dir_;
    daemon_options options_;
    std::string out_, err_;
};

TEST_F(CheckConfig, SaysInALineWhatItWouldRunWith) {
    write("token", "t\n");
    write("keep.txt", "a\nb\n");
    ASSERT_EQ(check("auth: {token_file: ./token}\nids: {protected_file: keep.txt}\n"), 0) << err_;
    EXPECT_EQ(err_, "");
    EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 1);
    for (const char* part : {"https://127.0.0.1:1", "project p", "workspace w", "/token", "at most 5 requests a second",
                             "/spool", "/journal", "2 protected ids"})
        EXPECT_THAT(out_, HasSubstr(part));
}

TEST_F(CheckConfig, EveryFaultHasThePlaceOfItsSetting) {
    write("marked", "\xEF\xBB\xBF\n");
    write("open", "t\n", 0644);
    write("keep.txt", "a\nb c\n");
    write("hidden.txt", "a\n# b\rc\n");
    write("plain", "#!/bin/sh\n");
    struct {
        std::string_view more;
        int column;
        std::string_view said;
    } const cases[] = {
        {"ids: {pattern: \"[a\"}\n", 16, "ids.pattern \"[a\" is no regular expression"},
        {"ids: {protected_file: none.txt}\n", 23, "ids.protected_file: "},
        {"ids: {protected_file: keep.txt}\n", 23, "keep.txt:2:1: \"b c\" is no id"},
        {"ids: {protected_file: hidden.txt}\n", 23, "hidden.txt:2:4: a carriage return"},
        {"auth: {token_file: ./none}\n", 20, "auth.token_file: "},
        {"auth: {token_file: ./open}\n", 20, "mode 0644 lets others"},
        {"auth: {token_file: ./marked}\n", 20, "is empty"},
        {"auth: {token_file: secmaster}\n", 20, "LoadCredential=secmaster:/path/of/the/file"},
        {"auth: {ak_file: ./none, sk_file: ./none}\n", 17, "auth.ak_file: "},
        {"journal: {signing_key_file: ./none}\n", 29, "journal.signing_key_file: "},
        {"notify: {command: [\"/none/such\"]}\n", 19, "whole path"},
        {"notify: {command: [\"HERE/plain\"]}\n", 19, "chmod a+x"},
    };
    for (const auto& c : cases) {
        std::string more(c.more);
        if (const std::size_t here = more.find("HERE"); here != std::string::npos) more.replace(here, 4, dir_.path());
        // A section may stand once: the one that is needed gives way.
        const bool journal = more.starts_with("journal");
        if (journal) more.replace(more.find('{') + 1, 0, "dir: journal, ");
        const int column = c.column + (journal ? 14 : 0);
        write("culld.yaml", "");
        std::string text =
            "api: {endpoint: \"https://127.0.0.1:1\", project_id: p, workspace_id: w}\nspool: {dir: spool}\n" +
            std::string(journal ? "" : "journal: {dir: journal}\n") + more;
        write("culld.yaml", text);
        testing::internal::CaptureStdout();
        testing::internal::CaptureStderr();
        EXPECT_EQ(check_config(options_), 78) << c.more;
        EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
        err_ = testing::internal::GetCapturedStderr();
        EXPECT_THAT(err_, StartsWith(at(journal ? 3 : 4, column))) << c.more;
        EXPECT_THAT(err_, HasSubstr(c.said)) << c.more;
    }
}

TEST_F(CheckConfig, AFileThatSeveralRoomsReadIsToldOnce) {
    write("ca.pem", "no certificate\n");
    write(
        "culld.yaml",
        "api: {endpoint: \"https://127.0.0.1:1\", project_id: p, workspace_id: w, ca_file: ca.pem}\n"
        "auth: {iam: {user: u, domain: d, password_file: ./pw, project: x}}\nspool: {dir: spool}\njournal: {dir: journal}\n");
    write("pw", "p\n");
    testing::internal::CaptureStderr();
    EXPECT_EQ(check_config(options_), 78);
    const std::string err = testing::internal::GetCapturedStderr();
    EXPECT_THAT(err, StartsWith(at(1, 81) + "api.ca_file: "));
    EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
}

TEST_F(CheckConfig, WarnsOfWhatIsHardlyMeant) {
    EXPECT_EQ(check(""), 0);
    EXPECT_THAT(err_, StartsWith(options_.sources.file + ": no credentials are configured"));
    EXPECT_THAT(out_, HasSubstr("well"));

    write("token", "t\n");
    write("keep.txt", "a\n", 0666);
    EXPECT_EQ(check("auth: {token_file: ./token}\nids: {protected_file: keep.txt}\n"), 0);
    EXPECT_THAT(err_, HasSubstr(at(5, 23)));
    EXPECT_THAT(err_, HasSubstr("others than its owner may write it"));

    std::filesystem::remove(dir_.path() + "/spool");
    EXPECT_EQ(check("auth: {token_file: ./token}\n"), 0);
    EXPECT_THAT(err_, HasSubstr("/spool is not there yet"));
}

TEST_F(CheckConfig, AConfigurationThatEverybodyMayWriteIsRefused) {
    EXPECT_EQ(check("", 0646), 78);
    EXPECT_THAT(err_, HasSubstr("everybody may write it"));
    EXPECT_THAT(err_, HasSubstr("chmod o-w"));
    EXPECT_EQ(check("", 0644), 0);
    write("culld.yaml", "api: {endpoint: \"https://127.0.0.1:1\", project_id: p, workspace_id: w}\n");
    std::filesystem::create_directory(dir_.path() + "/culld.yaml.d");
    write("culld.yaml.d/a.yaml", "limits: {burst: 2}\n", 0666);
    testing::internal::CaptureStderr();
    EXPECT_EQ(check_config(options_), 78);
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("a.yaml: everybody may write it"));
}

TEST_F(CheckConfig, AMarkAtTheFrontOfATokenIsNoPartOfIt) {
    write("token", "\xEF\xBB\xBFhush\r\n");
    EXPECT_EQ(read_secret(dir_.path() + "/token", {})->view(), "hush");
    write("token", "hu\xE2\x80\x8Bsh\n");
    const auto hidden = read_secret(dir_.path() + "/token", {});
    ASSERT_FALSE(hidden);
    EXPECT_THAT(hidden.error().what, HasSubstr("line 1, column 3"));
    EXPECT_EQ(hidden.error().text().find("hu"), std::string::npos);
}

}  // namespace
}  // namespace culld

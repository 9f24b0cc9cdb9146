#include "culld/io/secrets/secret_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <type_traits>

namespace culld {
namespace {

using testing::HasSubstr;

static_assert(!std::is_copy_constructible_v<secret> && !std::is_copy_assignable_v<secret>);

class SecretFile : public testing::Test {
  protected:
    SecretFile() {
        std::string pattern = testing::TempDir() + "culld-secret-XXXXXX";
        folder_ = ::mkdtemp(pattern.data());
        file_ = folder_ + "/token";
    }
    ~SecretFile() override { std::filesystem::remove_all(folder_); }

    void write(std::string_view text, mode_t mode = 0600) {
        std::filesystem::remove(file_);
        std::ofstream(file_) << text;
        ASSERT_EQ(::chmod(file_.c_str(), mode), 0);
    }
    std::string complaint(const std::string& name, const std::string& credentials = {}) {
        const auto got = read_secret(name, credentials);
        EXPECT_FALSE(got) << name;
        return got ? "" : got.error().text();
    }

    std::string folder_;
    std::string file_;
};

TEST_F(SecretFile, IsReadWithoutItsLastLineEnd) {
    for (const char* text : {"hush", "hush\n", "hush\r\n"}) {
        write(text);
        const auto got = read_secret(file_, {});
        ASSERT_TRUE(got) << got.error().text();
        EXPECT_EQ(got->view(), "hush");
    }
    write(" spaces stay \n", 0400);
    EXPECT_EQ(read_secret(file_, {})->view(), " spaces stay ");
}

TEST_F(SecretFile, WithBitsForOthersIsRefusedWithTheChmodThatHelps) {
    for (const mode_t mode : {0640U, 0604U, 0620U, 0610U, 0666U, 0601U}) {
        write("hush", mode);
        EXPECT_THAT(complaint(file_), HasSubstr("chmod 0600 " + file_)) << std::oct << mode;
    }
}

TEST_F(SecretFile, OfAnotherUserIsRefused) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
    write("hush");
    ASSERT_EQ(::chown(file_.c_str(), 12345, 12345), 0);
    EXPECT_THAT(complaint(file_), HasSubstr("belongs to user 12345"));
}

TEST_F(SecretFile, OfTheServicesUserIsFineWhereRootChecksForIt) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
    write("hush");
    secret_access service;
    service.reader = 12345;
    EXPECT_TRUE(read_secret(file_, service)) << "root's own";
    ASSERT_EQ(::chown(file_.c_str(), 12345, 12345), 0);
    EXPECT_TRUE(read_secret(file_, service));
    ASSERT_EQ(::chown(file_.c_str(), 12346, 12346), 0);
    const auto other = read_secret(file_, service);
    ASSERT_FALSE(other);
    EXPECT_THAT(other.error().text(), HasSubstr("chown 12345 '" + file_ + "'"));
}

TEST_F(SecretFile, ThatHoldsSomethingElseIsRefusedAndNotRepeated) {
    for (const auto& [text, why] : std::vector<std::pair<std::string, const char*>>{
             {"", "is empty"},
             {"\n\n", "is empty"},
             {"hush\nhush\n", "byte 5 is a control character"},
             {std::string("hush\0hush", 9), "byte 5 is a control character"},
             {"hush\x7f", "byte 5 is a control character"},
             {std::string(secret_bytes_max + 1, 'h'), "more than 64 KiB"}}) {
        write(text);
        const std::string message = complaint(file_);
        EXPECT_THAT(message, HasSubstr(why));
        EXPECT_EQ(message.find("hush"), std::string::npos);
    }
    write(std::string(secret_bytes_max, 'h'));
    EXPECT_EQ(read_secret(file_, {})->view().size(), secret_bytes_max);
}

TEST_F(SecretFile, IsARegularFile) {
    EXPECT_THAT(complaint(folder_ + "/absent"), HasSubstr("No such file"));
    EXPECT_THAT(complaint(folder_ + "/"), HasSubstr("no regular file"));
    ASSERT_EQ(::mkfifo((folder_ + "/fifo").c_str(), 0600), 0);
    EXPECT_THAT(complaint(folder_ + "/fifo"), HasSubstr("no regular file"));
    EXPECT_THAT(complaint("/dev/null"), HasSubstr("no regular file"));
}

TEST_F(SecretFile, ANameWithoutASlashIsACredential) {
    write("hush", 0440);  // systemd's ACL for the service user shows as a group bit
    const auto got = read_secret("token", folder_);
    ASSERT_TRUE(got) << got.error().text();
    EXPECT_EQ(got->view(), "hush");
    EXPECT_EQ(secret_location("token", folder_), file_);
    EXPECT_THAT(complaint("absent", folder_), HasSubstr("LoadCredential=absent:"));
    EXPECT_THAT(complaint("token", {}), HasSubstr("no service manager gave us any"));
    EXPECT_THAT(complaint("..", folder_), HasSubstr("names no secret"));
    EXPECT_THAT(complaint("", folder_), HasSubstr("names no secret"));
}

TEST(Secret, MovesAndIsCopiedOnlyOnRequest) {
    secret a = std::move(secret::of("hush").value());
    secret b = std::move(a);
    EXPECT_EQ(b.view(), "hush");
    const secret c = std::move(b.copy().value());
    EXPECT_TRUE(b.equals(c));
    EXPECT_FALSE(secret().equals(c));
    EXPECT_TRUE(secret().equals(secret()));
    b = secret();
    EXPECT_TRUE(b.empty());
    EXPECT_EQ(c.view(), "hush");
}

// smaps says `dd` for a mapping that stays out of core dumps.
TEST(Secret, StaysOutOfCoreDumps) {
    const secret s = std::move(secret::of("hush").value());
    std::ifstream smaps("/proc/self/smaps");
    const auto wanted = reinterpret_cast<std::uintptr_t>(s.view().data());
    bool here = false;
    for (std::string line; std::getline(smaps, line);) {
        const std::size_t dash = line.find('-');
        if (dash != std::string::npos && dash <= 16 && line.find(' ') > dash && line.find(':') > dash) {
            const auto from = std::stoull(line.substr(0, dash), nullptr, 16);
            const auto to = std::stoull(line.substr(dash + 1, line.find(' ') - dash - 1), nullptr, 16);
            here = from <= wanted && wanted < to;
        } else if (here && line.starts_with("VmFlags:")) {
            EXPECT_THAT(line, HasSubstr(" dd"));
            return;
        }
    }
    FAIL() << "the secret's mapping was not found";
}

}  // namespace
}  // namespace culld

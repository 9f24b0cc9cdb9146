#include "culld/io/os/file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace culld {
namespace {

class FolderTest : public testing::Test {
  protected:
    FolderTest() {
        std::string pattern = testing::TempDir() + "culld-file-XXXXXX";
        path_ = ::mkdtemp(pattern.data());
        here_ = std::move(folder::open(path_).value());
    }
    ~FolderTest() override { std::filesystem::remove_all(path_); }

    std::string path_;
    folder here_;
};

TEST_F(FolderTest, ReplaceLeavesOnlyTheNewContent) {
    ASSERT_TRUE(here_.replace("head", "one", 0640));
    ASSERT_TRUE(here_.replace("head", "two", 0640));
    EXPECT_EQ(read_small_file(path_ + "/head", 100), "two");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path_), {}), 1);
}

TEST_F(FolderTest, MoveNeverOverwrites) {
    ASSERT_TRUE(here_.replace("a", "one", 0600));
    ASSERT_TRUE(here_.replace("b", "two", 0600));
    EXPECT_EQ(here_.move("a", here_, "b"), false);
    EXPECT_EQ(read_small_file(path_ + "/b", 100), "two");
    EXPECT_EQ(here_.move("a", here_, "c"), true);
}

TEST_F(FolderTest, ASymbolicLinkIsNotOpened) {
    ASSERT_EQ(::symlink("/etc/passwd", (path_ + "/link").c_str()), 0);
    EXPECT_FALSE(here_.open_file("link", O_RDONLY));
}

TEST_F(FolderTest, OpeningAFifoDoesNotBlock) {
    ASSERT_EQ(::mkfifo((path_ + "/fifo").c_str(), 0600), 0);
    EXPECT_TRUE(here_.open_file("fifo", O_RDONLY));
}

TEST_F(FolderTest, ASmallFileThatIsTooLargeIsAnError) {
    ASSERT_TRUE(here_.replace("big", std::string(11, 'x'), 0600));
    EXPECT_TRUE(read_small_file(path_ + "/big", 11));
    EXPECT_FALSE(read_small_file(path_ + "/big", 10));
}

}  // namespace
}  // namespace culld

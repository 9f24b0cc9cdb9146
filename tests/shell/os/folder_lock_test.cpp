#include "culld/io/os/folder_lock.hpp"

#include <gmock/gmock.h>
#include <sys/wait.h>

#include "support/spool_fixture.hpp"

namespace culld {
namespace {

using testing::HasSubstr;

class LockTest : public SpoolTest {
  protected:
    const wall_time start_{std::chrono::seconds(1'795'568'523)};
    const folder active_ = std::move(spool_.at(spool_folder::active).value());
};

TEST_F(LockTest, ASecondOwnerIsToldWhoHoldsIt) {
    const auto first = folder_lock::take(spool_.root(), active_, "culld", start_);
    ASSERT_TRUE(first);
    const auto second = folder_lock::take(spool_.root(), active_, "culld", start_);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().why, lock_refusal::cause::held);
    EXPECT_EQ(second.error().what.what,
              fmt::format("{} is in use by culld, pid {}, since 2026-11-25T01:02:03.000000Z", dir_, ::getpid()));
    EXPECT_THAT(second.error().what.hint, HasSubstr("spool.dir"));
}

TEST_F(LockTest, EndsWithItsOwner) {
    { ASSERT_TRUE(folder_lock::take(spool_.root(), active_, "culld", start_)); }
    EXPECT_TRUE(folder_lock::take(spool_.root(), active_, "culld", start_));
}

TEST_F(LockTest, WhatADeadProcessLeftIsNoObstacle) {
    const pid_t child = ::fork();
    if (child == 0) {
        const auto held =
            folder_lock::take(spool_.root(), active_, "a program with a far longer name than ours", start_);
        ::_exit(held ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
    ASSERT_THAT(content(".", ".lock"), HasSubstr(fmt::format("pid {}", child)));
    EXPECT_TRUE(folder_lock::take(spool_.root(), active_, "culld", start_));
    EXPECT_EQ(content(".", ".lock"), fmt::format("culld, pid {}, since 2026-11-25T01:02:03.000000Z\n", ::getpid()));
}

TEST_F(LockTest, AnUnreadableMarkNeverReachesTheMessage) {
    const auto first = folder_lock::take(spool_.root(), active_, "culld", start_);
    ASSERT_TRUE(first);
    std::ofstream(path(".", ".lock")) << "\x1b[2J evil\n";
    const auto second = folder_lock::take(spool_.root(), active_, "culld", start_);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().what.what, fmt::format("{} is in use by pid {}", dir_, ::getpid()));
}

// Whoever removes the file does not make room for a second owner.
TEST_F(LockTest, ASecondOwnerIsToldAlsoWhereTheFileIsGone) {
    const auto first = folder_lock::take(spool_.root(), active_, "culld", start_);
    ASSERT_TRUE(first);
    ASSERT_EQ(::unlink(path(".", ".lock").c_str()), 0);
    const auto second = folder_lock::take(spool_.root(), active_, "culld", start_);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().why, lock_refusal::cause::held);
    EXPECT_EQ(second.error().what.what, fmt::format("{} is in use by pid {}", dir_, ::getpid()));
}

TEST_F(LockTest, ItsOwnerLooksAfterTheFile) {
    auto lock = folder_lock::take(spool_.root(), active_, "culld", start_);
    ASSERT_TRUE(lock);
    EXPECT_EQ(lock->look_after().value_or(true), false);
    ASSERT_EQ(::unlink(path(".", ".lock").c_str()), 0);
    EXPECT_EQ(lock->look_after().value_or(false), true) << "made anew";
    EXPECT_THAT(content(".", ".lock"), HasSubstr(fmt::format("pid {}", ::getpid())));
    EXPECT_EQ(lock->look_after().value_or(true), false);
    // Another one's, or what is none.
    ASSERT_EQ(::unlink(path(".", ".lock").c_str()), 0);
    ASSERT_EQ(::mkdir(path(".", ".lock").c_str(), 0700), 0);
    EXPECT_FALSE(lock->look_after());
    ASSERT_EQ(::rmdir(path(".", ".lock").c_str()), 0);
    EXPECT_EQ(lock->look_after().value_or(false), true);
    ASSERT_EQ(::rename(path(".", ".lock").c_str(), path(".", "aside").c_str()), 0);
    const unique_fd other(::open(path(".", ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    struct flock whole {};
    whole.l_type = F_WRLCK;
    ASSERT_EQ(::fcntl(other.get(), F_OFD_SETLK, &whole), 0);
    const auto lost = lock->look_after();
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().why, lock_refusal::cause::held);
}

TEST_F(LockTest, ALinkInPlaceOfTheFileIsNotFollowed) {
    std::ofstream(top_ + "/victim") << "content";
    ASSERT_EQ(::symlink((top_ + "/victim").c_str(), path(".", ".lock").c_str()), 0);
    const auto lock = folder_lock::take(spool_.root(), active_, "culld", start_);
    ASSERT_FALSE(lock);
    EXPECT_EQ(lock.error().why, lock_refusal::cause::broken);
    ASSERT_EQ(::unlink(path(".", ".lock").c_str()), 0);
    ASSERT_EQ(::link((top_ + "/victim").c_str(), path(".", ".lock").c_str()), 0);
    EXPECT_FALSE(folder_lock::take(spool_.root(), active_, "culld", start_));
    EXPECT_EQ(read_small_file(top_ + "/victim", 100), "content");
}

}  // namespace
}  // namespace culld

#include "culld/io/lock.hpp"

#include <gmock/gmock.h>
#include <sys/wait.h>

#include "spool_fixture.hpp"

namespace culld {
namespace {

using testing::HasSubstr;

class LockTest : public SpoolTest {
  protected:
    const wall_time start_{std::chrono::seconds(1'795'568'523)};
};

TEST_F(LockTest, ASecondOwnerIsToldWhoHoldsIt) {
    const auto first = folder_lock::take(spool_.root(), "culld", start_);
    ASSERT_TRUE(first);
    const auto second = folder_lock::take(spool_.root(), "culld", start_);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().why, lock_refusal::cause::held);
    EXPECT_EQ(second.error().what.what,
              fmt::format("{} is in use by culld, pid {}, since 2026-11-25T01:02:03.000000Z", dir_, ::getpid()));
    EXPECT_THAT(second.error().what.hint, HasSubstr("spool.dir"));
}

TEST_F(LockTest, EndsWithItsOwner) {
    { ASSERT_TRUE(folder_lock::take(spool_.root(), "culld", start_)); }
    EXPECT_TRUE(folder_lock::take(spool_.root(), "culld", start_));
}

TEST_F(LockTest, WhatADeadProcessLeftIsNoObstacle) {
    const pid_t child = ::fork();
    if (child == 0) {
        const auto held = folder_lock::take(spool_.root(), "a program with a far longer name than ours", start_);
        ::_exit(held ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
    ASSERT_THAT(content(".", ".lock"), HasSubstr(fmt::format("pid {}", child)));
    EXPECT_TRUE(folder_lock::take(spool_.root(), "culld", start_));
    EXPECT_EQ(content(".", ".lock"), fmt::format("culld, pid {}, since 2026-11-25T01:02:03.000000Z\n", ::getpid()));
}

TEST_F(LockTest, AnUnreadableMarkNeverReachesTheMessage) {
    const auto first = folder_lock::take(spool_.root(), "culld", start_);
    ASSERT_TRUE(first);
    std::ofstream(path(".", ".lock")) << "\x1b[2J evil\n";
    const auto second = folder_lock::take(spool_.root(), "culld", start_);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().what.what, dir_ + " is in use by another process");
}

TEST_F(LockTest, ALinkInPlaceOfTheFileIsNotFollowed) {
    std::ofstream(top_ + "/victim") << "content";
    ASSERT_EQ(::symlink((top_ + "/victim").c_str(), path(".", ".lock").c_str()), 0);
    const auto lock = folder_lock::take(spool_.root(), "culld", start_);
    ASSERT_FALSE(lock);
    EXPECT_EQ(lock.error().why, lock_refusal::cause::broken);
    ASSERT_EQ(::unlink(path(".", ".lock").c_str()), 0);
    ASSERT_EQ(::link((top_ + "/victim").c_str(), path(".", ".lock").c_str()), 0);
    EXPECT_FALSE(folder_lock::take(spool_.root(), "culld", start_));
    EXPECT_EQ(read_small_file(top_ + "/victim", 100), "content");
}

}  // namespace
}  // namespace culld

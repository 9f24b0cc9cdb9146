#include "culld/io/journal/journal_file.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/loop_fixture.hpp"

namespace culld {
namespace {

using testing::HasSubstr;

// Files may not grow beyond `bytes` meanwhile: a write that would is cut short, and the next one fails with
// EFBIG.
class file_size_limit {
  public:
    explicit file_size_limit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        if (::getrlimit(RLIMIT_FSIZE, &before_) != 0) throw std::runtime_error("getrlimit failed");
        const rlimit limit{bytes, before_.rlim_max};
        if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) throw std::runtime_error("setrlimit failed");
    }
    ~file_size_limit() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, handler_);
    }
    file_size_limit(const file_size_limit&) = delete;
    file_size_limit& operator=(const file_size_limit&) = delete;

  private:
    rlimit before_{};
    void (*handler_)(int);
};

class JournalFile : public testing::Test {
  protected:
    JournalFile() : dir_(std::move(folder::open(scratch_.path()).value())), thread_(loop_.executor()) {
        file_ = std::make_unique<journal_file>(loop_.executor(), thread_, dir_, "a.jsonl",
                                               std::move(journal_file::create(dir_, "a.jsonl").value()), true, 0);
    }
    [[nodiscard]] std::string on_disk() const { return read_small_file(scratch_.path("a.jsonl"), 1 << 20).value(); }
    void append(std::string_view line) const { file_->buffer().append(line).push_back('\n'); }
    result<void> durable() { return loop_.wait(file_->durable()); }

    scratch_folder scratch_;
    folder dir_;
    looped loop_;
    worker_thread thread_;
    std::unique_ptr<journal_file> file_;
};

TEST_F(JournalFile, IsMadeOnceWithNoRightsForOthers) {
    const auto st = dir_.stat("a.jsonl");
    ASSERT_TRUE(st);
    EXPECT_EQ(st->st_mode & 0007, 0U);
    EXPECT_FALSE(journal_file::create(dir_, "a.jsonl"));
}

TEST_F(JournalFile, IsDurableOnlyOnceTheBytesAreOnDisk) {
    append("one");
    EXPECT_EQ(file_->durable_bytes(), 0U);
    EXPECT_EQ(file_->appended(), 4U);
    ASSERT_TRUE(durable());
    EXPECT_EQ(on_disk(), "one\n");
    EXPECT_EQ(file_->durable_bytes(), 4U);
    EXPECT_TRUE(file_->quiet());
}

TEST_F(JournalFile, WithNothingAppendedIsDurableAtOnce) {
    int commits = 0;
    file_->on_commit = [&] { ++commits; };
    EXPECT_TRUE(durable());
    EXPECT_EQ(commits, 0);
}

TEST_F(JournalFile, WritesManyRecordsInFewCommitsAndInOrder) {
    int commits = 0;
    int durables = 0;
    file_->on_commit = [&] {
        EXPECT_EQ(commits, durables);  // one at a time
        ++commits;
    };
    file_->on_durable = [&] {
        ++durables;
        EXPECT_EQ(commits, durables);
    };
    std::string all;
    for (int i = 0; i < 10'000; ++i) {
        append(std::to_string(i));
        all += std::to_string(i) + "\n";
        file_->commit_soon();
    }
    loop_.until([&] { return file_->durable_bytes() == all.size(); });
    EXPECT_EQ(on_disk(), all);
    EXPECT_LE(commits, 3);
}

TEST_F(JournalFile, CommitsByItselfAfterTheWindow) {
    append("one");
    file_->commit_soon();
    EXPECT_TRUE(file_->quiet());
    loop_.until([&] { return file_->durable_bytes() == 4; });
    EXPECT_EQ(on_disk(), "one\n");
}

TEST_F(JournalFile, CommitsOnceAWindowHoweverOftenItIsAsked) {
    int commits = 0;
    file_->on_commit = [&] { ++commits; };
    // Asked for the next one as soon as one is over, as a job under way does.
    file_->on_durable = [&] {
        append("more");
        file_->commit_soon();
    };
    const steady_time begun = steady_now();
    append("one");
    file_->commit_soon();
    loop_.until([&] { return commits == 20; });
    EXPECT_GE(steady_now() - begun, std::chrono::milliseconds(20 * 5));
}

TEST_F(JournalFile, LetsSeveralWaitForWhatEachAppended) {
    int over = 0;
    const auto writer = [&](int of) -> task<void> {
        for (int i = 0; i < 20; ++i) {
            const std::string line = std::to_string(of) + "." + std::to_string(i);
            append(line);
            const auto written = co_await file_->durable();
            EXPECT_TRUE(written);
            EXPECT_THAT(on_disk(), HasSubstr(line + "\n"));
        }
        ++over;
    };
    for (int i = 0; i < 5; ++i) loop_.spawn(writer(i));
    loop_.until([&] { return over == 5; });
    EXPECT_EQ(std::filesystem::file_size(scratch_.path("a.jsonl")), file_->appended());
}

TEST_F(JournalFile, WhatIsAppendedWhileACommitRunsComesInTheNext) {
    append("one");
    file_->commit_now();
    EXPECT_FALSE(file_->quiet());
    append("two");
    file_->commit_now();
    file_->commit_soon();
    loop_.until([&] { return file_->durable_bytes() == 8; });
    EXPECT_EQ(on_disk(), "one\ntwo\n");
}

// The owner appends and commits from within on_durable, as it does when an intent became durable.
TEST_F(JournalFile, NeverHasTwoCommitsUnderWayHoweverItsOwnerAppends) {
    int commits = 0;
    int durables = 0;
    std::uint64_t claimed = 0;
    file_->on_commit = [&] {
        EXPECT_EQ(commits, durables);
        ++commits;
        claimed = file_->appended();
    };
    file_->on_durable = [&] {
        ++durables;
        EXPECT_EQ(file_->durable_bytes(), claimed);
        if (durables > 50) return;
        append("intent " + std::to_string(durables));
        file_->commit_now();
        append("result " + std::to_string(durables));
        file_->commit_soon();
        append("more " + std::to_string(durables));
        file_->commit_now();
    };
    append("begin");
    file_->commit_now();
    std::string all = "begin\n";
    loop_.until([&] { return durables > 50 && file_->quiet() && file_->durable_bytes() == file_->appended(); });
    for (int i = 1; i <= 50; ++i)
        for (const char* what : {"intent ", "result ", "more "}) all += what + std::to_string(i) + "\n";
    EXPECT_EQ(on_disk(), all);
}

TEST_F(JournalFile, SaysWhenTooMuchWaits) {
    EXPECT_FALSE(file_->backlogged());
    append(std::string(9U << 20U, 'x'));
    EXPECT_TRUE(file_->backlogged());
    ASSERT_TRUE(durable());
    EXPECT_FALSE(file_->backlogged());
    EXPECT_EQ(std::filesystem::file_size(scratch_.path("a.jsonl")), (9U << 20U) + 1);
}

TEST_F(JournalFile, IsDeadAfterAFailedWriteAndWritesNothingMore) {
    append("good");
    ASSERT_TRUE(durable());
    int deaths = 0;
    int durables = 0;
    file_->on_dead = [&](const problem& why) {
        ++deaths;
        EXPECT_THAT(why.text(), HasSubstr("a.jsonl"));
    };
    file_->on_durable = [&] { ++durables; };
    {
        const file_size_limit full(9);
        append("cut off here");
        const auto written = durable();
        ASSERT_FALSE(written);
        EXPECT_THAT(written.error().text(), HasSubstr("File too large"));
    }
    EXPECT_TRUE(file_->dead());
    EXPECT_TRUE(file_->quiet());
    EXPECT_EQ(deaths, 1);
    EXPECT_EQ(durables, 0);
    EXPECT_EQ(file_->durable_bytes(), 5U);
    EXPECT_EQ(on_disk(), "good\ncut ");

    // There is room again, but nobody knows what the file holds.
    append("later");
    file_->commit_now();
    file_->commit_soon();
    EXPECT_TRUE(file_->quiet());
    EXPECT_EQ(file_->buffer(), "later\n");
    const auto later = durable();
    ASSERT_FALSE(later);
    EXPECT_THAT(later.error().text(), HasSubstr("File too large"));
    EXPECT_EQ(on_disk(), "good\ncut ");
    EXPECT_EQ(deaths, 1);
}

TEST_F(JournalFile, TellsEveryoneWhoWaitsThatItDied) {
    int failed = 0;
    const auto writer = [&]() -> task<void> {
        append("too much");
        const auto written = co_await file_->durable();
        EXPECT_FALSE(written);
        ++failed;
    };
    const file_size_limit full(1);
    for (int i = 0; i < 3; ++i) loop_.spawn(writer());
    loop_.until([&] { return failed == 3; });
}

TEST_F(JournalFile, MayGoAwayWhileItsWindowIsOpen) {
    append("one");
    file_->commit_soon();
    file_.reset();
    loop_.poll();
    EXPECT_EQ(on_disk(), "");
}

TEST_F(JournalFile, ThatGoesAwayTellsWhoeverWaits) {
    std::optional<result<void>> got;
    const auto waiting = [&]() -> task<void> {
        append("one");
        got = co_await file_->durable();
    };
    loop_.spawn(waiting());
    loop_.poll(1);
    ASSERT_FALSE(got);
    thread_.join();  // the commit itself is over; its news are on their way to the loop
    file_.reset();
    loop_.until([&] { return got.has_value(); });
    EXPECT_FALSE(*got);
}

TEST_F(JournalFile, ReopenedGoesOnBehindTheTornTail) {
    append("whole");
    ASSERT_TRUE(durable());
    file_.reset();
    std::ofstream(scratch_.path("a.jsonl"), std::ios::app) << "torn";
    auto fd = journal_file::reopen(dir_, "a.jsonl", 6);
    ASSERT_TRUE(fd) << fd.error().text();
    EXPECT_EQ(on_disk(), "whole\n");
    file_ = std::make_unique<journal_file>(loop_.executor(), thread_, dir_, "a.jsonl", std::move(*fd), false, 6);
    append("next");
    ASSERT_TRUE(durable());
    EXPECT_EQ(on_disk(), "whole\nnext\n");
}

TEST_F(JournalFile, MadeDurableAgainItHoldsTheSameBytes) {
    std::string content(3'000'001, '\0');
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7 + i / 251);
    std::ofstream(scratch_.path("big"), std::ios::binary) << content << "behind it";
    const auto done = make_durable_again(dir_, "big", content.size());
    ASSERT_TRUE(done) << done.error().text();
    std::ifstream in(scratch_.path("big"), std::ios::binary);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), content + "behind it");
    EXPECT_FALSE(make_durable_again(dir_, "big", content.size() + 100));
}

TEST_F(JournalFile, ReopenedNeverGrowsWithBytesNobodyWrote) {
    append("whole");
    ASSERT_TRUE(durable());
    const auto fd = journal_file::reopen(dir_, "a.jsonl", 7);
    ASSERT_FALSE(fd);
    EXPECT_THAT(fd.error().text(), HasSubstr("a.jsonl"));
    EXPECT_EQ(on_disk(), "whole\n");
    EXPECT_FALSE(journal_file::reopen(dir_, "b.jsonl", 0));
}

// Whatever is done to its name, its folder or its content, nothing is written any more: neither with the next commit
// nor at the next look.
class LostGround : public JournalFile {
  protected:
    std::optional<journal_mark> left_;  // by the last one

    [[nodiscard]] std::string path() const { return scratch_.path("a.jsonl"); }
    // After `change`, a commit and a look each find it.
    void expect_dead(const std::function<void()>& change, bool bent, const char* words) {
        for (const bool commit : {true, false}) {
            std::filesystem::remove_all(scratch_.path());
            std::filesystem::create_directories(scratch_.path());
            dir_ = std::move(folder::open(scratch_.path()).value());
            file_ = std::make_unique<journal_file>(loop_.executor(), thread_, dir_, "a.jsonl",
                                                   std::move(journal_file::create(dir_, "a.jsonl").value()), true, 0);
            int durables = 0;
            std::string why;
            file_->on_durable = [&] { ++durables; };
            file_->on_dead = [&](const problem& p) { why = p.text() + p.hint; };
            append("one");
            ASSERT_TRUE(durable());
            change();
            if (commit) {
                append("two");
                EXPECT_FALSE(durable());
            } else {
                file_->look_soon();
            }
            loop_.until([&] { return file_->quiet(); });
            EXPECT_TRUE(file_->dead()) << words;
            EXPECT_EQ(file_->ended_by() == journal_end::bent, bent) << words;
            EXPECT_EQ(durables, 1) << words;
            EXPECT_THAT(why, HasSubstr(words));
            EXPECT_EQ((left_ = file_->leave())->bytes, 4U);
        }
    }
};

TEST_F(LostGround, OfARemovedFile) {
    expect_dead([this] { std::filesystem::remove(path()); }, false, "cp /proc/");
    EXPECT_TRUE(left_->kept) << "its content can be had only there";
}

TEST_F(LostGround, OfAMovedFileOrFolder) {
    expect_dead([this] { std::filesystem::rename(path(), path() + ".away"); }, false, "put it back");
    const std::string away = scratch_.path() + ".away";
    expect_dead(
        [&] {
            std::filesystem::remove_all(away);
            std::filesystem::rename(scratch_.path(), away);
        },
        false, "bring back the folder");
    expect_dead(
        [&] {
            std::filesystem::remove_all(away);
            std::filesystem::rename(scratch_.path(), away);
            std::filesystem::create_directory(scratch_.path());
        },
        false, "bring back the folder");
    std::filesystem::remove_all(away);
}

TEST_F(LostGround, OfAReplacedFile) {
    expect_dead(
        [this] {
            std::filesystem::copy_file(path(), path() + ".copy");
            std::filesystem::rename(path() + ".copy", path());
        },
        true, "replaced");
    EXPECT_FALSE(left_->kept);
    const std::string away = scratch_.path() + ".away";
    expect_dead(
        [&] {
            std::filesystem::remove_all(away);
            std::filesystem::rename(scratch_.path(), away);
            std::filesystem::copy(away, scratch_.path(), std::filesystem::copy_options::recursive);
        },
        false, "another folder now");
    std::filesystem::remove_all(away);
    expect_dead(
        [this] {
            std::filesystem::remove(path());
            std::filesystem::create_symlink("/dev/null", path());
        },
        true, "replaced");
}

TEST_F(LostGround, OfAFileWithOtherContent) {
    for (const std::uintmax_t size : {0U, 3U})
        expect_dead([&] { std::filesystem::resize_file(path(), size); }, true, "was cut: 4 bytes");
    expect_dead([this] { std::ofstream(path(), std::ios::app) << "x"; }, true, "behind byte 4");
}

TEST_F(LostGround, IsFoundOnceItIsLookedAtAndNotBefore) {
    append("one");
    ASSERT_TRUE(durable());
    EXPECT_TRUE(file_->looked_at(steady_now()));
    EXPECT_FALSE(file_->looked_at(steady_now() + std::chrono::seconds(3)));
    bool looked = false;
    file_->on_looked = [&] { looked = true; };
    file_->look_soon();
    file_->look_soon();
    loop_.until([&] { return looked; });
    EXPECT_TRUE(file_->looked_at(steady_now()));
}

TEST_F(LostGround, GivenUpItTellsWhoWaitsAndWhatWasDurable) {
    append("one");
    file_->commit_now();
    bool quiet = false;
    file_->on_quiet = [&] { quiet = file_->quiet(); };
    int durables = 0;
    file_->on_durable = [&] { ++durables; };
    file_->give_up({.what = "the folder is gone"});
    EXPECT_TRUE(file_->dead());
    loop_.until([&] { return quiet; });
    EXPECT_EQ(durables, 0) << "nobody is to go on with it";
    EXPECT_EQ(file_->leave()->bytes, 4U) << "but it is there, and must be found";
    append("two");
    EXPECT_FALSE(durable());
}

}  // namespace
}  // namespace culld

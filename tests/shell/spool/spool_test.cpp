#include "culld/io/spool/spool.hpp"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include <boost/json.hpp>
#include <thread>

#include "support/spool_fixture.hpp"

namespace culld {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using outcome = take_result::outcome;

const wall_time moment{std::chrono::seconds(1'795'568'523)};

problem because(std::string what) {
    return {.what = std::move(what), .hint = {}, .file = {}};
}

TEST_F(SpoolTest, MakesItsFoldersWithTheirModesWhateverTheUmask) {
    std::filesystem::remove_all(dir_);
    const mode_t old = ::umask(077);
    const auto made = spool::open(dir_);
    ::umask(old);
    ASSERT_TRUE(made) << made.error().text();
    for (const auto& [name, mode] : std::initializer_list<std::pair<const char*, mode_t>>{{"tmp", 0770},
                                                                                          {"incoming", 0770},
                                                                                          {"active", 0750},
                                                                                          {"done", 0750},
                                                                                          {"failed", 0750},
                                                                                          {"rejected", 0750}}) {
        struct stat facts {};
        ASSERT_EQ(::stat((dir_ + "/" + name).c_str(), &facts), 0) << name;
        EXPECT_EQ(facts.st_mode & 07777, mode) << name;
    }
}

TEST_F(SpoolTest, ADropBoxThatEverybodyMayWriteToNeedsTheStickyBit) {
    ASSERT_EQ(::chmod((dir_ + "/incoming").c_str(), 0777), 0);
    const auto open = spool::open(dir_);
    ASSERT_FALSE(open);
    EXPECT_THAT(open.error().text(), HasSubstr("incoming: everybody may write to it (mode 0777)"));
    EXPECT_THAT(open.error().hint, HasSubstr("chmod 2770"));
    ASSERT_EQ(::chmod((dir_ + "/incoming").c_str(), 01733), 0);
    EXPECT_TRUE(spool::open(dir_));
    ASSERT_EQ(::chmod((dir_ + "/active").c_str(), 01777), 0);
    EXPECT_FALSE(spool::open(dir_));
}

TEST_F(SpoolTest, AFolderPutInItsPlaceLaterIsLookedAtAsAtTheStart) {
    ASSERT_TRUE(spool_.at(spool_folder::incoming));
    std::filesystem::rename(dir_ + "/incoming", top_ + "/away");
    EXPECT_FALSE(spool_.at(spool_folder::incoming));
    std::filesystem::create_directory(dir_ + "/incoming");
    EXPECT_TRUE(spool_.at(spool_folder::incoming));
    ASSERT_EQ(::chmod((dir_ + "/incoming").c_str(), 0777), 0);
    const auto unsafe = spool_.at(spool_folder::incoming);
    ASSERT_FALSE(unsafe);
    EXPECT_THAT(unsafe.error().text(), HasSubstr("everybody may write to it"));
    EXPECT_FALSE(spool_.take("a.json"));
}

TEST_F(SpoolTest, ALinkInPlaceOfAFolderIsNotFollowed) {
    std::filesystem::remove(dir_ + "/rejected");
    std::filesystem::create_directory(top_ + "/elsewhere");
    std::filesystem::create_directory_symlink(top_ + "/elsewhere", dir_ + "/rejected");
    EXPECT_FALSE(spool::open(dir_));
}

TEST_F(SpoolTest, TakingMovesAndOpensWithOwnerAndTimesKept) {
    copy_in("a.json", "hello");
    const timespec times[2] = {{.tv_sec = 1'700'000'000, .tv_nsec = 0}, {.tv_sec = 1'700'000'000, .tv_nsec = 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path("incoming", "a.json").c_str(), times, 0), 0);
    const auto taken = spool_.take("a.json");
    ASSERT_TRUE(taken) << taken.error().text();
    ASSERT_EQ(taken->what, outcome::taken);
    EXPECT_EQ(taken->job.facts.size, 5U);
    EXPECT_EQ(taken->job.facts.uid, ::getuid());
    EXPECT_EQ(taken->job.facts.mtime, wall_time(std::chrono::seconds(1'700'000'000)));
    std::string read(5, '\0');
    EXPECT_EQ(read_some_at(taken->job.fd.get(), read.data(), 5, 0, "a.json"), 5U);
    EXPECT_EQ(read, "hello");
    EXPECT_THAT(names(spool_folder::incoming), IsEmpty());
    EXPECT_THAT(names(spool_folder::active), ElementsAre("a.json"));
    EXPECT_EQ(spool_.open_active("a.json")->what, outcome::taken);
}

TEST_F(SpoolTest, AFileThatVanishedIsGoneNotAnError) {
    EXPECT_EQ(spool_.take("a.json")->what, outcome::gone);
    EXPECT_EQ(spool_.open_active("a.json")->what, outcome::gone);
    EXPECT_EQ(*spool_.file_away("a.json", spool_folder::done), std::nullopt);
    EXPECT_EQ(*spool_.reject(spool_folder::incoming, "a.json", because("x"), moment), std::nullopt);
    EXPECT_EQ(*spool_.look(spool_folder::incoming, "a.json"), std::nullopt);
    EXPECT_THAT(names(spool_folder::rejected), IsEmpty());
}

TEST_F(SpoolTest, ANameThatAnOpenJobHasIsTakenUnderAnother) {
    copy_in("a.json", "first");
    ASSERT_EQ(spool_.take("a.json")->what, outcome::taken);
    copy_in("a.json", "second");
    const auto second = spool_.take("a.json");
    ASSERT_EQ(second->what, outcome::taken);
    EXPECT_NE(second->job.name, "a.json");
    EXPECT_EQ(spool::base_name(second->job), "a.json");
    EXPECT_EQ(content("active", "a.json"), "first");
    EXPECT_EQ(content("active", second->job.name), "second");
    EXPECT_THAT(names(spool_folder::incoming), IsEmpty());
    // After a crash it is known by what it is called there.
    const auto again = spool_.open_active(second->job.name);
    ASSERT_EQ(again->what, outcome::taken);
    EXPECT_EQ(spool::base_name(again->job), "a.json");
    EXPECT_EQ(*spool_.file_away(second->job.name, spool_folder::done, "a.json"), "a.json");
    EXPECT_EQ(content("done", "a.json"), "second");
}

TEST_F(SpoolTest, AFileThatOthersMayWriteIsRefused) {
    for (const auto& [mode, refused] :
         {std::pair(0664, true), {0642, true}, {0666, true}, {0644, false}, {0640, false}}) {
        copy_in("a.json");
        ASSERT_EQ(::chmod(path("incoming", "a.json").c_str(), static_cast<mode_t>(mode)), 0);
        const auto out = spool_.take("a.json");
        EXPECT_EQ(out->what, refused ? outcome::refused : outcome::taken) << std::oct << mode;
        EXPECT_EQ(out->why.hint.find("chmod go-w") != std::string::npos, refused);
        static_cast<void>(::unlink(path("active", "a.json").c_str()));
    }
}

TEST_F(SpoolTest, AFileThatSomebodyWritesIsGivenBack) {
    copy_in("a.json", "[");
    const unique_fd writing(::open(path("incoming", "a.json").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    const auto out = spool_.take("a.json");
    ASSERT_EQ(out->what, outcome::written);
    copy_in("b.json");
    ASSERT_EQ(::rename(path("incoming", "b.json").c_str(), path("incoming", "a.json").c_str()), 0);
    ASSERT_TRUE(spool_.put_back(out->job, "a.json"));
    EXPECT_THAT(names(spool_folder::active), IsEmpty());
    EXPECT_EQ(names(spool_folder::incoming).size(), 2U) << "nothing is overwritten";
    EXPECT_EQ(content("incoming", "a.json"), "[]\n");
}

TEST_F(SpoolTest, WhatIsWrittenWhileItIsReadDoesNotCount) {
    copy_in("a.json", "[]");
    const auto out = spool_.take("a.json");
    ASSERT_EQ(out->what, outcome::taken);
    EXPECT_FALSE(*spool_.written_since(out->job));
    {
        const unique_fd writing(::open(path("active", "a.json").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
        EXPECT_TRUE(*spool_.written_since(out->job)) << "open for writing";
        ASSERT_TRUE(write_all(writing.get(), "x", "a.json"));
    }
    EXPECT_TRUE(*spool_.written_since(out->job)) << "written, and closed";
}

// Whoever kept another user's file open has the one that lay there before it was accepted.
TEST_F(SpoolTest, AnAcceptedFileOfAnotherUserIsOurOwnCopy) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can make other users' files";
    copy_in("a.json", "honest");
    ASSERT_EQ(::chown(path("incoming", "a.json").c_str(), 64911, 64911), 0);
    auto out = spool_.take("a.json");
    ASSERT_EQ(out->what, outcome::taken);
    ASSERT_TRUE(out->job.copy);
    ASSERT_TRUE(write_all(out->job.copy.get(), "honest", "a.json"));
    ASSERT_TRUE(spool_.seal_copy(out->job));
    const unique_fd kept(::open(path("active", "a.json").c_str(), O_WRONLY | O_CLOEXEC));
    // A crash before the job was accepted: it begins anew, from what is there then.
    EXPECT_EQ(spool_.open_active("a.json")->what, outcome::written);
    EXPECT_EQ(names(spool_folder::active).size(), 2U);
    for (int twice = 0; twice < 2; ++twice) ASSERT_TRUE(spool_.own("a.json"));
    ASSERT_TRUE(write_all(kept.get(), "changed!", "a.json"));
    EXPECT_THAT(names(spool_folder::active), ElementsAre("a.json"));
    EXPECT_EQ(content("active", "a.json"), "honest");
    EXPECT_EQ((*spool_.look(spool_folder::active, "a.json"))->uid, ::geteuid());
    ASSERT_TRUE(*spool_.file_away("a.json", spool_folder::done));
    EXPECT_EQ(content("done", "a.json"), "honest");
}

TEST_F(SpoolTest, ARejectedFileLeavesNoCopy) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can make other users' files";
    copy_in("a.json");
    ASSERT_EQ(::chown(path("incoming", "a.json").c_str(), 64911, 64911), 0);
    ASSERT_EQ(spool_.take("a.json")->what, outcome::taken);
    ASSERT_TRUE(*spool_.reject(spool_folder::active, "a.json", because("x"), moment));
    EXPECT_THAT(names(spool_folder::active), IsEmpty());
    EXPECT_EQ((*spool_.look(spool_folder::rejected, "a.json"))->uid, 64911U);
}

TEST_F(SpoolTest, WhatTurnsOutNoPlainFileIsRefusedUnopened) {
    std::ofstream(top_ + "/secret") << "secret";
    ASSERT_EQ(::chmod((top_ + "/secret").c_str(), 0600), 0);
    const auto refused = [this](const std::string& name) {
        const auto out = spool_.take(name);
        EXPECT_TRUE(out) << out.error().text();
        EXPECT_EQ(out->what, outcome::refused) << name;
        EXPECT_FALSE(out->job.fd) << name;
        EXPECT_THAT(names(spool_folder::active), ElementsAre(name));
        EXPECT_EQ(*spool_.reject(spool_folder::active, name, out->why, moment), name);
        return out->why.what;
    };
    ASSERT_EQ(::symlink((top_ + "/secret").c_str(), path("incoming", "link.json").c_str()), 0);
    EXPECT_THAT(refused("link.json"), HasSubstr("symbolic link"));
    ASSERT_EQ(::symlink("nowhere", path("incoming", "dangling.json").c_str()), 0);
    EXPECT_THAT(refused("dangling.json"), HasSubstr("symbolic link"));
    ASSERT_EQ(::symlink("loop.json", path("incoming", "loop.json").c_str()), 0);
    EXPECT_THAT(refused("loop.json"), HasSubstr("symbolic link"));
    ASSERT_EQ(::link((top_ + "/secret").c_str(), path("incoming", "hard.json").c_str()), 0);
    EXPECT_THAT(refused("hard.json"), HasSubstr("2 hard links"));
    ASSERT_EQ(::mkfifo(path("incoming", "fifo.json").c_str(), 0600), 0);
    EXPECT_THAT(refused("fifo.json"), HasSubstr("FIFO"));
    ASSERT_EQ(::mkdir(path("incoming", "dir.json").c_str(), 0700), 0);
    EXPECT_THAT(refused("dir.json"), HasSubstr("folder"));
    if (::mknod(path("incoming", "dev.json").c_str(), S_IFCHR | 0600, makedev(1, 5)) == 0) {
        EXPECT_THAT(refused("dev.json"), HasSubstr("device"));
    }

    const unique_fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string at = path("incoming", "s.json");
    ASSERT_LT(at.size(), sizeof address.sun_path);
    std::ranges::copy(at, address.sun_path);
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_THAT(refused("s.json"), HasSubstr("socket"));
    EXPECT_EQ(read_small_file(top_ + "/secret", 100), "secret");
}

TEST_F(SpoolTest, AnUnreadableFileIsRefusedWithTheRemedy) {
    if (::geteuid() == 0) GTEST_SKIP() << "root reads everything";
    copy_in("a.json");
    ASSERT_EQ(::chmod(path("incoming", "a.json").c_str(), 0), 0);
    const auto out = spool_.take("a.json");
    ASSERT_EQ(out->what, outcome::refused);
    EXPECT_THAT(out->why.hint, HasSubstr("chmod g+r"));
}

TEST_F(SpoolTest, ATakenNameGetsANumberAndNothingIsOverwritten) {
    for (const char* text : {"one", "two", "three"}) {
        copy_in("a.json", text);
        ASSERT_EQ(spool_.take("a.json")->what, outcome::taken);
        ASSERT_TRUE(*spool_.file_away("a.json", spool_folder::done));
    }
    EXPECT_THAT(names(spool_folder::done), ElementsAre("a.1.json", "a.2.json", "a.json"));
    EXPECT_EQ(content("done", "a.json"), "one");
    EXPECT_EQ(content("done", "a.1.json"), "two");
    EXPECT_EQ(content("done", "a.2.json"), "three");
}

TEST_F(SpoolTest, ARejectedFileHasItsReasonBesideIt) {
    copy_in("bad.json", "{");
    const problem why{
        .what = "a \"thing\" is wrong", .hint = "", .file = "bad.json", .line = 3, .column = 7, .field = "ids"};
    EXPECT_EQ(*spool_.reject(spool_folder::incoming, "bad.json", why, moment), "bad.json");
    EXPECT_EQ(content("rejected", "bad.json"), "{");
    EXPECT_EQ(content("rejected", "bad.json.reason.json"),
              R"({"file":"bad.json","error":"a \"thing\" is wrong","line":3,"column":7,"field":"ids","hint":null,)"
              R"("at":"2026-11-25T01:02:03.000000Z"})"
              "\n");
    EXPECT_THAT(names(spool_folder::rejected), ElementsAre("bad.json", "bad.json.reason.json"));
    EXPECT_THAT(names(spool_folder::incoming), IsEmpty());
}

TEST_F(SpoolTest, RejectedTwiceKeepsBothFilesAndBothReasons) {
    for (const char* text : {"one", "two"}) {
        copy_in("a.json", text);
        ASSERT_TRUE(spool_.reject(spool_folder::incoming, "a.json", because(text), moment));
    }
    EXPECT_THAT(names(spool_folder::rejected),
                ElementsAre("a.1.json", "a.1.json.reason.json", "a.json", "a.json.reason.json"));
    EXPECT_THAT(content("rejected", "a.json.reason.json"), HasSubstr("\"one\""));
    EXPECT_THAT(content("rejected", "a.1.json.reason.json"), HasSubstr("\"two\""));
}

TEST_F(SpoolTest, AReasonThatACrashLeftAloneIsReplaced) {
    std::ofstream(path("rejected", "a.json.reason.json")) << "stale";
    copy_in("a.json");
    EXPECT_EQ(*spool_.reject(spool_folder::incoming, "a.json", because("fresh"), moment), "a.json");
    EXPECT_THAT(content("rejected", "a.json.reason.json"), HasSubstr("fresh"));
}

TEST_F(SpoolTest, ASubmittersFileThatLooksLikeAReasonIsNotReplaced) {
    copy_in("a.json.reason.json", "mine");
    EXPECT_EQ(*spool_.reject(spool_folder::incoming, "a.json.reason.json", because("x"), moment), "a.json.reason.json");
    copy_in("a.json");
    EXPECT_EQ(*spool_.reject(spool_folder::incoming, "a.json", because("y"), moment), "a.1.json");
    EXPECT_EQ(content("rejected", "a.json.reason.json"), "mine");
}

TEST_F(SpoolTest, HostileNamesAreRejectedWithTheirBytesKept) {
    for (const std::string& name :
         {std::string("new\nline.json"), std::string("\x1b[2J.json"), std::string("bad\xff\xfe.json"),
          std::string("-rf.json"), std::string("%s%n.json"), std::string(243, 'x')}) {
        copy_in(name);
        EXPECT_EQ(*spool_.reject(spool_folder::incoming, name, because("no"), moment), name);
        const std::string reason = content("rejected", name + ".reason.json");
        EXPECT_NO_THROW(static_cast<void>(boost::json::parse(reason))) << reason;
        EXPECT_EQ(std::ranges::count(reason, '\n'), 1);
    }
}

TEST_F(SpoolTest, ANameTooLongForItsReasonIsShortened) {
    const std::string name = std::string(249, 'x') + ".json";
    for (const std::string& expected : {std::string(238, 'x') + ".json", std::string(236, 'x') + ".1.json"}) {
        copy_in(name);
        EXPECT_EQ(*spool_.reject(spool_folder::incoming, name, because("no"), moment), expected);
        EXPECT_TRUE(std::filesystem::exists(path("rejected", expected + ".reason.json")));
    }
}

TEST_F(SpoolTest, HundredsOfRejectionsOfOneNameEachGetTheirOwn) {
    for (int i = 0; i < 300; ++i) {
        copy_in("a.json");
        ASSERT_TRUE(*spool_.reject(spool_folder::incoming, "a.json", because("no"), moment));
    }
    EXPECT_EQ(names(spool_folder::rejected).size(), 600U);
}

TEST_F(SpoolTest, AMoveTheSystemRefusesIsAProblemAndLeavesNoReasonBehind) {
    if (::geteuid() == 0) GTEST_SKIP() << "root may move everything";
    copy_in("a.json");
    ASSERT_EQ(::chmod((dir_ + "/incoming").c_str(), 0550), 0);
    EXPECT_FALSE(spool_.take("a.json"));
    EXPECT_FALSE(spool_.reject(spool_folder::incoming, "a.json", because("no"), moment));
    ASSERT_EQ(::chmod((dir_ + "/incoming").c_str(), 0770), 0);
    EXPECT_THAT(names(spool_folder::rejected), IsEmpty());
}

TEST_F(SpoolTest, AFolderThatWasRemovedIsMadeAgainButNotTheDropBox) {
    std::filesystem::remove(dir_ + "/rejected");
    copy_in("a.json");
    EXPECT_TRUE(*spool_.reject(spool_folder::incoming, "a.json", because("no"), moment));
    std::filesystem::remove(dir_ + "/incoming");
    EXPECT_FALSE(spool_.take("a.json"));
    EXPECT_FALSE(std::filesystem::exists(dir_ + "/incoming"));
}

TEST_F(SpoolTest, AFileThatTurnsIntoALinkAndBackIsNeverFollowed) {
    std::ofstream(top_ + "/secret") << "secret";
    const std::string at = path("incoming", "a.json");
    std::jthread swapper([&](const std::stop_token& stop) {
        const std::string plain = path("tmp", "plain");
        const std::string link = path("tmp", "link");
        while (!stop.stop_requested()) {
            std::ofstream(plain) << "plain";
            static_cast<void>(::rename(plain.c_str(), at.c_str()));
            static_cast<void>(::symlink((top_ + "/secret").c_str(), link.c_str()));
            static_cast<void>(::rename(link.c_str(), at.c_str()));
        }
    });
    for (int taken = 0, refused = 0; taken < 20 || refused < 20;) {
        auto out = spool_.take("a.json");
        ASSERT_TRUE(out) << out.error().text();
        if (out->what == outcome::taken) {
            std::string read(6, '\0');
            ASSERT_TRUE(read_some_at(out->job.fd.get(), read.data(), 6, 0, "a.json"));
            ASSERT_NE(read, "secret");
            ++taken;
        }
        if (out->what == outcome::refused) ++refused;
        static_cast<void>(::unlink(path("active", "a.json").c_str()));
    }
}

TEST_F(SpoolTest, TellsWhetherSomebodyWrites) {
    copy_in("a.json");
    const auto in = spool_.at(spool_folder::incoming);
    {
        const unique_fd writing(::open(path("incoming", "a.json").c_str(), O_WRONLY | O_CLOEXEC));
        EXPECT_EQ(spool_.ask_writer(*in, "a.json"), writer::present);
    }
    const unique_fd reading(::open(path("incoming", "a.json").c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(spool_.ask_writer(*in, "a.json"), writer::none);
    EXPECT_EQ(spool_.ask_writer(*in, "nowhere"), writer::unknown);
}

}  // namespace
}  // namespace culld

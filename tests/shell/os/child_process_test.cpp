#include "culld/io/os/child_process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "culld/io/os/process_setup.hpp"
#include "support/loop_fixture.hpp"

namespace culld {
namespace {

using testing::HasSubstr;

class Command : public testing::Test {
  protected:
    // As culld does at its start.
    Command() { EXPECT_TRUE(ignore_write_signals()); }
    // A script's path.
    [[nodiscard]] std::string script(const std::string& text) const {
        const std::string path = here_.path("script");
        std::ofstream(path) << "#!/bin/sh\n" << text;
        std::filesystem::permissions(path, std::filesystem::perms::owner_all);
        return path;
    }
    result<command_end> run(const std::vector<std::string>& words, const std::string& input = "",
                            nanoseconds limit = hang_limit) {
        command c(words);
        return on_.wait(c(input, limit));
    }
    [[nodiscard]] std::string read(const std::string& name) const {
        std::ostringstream out;
        out << std::ifstream(here_.path(name)).rdbuf();
        return out.str();
    }
    [[nodiscard]] static bool lives(pid_t pid) {
        // Whoever killed it need not have reaped it yet: a zombie is dead.
        std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
        std::string number, name, state;
        return stat >> number >> name >> state && state != "Z" && state != "X";
    }

    scratch_folder here_;
    looped on_;
};

TEST_F(Command, ReadsItsInputAndItsArgumentsAsTheyAre) {
    const auto end = run(
        {script("cat >" + here_.path("in") + "; printf '%s|' \"$@\" >" + here_.path("words")), "a b", "$HOME;`x`", "*"},
        std::string(300'000, 'x') + "\n");
    ASSERT_TRUE(end) << end.error().text();
    EXPECT_TRUE(end->in_time);
    EXPECT_EQ(end->code, 0);
    EXPECT_EQ(end->said, "");
    EXPECT_EQ(read("in"), std::string(300'000, 'x') + "\n") << "more than a pipe holds";
    EXPECT_EQ(read("words"), "a b|$HOME;`x`|*|") << "there is no shell in between";
}

TEST_F(Command, TellsItsExitCodeAndTheFirstItSaid) {
    const auto end = run({script("echo out; echo 'no such\tpager' >&2; exit 7")});
    ASSERT_TRUE(end);
    EXPECT_EQ(end->code, 7);
    EXPECT_THAT(end->said, HasSubstr("no such"));
    EXPECT_EQ(end->said.find("out"), std::string::npos);
    const auto killed = run({script("kill -9 $$")});
    ASSERT_TRUE(killed);
    EXPECT_TRUE(killed->in_time);
    EXPECT_EQ(killed->code, -1);
}

TEST_F(Command, MaySayMoreThanAnybodyReads) {
    const auto end = run({script("head -c 1000000 /dev/zero | tr '\\0' x >&2")});
    ASSERT_TRUE(end);
    EXPECT_EQ(end->code, 0);
    EXPECT_LE(end->said.size(), command::said_max);
    EXPECT_GE(end->said.size(), 100U);
}

TEST_F(Command, NeedNotReadItsInput) {
    const auto end = run({script("exit 0")}, std::string(300'000, 'x'));
    ASSERT_TRUE(end);
    EXPECT_EQ(end->code, 0);
}

TEST_F(Command, InheritsNothing) {
    ::setenv("CULLD_TEST_SECRET", "hidden", 1);
    const int fd = ::open("/", O_RDONLY);  // without O_CLOEXEC, as a library may
    ASSERT_GE(fd, 3);
    const auto end =
        run({script("{ env; ls -l /proc/self/fd | sed 's/.* \\([0-9]*\\) -> .*/fd \\1/'; pwd\n"
                    "test $(cut -d' ' -f6 /proc/$$/stat) = $$ && echo leads its session\n"
                    "grep SigIgn /proc/$$/status; } >" +
                    here_.path("out"))});
    ::close(fd);
    ::unsetenv("CULLD_TEST_SECRET");
    ASSERT_TRUE(end);
    const std::string out = read("out");
    EXPECT_EQ(out.find("hidden"), std::string::npos) << out;
    EXPECT_THAT(out, HasSubstr("LANG=C.UTF-8"));
    // 3 is the folder that ls reads.
    EXPECT_THAT(out, HasSubstr("\nfd 3\n"));
    for (int n = 4; n < 100; ++n) EXPECT_EQ(out.find("\nfd " + std::to_string(n) + "\n"), std::string::npos) << out;
    EXPECT_THAT(out, HasSubstr("\n/\n"));
    const std::size_t ignored = out.find("SigIgn:\t");
    ASSERT_NE(ignored, std::string::npos) << out;
    // The kernel's 31 common ones; 32 and 33 are glibc's own, and posix_spawn leaves them ignored.
    EXPECT_EQ(std::stoull(out.substr(ignored + 8, 16), nullptr, 16) & 0x7FFFFFFFU, 0U) << out;
    EXPECT_THAT(out, HasSubstr("leads its session"));
}

TEST_F(Command, IsKilledWithItsChildrenWhenItsTimeIsOver) {
    const steady_time begun = steady_now();
    const auto end = run({script("sleep 100 & echo $! >" + here_.path("child") + "; echo $$ >" + here_.path("pid") +
                                 "; trap '' TERM; sleep 100")},
                         "", std::chrono::milliseconds(500));
    ASSERT_TRUE(end);
    EXPECT_FALSE(end->in_time);
    EXPECT_LT(steady_now() - begun, std::chrono::seconds(5));
    const pid_t child = std::stoi(read("child")), pid = std::stoi(read("pid"));
    on_.until([&] { return !lives(child) && !lives(pid); });
    // Reaped by us, though nobody waited for it any more.
    on_.until([&] { return !std::filesystem::exists("/proc/" + std::to_string(pid)); });
}

TEST_F(Command, LeavesNoChildBehindThatOutlivesIt) {
    const auto end = run({script("sleep 100 & echo $! >" + here_.path("child"))});
    ASSERT_TRUE(end);
    EXPECT_EQ(end->code, 0) << "though somebody still held its standard error";
    const pid_t child = std::stoi(read("child"));
    on_.until([&] { return !lives(child); });
}

TEST_F(Command, CanBeBrokenOff) {
    command c({script("echo $$ >" + here_.path("pid") + "; sleep 100")});
    std::optional<result<command_end>> end;
    const auto story = [&]() -> task<void> { end.emplace(co_await c("", hang_limit)); };
    on_.spawn(story());
    on_.until([&] { return read("pid").ends_with('\n'); });
    c.break_off();
    on_.until([&] { return end.has_value(); });
    ASSERT_TRUE(*end);
    EXPECT_FALSE((*end)->in_time);
    const pid_t pid = std::stoi(read("pid"));
    on_.until([&] { return !lives(pid); });
    c.break_off();  // nothing is under way
}

TEST_F(Command, ThatCannotBeStartedSaysWhy) {
    const auto none = run({here_.path("none")});
    ASSERT_FALSE(none);
    EXPECT_THAT(none.error().text(), HasSubstr("No such file"));
    std::ofstream(here_.path("plain")) << "x";
    const auto plain = run({here_.path("plain")});
    ASSERT_FALSE(plain);
    EXPECT_THAT(plain.error().text(), HasSubstr("ermission denied"));
}

TEST_F(Command, LeavesNoDescriptorOpen) {
    const auto open = [] {
        return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                             std::filesystem::directory_iterator());
    };
    ASSERT_TRUE(run({"/bin/true"}));
    on_.poll();
    const auto before = open();
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(run({"/bin/true"}, "x"));
    on_.poll();
    EXPECT_EQ(open(), before);
}

}  // namespace
}  // namespace culld

// cullctl as a person at a terminal has it: questions, bars, colours. A pseudo-terminal stands for the person's.
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "culld/io/os/file.hpp"
#include "support/cullctl_runner.hpp"

namespace culld::test {
namespace {

class CullctlTerminal : public CullctlTest {
  protected:
    // Runs cullctl with the words of `arguments` on a terminal, and types `typed` once `until` shows.
    [[nodiscard]] ran on_terminal(const std::string& arguments, const std::string& until,
                                  const std::string& typed) const {
        // What a terminal is like is the test's, not that of whoever runs it.
        const std::string line = fmt::format(
            "unset NO_COLOR CLICOLOR_FORCE; cd {0} && TERM=xterm TMPDIR={0} exec {1} {2} --journal-dir {3} --spool {4}",
            root, CULLCTL, arguments, journals, spool);
        int terminal = -1;
        const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
        if (child == 0) {
            ::execl("/bin/sh", "sh", "-c", line.c_str(), static_cast<char*>(nullptr));
            ::_exit(127);
        }
        const unique_fd mine(terminal);
        ran out;
        bool asked = until.empty();
        for (;;) {
            pollfd ready{mine.get(), POLLIN, 0};
            if (::poll(&ready, 1, 20'000) <= 0) {
                ADD_FAILURE() << "nothing comes any more: " << out.out;
                static_cast<void>(::kill(child, SIGKILL));
                break;
            }
            char block[4096];
            const ssize_t n = ::read(mine.get(), block, sizeof block);
            if (n <= 0) break;  // the other side is closed
            out.out.append(block, static_cast<std::size_t>(n));
            if (!asked && out.out.find(until) != std::string::npos) {
                asked = true;
                EXPECT_TRUE(write_all(mine.get(), typed, "the terminal"));
            }
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        out.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        EXPECT_TRUE(asked) << out.out;
        return out;
    }
    [[nodiscard]] bool submitted() const { return std::filesystem::exists(spool + "/incoming/job.json"); }
};

constexpr const char* job =
    R"({"version":1,"project_id":"p","workspace_id":"w-7","ids":["a","b","c"],"dry_run":false})";
constexpr const char* question = "Type their number to go on: ";

TEST_F(CullctlTerminal, SubmitAsksForTheNumberAndGoesOnWithIt) {
    write(root + "/job.json", job);
    const ran r = on_terminal("submit job.json", question, "3\n");
    EXPECT_EQ(r.code, 0) << r.out;
    EXPECT_TRUE(submitted());
    EXPECT_NE(r.out.find("incidents of workspace w-7 will be deleted"), std::string::npos) << r.out;
}

TEST_F(CullctlTerminal, AnythingElseIsANo) {
    write(root + "/job.json", job);
    for (const char* answer : {"y\n", "\n", "2\n", "3x\n", "\x04"}) {
        const ran r = on_terminal("submit job.json", question, answer);
        EXPECT_EQ(r.code, 2) << answer << r.out;
        EXPECT_FALSE(submitted()) << answer;
    }
    EXPECT_TRUE(std::filesystem::is_empty(spool + "/tmp"));
}

TEST_F(CullctlTerminal, CtrlCAtTheQuestionLeavesNothing) {
    write(root + "/job.json", job);
    EXPECT_EQ(on_terminal("submit job.json", question, "\x03").code, 130);
    EXPECT_FALSE(submitted());
}

TEST_F(CullctlTerminal, NobodyIsAskedWhereItWasSaid) {
    write(root + "/job.json", job);
    EXPECT_EQ(on_terminal("submit --yes job.json", "", "").code, 0);
    std::filesystem::remove(spool + "/incoming/job.json");
    EXPECT_EQ(on_terminal("submit --confirm 3 job.json", "", "").code, 0);
    write(root + "/dry.json", R"({"version":1,"project_id":"p","workspace_id":"w","ids":["a"],"dry_run":true})");
    EXPECT_EQ(on_terminal("submit dry.json", "", "").code, 0);
}

TEST_F(CullctlTerminal, NobodyIsAskedWhereNobodyLooks) {
    write(root + "/job.json", job);
    const ran r = here("submit job.json");
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_EQ(r.err.find("Type their number"), std::string::npos);
}

TEST_F(CullctlTerminal, TheConfirmedCountIsThatOfAllFiles) {
    write(root + "/job.json", job);
    write(root + "/list.txt", "x\ny\nx\n");
    EXPECT_EQ(here("submit --confirm 5 job.json list.txt").code, 0);
    EXPECT_TRUE(submitted());
}

TEST_F(CullctlTerminal, AnotherCountSubmitsNothing) {
    write(root + "/job.json", job);
    write(root + "/list.txt", "x\ny\n");
    const ran r = here("submit --confirm=6 job.json list.txt");
    EXPECT_EQ(r.code, 65);
    EXPECT_NE(r.err.find("there are 5 distinct ids, but --confirm says 6"), std::string::npos) << r.err;
    EXPECT_EQ(here("submit --confirm=3 job.json nothing.txt").code, 66);
    EXPECT_EQ(here("submit --confirm=many job.json").code, 64);
    EXPECT_TRUE(std::filesystem::is_empty(spool + "/incoming"));
    EXPECT_TRUE(std::filesystem::is_empty(spool + "/tmp"));
}

TEST_F(CullctlTerminal, ColoursShowOnATerminalAndCanBeTurnedOff) {
    prepare();
    EXPECT_NE(on_terminal("list", "", "").out.find("\x1b[1m"), std::string::npos);
    EXPECT_EQ(on_terminal("list --no-color", "", "").out.find('\x1b'), std::string::npos);
}

TEST_F(CullctlTerminal, WatchSaysOnceAboveItsBarWhyAJobStandsStill) {
    prepare();
    open.add("job.blocked",
             R"("class":"auth","code":"APIGW.0301","detail":"Incorrect","help":"replace the token file")");
    write(journals + "/job-2.jsonl", open.text);
    const ran r = on_terminal("watch job-2", "░", "\x03");
    EXPECT_EQ(r.code, 130);
    const std::size_t said = r.out.find("Incorrect; replace the token file\r\n");
    EXPECT_LT(said, r.out.find("░")) << r.out;
    EXPECT_EQ(r.out.find("Incorrect", said + 1), std::string::npos) << r.out;
}

TEST_F(CullctlTerminal, APageIsNotPouredIntoATerminal) {
    prepare();
    const ran r = on_terminal("report job-1", "", "");
    EXPECT_EQ(r.code, 64);
    EXPECT_NE(r.out.find("-o job-1.html"), std::string::npos) << r.out;
    EXPECT_EQ(on_terminal("report job-1 --json", "", "").code, 0);
}

}  // namespace
}  // namespace culld::test

// A large job killed in its middle: the next start reads the journal from its last checkpoint on, and goes on.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "support/emulator_support.hpp"

namespace culld {
namespace {

namespace fs = std::filesystem;
using emulator_test::emulator;
using emulator_test::scratch;

constexpr std::uint64_t large = 40U << 20U;  // more than a restart reads whole
constexpr int ids = 1'500'000;

class LargeJob : public testing::Test {
  protected:
    LargeJob() : server_({"--fast", "--listen", "127.0.0.1:0"}) {
        fs::create_directories(here_.path("spool/incoming"));
        here_.write(
            "culld.yaml",
            fmt::format("api: {{endpoint: \"http://127.0.0.1:{}\", project_id: p, workspace_id: w}}\n"
                        "spool: {{dir: {}}}\njournal: {{dir: {}}}\nbatch: {{size: 500}}\n"
                        "limits: {{requests_per_second: 100000, burst: 100, concurrency: 8}}\n"
                        "http: {{listen: \"\", socket: {}}}\n",
                        server_.port(), here_.path("spool"), here_.path("journal"), here_.path("control.sock")));
        std::ofstream list(here_.path("big.txt"));
        for (int i = 0; i < ids; ++i) list << fmt::format("incident-{:027}\n", i);
        list.close();
        fs::rename(here_.path("big.txt"), here_.path("spool/incoming/big.txt"));
    }
    pid_t start() const {
        const pid_t pid = ::fork();
        if (pid != 0) return pid;
        const int fd = ::open(here_.path("culld.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        const std::string config = here_.path("culld.yaml");
        if (fd >= 0 && ::dup2(fd, STDERR_FILENO) >= 0)
            ::execl(CULLD, CULLD, "--config", config.c_str(), "--once", static_cast<char*>(nullptr));
        ::_exit(127);
    }
    std::string log() const { return read_small_file(here_.path("culld.log"), 1U << 24U).value_or(""); }
    std::string told() const { return read_small_file(journal(), 1U << 30U).value_or(""); }
    [[nodiscard]] fs::path journal() const {
        if (fs::exists(here_.path("journal")))
            for (const auto& entry : fs::directory_iterator(here_.path("journal")))
                if (entry.path().filename().string().starts_with("big-")) return entry.path();
        return {};
    }
    // Kills `pid` once the journal holds more than `bytes`.
    void kill_at(pid_t pid, std::uint64_t bytes) const {
        const auto begin = std::chrono::steady_clock::now();
        while (journal().empty() || fs::file_size(journal()) < bytes) {
            ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60)) << log();
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        ASSERT_EQ(::kill(pid, SIGKILL), 0);
        int status = 0;
        ::waitpid(pid, &status, 0);
        ASSERT_TRUE(WIFSIGNALED(status)) << "it ended by itself\n" << log();
    }

    scratch here_;
    emulator server_;
};

TEST_F(LargeJob, GoesOnFromItsLastCheckpoint) {
    kill_at(start(), large);
    kill_at(start(), fs::file_size(journal()) + (1U << 20U));
    // A torn tail behind the checkpoint, and it is a checkpoint itself; and one that is torn within.
    { std::ofstream(journal(), std::ios::app) << R"({"seq":99,"ts":"2026","type":"checkpoint","intended":5)"; }
    kill_at(start(), fs::file_size(journal()) + (1U << 20U));
    {
        const std::string zeros(40, '\0');
        std::ofstream(journal(), std::ios::app) << R"({"seq":99,"ts":"2026","type":"checkpoint",)" << zeros << "}\n";
    }
    int status = 0;
    const pid_t pid = start();
    ::waitpid(pid, &status, 0);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << log();
    const std::string verify = fmt::format("{} verify --journal-dir {}", CULLCTL, here_.path("journal"));
    EXPECT_EQ(std::system(verify.c_str()), 0);  // NOLINT(cert-env33-c,concurrency-mt-unsafe)
    std::ifstream lines(journal());
    std::string line;
    int checkpoints = 0, recoveries = 0;
    while (std::getline(lines, line)) {
        if (line.find(R"("type":"checkpoint")") != std::string::npos) ++checkpoints;
        if (line.find(R"("type":"job.recovered")") != std::string::npos) ++recoveries;
    }
    EXPECT_GE(checkpoints, 3);
    EXPECT_EQ(recoveries, 3);
}

// Behind the last checkpoint the chain is looked at: what was changed there sets the job aside.
TEST_F(LargeJob, IsSetAsideWhereTheChainBreaksBehindTheCheckpoint) {
    kill_at(start(), large);
    {
        std::fstream file(journal(), std::ios::in | std::ios::out | std::ios::binary);
        const auto at = static_cast<std::streamoff>(fs::file_size(journal()) - 40'000);
        file.seekg(at);
        std::string some(100, '\0');
        file.read(some.data(), static_cast<std::streamsize>(some.size()));
        const std::size_t digit = some.find_first_of("0123456789");
        ASSERT_NE(digit, std::string::npos);
        some[digit] = static_cast<char>(some[digit] ^ 1);
        file.seekp(at);
        file.write(some.data(), static_cast<std::streamsize>(some.size()));
    }
    int status = 0;
    const pid_t pid = start();
    ::waitpid(pid, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 75) << log();
    EXPECT_NE(log().find("never repaired"), std::string::npos) << log();
}

// Its checked list is gone, and to make it anew takes a while: told to stop meanwhile it does not wait for that.
// What a crash tore off is still told by the start that does go on.
TEST_F(LargeJob, StopsWhileItStillReads) {
    kill_at(start(), 4U << 20U);
    { std::ofstream(journal(), std::ios::app) << R"({"seq":99,"ts":"2026","type":"torn)"; }
    fs::remove_all(here_.path("journal/.plan"));
    fs::remove(here_.path("control.sock"));
    fs::remove(here_.path("culld.log"));
    const pid_t pid = start();
    while (!fs::exists(here_.path("control.sock"))) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ASSERT_EQ(::kill(pid, SIGTERM), 0);
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_TRUE(WIFEXITED(status)) << log();
    EXPECT_EQ(log().find("job.recovered"), std::string::npos) << log();
    EXPECT_EQ(log().find("job.stuck"), std::string::npos) << log();
    EXPECT_TRUE(told().ends_with(R"("type":"torn)")) << "nothing of it is changed yet";
    ::waitpid(start(), &status, 0);
    EXPECT_EQ(status, 0) << log();
    const std::string all = told();
    const auto told = all.find(R"("type":"job.recovered")");
    ASSERT_NE(told, std::string::npos);
    EXPECT_EQ(all.substr(told, all.find('\n', told) - told).find(R"("torn_bytes":0)"), std::string::npos);
}

}  // namespace
}  // namespace culld

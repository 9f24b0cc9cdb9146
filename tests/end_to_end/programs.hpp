// For tests: the three programs as their users run them, in a folder of the test's own.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../shell/emulator_support.hpp"

namespace culld {

namespace fs = std::filesystem;
namespace json = boost::json;
using emulator_test::emulator;
using emulator_test::scratch;

// Starts a program with its output in a file; -1 where it could not be started.
inline pid_t start(std::vector<std::string> command, const std::string& output) {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    const int fd = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    std::vector<char*> argv;
    for (std::string& word : command) argv.push_back(word.data());
    argv.push_back(nullptr);
    if (fd >= 0 && ::dup2(fd, STDOUT_FILENO) >= 0 && ::dup2(fd, STDERR_FILENO) >= 0) ::execv(argv[0], argv.data());
    ::_exit(127);
}

inline int wait_for(pid_t pid) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class ThePrograms : public testing::Test {
  protected:
    void configure(const std::string& scenario,
                   const std::string& limits = "requests_per_second: 500, concurrency: 4") {
        start_emulator(scenario);
        fs::create_directories(here_.path("spool/incoming"));
        here_.write("culld.yaml",
                    fmt::format("api: {{endpoint: \"http://127.0.0.1:{}\", project_id: p, workspace_id: w}}\n"
                                "spool: {{dir: {}}}\njournal: {{dir: {}}}\nlimits: {{{}}}\nbatch: {{size: 20}}\n"
                                "retry: {{base_delay: 20ms, max_delay: 200ms, max_attempts: 3}}\n"
                                "http: {{listen: \"\", socket: {}}}\n",
                                server_->port(), here_.path("spool"), here_.path("journal"), limits,
                                here_.path("control.sock")));
    }
    void start_emulator(const std::string& scenario, std::vector<std::string> more = {}) {
        std::vector<std::string> words{"--listen", "127.0.0.1:0", "--scenario", here_.write("scenario.yaml", scenario)};
        words.insert(words.end(), more.begin(), more.end());
        server_ = std::make_unique<emulator>(std::move(words));
    }
    std::vector<std::string> daemon(std::vector<std::string> more = {}) const {
        std::vector<std::string> out{CULLD, "--config", here_.path("culld.yaml")};
        out.insert(out.end(), more.begin(), more.end());
        return out;
    }
    int once() const { return wait_for(start(daemon({"--once"}), here_.path("culld.log"))); }
    int ctl(std::vector<std::string> words, const std::string& output = "ctl.log") const {
        std::vector<std::string> command{CULLCTL, "--config", here_.path("culld.yaml")};
        command.insert(command.end(), words.begin(), words.end());
        return wait_for(start(command, here_.path(output)));
    }
    // Complete at once: renamed in.
    void drop(const std::string& name, const std::string& content) const {
        here_.write(name, content);
        fs::rename(here_.path(name), here_.path("spool/incoming/" + name));
    }
    static std::string list(const std::string& prefix, int n) {
        std::string out;
        for (int i = 0; i < n; ++i) out += fmt::format("{}-{}\n", prefix, i);
        return out;
    }
    // Verdict by id, as cullctl tells it.
    std::map<std::string, std::string> verdicts(const std::string& job) const {
        const std::string file = job + ".csv";
        EXPECT_EQ(ctl({"result", job, "--csv"}, file), 0);
        std::map<std::string, std::string> out;
        std::ifstream in(here_.path(file));
        std::string line;
        std::getline(in, line);
        while (std::getline(in, line)) {
            const std::size_t comma = line.find(',');
            const std::string verdict = line.substr(comma + 1, line.find(',', comma + 1) - comma - 1);
            EXPECT_TRUE(out.emplace(line.substr(0, comma), verdict).second) << "two rows for " << line;
        }
        return out;
    }
    std::string log() const { return read_small_file(here_.path("culld.log"), 1U << 24U).value_or(""); }

    scratch here_;
    std::unique_ptr<emulator> server_;
};

}  // namespace culld

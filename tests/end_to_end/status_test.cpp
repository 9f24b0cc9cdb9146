// What a running daemon shows: the page, the metrics, and the commands that people gave it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <regex>
#include <set>
#include <thread>

#include "culld/core/text/html_escape.hpp"
#include "support/emulator_support.hpp"

namespace culld {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using emulator_test::emulator;
using emulator_test::scratch;

std::string between(const std::string& text, const std::string& from, const std::string& to) {
    const std::size_t begin = text.find(from);
    if (begin == std::string::npos) return {};
    return text.substr(begin + from.size(), text.find(to, begin + from.size()) - begin - from.size());
}

class Status : public testing::Test {
  protected:
    // A daemon with a job of 300 ids under way: slow, and some fail.
    void SetUp() override {
        server_ = std::make_unique<emulator>(std::vector<std::string>{
            "--listen", "127.0.0.1:0", "--scenario",
            here_.write("scenario.yaml",
                        "seed: 1\nfail_pattern: {suffix: \"7\", times: 9}\nlatency: {fixed: 20ms}\n")});
        fs::create_directories(here_.path("spool/incoming"));
        here_.write("culld.yaml",
                    fmt::format("api: {{endpoint: \"http://127.0.0.1:{}\", project_id: p, workspace_id: w}}\n"
                                "spool: {{dir: {}}}\njournal: {{dir: {}}}\n"
                                "limits: {{requests_per_second: 30, concurrency: 2}}\nbatch: {{size: 10}}\n"
                                "retry: {{base_delay: 20ms, max_delay: 100ms, max_attempts: 2}}\n"
                                "http: {{listen: \"\", socket: {}}}\n",
                                server_->port(), here_.path("spool"), here_.path("journal"), socket_));
        std::string list;
        for (int i = 0; i < 300; ++i) list += fmt::format("id-{}\n", i);
        here_.write("list.txt", list);
        fs::rename(here_.path("list.txt"), here_.path("spool/incoming/list.txt"));
        daemon_ = start({CULLD, "--config", here_.path("culld.yaml")}, "culld.log");
    }
    void TearDown() override { stop(); }
    void stop() {
        if (daemon_ <= 0) return;
        static_cast<void>(::kill(daemon_, SIGTERM));
        int status = 0;
        ::waitpid(daemon_, &status, 0);
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << log();
        daemon_ = -1;
    }
    pid_t start(std::vector<std::string> command, const std::string& output) const {
        const pid_t pid = ::fork();
        if (pid != 0) return pid;
        const int fd = ::open(here_.path(output).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        std::vector<char*> argv;
        for (std::string& word : command) argv.push_back(word.data());
        argv.push_back(nullptr);
        if (fd >= 0 && ::dup2(fd, STDOUT_FILENO) >= 0 && ::dup2(fd, STDERR_FILENO) >= 0) ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    // Exit code of cullctl; what it said is in ctl.log.
    int ctl(std::vector<std::string> words) const {
        std::vector<std::string> command{CULLCTL, "--config", here_.path("culld.yaml")};
        command.insert(command.end(), words.begin(), words.end());
        int status = 0;
        ::waitpid(start(command, "ctl.log"), &status, 0);
        return WEXITSTATUS(status);
    }
    std::string read(const std::string& name) const {
        return read_small_file(here_.path(name), 1U << 24U).value_or("");
    }
    std::string log() const { return read("culld.log"); }
    // The value of a sample; -1 where there is none.
    static double number(const std::string& text, const std::string& sample) {
        const std::string value = between("\n" + text, "\n" + sample + " ", "\n");
        return value.empty() ? -1 : std::stod(value);
    }

    std::string get(const std::string& target) const { return emulator_test::get_from_socket(socket_, target); }
    static std::string body(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }
    // Looks again until `text` shows in the answer to `target`.
    std::string await(const std::string& target, const std::string& text) const {
        for (int i = 0; i < 400; ++i) {
            const std::string answer = get(target);
            if (answer.find(text) != std::string::npos) return answer;
            std::this_thread::sleep_for(std::chrono::milliseconds(25));
        }
        ADD_FAILURE() << text << " never came: " << get(target) << log();
        return {};
    }

    scratch here_;
    std::string socket_ = here_.path("control.sock");
    std::unique_ptr<emulator> server_;
    pid_t daemon_ = -1;
};

TEST_F(Status, ThePageShowsTheJobUnderAPolicyOfItsOwn) {
    const std::string answer = await("/", "<progress max=\"300\"");
    const std::string policy = between(answer, "Content-Security-Policy: ", "\r\n");
    EXPECT_NE(policy.find("style-src " + csp_hash(between(answer, "<style>", "</style>"))), std::string::npos)
        << policy;
    EXPECT_NE(policy.find("script-src " + csp_hash(between(answer, "<script>", "</script>"))), std::string::npos);
    EXPECT_NE(answer.find("X-Content-Type-Options: nosniff"), std::string::npos);
    const std::string ended = await("/", "completed_with_failures");
    EXPECT_NE(ended.find("Failures by reason"), std::string::npos);
    EXPECT_NE(ended.find("<td>refused</td><td class=\"n\">30</td>"), std::string::npos) << ended;
    // No other answer may run anything in a browser at all.
    EXPECT_EQ(between(get("/v1/jobs"), "Content-Security-Policy: ", "\r\n"),
              "default-src 'none'; frame-ancestors 'none'");
}

TEST_F(Status, MetricsAreWhatPrometheusAsksFor) {
    const std::string text = body(await("/metrics", "culld_jobs_total{result=\"completed_with_failures\"} 1\n"));
    for (const char* line :
         {"culld_incidents_total{result=\"deleted\"} 270", "culld_incidents_total{result=\"failed\"} 30",
          "culld_incidents_failed_total{reason=\"refused\"} 30", "culld_incidents_failed_total{reason=\"unknown\"} 0",
          "culld_jobs_total{result=\"completed_with_failures\"} 1", "culld_jobs_total{result=\"completed\"} 0",
          "culld_job_duration_seconds_count 1", "culld_job_duration_seconds_bucket{le=\"+Inf\"} 1",
          "culld_job_queue_wait_seconds_count 1", "culld_credentials_expiry_timestamp_seconds 0",
          "culld_journal_errors_total 0", "culld_jobs{state=\"running\"} 0", "culld_circuit_breaker_open 0",
          "culld_config_last_reload_successful 1"})
        EXPECT_NE(text.find(std::string(line) + "\n"), std::string::npos) << line << "\n" << text;
    // Every sample has a family with help and type, and no label that grows with the jobs.
    std::set<std::string> families;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("# HELP ")) families.insert(line.substr(7, line.find(' ', 7) - 7));
        if (line.starts_with("#")) continue;
        const std::string name = line.substr(0, line.find_first_of("{ "));
        const std::string family = std::regex_replace(name, std::regex("_(bucket|sum|count)$"), "");
        EXPECT_TRUE(families.contains(name) || families.contains(family)) << line;
        EXPECT_EQ(line.find("list"), std::string::npos) << "the job's name: " << line;
    }
    // Answers take 20 ms at the least here.
    const std::string deletions = "culld_api_request_duration_seconds_bucket{operation=\"delete\",le=\"";
    EXPECT_EQ(number(text, deletions + "0.01\"}"), 0);
    EXPECT_GE(number(text, deletions + "30\"}"), 30);
    EXPECT_EQ(number(text, deletions + "+Inf\"}"), number(text, "culld_api_requests_total{operation=\"delete\"}"));
    EXPECT_EQ(number(text, "culld_api_request_duration_seconds_count{operation=\"get\"}"),
              number(text, "culld_api_requests_total{operation=\"get\"}"));
    EXPECT_GE(number(text, "culld_journal_fsync_seconds_count"), 3);
    // At the least job.accepted, an intent, a record for each of 30 batches, and job.finished.
    EXPECT_GE(number(text, "culld_journal_records_total"), 33);
    // The manual has each of them, and no other.
    const std::string manual =
        read_small_file((fs::path(CULLD_README).parent_path() / "docs/man/culld.8").string(), 1U << 20U).value_or("");
    std::set<std::string> documented;
    const std::regex word(R"(\.It Li (culld_[a-z_]+)\n)");
    for (std::sregex_iterator it(manual.begin(), manual.end(), word), end; it != end; ++it) documented.insert((*it)[1]);
    std::erase_if(families, [](const std::string& name) { return name.starts_with("process_"); });
    EXPECT_EQ(families, documented);
    here_.write("metrics", text);
    if (std::system("command -v promtool >/dev/null") != 0)
        GTEST_SKIP() << "promtool (package prometheus) is not installed";
    EXPECT_EQ(
        std::system(
            fmt::format("promtool check metrics <{} >{} 2>&1", here_.path("metrics"), here_.path("said")).c_str()),
        0)
        << read("said");
    EXPECT_EQ(read("said"), "");
}

// Looked up for one scrape, told at the next.
TEST_F(Status, MetricsHaveTheRoomOnTheDisksAndWhatWaitsInTheDropBox) {
    here_.write("spool/incoming/alone.ids", "its job never comes\n");
    here_.write("spool/incoming/half.yaml.part", "");
    const std::string text = body(await("/metrics", "\nculld_incoming_files 1\n"));
    for (const char* folder : {"journal", "spool"}) {
        const double free = number(text, fmt::format("culld_disk_free_bytes{{folder=\"{}\"}}", folder));
        EXPECT_GT(free, 0);
        EXPECT_GT(number(text, fmt::format("culld_disk_size_bytes{{folder=\"{}\"}}", folder)), free);
    }
}

TEST_F(Status, ARefusedReloadIsCounted) {
    await("/readyz", "200 OK");
    const std::string good = read("culld.yaml");
    here_.write("culld.yaml", good + "nonsense: 1\n");
    ASSERT_EQ(::kill(daemon_, SIGHUP), 0);
    await("/metrics", "culld_config_last_reload_successful 0\n");
    here_.write("culld.yaml", good);
    ASSERT_EQ(::kill(daemon_, SIGHUP), 0);
    await("/metrics", "culld_config_last_reload_successful 1\n");
}

// From the person's hand, over the socket, to the journal, to the page that an auditor reads.
TEST_F(Status, WhatAPersonDidIsInTheReportWithTheirUid) {
    await("/v1/jobs", "\"state\":\"running\"");
    ASSERT_EQ(ctl({"pause", "list.txt", "--reason", "lunch"}), 0) << read("ctl.log");
    ASSERT_EQ(ctl({"rate", "list.txt", "25"}), 0) << read("ctl.log");
    ASSERT_EQ(ctl({"resume", "list.txt"}), 0) << read("ctl.log");
    await("/v1/jobs", "completed_with_failures");
    ASSERT_EQ(ctl({"report", "list.txt", "-o", here_.path("r.html")}), 0) << read("ctl.log");
    const std::string page = read("r.html");
    EXPECT_NE(page.find("<td>paused</td><td>uid " + std::to_string(::getuid())), std::string::npos) << page;
    EXPECT_NE(page.find("lunch"), std::string::npos);
    EXPECT_NE(page.find("rate set to 25 requests a second"), std::string::npos);
    EXPECT_NE(page.find("Ids that failed: 30"), std::string::npos);
    EXPECT_NE(page.find("<span>journal and ledger"), std::string::npos);
    EXPECT_NE(page.find("<b>intact</b>"), std::string::npos);
}

}  // namespace
}  // namespace culld

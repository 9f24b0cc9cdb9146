#include "culld/io/os/log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "culld/io/os/file.hpp"

namespace culld {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const wall_time at{std::chrono::microseconds(1'795'568'523'123'456)};

std::string line(log_style style, std::string_view message, const std::vector<log_field>& fields = {}) {
    return format_log_line(style, at, log_level::info, "job.accepted", message, fields);
}

TEST(LogLine, LooksAsItsStyleSays) {
    const std::vector<log_field> fields{{"job_id", "a b"}, {"ids", 12U}, {"offset", -3}, {"dry_run", false}};
    EXPECT_EQ(line(log_style::text, "accepted", fields),
              "2026-11-25T01:02:03.123456Z info accepted event=job.accepted job_id=\"a b\" ids=12 offset=-3 "
              "dry_run=false\n");
    EXPECT_EQ(line(log_style::terminal, "accepted", fields),
              "01:02:03Z info  accepted event=job.accepted job_id=\"a b\" ids=12 offset=-3 dry_run=false\n");
    EXPECT_EQ(line(log_style::prefixed, "accepted"), "<6>accepted event=job.accepted\n");
    EXPECT_EQ(line(log_style::json, "accepted", fields),
              R"({"ts":"2026-11-25T01:02:03.123456Z","level":"info","event":"job.accepted","msg":"accepted",)"
              R"("job_id":"a b","ids":12,"offset":-3,"dry_run":false})"
              "\n");
    EXPECT_THAT(line(log_style::terminal_color, "accepted"), HasSubstr("\x1b[32minfo \x1b[0m accepted"));
}

TEST(LogLine, IsOneLineWhateverItHolds) {
    const std::string evil = "a\nb\r\x1b[31m\x7f\t\xC2\x9B\xFF\xC3\xA4";
    for (const log_style style : {log_style::text, log_style::terminal, log_style::prefixed, log_style::json}) {
        const std::string out = line(style, evil, {{"file", evil}});
        EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 1);
        EXPECT_EQ(out.back(), '\n');
        EXPECT_EQ(out.find_first_of("\x1b\r\t\x7f"), std::string::npos) << out;
        EXPECT_THAT(out, HasSubstr("\xC3\xA4"));
    }
    EXPECT_EQ(line(log_style::prefixed, evil), "<6>a\\nb\\r\\x1b[31m\\x7f\\t\\u009b\\xff\xC3\xA4 event=job.accepted\n");
    EXPECT_NO_THROW(static_cast<void>(boost::json::parse(line(log_style::json, evil, {{"file", evil}}))));
}

TEST(LogLine, AValueCannotPassForAnotherField) {
    EXPECT_THAT(line(log_style::text, "x", {{"file", "a job_id=b"}}), HasSubstr(" file=\"a job_id=b\"\n"));
    EXPECT_THAT(line(log_style::text, "x", {{"file", "a\" job_id=b"}}), HasSubstr(" file=\"a\\\" job_id=b\"\n"));
    EXPECT_THAT(line(log_style::text, "x", {{"file", ""}}), HasSubstr(" file=\"\"\n"));
}

TEST(LogLevels, HaveNamesAndPriorities) {
    for (const auto& [word, prefix] : std::vector<std::pair<const char*, const char*>>{
             {"trace", "<7>"}, {"debug", "<7>"}, {"info", "<6>"}, {"warn", "<4>"}, {"error", "<3>"}}) {
        const auto level = log_level_of(word);
        ASSERT_TRUE(level) << word;
        EXPECT_THAT(format_log_line(log_style::prefixed, at, *level, "e", "m", {}), testing::StartsWith(prefix));
    }
    EXPECT_FALSE(log_level_of("warning"));
}

TEST(Journald, GetsFieldsOfOurOwn) {
    const std::vector<log_field> fields{{"job_id", "x"}, {"http_status", 429U}, {"odd-name", "a\nb"}};
    EXPECT_THAT(
        journald_fields(log_level::warn, "gateway.throttled", "slow\ndown", fields),
        ElementsAre("MESSAGE=slow\\ndown event=gateway.throttled job_id=x", "PRIORITY=4", "SYSLOG_IDENTIFIER=culld",
                    "CULLD_EVENT=gateway.throttled", "CULLD_JOB_ID=x", "CULLD_HTTP_STATUS=429", "CULLD_ODD_NAME=a\nb"));
}

TEST(LogStyle, FollowsFormatAndSurroundings) {
    const log_surroundings terminal{.terminal = true};
    const log_surroundings dull{.terminal = true, .no_color = true};
    const log_surroundings journal{.journal = true, .supervised = true};
    const log_surroundings piped{.supervised = true};
    EXPECT_EQ(style_of(log_format::automatic, terminal), log_style::terminal_color);
    EXPECT_EQ(style_of(log_format::automatic, dull), log_style::terminal);
    EXPECT_EQ(style_of(log_format::automatic, journal), log_style::journald);
    EXPECT_EQ(style_of(log_format::automatic, piped), log_style::prefixed);
    EXPECT_EQ(style_of(log_format::automatic, {}), log_style::text);
    EXPECT_EQ(style_of(log_format::json, journal), log_style::json);
    EXPECT_EQ(style_of(log_format::text, journal), log_style::prefixed);
    EXPECT_EQ(style_of(log_format::journald, {}), log_style::journald);
}

TEST(LogStyle, TheJournalIsKnownByDeviceAndInodeAlone) {
    struct stat facts {};
    ASSERT_EQ(::fstat(STDERR_FILENO, &facts), 0);
    ::setenv("JOURNAL_STREAM", fmt::format("{}:{}", facts.st_dev, facts.st_ino).c_str(), 1);
    EXPECT_TRUE(look_around().journal);
    ::setenv("JOURNAL_STREAM", "1:1", 1);
    EXPECT_FALSE(look_around().journal);
    EXPECT_TRUE(look_around().supervised);
    ::unsetenv("JOURNAL_STREAM");
    EXPECT_FALSE(look_around().journal);
}

TEST(Log, GoesToStderrFromItsLevelOn) {
    start_log(log_style::json, log_level::info);
    testing::internal::CaptureStderr();
    log(log_level::debug, "a", "not shown");
    log(log_level::info, "b", "shown", {{"n", 1}});
    set_log_level(log_level::debug);
    EXPECT_TRUE(log_enabled(log_level::debug));
    EXPECT_FALSE(log_enabled(log_level::trace));
    log(log_level::debug, "c", "shown now");
    log(log_level::error, "d", problem{.what = "bad", .file = "f.yaml", .line = 3, .column = 1, .field = "x.y"});
    const std::string out = testing::internal::GetCapturedStderr();
    EXPECT_EQ(out.find("not shown"), std::string::npos);
    EXPECT_THAT(out, HasSubstr(R"("event":"b","msg":"shown","n":1})"));
    EXPECT_THAT(out, HasSubstr("shown now"));
    EXPECT_THAT(out, HasSubstr(R"("msg":"f.yaml:3:1: bad","file":"f.yaml","line":3,"column":1,"field":"x.y"})"));
    start_log(log_style::text, log_level::info);
}

TEST(Log, BracesInAMessageAreOnlyBraces) {
    start_log(log_style::text, log_level::info);
    testing::internal::CaptureStderr();
    log(log_level::info, "e", "{} {0} %s %n");
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("{} {0} %s %n"));
}

TEST(Log, LinesOfManyThreadsStayWhole) {
    start_log(log_style::json, log_level::info);
    testing::internal::CaptureStderr();
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([t] {
                for (int i = 0; i < 50; ++i) log(log_level::info, "e", "m", {{"t", t}, {"i", i}});
            });
    }
    std::istringstream out(testing::internal::GetCapturedStderr());
    int lines = 0;
    for (std::string text; std::getline(out, text); ++lines)
        EXPECT_NO_THROW(static_cast<void>(boost::json::parse(text))) << text;
    EXPECT_EQ(lines, 200);
    start_log(log_style::text, log_level::info);
}

// stderr is a pipe that nobody reads; then somebody does.
TEST(Log, WaitsForNoReaderTellsWhatIsLostAndKeepsTheLedgersLastLine) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const unique_fd before(::dup(STDERR_FILENO));
    ASSERT_EQ(::dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    start_log(log_style::json, log_level::info);
    log_from_a_thread();
    const auto begun = std::chrono::steady_clock::now();
    const std::string long_text(500, 'x');
    for (int i = 0; i < 20'000; ++i) {
        log(log_level::info, "e", long_text);
        if (i % 1000 == 999) log(log_level::info, "ledger.line", "a line", {{"ledger_seq", i / 1000}});
    }
    const auto took = std::chrono::steady_clock::now() - begun;
    const bool stuck = !end_log(std::chrono::milliseconds(50));
    std::string out;
    std::thread reader([&] {
        std::array<char, 65536> block{};
        for (ssize_t n = 0; (n = ::read(ends[0], block.data(), block.size())) > 0;)
            out.append(block.data(), static_cast<std::size_t>(n));
    });
    const bool ended = end_log(std::chrono::seconds(20));
    ::dup2(before.get(), STDERR_FILENO);
    ::close(ends[1]);
    reader.join();
    ::close(ends[0]);
    start_log(log_style::text, log_level::info);
    EXPECT_LT(took, std::chrono::seconds(10));
    EXPECT_TRUE(stuck);
    EXPECT_TRUE(ended);
    const std::size_t told = out.find(R"("event":"log.dropped")");
    ASSERT_NE(told, std::string::npos) << out.size();
    const std::size_t kept = out.find(R"("ledger_seq":19})");
    EXPECT_NE(kept, std::string::npos);
    EXPECT_LT(told, kept) << "the ledger's last line follows";
    EXPECT_LT(out.size(), 3U << 20U);
}

}  // namespace
}  // namespace culld

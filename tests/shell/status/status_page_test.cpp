#include "culld/app/status/status_page.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "culld/core/text/html_escape.hpp"

namespace culld {
namespace {

std::string between(const std::string& text, const std::string& from, const std::string& to) {
    const std::size_t begin = text.find(from);
    if (begin == std::string::npos) return {};
    return text.substr(begin + from.size(), text.find(to, begin + from.size()) - begin - from.size());
}
bool has(const std::string& text, std::string_view what) {
    return text.find(what) != std::string::npos;
}

page_facts idle() {
    return {.version = "1.2.3",
            .endpoint = "https://api.example",
            .up_seconds = 3661,
            .requests_per_second = 5,
            .credentials = "good"};
}
job_view job(std::string_view id, std::string_view state) {
    return {.job_id = std::string(id),
            .file = "a.txt",
            .state = job_state_named(state).value(),
            .totals = {.ids = 200, .deleted = 90, .failed = 10},
            .rate = 12.5,
            .eta_seconds = 8};
}

TEST(StatusPage, AllowsItsOwnStyleAndScriptAndNothingElse) {
    const std::string page = status_page(idle());
    const std::string& policy = status_page_policy();
    EXPECT_TRUE(policy.starts_with("default-src 'none';")) << policy;
    EXPECT_TRUE(has(policy, "style-src " + csp_hash(between(page, "<style>", "</style>")))) << "what stands there";
    EXPECT_TRUE(has(policy, "script-src " + csp_hash(between(page, "<script>", "</script>"))));
    EXPECT_FALSE(has(policy, "unsafe"));
    for (const char* what : {" style=", " onclick", " src=", "http://", "url(", "@import"})
        EXPECT_FALSE(has(page, what)) << what;
    EXPECT_TRUE(has(page, "<noscript><meta http-equiv=\"refresh\"")) << "live without a script, too";
}

TEST(StatusPage, SaysThatNothingIsToBeDone) {
    const std::string page = status_page(idle());
    EXPECT_TRUE(has(page, "1.2.3 · up 1h01m · https://api.example"));
    EXPECT_TRUE(has(page, "None. A job file dropped"));
    EXPECT_FALSE(has(page, "rejected"));
}

TEST(StatusPage, ShowsAJobWithItsProgress) {
    page_facts f = idle();
    f.open = {job("clean-1", "running")};
    const std::string page = status_page(f);
    EXPECT_TRUE(has(page, "<progress max=\"200\" value=\"100\">"));
    EXPECT_TRUE(has(page, "50.0%"));
    EXPECT_TRUE(has(page, "12.5/s"));
    EXPECT_TRUE(has(page, ">8s<"));
}

TEST(StatusPage, HasNoProgressOfWhatIsFinished) {
    page_facts f = idle();
    f.finished = {job("cleaned", "finished")};
    const std::string page = status_page(f);
    EXPECT_TRUE(has(page, "cleaned"));
    EXPECT_FALSE(has(page, "<progress max"));
}

TEST(StatusPage, ShowsWhatIsWrong) {
    page_facts f = idle();
    f.credentials = "refused";
    f.breaker_open = true;
    f.throttled_for_seconds = 12.2;
    f.rejected = 1;
    job_view blocked = job("stuck", "blocked");
    blocked.reason = "APIGW.0301: Incorrect IAM authentication information";
    blocked.help = "put a new token there";
    f.open = {blocked};
    const reason_counts reasons{{"refused", 1234}};
    f.failed_by_reason = &reasons;
    const std::string page = status_page(f);
    for (const char* what : {"refuses the credentials", "one probe at a time", "for 13s", "job is blocked",
                             "APIGW.0301", "put a new token there", "Failures by reason", "1,234", "file rejected"})
        EXPECT_TRUE(has(page, what)) << what;
}

TEST(StatusPage, ShowsHowLongTheCredentialsLast) {
    page_facts f = idle();
    EXPECT_TRUE(has(status_page(f), "<div class=\"tile good\"><b>good</b><span>credentials</span>")) << "for ever";
    f.credentials_until = "2026-11-25T05:02:03.000000Z";
    f.credentials_left_seconds = 11'519.5;
    const std::string page = status_page(f);
    EXPECT_TRUE(
        has(page, "<div class=\"tile good\"><b>good</b><span>credentials, for 3h12m: until 2026-11-25 05:02:03Z<"));
    // Where the script puts what is new, and a reload without one does.
    EXPECT_TRUE(has(between(page, "<div id=\"now\">", "<section id=\"open\">"), "for 3h12m"));
    f.credentials_left_seconds = -1;
    EXPECT_TRUE(has(status_page(f),
                    "<div class=\"tile \"><b>expired</b><span>credentials, since 2026-11-25 05:02:03Z: "
                    "renewed when there is work"));
    f.open = {job("clean-1", "running")};
    f.credentials_left_seconds = 100;
    EXPECT_TRUE(has(status_page(f), "<div class=\"tile warn\"><b>good</b><span>credentials, for 1m40s"));
    f.credentials_left_seconds = -1;
    EXPECT_TRUE(has(status_page(f), "<div class=\"tile bad\"><b>expired</b><span>credentials, since 2026-11-25"));
    f.credentials = "refused";
    f.credentials_left_seconds = 1000;
    EXPECT_TRUE(has(status_page(f), "<div class=\"tile bad\"><b>refused</b>"));
}

TEST(StatusPage, NamesAreNeverMarkup) {
    page_facts f = idle();
    job_view j = job("x", "blocked");
    j.reason = "</script><script>alert(1)</script>";
    f.open = {j};
    f.endpoint = "\"><i>";
    const std::string page = status_page(f);
    EXPECT_FALSE(has(page, "<script>alert"));
    EXPECT_FALSE(has(page, "\"><i>"));
}

TEST(StatusPage, SurvivesThousandsOfJobs) {
    std::vector<std::string> names;
    for (int i = 0; i < 2000; ++i) names.push_back("cleanup-2026-11-" + std::to_string(i) + "-20261125T010203Z-abcd");
    page_facts f = idle();
    for (int i = 0; i < 1000; ++i) f.open.push_back(job(names[static_cast<std::size_t>(i)], "waiting"));
    for (int i = 1000; i < 2000; ++i) {
        job_view over = job(names[static_cast<std::size_t>(i)], "finished");
        over.status = "completed";
        f.finished.push_back(over);
    }
    sliding_counts past(past_series, 120, std::chrono::seconds(30));
    f.past = &past;
    const std::string page = status_page(f);
    EXPECT_LT(page.size(), 4U << 20U);
    EXPECT_TRUE(has(page, "<summary>990 more</summary>"));
    EXPECT_TRUE(has(page, names.back()));
}

}  // namespace
}  // namespace culld

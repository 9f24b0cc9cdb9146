// What culld tells of its own accord, and that nothing waits for it.
#include "programs.hpp"
#include "support/hostile_server.hpp"

namespace culld::programs {
namespace {

class Notification : public Programs {
  protected:
    // A program that writes down what it is told.
    [[nodiscard]] std::string listener() const {
        here_.write("listen", "#!/bin/sh\ncat >>" + here_.path("heard") + "\n");
        fs::permissions(here_.path("listen"), fs::perms::owner_all);
        return here_.path("listen");
    }
    [[nodiscard]] std::vector<json::object> heard() const {
        std::vector<json::object> out;
        std::istringstream in(read("heard"));
        for (std::string line; std::getline(in, line);) out.push_back(json::parse(line).as_object());
        return out;
    }
    [[nodiscard]] std::set<std::string> events() const {
        std::set<std::string> out;
        for (const json::object& e : heard()) {
            const json::value& job = e.at("job_id");
            out.insert(std::string(e.at("event").as_string()) + " " +
                       std::string(job.is_null() ? e.at("file").as_string() : job.as_string()));
        }
        return out;
    }
    [[nodiscard]] json::object event_of(const std::string& job) const {
        for (json::object& e : heard())
            if (e.at("job_id") == json::value(job)) return e;
        ADD_FAILURE() << "nothing was heard of " << job;
        return {};
    }
};

TEST_F(Notification, TellsHowEachJobEnded) {
    configure({.scenario = "seed: 1\nfail_pattern: {suffix: \"7\", times: 9}\n",
               .more = fmt::format("notify: {{command: [{}]}}\n", listener())});
    drop_job("good", 5, "labels: {ticket: SEC-1}\n");
    drop_job("poor", 10);
    drop("bad.json", "{\"version\": 2}");
    EXPECT_EQ(once(), 65) << log();
    // With --once, too, all of it has arrived by the end.
    EXPECT_EQ(events(), (std::set<std::string>{"finished good", "failed poor", "rejected bad.json"})) << log();
    const json::object good = event_of("good"), poor = event_of("poor");
    EXPECT_EQ(good.at("totals").at("deleted"), 5);
    EXPECT_EQ(good.at("labels").at("ticket"), "SEC-1");
    EXPECT_EQ(poor.at("status"), "completed_with_failures");
    EXPECT_EQ(poor.at("totals").at("failed"), 1);
}

// The lines of a ledger that was begun anew are no news.
TEST_F(Notification, TellsNobodyOfJobsThatWereOverBeforeTheLedgerWas) {
    configure({.more = fmt::format("notify: {{command: [{}]}}\n", listener())});
    drop_job("one", 5);
    drop_job("two", 5);
    ASSERT_EQ(once(), 0) << log();
    ASSERT_EQ(heard().size(), 2U) << log();
    fs::remove(at("journal/ledger.jsonl"));
    fs::remove(at("journal/ledger.head"));
    drop_job("three", 5);
    ASSERT_EQ(once(), 0) << log();
    EXPECT_EQ(events(), (std::set<std::string>{"finished one", "finished two", "finished three"}));
    EXPECT_EQ(heard().size(), 3U) << log();
    EXPECT_NE(log().find("2 jobs that were over before have no line in the ledger"), std::string::npos) << log();
    EXPECT_NE(log().find("event=ready open_jobs=0"), std::string::npos) << log();
    const std::string ledger = read("journal/ledger.jsonl");
    for (const char* job : {"one", "two", "three"})
        EXPECT_NE(ledger.find(fmt::format("\"journal\":\"{}.jsonl\"", job)), std::string::npos) << ledger;
}

TEST_F(Notification, TellsOfABlockedJobAndOfTheReload) {
    hostile_server hook(
        {[](const hostile_server::victim& c) { return c.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); }});
    restart_server("seed: 1\n", {"--token", "right"});
    setup s{.more =
                fmt::format("auth: {{token_file: {}}}\nnotify: {{webhook: \"http://127.0.0.1:{}/x\", on: [blocked]}}\n",
                            secret_file("token", "wrong"), hook.port())};
    configure(s);
    auto culld = started();
    drop_job("held", 5);
    EXPECT_TRUE(eventually([&] { return hook.requests().size() == 1; })) << log();
    const std::string told = hook.requests().front();
    const json::value event = json::parse(told.substr(told.find("\r\n\r\n") + 4));
    EXPECT_EQ(event.at("event"), "blocked");
    EXPECT_EQ(event.at("job_id"), "held");
    EXPECT_EQ(event.at("reason").at("class"), "auth");
    // Another configuration, and credentials that are taken.
    s.more =
        fmt::format("auth: {{token_file: {}}}\nnotify: {{command: [{}]}}\n", secret_file("token", "right"), listener());
    write_config(s);
    culld.signal(SIGHUP);
    EXPECT_TRUE(reaches("held", "finished")) << log();
    EXPECT_TRUE(eventually([&] { return events().contains("finished held"); })) << log();
    EXPECT_EQ(hook.requests().size(), 1U);
    culld.signal(SIGTERM);
    EXPECT_EQ(culld.ends_within(patience), 0);
}

TEST_F(Notification, NothingWaitsForAReceiverThatHangs) {
    hostile_server hook({[](const hostile_server::victim& c) {
        c.wait_for_the_end();
        return false;
    }});
    here_.write("hang", "#!/bin/sh\necho $$ >" + here_.path("pid") + "\nsleep 100\n");
    fs::permissions(here_.path("hang"), fs::perms::owner_all);
    configure({.api = ", request_timeout: 3s, connect_timeout: 1s",
               .more = fmt::format("notify: {{webhook: \"http://127.0.0.1:{}/x\", command: [{}], timeout: 60s}}\n",
                                   hook.port(), here_.path("hang"))});
    auto culld = started();
    for (int i = 0; i < 5; ++i) {
        drop_job(fmt::format("job-{}", i), 50);
        ASSERT_TRUE(reaches(fmt::format("job-{}", i), "finished")) << log();
    }
    ASSERT_TRUE(eventually([&] { return !hook.requests().empty() && read("pid").ends_with('\n'); }));
    const auto begun = std::chrono::steady_clock::now();
    culld.signal(SIGTERM);
    EXPECT_EQ(culld.ends_within(patience), 0) << log();
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s) << "request_timeout and two seconds";
    EXPECT_EQ(count(log(), "events were not told"), 2U) << log();
    const std::string proc = "/proc/" + std::to_string(std::stoi(read("pid")));
    EXPECT_TRUE(eventually([&] {
        const std::string stat = read_small_file(proc + "/stat", 4096).value_or("0 (hang) Z");
        return stat.find(") Z") != std::string::npos;
    })) << "what it ran ended with it";
    expect_verified();
}

TEST_F(Notification, AProgramThatIsNotThereIsAWrongConfiguration) {
    configure({.more = "notify: {command: [/nonexistent/page-me]}\n"});
    child check(command({"--check-config"}), here_.path("said"));
    EXPECT_EQ(check.ends_within(patience), 78);
    EXPECT_NE(read("said").find("/nonexistent/page-me"), std::string::npos) << read("said");
}

}  // namespace
}  // namespace culld::programs

// The five promises, where the daemon is stopped, its disk fills up, or somebody bends its records.
#include "measured.hpp"
#include "own_disk.hpp"

namespace culld::programs {
namespace {

class OnAFullDisk : public Programs {
  protected:
    void SetUp() override { mount("journal"); }
    void TearDown() override { disk_.reset(); }
    void mount(const std::string& folder) {
        disk_ = std::make_unique<small_disk>(here_.path(folder), "size=2048k");
        if (!disk_->mounted())
            GTEST_SKIP() << "NOT TESTED: a full disk needs root, to mount a small file system of its own";
    }

    std::unique_ptr<small_disk> disk_;
};

class OnAFullSpool : public OnAFullDisk {
  protected:
    void SetUp() override { mount("spool"); }
};

// The ledger has its line, and the file cannot be moved: whatever comes in between, the line is not written twice.
TEST_F(OnAFullSpool, ARejectedFileHasOneLineInTheLedgerThoughItIsMovedMuchLater) {
    configure({});
    drop("bad.txt", "no id!\n");
    {
        child daemon = started();
        ASSERT_TRUE(eventually([&] { return in("rejected", "bad.txt"); })) << log();
        here_.write("spool/incoming/worse.txt", "no id either!\n");
        ASSERT_TRUE(eventually([&] { return in("rejected", "worse.txt"); })) << log();
        here_.write("spool/tmp/bad.json", "{");
        here_.write("spool/tmp/bad.exe", "{");
        disk_->fill();
        fs::rename(here_.path("spool/tmp/bad.json"), here_.path("spool/incoming/bad.json"));
        fs::rename(here_.path("spool/tmp/bad.exe"), here_.path("spool/incoming/bad.exe"));
        ASSERT_TRUE(eventually([&] { return ledger().size() == 4; })) << log();
        EXPECT_TRUE(eventually([&] { return count(log(), "tries again by itself") == 2; })) << log();
    }
    {
        child daemon = started();
        ASSERT_TRUE(eventually([&] { return count(log(), "tries again by itself") == 4; })) << log();
        disk_->make_room();
        EXPECT_TRUE(eventually([&] { return in("rejected", "bad.json") && in("rejected", "bad.exe"); }, 30s)) << log();
    }
    EXPECT_EQ(ledger().size(), 4U);
    expect_verified();
}

TEST_F(OnAFullDisk, NothingIsDeletedThatIsNotInTheJournalAndTheJobGoesOnByItself) {
    configure({.scenario = "seed: 1\nlatency: {fixed: 5ms}\n", .limits = "requests_per_second: 40, concurrency: 4"});
    child daemon = started();
    drop_job("full", 4000);
    ASSERT_TRUE(settles_some("full", 200)) << log();
    disk_->fill();
    ASSERT_TRUE(reaches("full", "blocked")) << log();
    // All that the server was asked for is intended on the disk.
    std::set<std::uint64_t> intended;
    for (const json::object& r : records("full", "intent")) {
        const auto first = r.at("first").to_number<std::uint64_t>();
        for (std::uint64_t i = 0; i < r.at("count").to_number<std::uint64_t>(); ++i) intended.insert(first + i);
    }
    const json::value told = server_->truth();
    for (const auto& id : told.at("deleted").as_object())
        EXPECT_TRUE(intended.contains(std::stoull(std::string(id.key()).substr(5)))) << id.key();
    EXPECT_LT(told.at("deleted_distinct").to_number<int>(), 4000);
    // Nothing more is asked for while there is no room, the daemon's own attempts included.
    ASSERT_TRUE(eventually([&] { return count(log(), "will be read again") == 1; })) << log();  // answers have landed
    const int before = truth("delete_requests");
    // Five seconds is how often it tries: nothing says so while there is nothing new to say.
    EXPECT_FALSE(eventually([&] { return truth("delete_requests") > before; }, 7s)) << log();
    EXPECT_EQ(state("full"), "blocked");
    disk_->make_room();
    ASSERT_TRUE(eventually([&] { return in("done", "full.yaml"); }, patience)) << log();
    EXPECT_TRUE(daemon.runs());
    expect_true_verdicts("full", 4000);
    EXPECT_EQ(finish_of("full").at("status").as_string(), "completed");
    expect_verified();
}

TEST_F(OnAFullDisk, AFileThatCannotBeRejectedIsRejectedOnceThereIsRoom) {
    configure({});
    child daemon = started();
    disk_->fill();
    drop("bad.txt", "no id!\n");
    drop("unknown.suffix", "x");
    ASSERT_TRUE(eventually([&] { return count(log(), "tries again by itself") == 2; })) << log();
    EXPECT_FALSE(in("rejected", "bad.txt"));
    disk_->make_room();
    EXPECT_TRUE(eventually([&] { return in("rejected", "bad.txt") && in("rejected", "unknown.suffix"); }, 30s))
        << log();
    EXPECT_EQ(ledger().size(), 2U);
    expect_verified();
}

TEST_F(OnAFullDisk, AJobThatEndsThereIsFiledOnceThereIsRoom) {
    configure({.scenario = "seed: 1\nlatency: {fixed: 400ms}\n"});
    child daemon = started();
    drop_job("last", 20);
    ASSERT_TRUE(eventually([&] { return !records("last", "intent").empty(); })) << log();
    disk_->fill();
    ASSERT_TRUE(reaches("last", "blocked")) << log();
    disk_->make_room();
    ASSERT_TRUE(eventually([&] { return in("done", "last.yaml"); }, patience)) << log();
    expect_true_verdicts("last", 20);
    EXPECT_EQ(ledger().size(), 1U);
    expect_verified();
}

TEST_F(OnAFullDisk, AListWaitsInTheSpoolUntilThereIsRoomToReadIt) {
    configure({});
    child daemon = started();
    disk_->fill();
    drop_job("early", 2000);
    ASSERT_TRUE(eventually([&] { return log().find("No space left") != std::string::npos; })) << log();
    EXPECT_EQ(truth("api_requests"), 0);
    disk_->make_room();
    ASSERT_TRUE(eventually([&] { return in("done", "early.yaml"); }, patience)) << log();
    expect_true_verdicts("early", 2000);
    expect_verified();
}

TEST_F(OnAFullDisk, ADaemonThatStartsThereWaitsForRoom) {
    configure({.scenario = "seed: 1\nlatency: {fixed: 5ms}\n", .limits = "requests_per_second: 30, concurrency: 4"});
    {
        child daemon = started();
        drop("before.txt", "before\n");  // the ledger has a line
        ASSERT_TRUE(eventually([&] { return in("done", "before.txt"); })) << log();
        drop_job("open", 2000);
        ASSERT_TRUE(settles_some("open", 200)) << log();
    }
    disk_->fill();
    EXPECT_EQ(once(), 75) << log();
    child daemon = started();
    const int before = truth("delete_requests");
    ASSERT_TRUE(reaches("open", "blocked")) << log();
    EXPECT_EQ(truth("delete_requests"), before);
    disk_->make_room();
    ASSERT_TRUE(eventually([&] { return in("done", "open.yaml"); }, patience)) << log();
    expect_true_verdicts("open", 2000);
    expect_verified();
}

TEST_F(OnAFullDisk, OnceDoesNotWaitForRoomButSaysTryLater) {
    configure({});
    ASSERT_EQ(once(), 0) << log();
    drop("good.txt", list("good", 2000));
    drop("bad.txt", "no id!\n");
    disk_->fill();
    EXPECT_EQ(once(), 75) << log();
    disk_->make_room();
    EXPECT_EQ(once(), 65) << log();
    EXPECT_TRUE(in("done", "good.txt"));
    EXPECT_TRUE(in("rejected", "bad.txt"));
    EXPECT_EQ(ledger().size(), 2U);
    expect_verified();
}

using Stopping = Programs;

TEST_F(Stopping, ByTermLetsAnswersLandAndGoesOnLaterWithNoneTwice) {
    configure({.scenario = "seed: 1\nlatency: {fixed: 300ms}\n",
               .limits = "requests_per_second: 100, concurrency: 8",
               .api = ", connect_timeout: 1s, request_timeout: 3s"});
    {
        child daemon = started();
        drop_job("half", 3000);
        ASSERT_TRUE(settles_some("half", 200)) << log();
        daemon.signal(SIGTERM);
        EXPECT_EQ(daemon.ends_within(5s), 0) << log();
    }
    EXPECT_LT(truth("deleted_distinct"), 3000);
    EXPECT_TRUE(in("active", "half.yaml"));
    // What landed is journaled before the end.
    std::size_t journaled = 0;
    for (const json::object& r : records("half", "batch.result")) journaled += r.at("deleted").as_array().size();
    EXPECT_EQ(journaled, static_cast<std::size_t>(truth("deleted_distinct")));
    ASSERT_EQ(once(), 0) << log();
    EXPECT_EQ(truth("double_deleted"), 0);
    expect_true_verdicts("half", 3000);
    expect_verified();
}

TEST_F(Stopping, ByTermEndsInTimeThoughTheServerHangs) {
    configure({.scenario = "seed: 1\noutages:\n  - {after_requests: 3, for_requests: 100000, kind: hang}\n",
               .api = ", connect_timeout: 1s, request_timeout: 2s"});
    child daemon = started();
    drop_job("hung", 400);
    ASSERT_TRUE(eventually([&] { return truth("delete_requests") >= 3; })) << log();
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.ends_within(4s), 0) << log();
    expect_verified();
}

class TheRate : public Programs {
  protected:
    // A server, and a job with `ids` ids on the spool, for measurement `n`.
    std::string begin(const setup& s, int n, int ids) {
        const std::string job = fmt::format("paced-{}", n);
        configure(s);
        if (n > 0) restart_server(s.scenario);
        drop_job(job, ids);
        return job;
    }
    // Four starts and stops, then to the end.
    void stopped_and_started(const std::string& job) {
        for (int i = 0; i < 4; ++i) {
            child daemon = start();
            const int before = truth("api_requests");
            ASSERT_TRUE(eventually([&] { return truth("api_requests") > before + 20; })) << log();
            if (i % 2 == 0) {
                daemon.signal(SIGTERM);
                EXPECT_EQ(daemon.ends_within(10s), 0);
            }
        }
        const int code = once();
        EXPECT_TRUE(code == 0 || code == 1) << code << job << log();
    }
};

TEST_F(TheRate, IsKeptOverRestartsGetsAndRetries) {
    EXPECT_TRUE(measured([&](int n) {
        const std::string job =
            begin({.scenario = "seed: 1\nfail_ratio: 0.2\nlost_ratio: 0.05\nlatency: {fixed: 10ms}\n",
                   .limits = "requests_per_second: 40, concurrency: 8"},
                  n, 3000);
        stopped_and_started(job);
        EXPECT_GT(truth("get_requests"), 0);
        expect_true_verdicts(job, 3000);
        for (const auto& [seconds, most] : {std::pair("0.5", 20), {"1", 40}, {"3", 120}}) {
            const auto window = server_->call("GET", std::string("/_emulator/windows?seconds=") + seconds).json();
            if (const int max = window.at("max").to_number<int>(); max > most)
                return testing::AssertionFailure() << max << " in " << seconds << " s";
        }
        return testing::AssertionSuccess();
    }));
}

TEST_F(TheRate, IsUsedWhileThereIsWork) {
    if (sanitized) GTEST_SKIP() << "a sanitized culld is too slow for that";
    EXPECT_TRUE(measured([&](int n) {
        begin({.scenario = "seed: 1\nlatency: {fixed: 5ms}\n", .limits = "requests_per_second: 50, concurrency: 4"}, n,
              4000);
        EXPECT_EQ(once(), 0) << log();
        const auto all = server_->call("GET", "/_emulator/windows?seconds=1").json();
        const double seconds = (all.at("last_us").to_number<double>() - all.at("first_us").to_number<double>()) / 1e6;
        return (199 / seconds >= 50 * 0.995 ? testing::AssertionSuccess() : testing::AssertionFailure())
               << 199 / seconds << " a second";
    }));
}

using TheRecords = Programs;

TEST_F(TheRecords, CannotBeBentUnseen) {
    configure({});
    drop_job("one", 100);
    drop_job("two", 100);
    ASSERT_EQ(once(), 0) << log();
    expect_verified();
    const std::string journal = read("journal/one.jsonl"), book = read("journal/ledger.jsonl");
    const auto cut_last = [](const std::string& text) { return text.substr(0, text.rfind('\n', text.size() - 2) + 1); };
    const auto swap_digit = [](std::string text) {
        const std::size_t at = text.find("one-1\"");
        text[at + 4] = '9';
        return text;
    };
    for (const std::string& bent : {cut_last(journal), journal + "{}\n", swap_digit(journal), journal.substr(1)}) {
        here_.write("journal/one.jsonl", bent);
        EXPECT_EQ(ctl({"verify"}), 4) << told();
    }
    here_.write("journal/one.jsonl", journal);
    here_.write("journal/ledger.jsonl", cut_last(book));
    EXPECT_EQ(ctl({"verify"}), 4) << told();
    here_.write("journal/ledger.jsonl", book);
    fs::remove(here_.path("journal/one.jsonl"));
    EXPECT_EQ(ctl({"verify"}), 4) << told();
    here_.write("journal/one.jsonl", journal);
    expect_verified();
}

}  // namespace
}  // namespace culld::programs

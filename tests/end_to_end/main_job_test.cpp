// The main job, with the three programs as their users run them.
#include <cstdlib>
#include <random>

#include "programs.hpp"

namespace culld::programs {
namespace {

using MainJob = Programs;

TEST_F(MainJob, DeletesAListAndFilesItAway) {
    configure({});
    drop("list.txt", list("id", 1000));
    ASSERT_EQ(once(), 0) << log();
    EXPECT_TRUE(fs::exists(here_.path("spool/done/list.txt")));
    EXPECT_EQ(server_->truth().at("deleted_distinct").to_number<int>(), 1000);
    EXPECT_EQ(ctl({"verify"}), 0);
}

TEST_F(MainJob, AYamlJobWithASidecarAndDuplicatesCountsEachIdOnce) {
    configure({});
    here_.write("spool/incoming/batch.ids", list("id", 50) + list("id", 30));
    drop("job.yaml", "version: 1\nid: clean\nids_file: batch.ids\nexpect_count: 50\nlabels: {ticket: SEC-1}\n");
    ASSERT_EQ(once(), 0) << log();
    EXPECT_EQ(verdicts("clean").size(), 50U);
    EXPECT_TRUE(fs::exists(here_.path("spool/done/batch.ids")));
    // The same again is refused, and harmless.
    here_.write("spool/incoming/batch.ids", list("id", 50));
    drop("again.yaml", "version: 1\nid: clean\nids_file: batch.ids\n");
    EXPECT_EQ(once(), 65) << log();
    EXPECT_TRUE(fs::exists(here_.path("spool/rejected/again.yaml.reason.json")));
}

TEST_F(MainJob, FailingIdsAreRetriedAskedForAndReported) {
    configure(
        {.scenario = "seed: 1\nfail_always: [id-3, id-4]\npoison_ids: [id-77]\nfail_ratio: 0.05\nlost_ratio: 0.1\n"});
    drop("job.yaml", "version: 1\nid: hard\nids_file: l.ids\n");
    here_.write("spool/incoming/l.ids", list("id", 200));
    ASSERT_EQ(once(), 1) << log();
    const auto all = verdicts("hard");
    ASSERT_EQ(all.size(), 200U);
    EXPECT_EQ(all.at("id-3"), "failed");
    EXPECT_EQ(all.at("id-77"), "failed");
    const auto truth = server_->truth();
    for (const auto& [id, what] : all)
        EXPECT_EQ(what != "failed", truth.at("deleted").as_object().contains(id)) << id << " " << what;
    EXPECT_TRUE(fs::exists(here_.path("spool/failed/job.yaml")));
    EXPECT_EQ(ctl({"verify"}), 0);
}

TEST_F(MainJob, ADryRunSendsNothing) {
    configure({});
    drop("job.yaml", "version: 1\nid: dry\nids: [a, b, c]\ndry_run: true\n");
    ASSERT_EQ(once(), 0) << log();
    EXPECT_EQ(verdicts("dry").at("a"), "skipped");
    EXPECT_EQ(server_->truth().at("delete_requests").to_number<int>(), 0);
}

TEST_F(MainJob, NoWindowHoldsMoreThanTheRate) {
    configure({.scenario = "seed: 1\nfail_ratio: 0.05\n", .limits = "requests_per_second: 50, concurrency: 8"});
    drop("list.txt", list("id", 2000));
    ASSERT_GE(once(), 0) << log();
    const auto windows = server_->call("GET", "/_emulator/windows?seconds=1").json();
    EXPECT_LE(windows.at("max").to_number<int>(), 50);
}

// A journal that cannot be believed sets its job aside: its list must not come back as a job of another name.
TEST_F(MainJob, TheListOfADamagedJournalIsNotTakenAnew) {
    configure({.scenario = "seed: 1\nlatency: {fixed: 20ms}\n", .limits = "requests_per_second: 50, concurrency: 1"});
    drop("list.txt", list("id", 2000));
    {
        child daemon = start();
        ASSERT_TRUE(eventually([&] { return truth("delete_requests") > 5; })) << log();
    }
    std::string journal;
    for (const auto& entry : fs::directory_iterator(here_.path("journal")))
        if (entry.path().filename().string().starts_with("list-")) journal = entry.path();
    ASSERT_FALSE(journal.empty()) << log();
    {
        std::fstream file(journal, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(20);
        file.put('X');
    }
    const auto before = server_->truth().at("delete_requests").to_number<int>();
    ASSERT_GT(before, 0) << log();
    EXPECT_EQ(once(), 75) << log();
    EXPECT_EQ(server_->truth().at("delete_requests").to_number<int>(), before);
    EXPECT_TRUE(fs::exists(here_.path("spool/active/list.txt")));
}

// Whenever it is killed, it goes on from the disk: no id is lost, none is judged twice, none is called gone that is
// not.
TEST_F(MainJob, SurvivesBeingKilledAtAnyMoment) {
    configure(
        {.scenario =
             "seed: 7\nfail_ratio: 0.02\nlost_ratio: 0.03\nmissing_ratio: 0.002\nlatency: {fixed: 1ms, jitter: 3ms}\n"
             "status_ratio: {503: 0.02, apply: never}\n"});
    const char* wanted = std::getenv("CULLD_TEST_KILLS");
    const int kills = wanted != nullptr ? std::atoi(wanted) : 30;
    std::mt19937 dice(7);
    int jobs = 0;
    const auto idle = [&] {
        return !fs::exists(here_.path("spool/active"))
                   ? jobs == 0
                   : fs::is_empty(here_.path("spool/active")) && fs::is_empty(here_.path("spool/incoming"));
    };
    for (int i = 0; i < kills; ++i) {
        if (idle()) {
            ++jobs;
            here_.write(fmt::format("spool/incoming/l{}.ids", jobs), list(fmt::format("j{}", jobs), 2000));
            drop(fmt::format("job{}.yaml", jobs),
                 fmt::format("version: 1\nid: job{}\nids_file: l{}.ids\n", jobs, jobs));
        }
        child daemon = start();
        std::this_thread::sleep_for(
            std::chrono::microseconds(std::uniform_int_distribution<int>(5'000, 120'000)(dice)));
        ASSERT_TRUE(daemon.runs()) << "it ended by itself\n" << log();
        daemon.kill();
    }
    const int code = once();
    ASSERT_TRUE(code == 0 || code == 1) << code << log();
    EXPECT_EQ(ctl({"verify"}), 0) << read_small_file(here_.path("ctl.log"), 1U << 20U).value_or("");
    const auto truth = server_->truth();
    const auto& deleted = truth.at("deleted").as_object();
    for (int job = 1; job <= jobs; ++job) {
        const auto all = verdicts(fmt::format("job{}", job));
        EXPECT_EQ(all.size(), 2000U);
        for (const auto& [id, what] : all)
            EXPECT_EQ(what == "deleted" || what == "absent", deleted.contains(id)) << id << " " << what;
    }
}

}  // namespace
}  // namespace culld::programs

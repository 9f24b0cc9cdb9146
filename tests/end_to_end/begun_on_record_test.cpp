// What a start finds is held against what the ledger told before: a journal that is missing, or that somebody made or
// replaced while culld was stopped, is neither begun anew nor signed.
#include "culld/core/base/sha256.hpp"
#include "faults.hpp"

namespace culld::programs {
namespace {

class BegunOnRecord : public WithFaults {
  protected:
    // Stops in the middle of a job that a person paused.
    void pause_and_stop(const std::string& job) {
        configure({.limits = "requests_per_second: 20, concurrency: 1"});
        child daemon = started();
        drop_job(job, 1000);
        ASSERT_TRUE(settles_some(job, 20)) << log();
        ASSERT_EQ(ctl({"pause", job}), 0) << told();
        daemon.signal(SIGTERM);
        ASSERT_EQ(daemon.ends_within(patience), 0) << log();
    }
};

TEST_F(BegunOnRecord, AJobWhoseJournalIsMissingIsNotBegunAnew) {
    pause_and_stop("one");
    const int before = truth("delete_requests");
    for (const bool with_store : {true, false}) {
        fs::rename(at("journal/one.jsonl"), at("away.jsonl"));
        if (!with_store) fs::remove(at("journal/.plan/one.ids"));
        child daemon = started();
        expect_blocked("one", "one.jsonl is missing");
        // Others go on meanwhile.
        const std::string other = with_store ? "two" : "three";
        drop_job(other, 3);
        ASSERT_TRUE(reaches(other, "finished")) << log();
        EXPECT_EQ(truth("delete_requests"), before + (with_store ? 1 : 2)) << log();
        EXPECT_NE(ctl({"verify"}), 0);
        fs::rename(at("away.jsonl"), at("journal/one.jsonl"));
        ASSERT_TRUE(reaches("one", "paused")) << log();
        daemon.signal(SIGTERM);
        ASSERT_EQ(daemon.ends_within(patience), 0) << log();
    }
    child daemon = started();
    ASSERT_EQ(ctl({"resume", "one"}), 0) << told();
    ASSERT_TRUE(reaches("one", "finished")) << log();
    EXPECT_EQ(ctl({"verify"}), 0) << told();
}

TEST_F(BegunOnRecord, WithoutItsJournalFolderASpoolIsNotWorkedOn) {
    pause_and_stop("one");
    fs::rename(at("journal"), at("away"));
    fs::create_directory(at("journal"));
    const int before = truth("delete_requests");
    EXPECT_EQ(start().ends_within(patience), 75) << log();
    EXPECT_NE(log().find("is its disk mounted?"), std::string::npos) << log();
    EXPECT_EQ(truth("delete_requests"), before);
    fs::remove_all(at("journal"));
    fs::rename(at("away"), at("journal"));
    child daemon = started();
    EXPECT_TRUE(reaches("one", "paused")) << log();
}

// Its chain is whole, its verdicts add up, and it names a job that never was.
TEST_F(BegunOnRecord, AJournalThatSomebodyMadeIsNeitherFinishedNorSigned) {
    configure({});
    {
        child daemon = started();
        drop_job("one", 20);
        ASSERT_TRUE(reaches("one", "finished")) << log();
        daemon.signal(SIGTERM);
        ASSERT_EQ(daemon.ends_within(patience), 0) << log();
    }
    std::ifstream in(at("journal/one.jsonl"));
    std::ofstream out(at("journal/evil.jsonl"));
    std::string prev(64, '0');
    for (std::string line; std::getline(in, line);) {
        if (const auto id = line.find("\"job_id\":\"one\""); id != std::string::npos) line.replace(id + 10, 3, "evil");
        line.replace(line.rfind("\"prev\":\"") + 8, 64, prev);
        sha256 of_line;
        of_line.update(line);
        prev = hex(of_line.finish());
        out << line << '\n';
    }
    out.close();
    const std::size_t lines = whole_ledger().size();
    child daemon = started();
    expect_blocked("evil", "the ledger does not tell that this job was accepted");
    EXPECT_EQ(whole_ledger().size(), lines);
    EXPECT_EQ(ctl({"verify"}), 4) << told();
}

}  // namespace
}  // namespace culld::programs

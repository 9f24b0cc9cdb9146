// What cullctl makes of a ledger that tells of every accepted job.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "support/cullctl_runner.hpp"

namespace culld::test {
namespace {

using testing::HasSubstr;

// job-1 finished, job-2 open, and the ledger tells of both.
class AcceptedJobs : public CullctlTest {
  protected:
    AcceptedJobs() {
        prepare();
        both(true);
    }
    void both(bool second) {
        const job_totals totals{.ids = 8,
                                .deleted = 5,
                                .absent = 1,
                                .failed = 1,
                                .skipped = 1,
                                .requests = 4,
                                .retries = 2,
                                .throttled = 1};
        ledger = journal_builder();
        ledger.ledger_accepted(finished, 8, "job-1", "list.txt");
        if (second) ledger.ledger_accepted(open, 4, "job-2", "open.txt");
        ledger.ledger(finished, totals, "completed_with_failures", "job-1", "list.txt");
        save();
    }
};

TEST_F(AcceptedJobs, OfWhichTheLedgerTellsAreProven) {
    const ran all = here("verify");
    EXPECT_EQ(all.code, 0) << all.out << all.err;
    EXPECT_EQ(here("verify job-2").code, 0);
    EXPECT_EQ(here("report job-2").code, 0);
}

TEST_F(AcceptedJobs, AnInventedOpenJournalIsNone) {
    both(false);
    for (const char* command : {"verify", "verify job-2", "report job-2 -o job-2.html"}) {
        const ran r = here(command);
        EXPECT_EQ(r.code, 4) << command << r.out << r.err;
        EXPECT_THAT(r.out + r.err, HasSubstr("the ledger does not tell that it was accepted")) << command;
    }
    EXPECT_EQ(here("verify job-1").code, 0);
}

TEST_F(AcceptedJobs, ARemovedOpenJournalIsMissed) {
    std::filesystem::remove(journals + "/job-2.jsonl");
    for (const char* command : {"verify", "verify job-2", "report job-2"}) {
        const ran r = here(command);
        EXPECT_EQ(r.code, 4) << command << r.out << r.err;
        EXPECT_THAT(r.out + r.err, HasSubstr("the journal of an open job is missing")) << command;
    }
    EXPECT_THAT(here("list").out, HasSubstr("job-2"));
}

TEST_F(AcceptedJobs, AnotherJournalInTheirPlaceIsFound) {
    open = journal_builder();
    open.accepted(3, R"("dry_run":false,"verify":"failed")", "job-2", "open.txt");
    save();
    const ran r = here("verify");
    EXPECT_EQ(r.code, 4) << r.out;
    EXPECT_THAT(r.out, HasSubstr("the first line of job-2.jsonl is not the one the ledger names"));
    EXPECT_EQ(here("report job-2").code, 4);
}

// The line comes when the journal's first record is durable.
TEST_F(AcceptedJobs, OneThatIsJustBeingAcceptedIsWaitedFor) {
    const std::string whole = ledger.text, head = ledger.ledger_head();
    both(false);
    std::thread daemon([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        write(root + "/l", whole);
        write(root + "/h", head);
        std::filesystem::rename(root + "/l", journals + "/ledger.jsonl");
        std::filesystem::rename(root + "/h", journals + "/ledger.head");
    });
    const ran r = here("verify job-2");
    daemon.join();
    EXPECT_EQ(r.code, 0) << r.out << r.err;
}

}  // namespace
}  // namespace culld::test

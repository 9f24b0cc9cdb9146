// What the ledger tells of a job before its end: that it was accepted, and what people ordered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "culld/core/journal/acceptance.hpp"
#include "support/archive.hpp"
#include "support/journal_builder.hpp"

namespace culld {
namespace {

using test::journal_builder;
using testing::HasSubstr;

class LedgerStory : public testing::Test {
  protected:
    LedgerStory() {
        done_.accepted(3).intent(0, 3).result(1, {{0, 3}}, {{0, 3}}).finished("completed", totals_);
        open_.accepted(4, R"("dry_run":false,"verify":"failed")", "job-2", "open.txt")
            .intent(0, 4)
            .add("job.paused", R"("by":{"uid":1000,"pid":42},"reason":"lunch")");
    }
    // As findings, one a line; empty: it holds.
    [[nodiscard]] std::string findings() const {
        test::archive a;
        a.journals["job-1"] = done_.text;
        a.journals["job-2"] = open_.text;
        a.ledger = ledger_.text;
        a.head = ledger_.ledger_head();
        return a.text();
    }

    const job_totals totals_{.ids = 3, .deleted = 3, .requests = 1};
    journal_builder done_, open_, ledger_;
};

TEST_F(LedgerStory, AgreesWithTheJournals) {
    ledger_.ledger_accepted(done_, 3).ledger(done_, totals_, "completed");
    ledger_.ledger_accepted(open_, 4, "job-2", "open.txt").ledger_order("job.paused", "job-2", 2, 1000, 42);
    EXPECT_EQ(findings(), "");
}

TEST_F(LedgerStory, OfAnOlderVersionHasNoWordOfWhatWasOpenThen) {
    ledger_.ledger(done_, totals_, "completed");
    EXPECT_EQ(findings(), "") << "nothing tells of any accepted job";
    ledger_.ledger_accepted(open_, 4, "job-2", "open.txt");
    EXPECT_EQ(findings(), "") << "and it tells of each from here on";
}

TEST_F(LedgerStory, NamesAnOpenJournalThatItDoesNotKnow) {
    ledger_.ledger_accepted(done_, 3).ledger(done_, totals_, "completed");
    EXPECT_THAT(findings(), HasSubstr("the ledger does not tell that job-2 was accepted"));
}

TEST_F(LedgerStory, MissesTheJournalOfAJobThatItAccepted) {
    ledger_.ledger_accepted(done_, 3).ledger(done_, totals_, "completed");
    ledger_.ledger_accepted(open_, 4, "job-2", "open.txt").ledger_accepted(open_, 4, "job-3", "open.txt");
    EXPECT_THAT(findings(), HasSubstr("job-3.jsonl is missing"));
}

TEST_F(LedgerStory, KnowsAnOpenJournalByItsFirstLine) {
    ledger_.ledger_accepted(done_, 4, "job-2", "open.txt")
        .ledger_accepted(done_, 3)
        .ledger(done_, totals_, "completed");
    EXPECT_THAT(findings(), HasSubstr("ledger.jsonl:1: the first line of job-2.jsonl is not the one the ledger names"));
}

TEST_F(LedgerStory, FindsEachOrderInTheJournal) {
    for (const auto& [type, record, uid] : {std::tuple("job.paused", 1, 1000), std::tuple("job.cancelled", 2, 1000),
                                            std::tuple("job.paused", 2, 1001), std::tuple("job.paused", 3, 1000)}) {
        ledger_ = journal_builder();
        ledger_.ledger_accepted(done_, 3).ledger(done_, totals_, "completed");
        ledger_.ledger_accepted(open_, 4, "job-2", "open.txt");
        ledger_.ledger_order(type, "job-2", static_cast<std::uint64_t>(record), uid, 42);
        EXPECT_THAT(findings(),
                    HasSubstr(fmt::format("ledger.jsonl:4: record {} of job-2.jsonl is not the {} of uid {}", record,
                                          type, uid)));
    }
}

TEST_F(LedgerStory, HasAnOrder) {
    ledger_.ledger_accepted(open_, 4, "job-2", "open.txt").ledger(done_, totals_, "completed");
    EXPECT_THAT(findings(), HasSubstr("ledger.jsonl:2: the ledger does not tell that job-1 was accepted"));
    ledger_.ledger_accepted(done_, 3);
    EXPECT_THAT(findings(), HasSubstr("ledger.jsonl:3: job-1 is accepted behind its end"));
    ledger_.ledger_accepted(open_, 4, "job-2", "open.txt");
    EXPECT_THAT(findings(), HasSubstr("ledger.jsonl:4: job-2 was accepted in line 1 already"));
    ledger_.ledger_order("job.paused", "job-1", 2, 1000, 42);
    EXPECT_THAT(findings(), HasSubstr("ledger.jsonl:5: job.paused of job-1, which is not open there"));
}

TEST(Acceptance, OnlyAJournalThatTellsOfNoAnswerMayBeUnknownToTheLedger) {
    for (const bool answered : {false, true}) {
        EXPECT_EQ(standing_of(acceptance::told, answered), journal_standing::sound);
        EXPECT_EQ(standing_of(acceptance::not_kept, answered), journal_standing::sound);
        EXPECT_EQ(standing_of(acceptance::other, answered), journal_standing::replaced);
        EXPECT_EQ(standing_of(acceptance::untold, answered),
                  answered ? journal_standing::invented : journal_standing::sound);
    }
}

}  // namespace
}  // namespace culld

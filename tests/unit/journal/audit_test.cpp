#include "culld/core/journal/audit.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "culld/core/journal/chain.hpp"
#include "support/journal_builder.hpp"

namespace culld {
namespace {

using test::journal_builder;

// Calls each(line, ended) for every line of `text`.
void each_line(std::string_view text, const std::function<void(std::string_view, bool)>& each) {
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        each(text.substr(0, end), end != std::string_view::npos);
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
}

struct checked {
    std::vector<problem> findings;
    audit_summary summary;
    std::uint64_t records = 0;
    std::string head;

    [[nodiscard]] bool mentions(std::string_view words) const {
        for (const problem& p : findings)
            if (p.text().find(words) != std::string::npos) return true;
        return false;
    }
    [[nodiscard]] std::string text() const {
        std::string out;
        for (const problem& p : findings) out += p.text() + "\n";
        return out;
    }
};

checked check(std::string_view journal, bool must_be_finished = true) {
    chain_checker chain;
    journal_audit audit;
    record_view record;
    checked out;
    each_line(journal, [&](std::string_view line, bool ended) {
        if (chain.broken()) return;
        if (auto fed = chain.feed(line, ended, record); !fed)
            out.findings.push_back(fed.error());
        else
            audit.feed(record, chain.records());
    });
    audit.end(must_be_finished);
    out.findings.insert(out.findings.end(), audit.findings().begin(), audit.findings().end());
    out.summary = audit.summary();
    out.records = chain.records();
    out.head = hex(chain.head());
    return out;
}

// Everything verify does with one journal, its ledger and the ledger's head.
bool sound(std::string_view journal, std::string_view ledger, std::string_view head_text) {
    const checked one = check(journal);
    if (!one.findings.empty()) return false;
    chain_checker chain;
    record_view record;
    bool good = true;
    each_line(ledger, [&](std::string_view line, bool ended) {
        if (!good) return;
        good = chain.feed(line, ended, record).has_value();
        if (!good) return;
        const auto entry = read_ledger_entry(record);
        good = entry && compare_with_ledger(*entry, one.summary, one.records, one.head).empty();
    });
    const auto head = read_ledger_head(head_text);
    return good && head && head->seq + 1 == chain.records() && head->sha256 == hex(chain.head());
}

TEST(Audit, AnHonestJournalIsSound) {
    journal_builder j;
    const job_totals totals = test::story(j);
    const checked c = check(j.text);
    EXPECT_TRUE(c.findings.empty()) << c.text();
    EXPECT_EQ(c.summary.totals, totals);
    EXPECT_EQ(c.summary.state, "finished");
    EXPECT_EQ(c.head, hex(j.head));
    journal_builder ledger;
    ledger.ledger(j, totals, "completed_with_failures");
    EXPECT_TRUE(sound(j.text, ledger.text, ledger.ledger_head()));
}

TEST(Audit, EveryFlippedBitIsFound) {
    journal_builder j, good_ledger;
    const job_totals totals = test::story(j);
    good_ledger.ledger(j, totals, "completed_with_failures");
    const std::string head = good_ledger.ledger_head();
    ASSERT_TRUE(sound(j.text, good_ledger.text, head));
    std::string text = j.text;
    for (std::size_t i = 0; i < text.size(); ++i)
        for (unsigned bit = 0; bit < 8; ++bit) {
            text[i] = static_cast<char>(text[i] ^ (1U << bit));
            EXPECT_FALSE(sound(text, good_ledger.text, head)) << "byte " << i << " bit " << bit;
            text[i] = j.text[i];
        }
    text = good_ledger.text;
    for (std::size_t i = 0; i < text.size(); ++i)
        for (unsigned bit = 0; bit < 8; ++bit) {
            text[i] = static_cast<char>(text[i] ^ (1U << bit));
            EXPECT_FALSE(sound(j.text, text, head)) << "ledger byte " << i << " bit " << bit;
            text[i] = good_ledger.text[i];
        }
}

TEST(Audit, LinesRemovedSwappedRepeatedInsertedOrCutAreFound) {
    journal_builder j;
    const job_totals totals = test::story(j);
    journal_builder ledger;
    ledger.ledger(j, totals, "completed_with_failures");
    const std::string head = ledger.ledger_head();
    std::vector<std::string> lines;
    each_line(j.text, [&](std::string_view line, bool) { lines.push_back(std::string(line) + "\n"); });
    const auto joined = [](const std::vector<std::string>& all) {
        std::string out;
        for (const std::string& line : all) out += line;
        return out;
    };
    ASSERT_TRUE(sound(joined(lines), ledger.text, head));
    for (std::size_t i = 0; i < lines.size(); ++i) {
        auto removed = lines;
        removed.erase(removed.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_FALSE(sound(joined(removed), ledger.text, head)) << "removed " << i;
        auto repeated = lines;
        repeated.insert(repeated.begin() + static_cast<std::ptrdiff_t>(i), lines[i]);
        EXPECT_FALSE(sound(joined(repeated), ledger.text, head)) << "repeated " << i;
        auto empty_line = lines;
        empty_line.insert(empty_line.begin() + static_cast<std::ptrdiff_t>(i), "\n");
        EXPECT_FALSE(sound(joined(empty_line), ledger.text, head)) << "empty line at " << i;
        for (std::size_t k = i + 1; k < lines.size(); ++k) {
            auto swapped = lines;
            std::swap(swapped[i], swapped[k]);
            EXPECT_FALSE(sound(joined(swapped), ledger.text, head)) << "swapped " << i << " and " << k;
        }
    }
    for (std::size_t size = 0; size < j.text.size(); ++size)
        EXPECT_FALSE(sound(std::string_view(j.text).substr(0, size), ledger.text, head)) << "cut to " << size;
}

TEST(Audit, AForgedJournalWithAGoodChainIsFoundThroughTheLedger) {
    journal_builder j, forged;
    const job_totals totals = test::story(j);
    journal_builder ledger;
    ledger.ledger(j, totals, "completed_with_failures");
    test::story(forged, "job-1", "other.json");
    EXPECT_TRUE(check(forged.text).findings.empty());
    EXPECT_FALSE(sound(forged.text, ledger.text, ledger.ledger_head()));
}

TEST(Audit, TheFirstBreakIsNamedWithItsLine) {
    journal_builder j;
    test::story(j);
    std::string text = j.text;
    const std::size_t at = text.find("\"first\":0,\"count\":7");
    ASSERT_NE(at, std::string::npos);
    text[at + 8] = '1';
    const checked c = check(text);
    ASSERT_FALSE(c.findings.empty());
    EXPECT_EQ(c.findings[0].line, 4U) << c.text();
    EXPECT_TRUE(c.mentions("SHA-256 of line 3")) << c.text();
}

TEST(Audit, SendingWithoutIntentIsFound) {
    journal_builder j;
    j.accepted(4).intent(0, 2).result(1, {{0, 4}}, {{0, 4}});
    EXPECT_TRUE(check(j.text, false).mentions("positions 2..3 was never intended"));
    journal_builder late;
    late.accepted(2).error("timeout", 0, {0, 2}).intent(0, 2);
    EXPECT_TRUE(check(late.text, false).mentions("never intended"));
}

TEST(Audit, ASecondVerdictIsFound) {
    journal_builder j;
    j.accepted(4).intent(0, 4).result(1, {{0, 4}}, {{0, 4}}).failed({{2, 1}});
    EXPECT_TRUE(check(j.text, false).mentions("had their verdict before"));
    journal_builder again;
    again.accepted(4).intent(0, 4).result(1, {{0, 4}}, {{0, 4}}).error("timeout", 0, {0, 4});
    EXPECT_TRUE(check(again.text, false).mentions("was sent again"));
}

TEST(Audit, AMissingVerdictIsFound) {
    journal_builder j;
    j.accepted(4).intent(0, 4).result(1, {{0, 3}}, {{0, 3}});
    j.finished("completed", {.ids = 4, .deleted = 3, .requests = 1});
    EXPECT_TRUE(check(j.text).mentions("1 of 4 ids have no verdict, the first of them at position 3"));
}

TEST(Audit, NumbersOfIdsAndPositionsMustAgree) {
    journal_builder j;
    j.accepted(4).intent(0, 4).add(
        "batch.result",
        R"("batch":0,"attempt":1,"http_status":200,"code":"","request_ids":[],"ms":1,"deleted":["a","b"],"failed":[],"unknown":[],"at":[[0,3]])");
    EXPECT_TRUE(check(j.text, false).mentions("differ in number"));
    journal_builder verdicts;
    verdicts.accepted(4).intent(0, 4).add("ids.failed", R"("ids":["a"],"reason":"refused","attempts":1,"at":[[0,2]])");
    EXPECT_TRUE(check(verdicts.text, false).mentions("holds 1 ids, \"at\" 2 positions"));
}

TEST(Audit, PositionsBeyondTheListAreFound) {
    journal_builder j;
    j.accepted(4).intent(0, 5);
    EXPECT_TRUE(check(j.text, false).mentions("beyond the job's 4 ids"));
}

TEST(Audit, TotalsAreAddedUpAgain) {
    const auto with = [](auto change) {
        journal_builder honest, out;
        job_totals totals = test::story(honest);
        // The story again, up to its last line.
        out.accepted(8)
            .skipped({7, 1}, "protected")
            .intent(0, 7)
            .error("throttled", 429, {0, 4})
            .result(1, {{4, 3}}, {{4, 2}}, {}, {{6, 1}})
            .result(1, {{0, 4}}, {{0, 1}, {2, 1}}, {{1, 1}, {3, 1}})
            .result(2, {{1, 1}, {3, 1}, {6, 1}}, {{6, 1}}, {{1, 1}, {3, 1}})
            .absent({{1, 1}})
            .failed({{3, 1}});
        change(totals);
        out.finished("completed_with_failures", totals);
        return check(out.text);
    };
    EXPECT_TRUE(with([](job_totals&) {}).findings.empty());
    EXPECT_TRUE(with([](job_totals& t) { ++t.deleted; }).mentions("totals say deleted 6, the records 5"));
    EXPECT_TRUE(with([](job_totals& t) { ++t.ids; }).mentions("totals say ids"));
    EXPECT_TRUE(with([](job_totals& t) { ++t.duplicates; }).mentions("totals say duplicates"));
    EXPECT_TRUE(with([](job_totals& t) { --t.requests; }).mentions("totals say requests 3, the records 4"));
    EXPECT_TRUE(with([](job_totals& t) { ++t.retries; }).mentions("totals say retries"));
    EXPECT_TRUE(with([](job_totals& t) { t.throttled = 0; }).mentions("totals say throttled"));
}

TEST(Audit, AStatusMustFitItsJob) {
    const auto ends = [](std::string_view status) {
        journal_builder j;
        j.accepted(2).intent(0, 2).result(1, {{0, 2}}, {{0, 2}});
        j.finished(status, {.ids = 2, .deleted = 2, .requests = 1});
        return check(j.text);
    };
    EXPECT_TRUE(ends("completed").findings.empty());
    for (const char* status : {"completed_with_failures", "cancelled", "dry_run", "expired", "aborted", "fine"})
        EXPECT_FALSE(ends(status).findings.empty()) << status;
}

TEST(Audit, ACancelledJobSkipsWhatWasNotSent) {
    journal_builder j;
    j.accepted(4).intent(0, 2).result(1, {{0, 2}}, {{0, 2}});
    j.add("job.cancelled", R"("by":{"uid":0,"pid":1},"reason":"enough")").skipped({2, 2}, "cancelled");
    j.finished("cancelled", {.ids = 4, .deleted = 2, .skipped = 2, .requests = 1});
    EXPECT_TRUE(check(j.text).findings.empty()) << check(j.text).text();
    journal_builder forged;
    forged.accepted(4).skipped({0, 4}, "cancelled");
    EXPECT_TRUE(check(forged.text, false).mentions("was not cancelled"));
}

TEST(Audit, WithVerifyAllTheApisWordIsNoVerdict) {
    constexpr std::string_view all = R"("dry_run":false,"verify":"all")";
    journal_builder j;
    j.accepted(3, all).intent(0, 3).result(1, {{0, 3}}, {{0, 2}}, {{2, 1}}, {}, "reported");
    EXPECT_EQ(check(j.text, false).summary.totals.deleted, 0U);
    j.deleted({{0, 2}}).failed({{2, 1}});
    j.finished("completed_with_failures", {.ids = 3, .deleted = 2, .failed = 1, .requests = 1});
    EXPECT_TRUE(check(j.text).findings.empty()) << check(j.text).text();
    journal_builder forged;
    forged.accepted(3, all).intent(0, 3).deleted({{0, 1}});
    EXPECT_TRUE(check(forged.text, false).mentions("which the API never said"));
    journal_builder wrong_key;
    wrong_key.accepted(3, all).intent(0, 3).result(1, {{0, 3}}, {{0, 3}});
    EXPECT_FALSE(check(wrong_key.text, false).findings.empty());
}

TEST(Audit, RequestsThatPerhapsWentOutAreCountedWithinBounds) {
    const auto ends = [](std::uint64_t requests, std::uint64_t retries) {
        journal_builder j;
        j.accepted(2)
            .intent(0, 2)
            .error("connect", 0, {0, 2})
            .error("timeout", 0, {0, 2})
            .result(1, {{0, 2}}, {{0, 2}});
        j.finished("completed", {.ids = 2, .deleted = 2, .requests = requests, .retries = retries});
        return check(j.text).findings.empty();
    };
    EXPECT_TRUE(ends(2, 1));
    EXPECT_TRUE(ends(1, 0));
    EXPECT_FALSE(ends(3, 1));
    EXPECT_FALSE(ends(0, 0));
    EXPECT_FALSE(ends(2, 2));
}

TEST(Audit, NothingFollowsTheEndAndAcceptedComesFirst) {
    journal_builder j;
    test::story(j);
    j.add("job.paused", R"("by":{"uid":0,"pid":1})");
    EXPECT_TRUE(check(j.text).mentions("job.paused follows job.finished"));
    journal_builder none;
    none.intent(0, 1);
    EXPECT_TRUE(check(none.text, false).mentions("the first record must be job.accepted"));
    journal_builder twice;
    twice.accepted(1).accepted(1);
    EXPECT_TRUE(check(twice.text, false).mentions("a second time"));
}

TEST(Audit, AnOpenJournalIsSoundUntilTheLedgerNamesIt) {
    journal_builder j;
    j.accepted(4).intent(0, 4);
    EXPECT_TRUE(check(j.text, false).findings.empty());
    EXPECT_TRUE(check(j.text, true).mentions("it was cut, or replaced"));
    EXPECT_EQ(check(j.text, false).summary.state, "running");
    j.add("job.paused", R"("by":{"uid":0,"pid":1},"reason":"lunch")");
    EXPECT_EQ(check(j.text, false).summary.state, "paused");
    EXPECT_EQ(check(j.text, false).summary.reason, "lunch");
}

TEST(Audit, ACheckpointMustSayWhatTheRecordsSay) {
    journal_builder j;
    j.accepted(4).intent(0, 4).result(1, {{0, 2}}, {{0, 2}});
    std::string totals;
    append_totals(totals, {.ids = 4, .deleted = 3, .requests = 1});
    j.add("checkpoint", fmt::format(R"("intended":4,"next_batch":1,"open":[],"holes":[],"totals":{})", totals));
    EXPECT_TRUE(check(j.text, false).mentions("totals say deleted 3, the records 2"));
}

TEST(Audit, AHundredMillionIdsInOrderNeedNoMemory) {
    journal_audit audit;
    record_view record;
    record.type = record_type::job_accepted;
    const std::string accepted =
        R"({"seq":0,"ts":"2026-11-25T01:02:03.000000Z","type":"job.accepted","job_id":"j","file":"f","ids":100000000,"duplicates":0,"options":{},"prev":")" +
        std::string(64, '0') + "\"}";
    ASSERT_TRUE(read_record(accepted, record));
    audit.feed(record, 1);
    for (position p = 0; p < 100'000'000; p += 1'000'000) {
        for (const char* form : {R"("type":"intent","first":{},"count":1000000)",
                                 R"("type":"ids.skipped","first":{},"count":1000000,"reason":"protected")"}) {
            const std::string line = R"({"seq":1,"ts":"2026-11-25T01:02:03.000000Z",)" +
                                     fmt::format(fmt::runtime(form), p) + R"(,"prev":")" + std::string(64, '0') + "\"}";
            ASSERT_TRUE(read_record(line, record));
            audit.feed(record, 2);
        }
    }
    EXPECT_TRUE(audit.sound());
    EXPECT_EQ(audit.settled().run_count(), 1U);
    EXPECT_EQ(audit.summary().remaining(), 0U);
}

}  // namespace
}  // namespace culld

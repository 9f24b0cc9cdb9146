#include "culld/core/journal/journal_read.hpp"

#include <gtest/gtest.h>

#include "culld/core/journal/chain.hpp"
#include "support/journal_builder.hpp"

namespace culld {
namespace {

const std::string no_hash(64, '0');

std::string record_line(std::string_view head, std::string_view fields = "") {
    return "{" + std::string(head) + std::string(fields) + ",\"prev\":\"" + no_hash + "\"}";
}
constexpr const char* good_head = R"("seq":7,"ts":"2026-11-25T01:02:03.123456Z","type":"intent")";

TEST(JournalRead, ARecordIsTakenApart) {
    record_view r;
    const std::string line = record_line(good_head, R"(,"first":3,"count":4)");
    ASSERT_TRUE(read_record(line, r));
    EXPECT_EQ(r.seq, 7U);
    EXPECT_EQ(r.ts, "2026-11-25T01:02:03.123456Z");
    EXPECT_EQ(r.type, record_type::intent);
    EXPECT_EQ(r.positions(), (spans{{3, 4}}));
    EXPECT_EQ(r.u64("count"), 4U);
    EXPECT_FALSE(r.u64("attempt"));
    EXPECT_EQ(r.u64("attempt").error().what, "\"attempt\" is missing");
}

TEST(JournalRead, KeysMustStandWhereTheyBelong) {
    record_view r;
    for (const std::string& line :
         {record_line(R"("ts":"2026-11-25T01:02:03.123456Z","seq":7,"type":"intent")"),
          record_line(R"("seq":7,"type":"intent")"), "{" + std::string(good_head) + "}",
          "{" + std::string(good_head) + ",\"prev\":\"" + no_hash + "\",\"x\":1}",
          record_line(good_head, R"(,"first":1,"first":1)"), record_line(good_head, R"(,"seq":7)"),
          record_line(R"("seq":-1,"ts":"2026-11-25T01:02:03.123456Z","type":"intent")"),
          record_line(R"("seq":7,"ts":"2026-11-25T01:02:03Z","type":"intent")"),
          record_line(R"("seq":7,"ts":"2026-11-25T01:02:03.123456Z","type":1)"),
          "{" + std::string(good_head) + ",\"prev\":\"" + std::string(64, 'A') + "\"}"})
        EXPECT_FALSE(read_record(line, r)) << line;
}

TEST(JournalRead, TypesOfALaterVersionAreToldApart) {
    record_view r;
    const std::string line = record_line(R"("seq":7,"ts":"2026-11-25T01:02:03.123456Z","type":"job.dreamed")");
    ASSERT_TRUE(read_record(line, r));
    EXPECT_EQ(r.type, record_type::unknown);
    EXPECT_EQ(r.type_name, "job.dreamed");
}

TEST(JournalRead, TooManyMembersAreRefused) {
    record_view r;
    std::string fields;
    for (int i = 0; i < 49; ++i) fields += ",\"k" + std::to_string(i) + "\":1";
    EXPECT_FALSE(read_record(record_line(good_head, fields), r));
}

TEST(JournalRead, WhatTheWriterWritesReadsBack) {
    chain_writer writer;
    std::string text;
    write_finished(writer, text, wall_time{}, "completed", {.ids = 2, .deleted = 2, .requests = 1}, wall_time{});
    text.pop_back();
    record_view r;
    ASSERT_TRUE(read_record(text, r));
    EXPECT_EQ(r.type, record_type::job_finished);
    const auto totals = read_totals(*r.find("totals"));
    ASSERT_TRUE(totals);
    EXPECT_EQ(totals->deleted, 2U);
}

TEST(JournalRead, LedgerLinesOfTheWriterReadBack) {
    chain_writer writer;
    std::string text;
    const job_totals totals{.ids = 2, .deleted = 2, .requests = 1};
    const std::string head(64, 'a');
    write_ledger_line(writer, text, wall_time{},
                      {.job_id = "j",
                       .file = "j.json",
                       .status = "completed",
                       .totals = &totals,
                       .journal = "j.jsonl",
                       .head = head,
                       .records = 5,
                       .sig = "c2ln"});
    const std::size_t second = text.size();
    write_ledger_line(writer, text, wall_time{}, {.file = "bad.json", .status = "rejected", .error = "line 1: no"});
    record_view r;
    ASSERT_TRUE(read_record(std::string_view(text).substr(0, second - 1), r));
    const auto finished = read_ledger_entry(r);
    ASSERT_TRUE(finished) << finished.error().text();
    EXPECT_EQ(finished->totals, totals);
    EXPECT_EQ(finished->head, head);
    EXPECT_EQ(finished->sig, "c2ln");
    const std::string_view line = std::string_view(text).substr(second, text.size() - second - 1);
    ASSERT_TRUE(read_record(line, r));
    const auto rejected = read_ledger_entry(r);
    ASSERT_TRUE(rejected) << rejected.error().text();
    EXPECT_TRUE(rejected->rejected);
    EXPECT_EQ(rejected->error, "line 1: no");
    const auto ledger_end = read_ledger_head(ledger_head_text(writer.head(), {}));
    ASSERT_TRUE(ledger_end);
    EXPECT_EQ(ledger_end->seq, 1U);
    EXPECT_EQ(ledger_end->sha256, hex(writer.head().prev));
}

TEST(JournalRead, ALedgerLineCannotLeadOutOfTheFolder) {
    test::journal_builder j, ledger;
    const job_totals totals = test::story(j, "../x");
    ledger.ledger(j, totals, "completed", "../x");
    record_view r;
    ASSERT_TRUE(read_record(std::string_view(ledger.text).substr(0, ledger.text.size() - 1), r));
    EXPECT_FALSE(read_ledger_entry(r));
}

TEST(Chain, GoesOnBehindAKnownLink) {
    test::journal_builder j;
    j.accepted(4).intent(0, 4).skipped({0, 4}, "protected");
    std::size_t second = j.text.find('\n') + 1, third = j.text.find('\n', second) + 1;
    sha256 hash;
    hash.update(std::string_view(j.text).substr(second, third - 1 - second));
    chain_checker chain(2, hash.finish());
    record_view r;
    EXPECT_TRUE(chain.feed(std::string_view(j.text).substr(third, j.text.size() - 1 - third), true, r));
    EXPECT_EQ(hex(chain.head()), hex(j.head));
}

TEST(Chain, ABrokenChainStaysBroken) {
    test::journal_builder j;
    j.accepted(4).intent(0, 4);
    const std::string first = j.text.substr(0, j.text.find('\n'));
    chain_checker chain;
    record_view r;
    EXPECT_FALSE(chain.feed("{}", true, r));
    EXPECT_FALSE(chain.feed(first, true, r));
    EXPECT_EQ(chain.records(), 0U);
    EXPECT_TRUE(chain.broken());
}

}  // namespace
}  // namespace culld

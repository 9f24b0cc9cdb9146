// Every tool must read a record alike: what culld would not write so is a finding (contract, section 3).
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <sstream>
#include <string>

#include "culld/core/journal/record_form.hpp"
#include "support/archive.hpp"
#include "support/journal_builder.hpp"

namespace culld {
namespace {

using test::journal_builder;

std::vector<std::string> faults(const std::string& line, record_place place = record_place::journal) {
    record_view record;
    if (auto read = read_record(line, record); !read) return {"unreadable: " + read.error().what};
    return form_faults(record, place);
}

std::string line_of(std::string_view type, std::string_view fields) {
    journal_builder j;
    j.add(type, fields);
    return j.text.substr(0, j.text.size() - 1);
}

TEST(RecordForm, TakesWhatCulldWrites) {
    journal_builder j, ledger;
    const job_totals totals = test::story(j);
    ledger.ledger(j, totals, "completed_with_failures").ledger_rejected("bad.json", "no \\\"ids\\\"\\u0001\\n");
    test::each_line(j.text, [&](std::string_view line, bool) {
        EXPECT_EQ(faults(std::string(line)), std::vector<std::string>()) << line;
        return true;
    });
    test::each_line(ledger.text, [&](std::string_view line, bool) {
        EXPECT_EQ(faults(std::string(line), record_place::ledger), std::vector<std::string>()) << line;
        return true;
    });
}

struct bent {
    const char* type;
    const char* fields;
    const char* found;  // a part of the first finding
};

class RecordFormBent : public testing::TestWithParam<bent> {};

TEST_P(RecordFormBent, IsFound) {
    const auto found = faults(line_of(GetParam().type, GetParam().fields));
    ASSERT_FALSE(found.empty());
    EXPECT_NE(found[0].find(GetParam().found), std::string::npos) << found[0];
}

INSTANTIATE_TEST_SUITE_P(
    Each, RecordFormBent,
    testing::Values(
        // Keys.
        bent{"intent", R"("first":0,"count":1,"c\u006funt":2)", "written with an escape"},
        bent{"intent", R"("first":0,"count":1,"count":2)", "stands twice"},
        bent{"intent", R"("first":0,"count":1,"Count":2)", "no member"},
        bent{"intent", R"("first":0,"count":1,"":2)", "no member"},
        bent{"job.paused", R"("by":{"uid":0,"pid":1,"uid":2})", "\"by.uid\" stands twice"},
        bent{"job.paused", R"("by":{"uid":0,"p\u0069d":1})", "written with an escape"},
        bent{"job.accepted", R"("labels":{"a":"x","a":"y"})", "\"labels.a\" stands twice"},
        bent{"job.accepted", R"("labels":{"\u0061":"x"})", "written with an escape"},
        bent{"job.accepted", R"("labels":{"a":7})", "\"labels.a\" must be a text"},
        bent{"job.accepted", R"("options":{"verify":"all","verify":"none"})", "\"options.verify\" stands twice"},
        bent{"job.accepted", R"("options":{"abort_when":{"after":1,"after":2}})", "abort_when.after\" stands twice"},
        bent{"checkpoint", R"("open":[{"attempts":1,"attempts":2}])", "\"open.attempts\" stands twice"},
        // Types.
        bent{"job.dreamed", R"("x":1)", "no type of a record in a journal"},
        bent{"job\\u002efinished", R"("status":"completed")", "no type"}, bent{"Intent", R"("first":0)", "no type"},
        bent{"job.rejected", R"("file":"x")", "no type of a record in a journal"},
        // Texts.
        bent{"ids.failed", R"("ids":["\u0069\u0030"])", "escapes that it does not need"},
        bent{"ids.failed", R"("reason":"refu\u0073ed")", "escapes that it does not need"},
        bent{"ids.failed", R"("reason":"a\/b")", "escapes that it does not need"},
        bent{"ids.failed", R"("reason":"\u00e4")", "escapes that it does not need"},
        bent{"ids.failed", R"("reason":"\u001F")", "escapes that it does not need"},
        bent{"ids.failed", R"("reason":"\u000a")", "escapes that it does not need"},
        bent{"ids.failed", R"("reason":null)", "\"reason\" must be a text"},
        bent{"ids.failed", R"("ids":["a",1])", "\"ids\" must be a list of texts"},
        bent{"ids.failed", R"("ids":"a")", "\"ids\" must be a list of texts"},
        bent{"ids.failed", "\"reason\":\"\xC0\xAF\"", "unreadable"},
        bent{"ids.failed", "\"reason\":\"\xED\xA0\x80\"", "unreadable"},
        bent{"ids.failed", R"("reason":"\ud800")", "unreadable"},
        // Numbers.
        bent{"intent", R"("first":0.0)", "a whole number"}, bent{"intent", R"("first":1e3)", "a whole number"},
        bent{"intent", R"("first":-0)", "a whole number"}, bent{"intent", R"("first":"0")", "a whole number"},
        bent{"intent", R"("first":18446744073709551616)", "a whole number"},
        bent{"intent", R"("first":9007199254740993)", "no greater than 2^53"},
        bent{"intent", R"("first":NaN)", "unreadable"}, bent{"intent", R"("first":01)", "unreadable"},
        bent{"job.rate", R"("requests_per_second":1e999)", "a number as culld writes it"},
        bent{"job.rate", R"("requests_per_second":2.50)", "a number as culld writes it"},
        bent{"job.rate", R"("requests_per_second":Infinity)", "unreadable"},
        bent{"batch.result", R"("ms":"soon")", "\"ms\" must be a whole number"},
        bent{"batch.result", R"("at":[[0,1],[0,1]])", "\"at\" must be runs"},
        bent{"batch.result", R"("at":[[0,1.0]])", "\"at\" must be runs"},
        bent{"job.finished", R"("totals":[])", "\"totals\" must be an object"},
        bent{"job.finished", R"("totals":{"ids":1,"ids":2})", "\"totals.ids\" stands twice"},
        // Names of files.
        bent{"job.accepted", R"("file":"../../etc/passwd")", "a file name without a folder"},
        bent{"job.accepted", R"("file":"")", "a file name without a folder"},
        bent{"job.accepted", R"("file":"..")", "a file name without a folder"},
        bent{"job.accepted", R"("list":{"file":"a/b.ids"})", "a file name without a folder"},
        // Between the parts.
        bent{"intent", R"( "first":0,"count":1)", "spaces stand"}, bent{"intent", R"("first":[0, 1])", "spaces stand"},
        bent{"intent", R"("first":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]])", "unreadable"}));

TEST(RecordForm, ALineEndOfAnotherSystemIsFound) {
    const std::string line = line_of("intent", R"("first":0,"count":1)");
    EXPECT_TRUE(faults(line).empty());
    for (const char* behind : {"\r", " ", "\t"}) EXPECT_FALSE(faults(line + behind).empty()) << behind;
    EXPECT_FALSE(faults(" " + line).empty());
    EXPECT_FALSE(faults(line + std::string(1, '\0')).empty());
}

// The schemas say which members there are; none is missing here.
TEST(RecordForm, KnowsEveryMemberOfTheSchemas) {
    for (const auto& [file, place] : {std::pair("journal", record_place::journal), {"ledger", record_place::ledger}}) {
        std::ifstream in(fmt::format("{}/../../../config/{}.schema.json", CULLD_TEST_DATA, file));
        std::stringstream text;
        text << in.rdbuf();
        const auto schema = boost::json::parse(text.str());
        for (const auto& one : schema.at("allOf").as_array()) {
            const auto name = one.at("if").at("properties").at("type").at("const").as_string();
            record_view record;
            ASSERT_TRUE(read_record(line_of(std::string_view(name), ""), record));
            const auto known = known_members(record.type, place);
            EXPECT_FALSE(known.empty()) << name;
            for (const auto& member : one.at("then").at("properties").as_object())
                EXPECT_NE(std::find(known.begin(), known.end(), std::string_view(member.key())), known.end())
                    << file << ", " << name << ": record_form.cpp does not know " << member.key();
        }
    }
}

// What the audit finds in a record goes through the same door.
TEST(RecordForm, TheAuditAndTheLedgerSayIt) {
    journal_builder j;
    j.accepted(2).intent(0, 2).add("intent", R"("first":0,"count":1,"c\u006funt":2)");
    journal_check check("job-1", expected_end::open);
    test::each_line(j.text, [&](std::string_view line, bool ended) { return check.feed(line, ended) != nullptr; });
    EXPECT_FALSE(check.finish().findings.empty());
    journal_builder ledger;
    ledger.ledger_rejected("bad.json", "x").add("job.dreamed", R"("job_id":"x")");
    test::archive a;
    a.ledger = ledger.text;
    a.head = ledger.ledger_head();
    EXPECT_NE(a.text().find("no type of a record in the ledger"), std::string::npos) << a.text();
}

}  // namespace
}  // namespace culld

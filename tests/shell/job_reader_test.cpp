#include "culld/io/job_reader.hpp"

#include <gtest/gtest.h>

#include <rapidcheck.h>

#include <array>

#include "culld/core/json_text.hpp"
#include "scratch.hpp"

namespace culld {
namespace {

using ids = std::vector<std::string>;

class JobReader : public testing::Test {
  protected:
    JobReader() {
        settings_.api.project_id = "p";
        settings_.api.workspace_id = "w";
    }

    result<job_spec> read(std::string_view content, file_kind kind) {
        const unique_fd fd = dir_.file("job", content);
        byte_source from(fd.get(), "job", compression::none);
        sink_ = remembering_sink();
        job_document document({settings_, resources_}, sink_);
        auto spec = read_job(from, kind, document, sink_);
        if (spec) {
            EXPECT_EQ(from.facts().bytes, content.size());
        }
        return spec;
    }
    result<job_spec> json(std::string_view content) { return read(content, file_kind::job_json); }
    result<job_spec> yaml(std::string_view content) { return read(content, file_kind::job_yaml); }

    static std::string said(const result<job_spec>& spec) {
        if (spec) return "no error";
        EXPECT_EQ(spec.error().file, "job");
        return std::to_string(spec.error().line) + ":" + std::to_string(spec.error().column) + " " + spec.error().what;
    }

    config settings_;
    std::array<std::string_view, 1> resources_{"incidents"};
    scratch dir_;
    remembering_sink sink_;
};

TEST_F(JobReader, JsonAndYamlMeanTheSame) {
    const auto j = json(R"({"version": 1, "id": "c-1", "batch_size": 7, "dry_run": true, "verify": "none",
        "deadline": "2026-11-26T04:00:00Z", "abort_when": {"failed_ratio": 0.25, "after": 10},
        "labels": {"ticket": "SEC-1", "by": "\u00e4lice"}, "ids": ["a", "b"] })");
    ASSERT_TRUE(j) << j.error().text();
    EXPECT_EQ(sink_.ids, (ids{"a", "b"}));
    const auto y = yaml(
        "# a job\nversion: 1\nid: c-1\nbatch_size: 7\ndry_run: true\nverify: none\ndeadline: "
        "2026-11-26T04:00:00Z\n"
        "abort_when: {failed_ratio: 0.25, after: 10}\nlabels:\n  ticket: SEC-1\n  by: "
        "\"\\u00e4lice\"\nids:\n- a\n- 'b'\n");
    ASSERT_TRUE(y) << y.error().text();
    EXPECT_EQ(sink_.ids, (ids{"a", "b"}));
    for (const auto& spec : {*j, *y}) {
        EXPECT_EQ(spec.id, "c-1");
        EXPECT_EQ(spec.batch_size, 7U);
        EXPECT_TRUE(spec.dry_run);
        EXPECT_EQ(spec.verify, verify_mode::none);
        EXPECT_EQ(rfc3339(*spec.deadline), "2026-11-26T04:00:00.000000Z");
        EXPECT_EQ(spec.abort_when, (abort_rule{0.25, 10}));
        EXPECT_EQ(spec.labels, j->labels);
    }
    EXPECT_EQ(j->labels[1].second, "\xC3\xA4lice");
}

TEST_F(JobReader, FieldsMayFollowTheIds) {
    const auto spec = json("{\"ids\":[\"a\"],\"version\":1}\n\n");
    ASSERT_TRUE(spec) << spec.error().text();
    EXPECT_TRUE(json("\xEF\xBB\xBF{\"version\":1,\"ids_file\":\"x.ids\"}"));
    EXPECT_EQ(json("{\"version\":1,\"ids_file\":\"x.ids\"}")->ids_file, "x.ids");
    EXPECT_TRUE(json("{\"version\":1,\"ids\":[]}"));
    EXPECT_TRUE(json("{\"version\":1,\"ids\":[ ]}"));
}

TEST_F(JobReader, JsonMistakesAreNamedToTheByte) {
    struct {
        std::string_view content;
        std::string_view said;
    } const cases[] = {
        {"", "0:0 the file is empty"},
        {"  \n ", "0:0 the file is empty"},
        {"{\n  \"version\": 1,\n  \"batchsize\": 5\n}", "3:3 unknown field \"batchsize\""},
        {"{\n  \"version\": 1,\n  \"batch_size\": 1000\n}",
         "3:17 batch_size must be a whole number, 1 to 999, not 1000"},
        {"{\"batch_size\":1000}", "1:15 batch_size must be a whole number, 1 to 999, not 1000"},
        {"{\"version\": \"1\"}", "1:13 version must be 1, not \"1\""},
        {"{\"version\": true}", "1:13 version must be 1, not true"},
        {"{\"version\": null}", "1:13 version must be 1, not null"},
        {"{\"version\":1,\n\"version\":1}", "2:1 \"version\" is there twice"},
        {"{\"version\":1,\"ids\":[\"a\"],\n \"ids\":[\"b\"]}", "2:2 \"ids\" is there twice"},
        {"{\"version\":1,\"labels\":[]}", "1:23 labels must not be a list"},
        {"{\"version\":1,\"priority\":{}}", "1:25 priority must not be an object"},
        {"{\"version\":1,\n\"ids\":[\"a\",\n  \"BAD\"]}", "3:3 refused"},
        {"{\"version\":1,\n\"ids\":[\"a\", 5]}", "2:13 ids must hold strings, not a number"},
        {"{\"version\":1,\n\"ids\":[\"a\", null]}", "2:13 ids must hold strings, not a bare word"},
        {"{\"version\":1,\n\"ids\":[[\"a\"]]}", "2:8 ids must hold strings, not a list"},
        {"{\"version\":1,\n\"ids\":[\"a\" \"b\"]}", "2:12 a comma or ] must follow an id"},
        {"{\"version\":1,\n\"ids\":[\"a\",]}", "2:12 an id must follow a comma"},
        {"{\"version\":1,\n\"ids\":[,\"a\"]}", "2:8 ids must hold strings, not nothing"},
        {"{\"version\":1,\n\"ids\":[\"a\"}", "2:11 a comma or ] must follow an id"},
        {"{\"version\":1,\n\"ids\":[\"a\"", "2:10 the file ends in the middle"},
        {"{\"version\":1", "1:12 the file ends in the middle"},
        {"{\"version\":1,\"ids_file\":\"a.ids\"}\n x", "2:2 something follows the job"},
        {"{\"version\":1,\"ids_file\":\"a.ids\"}{}", "1:33 something follows the job"},
        {"{\"version\":1,}", "1:14 not JSON: syntax error"},
        {"{version:1}", "1:2 not JSON: syntax error"},
        {"[]", "1:1 a job file must be an object with fields, not a list"},
        {"5\n", "1:1 a job file must be an object with fields, not 5"},
        {"{\"version\":1,\"ids_file\":\"a.ids\",\"ids\":[\"a\"]}", "1:33 both ids and ids_file"},
        {"{\"version\":1}", "1:1 neither ids nor ids_file"},
        {"{\"ids_file\":\"a.ids\"}", "1:1 no version"},
    };
    for (const auto& c : cases) EXPECT_EQ(said(json(c.content)), c.said) << c.content;
}

TEST_F(JobReader, AnIdMayBeWrittenWithEscapes) {
    ASSERT_TRUE(json("{\"version\":1,\"ids\":[\"\\u0061\\\"b\",\"c\"]}"));
    EXPECT_EQ(sink_.ids, (ids{"a\"b", "c"}));
    EXPECT_EQ(said(json("{\"version\":1,\"ids\":[\"\\x\"]}")).substr(0, 14), "1:21 not JSON:");
    EXPECT_EQ(said(json("{\"version\":1,\"ids\":[\"a\\\\\",\"BAD\"]}")), "1:27 refused");
}

TEST_F(JobReader, ABracketInAnIdEndsNothing) {
    ASSERT_TRUE(json("{\"version\":1,\"ids\":[\"a]b\",\"c\"]}"));
    EXPECT_EQ(sink_.ids, (ids{"a]b", "c"}));
}

TEST_F(JobReader, LongListsAreReadAcrossBlocks) {
    for (const std::string between : {",", ",\n", " , "}) {
        std::string content = "{\"version\":1,\"ids\":[";
        ids expected;
        for (std::uint64_t i = 0; i < 30'000; ++i) {
            expected.push_back(uuid(i));
            content += (i == 0 ? "\"" : between + "\"") + expected.back() + "\"";
        }
        ASSERT_TRUE(json(content + "]}"));
        EXPECT_EQ(sink_.ids, expected);
        const auto bad = json(content + ",\n\n   \"BAD\"]}");
        ASSERT_FALSE(bad);
        EXPECT_EQ(bad.error().column, 4U);
        EXPECT_EQ(bad.error().line, between == ",\n" ? 30'002U : 3U);
    }
}

TEST_F(JobReader, WhatIsNotIdsHasALimit) {
    EXPECT_NE(said(json("{" + std::string(std::size_t{2} << 20U, ' '))).find("more than 1048576 bytes"),
              std::string::npos);
    EXPECT_FALSE(json("{\"id\":\"" + std::string(10'000, 'a') + "\"}"));
    EXPECT_FALSE(json("{\"version\":1,\"ids\":[\"" + std::string(10'000, 'a') + "\"]}"));
    EXPECT_FALSE(json(std::string(100'000, '[')));
    EXPECT_FALSE(json("{\"a\":" + std::string(100'000, '{')));
    EXPECT_FALSE(json("\xFF\xFE{"));
}

TEST_F(JobReader, AListInJsonReadsBack) {
    EXPECT_TRUE(rc::check([&] {
        const auto list =
            *rc::gen::container<ids>(rc::gen::container<std::string>(rc::gen::elementOf(std::string("ab]\\\",[{ \t"))));
        std::string content = "{\"ids\" : [";
        for (std::size_t i = 0; i < list.size(); ++i) {
            if (i > 0) content += *rc::gen::element<std::string>(",", " ,", ",\n");
            append_json_string(content, list[i]);
        }
        RC_ASSERT(bool(json(content + "],\"version\":1}")));
        RC_ASSERT(sink_.ids == list);
    }));
}

TEST_F(JobReader, YamlMistakesAreNamed) {
    struct {
        std::string_view content;
        std::string_view said;
    } const cases[] = {
        {"", "0:0 the file is empty"},
        {"# nothing\n", "0:0 the file is empty"},
        {"version: 1\nbatchsize: 5\n", "2:1 unknown field \"batchsize\""},
        {"version: 1\nbatch_size: 1000\n", "2:13 batch_size must be a whole number, 1 to 999, not 1000"},
        {"version: '1'\n", "1:10 version must be 1, not \"1\""},
        {"version: 1\nversion: 1\n", "2:1 \"version\" is there twice"},
        {"version: 1\ndry_run: yes\n", "2:10 dry_run must be true or false, not \"yes\""},
        {"version: 1\ndry_run: True\n", "2:10 dry_run must be true or false, not \"True\""},
        {"version: 1\npriority: 0x5\n", "2:11 priority must be a whole number, 0 to 9, not \"0x5\""},
        {"version: 1\npriority: 05\n", "2:11 priority must be a whole number, 0 to 9, not \"05\""},
        {"version: 1\nids:\n- a\n-  BAD\n", "4:4 refused"},
        {"version: 1\nids:\n- 5\n", "3:3 ids must hold strings, not 5"},
        {"version: 1\nids:\n-\n", "4:1 ids must hold strings, not null"},
        {"version: 1\nids: [[a]]\n", "2:7 ids must hold strings, not a list"},
        {"version: 1\nid: &x a\n", "2:5 an anchor (&name)"},
        {"version: 1\nlabels: &x {a: b}\n", "2:9 an anchor (&name)"},
        {"version: 1\nid: !foo a\n", "2:5 a tag (!name)"},
        {"version: 1\nid: !!str 5\n", "2:5 a tag (!name)"},
        {"version: 1\nlabels: !x {}\n", "2:9 a tag (!name)"},
        {"version: 1\nlabels: {<<: {a: b}}\n", "2:10 \"<<\" is no name for a label"},
        {"<<: {a: b}\n", "1:1 unknown field \"<<\""},
        {"version: 1\nids_file: a.ids\n---\nversion: 1\n", "3:1 a second document"},
        {"? [a]\n: b\n", "1:3 a key that is no plain text"},
        {"- a\n", "1:1 a job file must be an object with fields, not a list"},
        {"just text\n", "1:1 a job file must be an object with fields, not \"just text\""},
        {"version: 1\nid: a\x04\nids: [a]\n", "2:6 a control character (0x04)"},
        {"version: 1\n", "1:1 neither ids nor ids_file"},
    };
    for (const auto& c : cases) EXPECT_EQ(said(yaml(c.content)), c.said) << c.content;
    for (const char* content : {"version: [1\n", "version: 1\n\tid: a\n", "a: b: c\n", "version: 1\nid: *x\n",
                                "%FOO\n\"a\n", "{version: 1, ids: [a]} x\n"}) {
        const auto spec = yaml(content);
        ASSERT_FALSE(spec) << content;
        EXPECT_GT(spec.error().line, 0U) << content << spec.error().text();
    }
}

TEST_F(JobReader, DeepYamlIsRefusedAndNotFollowed) {
    EXPECT_FALSE(yaml(std::string(100'000, '[')));
    EXPECT_FALSE(yaml("labels: " + std::string(100'000, '{')));
    std::string steps;
    for (int i = 0; i < 2000; ++i) steps += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
    EXPECT_FALSE(yaml(steps));
}

TEST_F(JobReader, ALongYamlListIsRead) {
    std::string content = "version: 1\nids:\n";
    for (std::uint64_t i = 0; i < 20'000; ++i) content += "  - " + uuid(i) + "\n";
    ASSERT_TRUE(yaml(content));
    EXPECT_EQ(sink_.ids.size(), 20'000U);
    EXPECT_EQ(said(yaml(content + "  - BAD\n")), "20003:5 refused");
}

}  // namespace
}  // namespace culld

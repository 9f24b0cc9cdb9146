#include "culld/io/lists/job_reader.hpp"

#include <gtest/gtest.h>
#include <malloc.h>

#include <rapidcheck.h>

#include <array>

#include "culld/core/ids/id_text.hpp"
#include "culld/core/text/json_writer.hpp"
#include "support/sanitized.hpp"
#include "support/scratch.hpp"

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
        ids expected;
        for (const std::string& id : list) expected.emplace_back(trimmed(id));
        RC_ASSERT(sink_.ids == expected);
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
        {"version: 1\nversion: 1\n", "2:1 duplicate key \"version\""},
        {"version: 1\ndry_run: yes\n", "2:10 dry_run must be true or false, not \"yes\""},
        {"version: 1\ndry_run: True\n", "2:10 dry_run must be true or false, not \"True\""},
        {"version: 1\npriority: 0x5\n", "2:11 priority must be a whole number, 0 to 9, not \"0x5\""},
        {"version: 1\npriority: 05\n", "2:11 priority must be a whole number, 0 to 9, not \"05\""},
        {"version: 1\nids:\n- a\n-  BAD\n", "4:4 refused"},
        {"version: 1\nids:\n- 5\n", "3:3 ids must hold strings, not 5"},
        {"version: 1\nids:\n-\n", "3:2 ids must hold strings, not null"},
        {"version: 1\nids: [[a]]\n", "2:7 ids must hold strings, not a list"},
        {"version: 1\nid: &x a\n", "2:5 anchor &x is refused here"},
        {"version: 1\nlabels: &x {a: b}\n", "2:9 anchor &x is refused here"},
        {"version: 1\nid: !foo a\n", "2:5 tag !foo is refused here"},
        {"version: 1\nid: !!str 5\n", "2:5 tag tag:yaml.org,2002:str is refused here"},
        {"version: 1\nlabels: !x {}\n", "2:9 tag !x is refused here"},
        {"version: 1\nlabels: {<<: {a: b}}\n", "2:10 the merge key << is refused here"},
        {"<<: {a: b}\n", "1:1 the merge key << is refused here"},
        {"version: 1\nids_file: a.ids\n---\nversion: 1\n", "3:1 a second document begins here"},
        {"? [a]\n: b\n", "1:3 a key must be a name, not a list or a map"},
        {"- a\n", "1:1 a job file must be an object with fields, not a list"},
        {"just text\n", "1:1 a job file must be an object with fields, not \"just text\""},
        {"version: 1\nid: a\x04\nids: [a]\n", "2:6 control character 0x04"},
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

// Cut in its last label it was taken for whole.
TEST_F(JobReader, AJobThatWasCutAnywhereIsNone) {
    const std::string json_text = R"({"version":1,"ids":["0f0e6c1e","b"],"labels":{"ticket":"SEC-1234"}})";
    for (std::size_t n = 0; n < json_text.size(); ++n) EXPECT_FALSE(json(json_text.substr(0, n))) << n;
    for (const std::string last :
         {"labels:\n  ticket: \"SEC-1234\"\n", "labels:\n  ticket: 'SEC-1234'\n", "labels:\n  ticket: SEC-1234\n",
          "labels: {ticket: SEC-1234}\n", "labels: {ticket: \"SEC-1234\"}\n", "labels: {\"ticket\": 'it''s'}\n",
          "labels:\n  ticket: \"a\\\"b\"\n", "id: x-1\n", "id: \"x-1\"\n", "expect_count: 200\n", "max_attempts: 15\n",
          "abort_when: {failed_ratio: 0.55, after: 10}\n", "abort_when:\n  after: 10\n  failed_ratio: 0.55\n",
          "labels:\n  ticket: >-\n    SEC-1234\n"}) {
        const std::string head = "version: 1\nids: [0f0e6c1e-6a3b-4f0e-9a51-5d1c5f1f0a01, \"b\"]\n";
        ASSERT_TRUE(yaml(head + last)) << last;
        for (std::size_t n = 0; n < head.size() + last.size(); ++n) {
            const std::string text = (head + last).substr(0, n);
            // Between two lines nothing tells; and a quote or bracket that was closed is the end of its line.
            const bool whole =
                n == head.size() || n + 1 == head.size() ||
                (n + 1 == head.size() + last.size() && std::string("\"'}").find(text.back()) != std::string::npos);
            EXPECT_EQ(yaml(text).has_value(), whole) << text;
        }
    }
    // A block list too: an id without quotes ends with its newline.
    const std::string block = "version: 1\nids:\n- a-1\n- b-22\n";
    EXPECT_TRUE(yaml(block));
    for (const char* end : {"- b-22", "- b-", "- b", "-", "- \"b", "- 'b"})
        EXPECT_FALSE(yaml("version: 1\nids:\n- a-1\n" + std::string(end))) << end;
    EXPECT_EQ(said(yaml(block.substr(0, block.size() - 2))), "4:3 the file ends in the middle of a line");
    // What cannot be the start of something else needs none.
    EXPECT_TRUE(yaml("version: 1\nids:\n- 0f0e6c1e-6a3b-4f0e-9a51-5d1c5f1f0a01"));
    EXPECT_TRUE(yaml("ids: [a]\nversion: 1\ndry_run: true"));
    EXPECT_TRUE(yaml("ids: [a]\nversion: 1"));
    // A number may, and so may a text behind | or >.
    EXPECT_EQ(said(yaml("version: 1\nids: [a, b]\nexpect_count: 2")), "3:15 the file ends in the middle of a line");
    EXPECT_EQ(said(yaml("version: 1\nids:\n  - >-\n    abcd1")), "3:5 the file ends in the middle of a line");
    EXPECT_FALSE(yaml("version: 1\nids:\n  - |\n    abcd1"));
    EXPECT_TRUE(yaml("version: 1\nids:\n  - |-\n    abcd1\n  - \"b\""));
}

// Counts, and looks at the heap at two of its ids.
class heap_sink final : public id_sink {
  public:
    bool take(std::string_view) override {
        if (++count_ == 10'000) early_ = ::mallinfo2().uordblks;
        if (count_ == 150'000) late_ = ::mallinfo2().uordblks;
        return true;
    }
    reason refusal() override { return {}; }
    [[nodiscard]] std::uint64_t taken() const override { return count_; }
    [[nodiscard]] std::size_t growth() const { return late_ > early_ ? late_ - early_ : 0; }

  private:
    std::uint64_t count_ = 0;
    std::size_t early_ = 0, late_ = 0;
};

TEST_F(JobReader, AnInlineListCostsNoMemoryInAnyForm) {
    if (sanitized) GTEST_SKIP() << "another heap";
    for (const auto& [head, before, after, tail, kind] :
         {std::tuple("version: 1\nids:\n", "  - ", "\n", "", file_kind::job_yaml),
          {"version: 1\nids:\n", "- \"", "\"\n", "", file_kind::job_yaml},
          {"version: 1\nids: [", "", ", ", "]\n", file_kind::job_yaml},
          {"version: 1\nids: [\n", "  '", "',\n", "]\n", file_kind::job_yaml},
          {"{version: 1, ids: [", "\"", "\", ", "]}\n", file_kind::job_yaml},
          {"{\"version\":1,\"ids\":[\"x\"", ",\"", "\"", "]}", file_kind::job_json}}) {
        std::string content = head;
        for (std::uint64_t i = 0; i < 160'000; ++i) (content += before).append(uuid(i)) += after;
        content += tail;
        const unique_fd fd = dir_.file("job", content);
        byte_source from(fd.get(), "job", compression::none);
        heap_sink sink;
        job_document document({settings_, resources_}, sink);
        const auto spec = read_job(from, kind, document, sink);
        ASSERT_TRUE(spec) << spec.error().text();
        EXPECT_GE(sink.taken(), 160'000U);
        EXPECT_LT(sink.growth(), 100'000U) << head << before;
    }
}

TEST_F(JobReader, AColumnIsInBytesInYamlToo) {
    EXPECT_EQ(said(yaml("version: 1\nlabels: {t: \"\xC3\xA4\xE6\xBC\xA2\", t: b}\n")), "2:22 duplicate key \"t\"");
    EXPECT_EQ(said(yaml("# \xE6\xBC\xA2\nversion: 1\nids: [\"\xC3\xA4\", BAD]\n")), "3:13 refused");
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

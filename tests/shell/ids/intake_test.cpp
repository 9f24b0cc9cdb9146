#include "culld/io/ids/intake.hpp"

#include <gtest/gtest.h>

#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <set>

#include "support/scratch.hpp"

namespace culld {
namespace {

using ids = std::vector<std::string>;

distinct_shape tiny_shape() {
    return {.hashes = {.partitions = 2, .block_bytes = 64},
            .repeats = {.partitions = 3, .block_bytes = 24},
            .slots_max = 8};
}

class Intake : public testing::Test {
  protected:
    Intake() {
        settings_.api.project_id = "p";
        settings_.api.workspace_id = "w";
        plan_ = std::move(spool_.here().sub(".plan", 0700).value());
    }

    intake_surroundings around() { return {settings_, pattern_, resources_, protect_, plan_, watch_}; }

    // A job without sidecar, start to end.
    result<job_intake> take(const std::string& name, std::string_view content, distinct_shape shape = {}) {
        const unique_fd fd = spool_.file(name, content);
        intake taking(around(), now_, 0xABCD, shape);
        const auto spec = taking.read_job(fd.get(), name);
        auto done = spec ? taking.finish() : result<job_intake>(fail(spec.error()));
        fault_ = taking.fault();
        EXPECT_EQ(fault_ == intake_fault::none, done.has_value());
        return done;
    }

    ids stored(const job_intake& job) {
        auto store = id_store::open(plan_, store_name(job.spec.id)).value();
        EXPECT_EQ(store.count(), job.ids);
        remembering_sink all("");
        EXPECT_TRUE(store.append_ids(0, store.count(), all));
        return all.ids;
    }
    ids plan_names() const {
        ids out;
        for (const auto& entry : std::filesystem::directory_iterator(plan_.path()))
            out.push_back(entry.path().filename());
        return out;
    }

    config settings_;
    id_pattern pattern_ = id_pattern::compile("[A-Za-z0-9_-]{1,100}").value();
    std::array<std::string_view, 1> resources_{"incidents"};
    protected_ids protect_;
    reading_watch watch_;
    scratch spool_;
    folder plan_;
    wall_time now_ = parse_rfc3339("2026-11-25T01:02:03Z").value();
    intake_fault fault_ = intake_fault::none;
};

TEST_F(Intake, TakesEveryKindOfJob) {
    for (const auto& [name, content] : {std::pair<std::string, std::string>{"a.txt", "x\ny\nx\n"},
                                        {"b.csv", "id\nx\ny\nx\n"},
                                        {"c.jsonl", "\"x\"\n\"y\"\n\"x\"\n"},
                                        {"d.json", R"({"version":1,"ids":["x","y","x"]})"},
                                        {"e.yml", "version: 1\nids: [x, 'y', x]\n"}}) {
        const auto job = take(name, content);
        ASSERT_TRUE(job) << job.error().text();
        EXPECT_EQ(job->spec.id, name.substr(0, 1) + "-20261125T010203Z-abcd");
        EXPECT_EQ(job->source.file, name);
        EXPECT_EQ(job->source.bytes, content.size());
        EXPECT_FALSE(job->list);
        EXPECT_EQ(job->ids, 2U);
        EXPECT_EQ(job->duplicates, 1U);
        EXPECT_EQ(stored(*job), (ids{"x", "y"}));
        sha256 hash;
        hash.update(content);
        EXPECT_EQ(hex(id_store::open(plan_, store_name(job->spec.id))->source()), job->source.sha256);
        EXPECT_EQ(job->source.sha256, hex(hash.finish()));
    }
    EXPECT_EQ(plan_names().size(), 5U);
}

TEST_F(Intake, TakesASidecar) {
    const unique_fd job = spool_.file("j.json", R"({"version":1,"id":"mine","ids_file":"l.ids"})");
    const unique_fd list = spool_.file("l.ids", "# ids\nx\ny\n");
    intake taking(around(), now_, 0);
    const auto spec = taking.read_job(job.get(), "j.json");
    ASSERT_TRUE(spec);
    EXPECT_TRUE(taking.wants_list());
    EXPECT_EQ(spec->ids_file, "l.ids");
    EXPECT_EQ(spec->id, "mine");
    ASSERT_TRUE(taking.read_sidecar(list.get(), "l.ids"));
    EXPECT_FALSE(taking.wants_list());
    const auto done = taking.finish();
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(done->list->file, "l.ids");
    EXPECT_EQ(done->list->bytes, 10U);
    EXPECT_EQ(stored(*done), (ids{"x", "y"}));
    EXPECT_EQ(hex(id_store::open(plan_, "mine.ids")->source()), done->list->sha256);
}

TEST_F(Intake, AFailureNamesThePlaceAndLeavesNothing) {
    struct {
        std::string_view name;
        std::string_view content;
        std::string_view said;
    } const cases[] = {
        {"a.txt", "x\n\ny z\n", "a.txt:3:1: \"y z\" is no id: byte 2 is not allowed"},
        {"a.json", "{\"version\":1,\n \"ids\":[\"x\",\"y z\"]}", "a.json:2:13: \"y z\" is no id"},
        {"a.yaml", "version: 1\nids:\n- x\n- y z\n", "a.yaml:4:3: \"y z\" is no id"},
        {"a.csv", "id\nx\n\"\"\n", "a.csv:3:1: empty id"},
        {"a.txt", "", "a.txt: the list is empty"},
        {"a.txt", "# only\n", "a.txt: the list is empty"},
        {"a.json", "{\"version\":1,\"ids\":[]}", "a.json: the list is empty"},
        {"a.json", "", "a.json: the file is empty"},
        {"a.json", "{\"version\":1,\"expect_count\":3,\"ids\":[\"x\",\"y\",\"x\"]}",
         "a.json: expect_count is 3, but the list has 2 distinct ids"},
        {"a.txt.gz", "not packed", "a.txt.gz: cannot be unpacked"},
        {"a.exe", "x\n", "a.exe: its name is not that of a job"},
        {"a.ids", "x\n", "a.ids: its name is not that of a job"},
    };
    for (const auto& c : cases) {
        const auto job = take(std::string(c.name), c.content);
        ASSERT_FALSE(job) << c.content;
        EXPECT_TRUE(job.error().text().starts_with(c.said)) << job.error().text();
        EXPECT_EQ(fault_, intake_fault::file);
        EXPECT_TRUE(plan_names().empty());
    }
}

TEST_F(Intake, LimitsCountDistinctIds) {
    settings_.limits.max_ids_per_job = 2;
    EXPECT_TRUE(take("a.txt", "x\ny\nx\nx\n"));
    const auto job = take("b.txt", "x\ny\nz\n");
    ASSERT_FALSE(job);
    EXPECT_NE(job.error().what.find("limits.max_ids_per_job"), std::string::npos);
    EXPECT_TRUE(take("c.json", R"({"version":1,"expect_count":2,"ids":["x","y","x"]})"));
}

// One id again and again is no list of one: it would be read for ever, and fill the disk.
TEST_F(Intake, RepeatsCountAgainstTheLimitToo) {
    settings_.limits.max_ids_per_job = 2;
    std::string content;
    for (int i = 0; i < 100'004; ++i) content += "x\n";
    EXPECT_TRUE(take("a.txt", content));
    for (int i = 0; i < 2048; ++i) content += "x\n";
    const auto job = take("b.txt", content);
    ASSERT_FALSE(job);
    EXPECT_LE(job.error().line, 100'004U + ids_per_segment);  // looked at once a segment
    EXPECT_NE(job.error().what.find("repeated ones counted"), std::string::npos) << job.error().text();
    EXPECT_EQ(fault_, intake_fault::file);
    EXPECT_TRUE(std::ranges::count(plan_names(), "b.ids") == 0);
}

TEST_F(Intake, AUuidInAnotherCaseIsTheSameId) {
    const std::string low = "0f0e6c1e-6a3b-4f0e-9a51-5d1c5f1f0a01";
    const std::string high = "0F0E6C1E-6A3B-4F0E-9A51-5D1C5F1F0A01";
    const std::string mixed = "0f0e6c1e-6A3B-4f0e-9a51-5d1c5f1f0a01";
    const std::string other = "0F0E6C1E-6A3B-4F0E-9A51-5D1C5F1F0A02";
    // Sent as it was first written.
    const auto job = take("a.json", R"({"version":1,"expect_count":3,"ids":[")" + high + R"(","A",")" + low + R"(",")" +
                                        other + R"(",")" + mixed + R"("]})");
    ASSERT_TRUE(job) << job.error().text();
    EXPECT_EQ(job->duplicates, 2U);
    EXPECT_EQ(stored(*job), (ids{high, "A", other}));
    EXPECT_EQ(take("b.txt", "A\na\n")->ids, 2U);

    protect_.insert(mixed);
    int n = 0;
    for (const std::string& written : {low, high, mixed})
        EXPECT_EQ(take("c" + std::to_string(n++) + ".txt", "a\n" + written + "\n")->protected_at, (spans{{1, 1}}));
    EXPECT_EQ(take("d.txt", low + "\n" + high + "\nb\n" + mixed + "\n")->protected_at, (spans{{0, 1}}));
    EXPECT_TRUE(take("e.txt", other + "\n")->protected_at.empty());
}

// What is next to nothing but blank lines, comments or other columns is not read to its end.
TEST_F(Intake, TextWithHardlyAnIdInItIsRefusedEarly) {
    std::string blank = "x\n";
    blank.append(std::size_t{3} << 20U, '\n');
    std::string wide = "id,t\nx,\"";
    wide.append(std::size_t{70} << 20U, 'y');
    std::string spaces = R"({"version":1,"ids":["x")";
    spaces.append(std::size_t{70} << 20U, ' ');
    std::string comments = "version: 1\nids:\n- x\n";
    comments.append(std::size_t{3} << 20U, '#');
    for (const auto& [name, content, said] : {std::tuple("a.txt", blank, "lines with 1 ids in them"),
                                              {"b.csv", "id\n" + blank, "lines with 1 ids in them"},
                                              {"c.jsonl", "\"x\"" + blank.substr(1), "lines with 1 ids in them"},
                                              {"d.csv", wide, "MiB of text with 0 ids"},
                                              {"e.json", spaces, "MiB of text with 1 ids"},
                                              {"f.yaml", comments, "more than 1048576 bytes without a value"},
                                              {"g.yaml", "version: 1\nids:\n- " + blank, "lines with 0 ids in them"}}) {
        const auto job = take(name, content);
        ASSERT_FALSE(job) << name;
        EXPECT_NE(job.error().what.find(said), std::string::npos) << name << ": " << job.error().text();
        EXPECT_EQ(fault_, intake_fault::file) << name;
    }
}

TEST_F(Intake, ProtectedPositionsAreOfTheDistinctList) {
    protect_.insert("k");
    protect_.insert("m");
    protect_.insert("absent");
    EXPECT_EQ(take("a.txt", "a\nk\nm\nb\n")->protected_at, (spans{{1, 2}}));
    EXPECT_EQ(take("b.txt", "a\na\nk\nk\nk\nk\nb\nm\n")->protected_at, (spans{{1, 1}, {3, 1}}));
    EXPECT_TRUE(take("c.txt", "a\n")->protected_at.empty());
}

TEST_F(Intake, DeduplicationAndProtectionAgreeWithASet) {
    protect_.insert("id-3");
    protect_.insert("id-4");
    int n = 0;
    EXPECT_TRUE(rc::check([&] {
        const auto numbers = *rc::gen::nonEmpty(rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 40)));
        std::string content;
        ids expected;
        spans expected_protected;
        std::set<int> seen;
        for (const int i : numbers) {
            content += "id-" + std::to_string(i) + "\n";
            if (!seen.insert(i).second) continue;
            if (i == 3 || i == 4) append(expected_protected, {expected.size(), 1});
            expected.push_back("id-" + std::to_string(i));
        }
        const auto job = take("job" + std::to_string(n++) + ".txt", content, tiny_shape());
        RC_ASSERT(bool(job));
        RC_ASSERT(stored(*job) == expected);
        RC_ASSERT(job->duplicates == numbers.size() - expected.size());
        RC_ASSERT(job->protected_at == expected_protected);
    }));
}

TEST_F(Intake, ASecondJobOfOneNameDoesNotTouchTheFirstsStore) {
    ASSERT_TRUE(take("a.json", R"({"version":1,"id":"one","ids":["x"]})"));
    EXPECT_FALSE(take("b.json", R"({"version":1,"id":"one","ids":["y"]})"));
    EXPECT_EQ(fault_, intake_fault::file);
    EXPECT_EQ(plan_names(), ids{"one.ids"});
    EXPECT_EQ(id_store::open(plan_, "one.ids")->at(0), "x");
}

TEST_F(Intake, StoppingIsNobodysFault) {
    watch_.stop = true;
    EXPECT_FALSE(take("a.txt", "x\n"));
    EXPECT_EQ(fault_, intake_fault::stopped);
    EXPECT_TRUE(plan_names().empty());
}

TEST_F(Intake, APlanFolderThatIsGoneIsOurFault) {
    std::filesystem::remove_all(plan_.path());
    EXPECT_FALSE(take("a.txt", "x\n"));
    EXPECT_EQ(fault_, intake_fault::ours);
}

TEST_F(Intake, AnAbandonedOneLeavesNothing) {
    {
        const unique_fd fd = spool_.file("a.txt", "x\n");
        intake taking(around(), now_, 0);
        ASSERT_TRUE(taking.read_job(fd.get(), "a.txt"));
        EXPECT_EQ(plan_names().size(), 1U);
    }
    EXPECT_TRUE(plan_names().empty());
}

TEST_F(Intake, ProtectedIdsAreReadInAnyFormat) {
    static_cast<void>(spool_.file("keep.csv", "name;id\nx;k\ny;m\n"));
    static_cast<void>(spool_.file("keep", "# ours\nk\n m\n"));
    static_cast<void>(spool_.file("bad.txt", "k\nm m\n"));
    for (const char* name : {"/keep.csv", "/keep"}) {
        const auto set = load_protected_ids(spool_.path() + name, pattern_);
        ASSERT_TRUE(set) << set.error().text();
        EXPECT_EQ(set->size(), 2U);
        EXPECT_TRUE(set->contains("k"));
        EXPECT_TRUE(set->contains("m"));
        EXPECT_FALSE(set->contains("x"));
    }
    EXPECT_EQ(load_protected_ids("", pattern_)->size(), 0U);
    EXPECT_FALSE(load_protected_ids(spool_.path() + "/none", pattern_));
    const auto bad = load_protected_ids(spool_.path() + "/bad.txt", pattern_);
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().line, 2U);
}

}  // namespace
}  // namespace culld

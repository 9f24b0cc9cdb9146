#include "culld/core/job/job_document.hpp"

#include <gtest/gtest.h>

#include <rapidcheck.h>

#include <array>

namespace culld {
namespace {

class kept_ids final : public id_sink {
  public:
    bool take(std::string_view id) override {
        ids.emplace_back(id);
        return id != "bad";
    }
    reason refusal() override { return {problem{.what = "no id"}, true}; }
    std::vector<std::string> ids;
};

// Feeds events as a reader would; stops at the first error.
class JobDocument : public testing::Test {
  protected:
    JobDocument() {
        settings.api.project_id = "project";
        settings.api.workspace_id = "workspace";
    }

    static scalar text(std::string_view t) { return {scalar::kind::text, t}; }
    static scalar num(std::string_view t) { return {scalar::kind::number, t}; }
    static scalar yes() { return {scalar::kind::boolean, "true"}; }

    using fields = std::vector<std::pair<std::string_view, scalar>>;
    // A job of version 1 with one id and these fields, each on its own line.
    result<job_spec> read(const fields& more) {
        ids = {};
        job_document doc({settings, resources}, ids);
        std::uint64_t line = 1;
        auto done = doc.begin_map({line, 1})
                        .and_then([&] {
                            return doc.key("version", {++line, 3});
                        })
                        .and_then([&] {
                            return doc.value(num("1"), {line, 12});
                        });
        for (const auto& [name, v] : more)
            done = done.and_then([&] {
                           return doc.key(name, {++line, 3});
                       })
                       .and_then([&] {
                           return doc.value(v, {line, 12});
                       });
        done = done.and_then([&] {
                       return doc.key("ids", {++line, 3});
                   })
                   .and_then([&] {
                       return doc.begin_list({line, 12});
                   })
                   .and_then([&] {
                       return doc.value(text("a"), {line, 13});
                   })
                   .and_then([&] { return doc.end_list(); })
                   .and_then([&] { return doc.end_map(); });
        if (!done) return fail(done.error());
        return doc.finish();
    }

    config settings;
    std::array<std::string_view, 2> resources{"incidents", "alerts"};
    kept_ids ids;
};

TEST_F(JobDocument, GapsAreFilledFromTheConfiguration) {
    const auto spec = read({});
    ASSERT_TRUE(spec) << spec.error().text();
    EXPECT_EQ(spec->resource, "incidents");
    EXPECT_EQ(spec->project_id, "project");
    EXPECT_EQ(spec->workspace_id, "workspace");
    EXPECT_EQ(spec->batch_size, 100U);
    EXPECT_EQ(spec->max_attempts, 5U);
    EXPECT_EQ(spec->priority, 5U);
    EXPECT_EQ(spec->verify, verify_mode::failed);
    EXPECT_FALSE(spec->dry_run);
    EXPECT_EQ(ids.ids, std::vector<std::string>{"a"});
}

TEST_F(JobDocument, WhatTheFileSaysWins) {
    const auto spec = read({{"id", text("clean-1")},
                            {"resource", text("alerts")},
                            {"project_id", text("p-2")},
                            {"workspace_id", text("w-2")},
                            {"batch_size", num("999")},
                            {"max_attempts", num("1")},
                            {"priority", num("0")},
                            {"not_before", text("2026-11-25T22:00:00Z")},
                            {"deadline", text("2026-11-26T04:00:00+01:00")},
                            {"dry_run", yes()},
                            {"verify", text("all")},
                            {"expect_count", num("12000")}});
    ASSERT_TRUE(spec) << spec.error().text();
    EXPECT_EQ(spec->id, "clean-1");
    EXPECT_EQ(spec->resource, "alerts");
    EXPECT_EQ(spec->project_id, "p-2");
    EXPECT_EQ(spec->batch_size, 999U);
    EXPECT_EQ(spec->max_attempts, 1U);
    EXPECT_EQ(spec->priority, 0U);
    EXPECT_EQ(rfc3339(*spec->deadline), "2026-11-26T03:00:00.000000Z");
    EXPECT_TRUE(spec->dry_run);
    EXPECT_EQ(spec->verify, verify_mode::all);
    EXPECT_EQ(spec->expect_count, 12000U);
}

TEST_F(JobDocument, AWrongValueNamesFieldPlaceAndWhatItMustBe) {
    struct {
        std::string_view field;
        scalar value;
        std::string_view said;
    } const cases[] = {
        {"batch_size", num("0"), "batch_size must be a whole number, 1 to 999, not 0"},
        {"batch_size", num("1000"), "not 1000"},
        {"batch_size", num("1.5"), "not 1.5"},
        {"batch_size", num("-1"), "not -1"},
        {"batch_size", text("100"), "not \"100\""},
        {"batch_size", num("99999999999999999999999"), "not 99999999999999999999999"},
        {"max_attempts", num("101"), "1 to 100"},
        {"priority", num("10"), "0 to 9"},
        {"dry_run", text("yes"), "dry_run must be true or false, not \"yes\""},
        {"dry_run", num("1"), "true or false"},
        {"verify", text("always"), "none, failed or all"},
        {"not_before", text("tomorrow"), "RFC 3339"},
        {"deadline", num("5"), "RFC 3339"},
        {"expect_count", num("-1"), "whole number from 0"},
        {"id", text("a b"), "id must be a string"},
        {"id", text("ledger"), "not \"ledger\""},
        {"id", text(".a"), "no dot or - in front"},
        {"id", text(""), "1 to 100"},
        {"id", num("5"), "not 5"},
        {"project_id", text("../x"), "project_id must be"},
        {"workspace_id", text("a_b"), "workspace_id must be"},
        {"resource", text("incident"), "unknown resource \"incident\""},
        {"labels", text("x"), "labels must be an object"},
        {"abort_when", num("1"), "abort_when must be an object"},
        {"ids", text("x"), "ids must be a list"},
        {"project_id", {scalar::kind::null, "null"}, "not null"},
    };
    for (const auto& c : cases) {
        const auto spec = read({{c.field, c.value}});
        ASSERT_FALSE(spec) << c.field;
        EXPECT_NE(spec.error().what.find(c.said), std::string::npos) << spec.error().text();
        EXPECT_EQ(spec.error().field, c.field);
        EXPECT_EQ(spec.error().line, 3U);
        EXPECT_EQ(spec.error().column, 12U);
    }
}

TEST_F(JobDocument, WhatCannotBeAskedForIsNotVerified) {
    resources = {"incidents", "notes"};
    EXPECT_EQ(read({{"resource", text("notes")}})->verify, verify_mode::none);
    EXPECT_EQ(read({{"resource", text("notes")}, {"verify", text("failed")}})->verify, verify_mode::none);
    const auto all = read({{"resource", text("notes")}, {"verify", text("all")}});
    ASSERT_FALSE(all);
    EXPECT_EQ(all.error().field, "verify");
}

TEST_F(JobDocument, AnUnknownFieldNamesTheNearestKnownOne) {
    const auto spec = read({{"batchsize", num("5")}});
    ASSERT_FALSE(spec);
    EXPECT_EQ(spec.error().what, "unknown field \"batchsize\"");
    EXPECT_EQ(spec.error().hint, "did you mean \"batch_size\"?");
    EXPECT_EQ(spec.error().line, 3U);
    EXPECT_EQ(spec.error().column, 3U);
    EXPECT_NE(read({{"<<", num("5")}}).error().hint.find("merge"), std::string::npos);
}

TEST_F(JobDocument, AFieldThatComesTwiceIsAnError) {
    const auto spec = read({{"priority", num("5")}, {"priority", num("5")}});
    ASSERT_FALSE(spec);
    EXPECT_EQ(spec.error().what, "\"priority\" is there twice");
    EXPECT_EQ(spec.error().line, 4U);
}

TEST_F(JobDocument, VersionMustBeTheNumberOne) {
    for (const scalar& v : {text("1"), num("2"), num("1.0"), yes()}) {
        job_document doc({settings, resources}, ids);
        ASSERT_TRUE(doc.begin_map({1, 1}));
        ASSERT_TRUE(doc.key("version", {1, 2}));
        EXPECT_FALSE(doc.value(v, {1, 3}));
    }
    job_document doc({settings, resources}, ids);
    ASSERT_TRUE(doc.begin_map({1, 1}));
    ASSERT_TRUE(doc.end_map());
    EXPECT_EQ(doc.finish().error().field, "version");
}

TEST_F(JobDocument, IdsAndIdsFileExcludeEachOther) {
    EXPECT_EQ(read({{"ids_file", text("a.ids")}}).error().what, "both ids and ids_file");
    job_document doc({settings, resources}, ids);
    ASSERT_TRUE(doc.begin_map({1, 1}));
    ASSERT_TRUE(doc.key("version", {1, 2}));
    ASSERT_TRUE(doc.value(num("1"), {1, 3}));
    ASSERT_TRUE(doc.end_map());
    EXPECT_EQ(doc.finish().error().what, "neither ids nor ids_file");
}

TEST_F(JobDocument, ASidecarIsABareName) {
    for (const char* name : {"a.ids", "a.ids.gz", "a b.ids.zst"}) EXPECT_TRUE(is_sidecar_name(name)) << name;
    for (const char* name : {"", "a", "a.txt", "../a.ids", "/a.ids", "d/a.ids", ".a.ids", ".ids", "a.ids~", "a\n.ids"})
        EXPECT_FALSE(is_sidecar_name(name)) << name;
}

TEST_F(JobDocument, NotBeforeLiesBeforeTheDeadline) {
    EXPECT_FALSE(read({{"not_before", text("2026-11-25T22:00:00Z")}, {"deadline", text("2026-11-25T22:00:00Z")}}));
    // The deadline of a job that comes too late is the job's business.
    EXPECT_TRUE(read({{"deadline", text("2001-01-01T00:00:00Z")}}));
}

TEST_F(JobDocument, AMissingProjectSaysWhereToSetIt) {
    settings.api.project_id.clear();
    const auto spec = read({});
    ASSERT_FALSE(spec);
    EXPECT_EQ(spec.error().field, "project_id");
    EXPECT_NE(spec.error().hint.find("api.project_id"), std::string::npos);
    EXPECT_EQ(bare_list_spec({settings, resources}).error().field, "project_id");
}

TEST_F(JobDocument, ARequiredLabelIsAskedFor) {
    settings.jobs.require_labels = {"ticket"};
    EXPECT_EQ(read({}).error().field, "labels.ticket");
    EXPECT_FALSE(bare_list_spec({settings, resources}));
}

// {version, labels: {…}} up to the last label
result<job_spec> with_labels(const job_rules& rules, id_sink& sink,
                             const std::vector<std::pair<std::string, scalar>>& labels) {
    job_document doc(rules, sink);
    auto done = doc.begin_map({1, 1})
                    .and_then([&] {
                        return doc.key("version", {1, 2});
                    })
                    .and_then([&] {
                        return doc.value({scalar::kind::number, "1"}, {1, 3});
                    })
                    .and_then([&] {
                        return doc.key("ids_file", {1, 4});
                    })
                    .and_then([&] {
                        return doc.value({scalar::kind::text, "a.ids"}, {1, 5});
                    })
                    .and_then([&] {
                        return doc.key("labels", {1, 6});
                    })
                    .and_then([&] {
                        return doc.begin_map({1, 7});
                    });
    for (const auto& [name, v] : labels)
        done = done.and_then([&] { return doc.key(name, {2, 1}); }).and_then([&] { return doc.value(v, {2, 5}); });
    done = done.and_then([&] { return doc.end_map(); }).and_then([&] { return doc.end_map(); });
    if (!done) return fail(done.error());
    return doc.finish();
}

TEST_F(JobDocument, LabelsAreStringsWithinLimits) {
    const job_rules rules{settings, resources};
    const auto good = with_labels(rules, ids, {{"ticket", text("SEC-1")}, {"by", text("\xC3\xA4 \"x\"")}});
    ASSERT_TRUE(good) << good.error().text();
    EXPECT_EQ(good->labels.size(), 2U);
    EXPECT_EQ(good->labels[1].second, "\xC3\xA4 \"x\"");

    const std::string long_name(64, 'a');
    const std::string long_value(257, 'a');
    EXPECT_FALSE(with_labels(rules, ids, {{long_name, text("x")}}));
    EXPECT_FALSE(with_labels(rules, ids, {{"", text("x")}}));
    EXPECT_FALSE(with_labels(rules, ids, {{"a b", text("x")}}));
    EXPECT_FALSE(with_labels(rules, ids, {{"a", text(long_value)}}));
    EXPECT_FALSE(with_labels(rules, ids, {{"a", text("two\nlines")}}));
    EXPECT_FALSE(with_labels(rules, ids, {{"a", text("\xFF")}}));
    EXPECT_FALSE(with_labels(rules, ids, {{"a", text("1")}, {"a", text("2")}}));
    const auto number = with_labels(rules, ids, {{"ticket", num("1234")}});
    ASSERT_FALSE(number);
    EXPECT_EQ(number.error().hint, "put it in quotes");
    EXPECT_EQ(number.error().field, "labels.ticket");

    std::vector<std::pair<std::string, scalar>> many;
    for (int i = 0; i < 33; ++i) many.emplace_back("l" + std::to_string(i), text("x"));
    EXPECT_FALSE(with_labels(rules, ids, many));
    many.pop_back();
    EXPECT_TRUE(with_labels(rules, ids, many));
}

TEST_F(JobDocument, AbortWhenNeedsBothItsNumbers) {
    const auto rule = [&](const fields& inside) -> result<job_spec> {
        job_document doc({settings, resources}, ids);
        auto done = doc.begin_map({1, 1})
                        .and_then([&] {
                            return doc.key("version", {1, 2});
                        })
                        .and_then([&] {
                            return doc.value(num("1"), {1, 3});
                        })
                        .and_then([&] {
                            return doc.key("ids_file", {1, 4});
                        })
                        .and_then([&] {
                            return doc.value(text("a.ids"), {1, 5});
                        })
                        .and_then([&] {
                            return doc.key("abort_when", {1, 6});
                        })
                        .and_then([&] {
                            return doc.begin_map({1, 7});
                        });
        for (const auto& [name, v] : inside)
            done = done.and_then([&] { return doc.key(name, {2, 1}); }).and_then([&] { return doc.value(v, {2, 5}); });
        done = done.and_then([&] { return doc.end_map(); }).and_then([&] { return doc.end_map(); });
        if (!done) return fail(done.error());
        return doc.finish();
    };
    const auto good = rule({{"failed_ratio", num("0.5")}, {"after", num("1000")}});
    ASSERT_TRUE(good) << good.error().text();
    EXPECT_EQ(good->abort_when, (abort_rule{0.5, 1000}));
    EXPECT_FALSE(rule({{"failed_ratio", num("0.5")}}));
    EXPECT_FALSE(rule({}));
    EXPECT_FALSE(rule({{"failed_ratio", num("1.01")}, {"after", num("1")}}));
    EXPECT_FALSE(rule({{"failed_ratio", num("-0.1")}, {"after", num("1")}}));
    EXPECT_FALSE(rule({{"failed_ratio", text("0.5")}, {"after", num("1")}}));
    const auto typo = rule({{"failed_ration", num("0.5")}});
    EXPECT_EQ(typo.error().hint, "did you mean \"failed_ratio\"?");
    EXPECT_EQ(typo.error().field, "abort_when.failed_ration");
}

TEST_F(JobDocument, ABadIdIsReportedWhereItStands) {
    job_document doc({settings, resources}, ids);
    ASSERT_TRUE(doc.begin_map({1, 1}));
    ASSERT_TRUE(doc.key("ids", {1, 2}));
    ASSERT_TRUE(doc.begin_list({1, 7}));
    ASSERT_TRUE(doc.value(text("good"), {2, 3}));
    const auto bad = doc.value(text("bad"), {3, 3});
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().line, 3U);
    EXPECT_EQ(bad.error().column, 3U);
    EXPECT_FALSE(doc.value(num("5"), {4, 3}));
    EXPECT_FALSE(doc.begin_map({5, 3}));
    EXPECT_FALSE(doc.begin_list({5, 3}));
}

TEST_F(JobDocument, AFileWithoutAJobSaysSo) {
    job_document empty({settings, resources}, ids);
    EXPECT_EQ(empty.finish().error().what, "the file is empty");
    job_document list({settings, resources}, ids);
    EXPECT_FALSE(list.begin_list({1, 1}));
    job_document word({settings, resources}, ids);
    EXPECT_FALSE(word.value(text("x"), {1, 1}));
}

TEST(JobId, IsMadeFromStemTimeAndChance) {
    const auto now = parse_rfc3339("2026-11-25T01:02:03Z").value();
    EXPECT_EQ(make_job_id("cleanup", now, 0xBEEF), "cleanup-20261125T010203Z-beef");
    EXPECT_EQ(make_job_id("clean up", now, 1), "clean_up-20261125T010203Z-0001");
    EXPECT_EQ(make_job_id("..", now, 0), "job-20261125T010203Z-0000");
    EXPECT_EQ(make_job_id("--help", now, 0), "help-20261125T010203Z-0000") << "no option of anybody's";
    EXPECT_FALSE(is_job_id("-x"));
    EXPECT_TRUE(is_job_id("_x-"));
    EXPECT_EQ(make_job_id("", now, 0), "job-20261125T010203Z-0000");
}

TEST(JobId, IsValidWhateverTheStem) {
    const auto now = parse_rfc3339("2026-11-25T01:02:03Z").value();
    EXPECT_TRUE(rc::check([&](const std::string& stem, std::uint32_t chance) {
        const std::string id = make_job_id(stem, now, chance);
        RC_ASSERT(is_job_id(id));
        RC_ASSERT(id.size() <= 60U + 22U);
    }));
}

}  // namespace
}  // namespace culld

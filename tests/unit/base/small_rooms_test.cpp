// Rooms of a few lines: nearest names, resources, runs of positions, problems.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rapidcheck.h>
#include <array>
#include <numeric>

#include "culld/core/answer/judge.hpp"
#include "culld/core/base/did_you_mean.hpp"
#include "culld/core/base/problem.hpp"
#include "culld/core/base/span.hpp"
#include "culld/core/job/api_resource.hpp"
#include "culld/core/plan/plan.hpp"
#include "culld/core/spool/folder_identity.hpp"

namespace culld {
namespace {

constexpr std::array<std::string_view, 6> known{"batch_size", "max_attempts", "ids", "id", "verify", "priority"};

TEST(DidYouMean, FindsTheNameThatWasMeant) {
    for (const auto& [typed, meant] : {std::pair{"batchsize", "batch_size"},
                                       {"bacth_size", "batch_size"},
                                       {"Batch_Size", "batch_size"},
                                       {"max_attempt", "max_attempts"},
                                       {"idz", "ids"},
                                       {"i", "id"},
                                       {"verfiy", "verify"},
                                       {"verify", "verify"},
                                       {"prioritiy", "priority"}})
        EXPECT_EQ(nearest_name(typed, known), meant) << typed;
}

TEST(DidYouMean, WhatIsFarFromEverythingIsNothing) {
    for (const std::string_view typed : {"", "colour", "xyz", "batch", "very_long_name_that_nobody_would_type"})
        EXPECT_EQ(nearest_name(typed, known), "") << typed;
    EXPECT_EQ(nearest_name(std::string(100'000, 'x'), known), "");
    EXPECT_EQ(nearest_name("x", {}), "");
}

TEST(DidYouMean, IsSaidAsAQuestion) {
    EXPECT_EQ(did_you_mean("batchsize", known), R"(did you mean "batch_size"?)");
    EXPECT_EQ(did_you_mean("colour", known), "");
}

TEST(Resource, IncidentsHaveBothFormsAndIndicatorsOnlyTheOld) {
    const resource_profile* incidents = find_resource("incidents");
    ASSERT_NE(incidents, nullptr);
    EXPECT_TRUE(incidents->has_post_form && incidents->has_get);
    const resource_profile* indicators = find_resource("indicators");
    ASSERT_NE(indicators, nullptr);
    EXPECT_FALSE(indicators->has_post_form);
    EXPECT_EQ(find_resource("Incidents"), nullptr);
    EXPECT_EQ(find_resource(""), nullptr);
    for (const resource_profile& p : resource_profiles()) EXPECT_EQ(find_resource(p.name), &p);
}

TEST(Resource, TargetsAreThoseOfTheApi) {
    const resource_profile& r = *find_resource("incidents");
    EXPECT_EQ(delete_target(r, delete_form::post, "p", "w"), "/v1/p/workspaces/w/soc/incidents/batch-delete");
    EXPECT_EQ(get_target(r, "p", "w", "i-1"), "/v1/p/workspaces/w/soc/incidents/i-1");
    // secmaster-api.md, 1.5
    const std::pair<std::string_view, std::string_view> deletions[] = {
        {"incidents", "/v1/p/workspaces/w/soc/incidents"},
        {"alerts", "/v1/p/workspaces/w/soc/alerts"},
        {"indicators", "/v1/p/workspaces/w/soc/indicators"},
        {"notes", "/v1/p/workspaces/w/soc/notes"},
        {"resources", "/v1/p/workspaces/w/sa/resources"},
        {"checkitems", "/v2/p/workspaces/w/sa/baseline/checkitems"},
    };
    ASSERT_EQ(std::size(deletions), resource_profiles().size());
    for (const auto& [name, target] : deletions)
        EXPECT_EQ(delete_target(*find_resource(name), delete_form::remove, "p", "w"), target);
}

TEST(Spans, SortedAreAscendingAndJoinedAndHoldTheSamePositions) {
    EXPECT_EQ(sorted({{5, 2}, {0, 2}, {2, 1}, {9, 1}}), (spans{{0, 3}, {5, 2}, {9, 1}}));
    EXPECT_EQ(sorted({}), spans{});
    EXPECT_TRUE(rc::check([] {
        std::vector<position> all(*rc::gen::inRange<std::size_t>(1, 60));
        std::iota(all.begin(), all.end(), 0U);
        std::vector<position> kept;
        spans cut;
        for (const position p : all)
            if (*rc::gen::inRange(0, 3) != 0) {
                kept.push_back(p);
                cut.push_back({p, 1});
            }
        for (std::size_t i = cut.size(); i > 1; --i) std::swap(cut[i - 1], cut[*rc::gen::inRange<std::size_t>(0, i)]);
        const spans got = sorted(cut);
        std::vector<position> back;
        for (std::size_t i = 0; i < got.size(); ++i) {
            if (i > 0) RC_ASSERT(got[i - 1].end() < got[i].first);
            for (position p = got[i].first; p < got[i].end(); ++p) back.push_back(p);
        }
        RC_ASSERT(back == kept);
        RC_ASSERT(count_of(got) == kept.size());
    }));
}

TEST(Spans, AppendJoinsNeighboursAndLeavesOutNothing) {
    spans all;
    append(all, {0, 0});
    EXPECT_TRUE(all.empty());
    append(all, {3, 2});
    append(all, {5, 1});
    append(all, {9, 1});
    EXPECT_EQ(all, (spans{{3, 3}, {9, 1}}));
}

TEST(Spans, IndicesOfABatchNameItsPositions) {
    const spans at{{10, 2}, {20, 3}, {40, 1}};
    EXPECT_EQ(positions(at, {0, 1, 2, 3, 4, 5}), at);
    EXPECT_EQ(positions(at, {1, 2, 5}), (spans{{11, 1}, {20, 1}, {40, 1}}));
    EXPECT_EQ(positions(at, {}), spans{});
}

TEST(SortOut, EachIdStandsInTheListOfItsFate) {
    judgement j;
    j.sent = 5;
    j.refused = {0, 3};
    j.unknown = {4};
    sorted_ids out;
    out.deleted = "left from before";
    sort_out(R"("a","b","c","d","e")", j, out);
    EXPECT_EQ(out.deleted, R"("b","c")");
    EXPECT_EQ(out.refused, R"("a","d")");
    EXPECT_EQ(out.unknown, R"("e")");
    j.refused = {0, 1, 2, 3, 4};
    j.unknown = {};
    sort_out(R"("a","b","c","d","e")", j, out);
    EXPECT_EQ(out.deleted, "");
    EXPECT_EQ(out.refused, R"("a","b","c","d","e")");
    EXPECT_EQ(out.unknown, "");
}

TEST(Problem, NamesThePlaceAndTheRemedyWhereKnown) {
    EXPECT_EQ((problem{.what = "no"}.text()), "no");
    EXPECT_EQ((problem{.what = "no", .hint = "yes", .file = "f", .line = 3, .column = 7}.text()), "f:3:7: no (yes)");
    EXPECT_EQ((problem{.what = "no", .line = 3}.text()), "line 3: no");
    EXPECT_EQ((problem{.what = "no", .file = "f", .column = 7}.text()), "f: no");
}

TEST(Ground, OnlyTheSameFileWithAllThatWasWrittenIsOne) {
    const inode_facts held{.device = 8, .inode = 17, .size = 100};
    const auto at = [&](inode_facts there, std::optional<std::uint64_t> size) {
        return path_state_of(held, there, size);
    };
    EXPECT_EQ(path_state_of(held, std::nullopt, 100), path_state::gone);
    EXPECT_EQ(at(held, 100), path_state::one);
    EXPECT_EQ(at({.device = 8, .inode = 18, .size = 100}, 100), path_state::replaced);
    EXPECT_EQ(at({.device = 9, .inode = 17, .size = 100}, 100), path_state::replaced) << "on another file system";
    EXPECT_EQ(at({.device = 8, .inode = 17, .size = 99}, 100), path_state::cut);
    EXPECT_EQ(at({.device = 8, .inode = 17, .size = 0}, 100), path_state::cut);
    EXPECT_EQ(at({.device = 8, .inode = 17, .size = 101}, 100), path_state::grown);
    EXPECT_EQ(at({.device = 8, .inode = 18, .size = 99}, 100), path_state::replaced) << "first of all";
    // A folder has no size of ours.
    EXPECT_EQ(at({.device = 8, .inode = 17, .size = 4096}, std::nullopt), path_state::one);
    EXPECT_EQ(at({.device = 8, .inode = 18, .size = 4096}, std::nullopt), path_state::replaced);
}

}  // namespace
}  // namespace culld

#include "culld/core/base/interval_set.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <set>

namespace culld {
namespace {

TEST(IntervalSet, RunsThatTouchBecomeOne) {
    interval_set set;
    EXPECT_EQ(set.insert({0, 10}), 10U);
    EXPECT_EQ(set.insert({20, 10}), 10U);
    EXPECT_EQ(set.run_count(), 2U);
    EXPECT_EQ(set.insert({10, 10}), 10U);
    EXPECT_EQ(set.run_count(), 1U);
    EXPECT_EQ(set.all(), (spans{{0, 30}}));
}

TEST(IntervalSet, InsertCountsOnlyWhatIsNew) {
    interval_set set;
    set.insert({5, 5});
    EXPECT_EQ(set.insert({0, 20}), 15U);
    EXPECT_EQ(set.insert({3, 4}), 0U);
    EXPECT_EQ(set.count(), 20U);
}

TEST(IntervalSet, EraseReturnsWhatWasThere) {
    interval_set set;
    set.insert({0, 4});
    set.insert({8, 4});
    EXPECT_EQ(set.erase({2, 8}), (spans{{2, 2}, {8, 2}}));
    EXPECT_EQ(set.all(), (spans{{0, 2}, {10, 2}}));
    EXPECT_TRUE(set.erase({2, 8}).empty());
}

TEST(IntervalSet, InOrderInsertsKeepOneRun) {
    interval_set set;
    for (position p = 0; p < 100'000'000; p += 1000) set.insert({p, 1000});
    EXPECT_EQ(set.run_count(), 1U);
    EXPECT_EQ(set.count(), 100'000'000U);
}

TEST(IntervalSet, BehavesAsASetOfPositions) {
    EXPECT_TRUE(rc::check([] {
        interval_set set;
        std::set<position> model;
        const auto steps = *rc::gen::inRange(1, 60);
        for (int i = 0; i < steps; ++i) {
            const span s{*rc::gen::inRange<position>(0, 40), *rc::gen::inRange<std::uint64_t>(0, 12)};
            std::uint64_t there = 0;
            for (position p = s.first; p < s.end(); ++p) there += model.count(p);
            RC_ASSERT(count_of(set.common(s)) == there);
            RC_ASSERT(count_of(set.missing(s)) == s.count - there);
            RC_ASSERT(set.contains(s) == (there == s.count));
            if (*rc::gen::arbitrary<bool>()) {
                RC_ASSERT(set.insert(s) == s.count - there);
                for (position p = s.first; p < s.end(); ++p) model.insert(p);
            } else {
                spans expected;
                for (position p = s.first; p < s.end(); ++p)
                    if (model.erase(p) == 1) append(expected, {p, 1});
                RC_ASSERT(set.erase(s) == expected);
            }
            RC_ASSERT(set.count() == model.size());
            std::vector<position> got;
            position last_end = 0;
            bool first = true;
            set.for_each_run([&](span run) {
                RC_ASSERT(first || run.first > last_end);
                first = false;
                last_end = run.end();
                for (position p = run.first; p < run.end(); ++p) got.push_back(p);
            });
            RC_ASSERT(got == std::vector<position>(model.begin(), model.end()));
        }
    }));
}

}  // namespace
}  // namespace culld

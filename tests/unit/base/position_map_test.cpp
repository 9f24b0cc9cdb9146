#include "culld/core/base/position_map.hpp"

#include <gtest/gtest.h>

#include <rapidcheck.h>

namespace culld {
namespace {

using model = std::map<position, int>;

model spelled_out(const std::vector<position_map<int>::run>& runs) {
    model out;
    for (const auto& r : runs)
        for (position p = r.at.first; p < r.at.end(); ++p) RC_ASSERT(out.emplace(p, r.value).second);
    return out;
}

TEST(PositionMap, AgreesWithAnOrdinaryMap) {
    EXPECT_TRUE(rc::check([] {
        position_map<int> runs;
        model plain;
        const auto steps = *rc::gen::inRange(1, 60);
        for (int i = 0; i < steps; ++i) {
            const span at{*rc::gen::inRange<position>(0, 40), *rc::gen::inRange<std::uint64_t>(0, 15)};
            if (*rc::gen::arbitrary<bool>()) {
                const int value = *rc::gen::inRange(0, 3);
                runs.assign(at, value);
                for (position p = at.first; p < at.end(); ++p) plain[p] = value;
            } else {
                std::uint64_t there = 0;
                for (position p = at.first; p < at.end(); ++p) there += plain.erase(p);
                RC_ASSERT(runs.erase(at) == there);
            }
            RC_ASSERT(spelled_out(runs.all()) == plain);
            RC_ASSERT(runs.empty() == plain.empty());
            model inside;
            for (const auto& [p, v] : plain)
                if (p >= at.first && p < at.end()) inside.emplace(p, v);
            RC_ASSERT(spelled_out(runs.within(at)) == inside);
            for (position p = 0; p < 60; ++p) {
                const auto it = plain.find(p);
                RC_ASSERT(runs.at(p) == (it == plain.end() ? std::nullopt : std::optional(it->second)));
            }
            // As few runs as can be: neighbours differ or do not touch.
            const auto all = runs.all();
            for (std::size_t r = 1; r < all.size(); ++r)
                RC_ASSERT((all[r - 1].at.end() < all[r].at.first ||
                           (all[r - 1].at.end() == all[r].at.first && all[r - 1].value != all[r].value)));
        }
    }));
}

TEST(PositionMap, AHundredMillionPositionsAreOneRun) {
    position_map<int> runs;
    for (position p = 0; p < 100'000'000; p += 1'000'000) runs.assign({p, 1'000'000}, 7);
    EXPECT_EQ(runs.all().size(), 1U);
    EXPECT_EQ(runs.erase({50'000'000, 1}), 1U);
    EXPECT_EQ(runs.all().size(), 2U);
}

}  // namespace
}  // namespace culld

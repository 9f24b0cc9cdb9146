#include "culld/io/ids/deduplicator.hpp"

#include <gtest/gtest.h>

#include <rapidcheck.h>

#include <set>

#include "support/scratch.hpp"

namespace culld {
namespace {

using ids = std::vector<std::string>;

const scratch& dir() {
    static const scratch here;
    return here;
}

// Two partitions, blocks of two or three records, a table of eight slots: every path is taken by a few
// hundred ids.
distinct_shape tiny() {
    return {.hashes = {.partitions = 2, .block_bytes = 64},
            .repeats = {.partitions = 3, .block_bytes = 24},
            .slots_max = 8};
}

bool any_repeated(const ids& list, distinct_shape shape) {
    repeat_check check(dir().here(), shape);
    for (const std::string& id : list) EXPECT_TRUE(check.add(id));
    return check.any_repeated().value();
}

ids without_repeats(const ids& list, distinct_shape shape) {
    repeat_finder finder(dir().here(), list.size(), shape);
    for (const std::string& id : list) EXPECT_TRUE(finder.add(id));
    const auto found = finder.find();
    EXPECT_TRUE(found) << found.error().text();
    ids out;
    for (std::size_t i = 0; i < list.size(); ++i)
        if (!finder.repeats(i).value()) out.push_back(list[i]);
    return out;
}

ids first_appearances(const ids& list) {
    std::set<std::string> seen;
    ids out;
    for (const std::string& id : list)
        if (seen.insert(id).second) out.push_back(id);
    return out;
}

TEST(Deduplicator, AgreesWithASet) {
    EXPECT_TRUE(rc::check([] {
        const auto kinds = *rc::gen::inRange(1, 600);
        const auto length = *rc::gen::inRange<std::size_t>(0, 600);
        const auto numbers = *rc::gen::container<std::vector<int>>(length, rc::gen::inRange(0, kinds));
        ids list;
        for (const int n : numbers) list.push_back("id-" + std::to_string(n));
        const ids expected = first_appearances(list);
        for (const distinct_shape& shape : {tiny(), distinct_shape{}}) {
            RC_ASSERT(any_repeated(list, shape) == (expected.size() != list.size()));
            RC_ASSERT(without_repeats(list, shape) == expected);
        }
    }));
}

TEST(Deduplicator, ALongListWithoutRepeatsIsProvedSo) {
    ids list;
    for (std::uint64_t i = 0; i < 300'000; ++i) list.push_back(uuid(i));
    EXPECT_FALSE(any_repeated(list, {}));
    list.push_back(uuid(5));
    EXPECT_TRUE(any_repeated(list, {}));
}

TEST(Deduplicator, PartitionsThatDoNotFitAreCheckedInParts) {
    ids list;
    for (std::uint64_t i = 0; i < 1500; ++i) list.push_back(uuid(i));
    EXPECT_FALSE(any_repeated(list, tiny()));
    EXPECT_EQ(without_repeats(list, tiny()), list);
    list.push_back(uuid(1499));
    EXPECT_TRUE(any_repeated(list, tiny()));
    EXPECT_EQ(without_repeats(list, tiny()).size(), 1500U);
}

TEST(Deduplicator, OneIdOverAndOverIsOneId) {
    const ids list(100'000, "same");
    EXPECT_TRUE(any_repeated(list, {}));
    EXPECT_EQ(without_repeats(list, {}), ids{"same"});
    EXPECT_EQ(without_repeats(ids(1000, "same"), tiny()), ids{"same"});
}

TEST(Deduplicator, TheFirstAppearanceWinsAcrossBlocks) {
    ids list;
    for (std::uint64_t i = 0; i < 50'000; ++i) list.push_back(uuid(i));
    for (std::uint64_t i = 50'000; i > 0; --i) list.push_back(uuid(i - 1));
    EXPECT_EQ(without_repeats(list, {}), ids(list.begin(), list.begin() + 50'000));
}

TEST(Deduplicator, ScratchFilesHaveNoName) {
    ids list;
    for (std::uint64_t i = 0; i < 5000; ++i) list.push_back(uuid(i));
    repeat_check check(dir().here(), tiny());
    for (const std::string& id : list) ASSERT_TRUE(check.add(id));
    EXPECT_TRUE(dir().names().empty());
}

TEST(Deduplicator, AScratchFileThatCannotBeMadeIsAnError) {
    const folder nowhere;  // no descriptor
    repeat_check check(nowhere, tiny());
    result<void> last;
    for (std::uint64_t i = 0; i < 50'000 && last; ++i) last = check.add(uuid(i));
    EXPECT_FALSE(last);
}

TEST(PartitionFile, GivesEveryRecordBackToItsPartition) {
    EXPECT_TRUE(rc::check([] {
        const auto records = *rc::gen::arbitrary<std::vector<std::uint64_t>>();
        partition_file all(dir().here(), sizeof(std::uint64_t), {.partitions = 4, .block_bytes = 32});
        std::array<std::multiset<std::uint64_t>, 4> expected;
        for (const std::uint64_t r : records) {
            RC_ASSERT(bool(all.put(r % 4, &r)));
            expected[r % 4].insert(r);
        }
        for (std::size_t p = 0; p < 4; ++p)
            for (int again = 0; again < 2; ++again) {
                std::multiset<std::uint64_t> got;
                RC_ASSERT(bool(all.each_run(p, [&](const char* at, std::size_t count) {
                    for (std::size_t i = 0; i < count; ++i) {
                        std::uint64_t r = 0;
                        std::memcpy(&r, at + i * sizeof r, sizeof r);
                        got.insert(r);
                    }
                    return true;
                })));
                RC_ASSERT(got == expected[p]);
                RC_ASSERT(all.count(p) == expected[p].size());
            }
    }));
}

}  // namespace
}  // namespace culld

#include "culld/io/ids/id_store.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <rapidcheck.h>

#include <numeric>

#include "support/scratch.hpp"

namespace culld {
namespace {

using ids = std::vector<std::string>;

// Ids of all lengths from 1 to 256.
ids many(std::size_t count) {
    ids out;
    for (std::size_t i = 0; i < count; ++i) {
        std::string id = std::to_string(i);
        id.resize(std::max(id.size(), i * 7 % 257), i % 2 == 0 ? 'x' : ',');
        out.push_back(std::move(id));
    }
    return out;
}

std::string quoted(const ids& list, position first, std::uint64_t count) {
    std::string out;
    for (position p = first; p < first + count; ++p) out += (p == first ? "\"" : ",\"") + list[p] + "\"";
    return out;
}

digest some_digest() {
    digest out{};
    std::iota(out.begin(), out.end(), std::uint8_t{1});
    return out;
}

class IdStore : public testing::Test {
  protected:
    void write(const ids& list, const std::string& name = "job.ids") {
        auto writer = id_store_writer::create(dir_.here());
        ASSERT_TRUE(writer);
        for (const std::string& id : list) ASSERT_TRUE(writer->append(id));
        EXPECT_EQ(writer->count(), list.size());
        ASSERT_TRUE(writer->seal(some_digest()));
        const auto published = writer->publish(name);
        EXPECT_EQ(published, true);
    }
    id_store open() { return id_store::open(dir_.here(), "job.ids").value(); }
    std::string bytes(const std::string& name = "job.ids") {
        return read_small_file(dir_.path() + "/" + name, std::size_t{64} << 20U).value();
    }

    scratch dir_;
};

TEST_F(IdStore, KeepsCountAndSourceAndMode) {
    write(many(3000));
    const auto store = open();
    EXPECT_EQ(store.count(), 3000U);
    EXPECT_EQ(store.source(), some_digest());
    EXPECT_EQ(dir_.here().stat("job.ids")->st_mode & 0777U, 0600U);
    EXPECT_EQ(dir_.names(), ids{"job.ids"});
    EXPECT_TRUE(bytes().starts_with("\"0\",\"1"));
}

TEST_F(IdStore, GivesAnyRangeBack) {
    for (const std::size_t count : {1U, 2U, 1023U, 1024U, 1025U, 2048U, 5000U}) {
        const ids list = many(count);
        static_cast<void>(dir_.here().remove("job.ids").value());
        write(list);
        auto store = open();
        EXPECT_TRUE(rc::check([&] {
            const auto first = *rc::gen::inRange<std::uint64_t>(0, count + 1);
            const auto some = *rc::gen::inRange<std::uint64_t>(0, count - first + 1);
            std::string out = "before";
            RC_ASSERT(bool(store.append_quoted(first, some, out)));
            RC_ASSERT(out == "before" + quoted(list, first, some));
            remembering_sink sink("");
            RC_ASSERT(bool(store.append_ids(first, some, sink)));
            RC_ASSERT(sink.ids == ids(list.begin() + static_cast<std::ptrdiff_t>(first),
                                      list.begin() + static_cast<std::ptrdiff_t>(first + some)));
        }));
    }
}

// Ids that all take the same room need no search for quotes; ids that only seem to must not be taken for such.
TEST_F(IdStore, GivesBackIdsOfOneLengthAndThoseThatTakeAsMuchOnTheWhole) {
    EXPECT_TRUE(rc::check([&] {
        const auto length = *rc::gen::inRange<std::size_t>(1, 8);
        const auto more = *rc::gen::inRange<std::size_t>(0, length);
        const auto count = *rc::gen::element<std::size_t>(2, 1024, 2048, 3000);
        ids list;
        for (std::size_t i = 0; i < count; ++i) {
            std::string& id = list.emplace_back(i % 2 == 0 ? length + more : length - more, ',');
            id[*rc::gen::inRange<std::size_t>(0, id.size())] = 'x';
        }
        static_cast<void>(dir_.here().remove("job.ids"));
        write(list);
        auto store = open();
        for (const position first : {position{0}, count / 2, count - 1}) {
            std::string out;
            RC_ASSERT(bool(store.append_quoted(first, count - first, out)));
            RC_ASSERT(out == quoted(list, first, count - first));
            RC_ASSERT(store.at(first) == list[first]);
        }
    }));
}

TEST_F(IdStore, JoinsScatteredRanges) {
    const ids list = many(4000);
    write(list);
    auto store = open();
    const spans at{{3999, 1}, {0, 0}, {5, 2}, {1000, 1100}};
    std::string out;
    ASSERT_TRUE(store.append_quoted(at, out));
    EXPECT_EQ(out, quoted(list, 3999, 1) + "," + quoted(list, 5, 2) + "," + quoted(list, 1000, 1100));
    out.clear();
    ASSERT_TRUE(store.append_quoted(spans{}, out));
    EXPECT_EQ(out, "");
    EXPECT_EQ(store.at(17), list[17]);
}

TEST_F(IdStore, AnEmptyListIsAStoreToo) {
    write({});
    EXPECT_EQ(open().count(), 0U);
}

TEST_F(IdStore, AnAbandonedWriterLeavesNothing) {
    {
        auto writer = id_store_writer::create(dir_.here());
        ASSERT_TRUE(writer);
        ASSERT_TRUE(writer->append("a"));
        EXPECT_EQ(dir_.names().size(), 1U);
        const id_store_writer moved = std::move(*writer);
    }
    EXPECT_TRUE(dir_.names().empty());
}

TEST_F(IdStore, NeverReplacesAStore) {
    write({"a"});
    auto writer = id_store_writer::create(dir_.here());
    ASSERT_TRUE(writer->append("b"));
    ASSERT_TRUE(writer->seal({}));
    EXPECT_EQ(writer->publish("job.ids"), false);
    EXPECT_EQ(open().at(0), "a");
}

// Every byte of a small store, changed: either it does not open, or what it gives is right, or it says it is
// damaged.
TEST_F(IdStore, NoChangedByteIsEverHandedOut) {
    const ids list = many(1100);
    write(list);
    const std::string good = bytes();
    const std::string expected = quoted(list, 0, list.size());
    std::size_t caught = 0;
    for (std::size_t at = 0; at < good.size(); at += at + 200 < good.size() && at > 100 ? 397 : 1) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 0x20);
        auto store = id_store::open(dir_.file("bad.ids", bad), "bad.ids");
        if (!store) {
            ++caught;
            continue;
        }
        std::string out;
        const auto read = store->append_quoted(0, list.size(), out);
        EXPECT_FALSE(read) << at;
        if (!read) {
            ++caught;
            EXPECT_EQ(out, "");
            EXPECT_EQ(read.error().file, "bad.ids");
        }
    }
    EXPECT_GT(caught, 200U);
}

TEST_F(IdStore, ACutStoreDoesNotOpen) {
    write(many(1100));
    const std::string good = bytes();
    for (std::size_t keep = 0; keep < good.size(); keep += 1 + keep / 50)
        EXPECT_FALSE(id_store::open(dir_.file("cut.ids", good.substr(0, keep)), "cut.ids")) << keep;
    EXPECT_FALSE(id_store::open(dir_.file("cut.ids", good + "x"), "cut.ids"));
}

// At once in a small store, of which a power cut may have left anything; else where it is read.
TEST_F(IdStore, ASegmentInAnothersPlaceIsFound) {
    const auto swapped = [this](std::uint64_t count) {
        ids list;
        for (std::uint64_t i = 0; i < count; ++i) list.push_back(uuid(i));
        write(list, fmt::format("{}.ids", count));
        std::string out = bytes(fmt::format("{}.ids", count));
        const std::size_t segment = 1024 * 39;
        std::swap_ranges(out.begin(), out.begin() + segment, out.begin() + segment);
        return id_store::open(dir_.file("swapped.ids", out), "swapped.ids");
    };
    const auto small = swapped(2048);
    ASSERT_FALSE(small);
    EXPECT_NE(small.error().what.find("segment 0 does not match its checksum"), std::string::npos);
    auto large = swapped(8192);
    ASSERT_TRUE(large);
    EXPECT_FALSE(large->at(0));
    EXPECT_FALSE(large->at(2000));
    EXPECT_TRUE(large->at(4000));
}

TEST_F(IdStore, SweepingKeepsOpenJobsOnly) {
    write({"a"}, "open.ids");
    write({"a"}, "gone.ids");
    static_cast<void>(dir_.file(".store-1-7", "left over"));
    static_cast<void>(dir_.file("other", "not ours"));
    const std::vector<std::string> open_jobs{"open"};
    EXPECT_EQ(sweep_stores(dir_.here(), open_jobs), 2U);
    auto names = dir_.names();
    std::ranges::sort(names);
    EXPECT_EQ(names, (ids{"open.ids", "other"}));
}

TEST_F(IdStore, APositionPastTheEndIsABrokenInvariant) {
    write({"a"});
    auto store = open();
    std::string out;
    EXPECT_THROW(static_cast<void>(store.append_quoted(1, 1, out)), std::logic_error);
    EXPECT_THROW(static_cast<void>(store.append_quoted(0, UINT64_MAX, out)), std::logic_error);
    EXPECT_THROW(static_cast<void>(store.at(1)), std::logic_error);
}

}  // namespace
}  // namespace culld

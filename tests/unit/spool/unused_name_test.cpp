#include "culld/core/spool/unused_name.hpp"

#include <gtest/gtest.h>

#include <rapidcheck.h>

#include "culld/core/text/json_writer.hpp"

namespace culld {
namespace {

TEST(UnusedName, IsTheNameItselfFirst) {
    EXPECT_EQ(unused_name("cleanup.json", 0), "cleanup.json");
}

TEST(UnusedName, HasItsNumberBeforeTheSuffix) {
    EXPECT_EQ(unused_name("cleanup.json", 1), "cleanup.1.json");
    EXPECT_EQ(unused_name("big.list.txt.gz", 12), "big.list.12.txt.gz");
    EXPECT_EQ(unused_name("photo.jpeg", 2), "photo.2.jpeg");
    EXPECT_EQ(unused_name("README", 3), "README.3");
    EXPECT_EQ(unused_name(".profile", 1), ".profile.1");
    EXPECT_EQ(unused_name("a.this-is-no-suffix-but-a-sentence", 1), "a.this-is-no-suffix-but-a-sentence.1");
}

TEST(UnusedName, IsCutToTheLimitWithItsSuffixKept) {
    const std::string name = std::string(250, 'x') + ".json";
    EXPECT_EQ(unused_name(name, 0), name);
    EXPECT_EQ(unused_name(name, 1), std::string(248, 'x') + ".1.json");
    EXPECT_EQ(unused_name(name, 0, 243), std::string(238, 'x') + ".json");
}

TEST(UnusedName, TellsWhatANameWasBefore) {
    for (const char* name : {"a.json", "list.txt.gz", "a.1.json", "x.ids.zst"})
        EXPECT_EQ(name_before(unused_name(name, 12345), 12345), name);
    EXPECT_EQ(name_before("a.json", 7), "a.json");
    EXPECT_EQ(name_before("a.7.json", 8), "a.7.json");
    EXPECT_EQ(name_before(".7.json", 7), ".7.json") << "no name would be left";
    // One that had to be cut for its number is not made up.
    const std::string cut = unused_name(std::string(250, 'x') + ".json", 7);
    EXPECT_EQ(name_before(cut, 7).size(), cut.size() - 2);
}

TEST(UnusedName, IsNotCutWithinACharacter) {
    std::string name;
    for (int i = 0; i < 80; ++i) name += "\u20ac";  // three bytes each
    EXPECT_TRUE(is_utf8(unused_name(name + ".json", 7, 243)));
    EXPECT_TRUE(is_utf8(unused_name(name + ".json", 10'000, 243)));
}

TEST(UnusedName, WhateverTheNameFitsAndDiffersForEachNumber) {
    EXPECT_TRUE(rc::check([] {
        const auto bytes = *rc::gen::resize(255, rc::gen::nonEmpty(rc::gen::container<std::string>(
                                                     rc::gen::element('a', '.', '\xC3', '\xA9', '\xFF', '-'))));
        const std::string name = bytes.substr(0, 255);
        const auto limit = *rc::gen::inRange<std::size_t>(64, 256);
        const auto one = *rc::gen::inRange<std::uint32_t>(0, 100'000);
        const auto other = *rc::gen::inRange<std::uint32_t>(0, 100'000);
        const std::string free = unused_name(name, one, limit);
        RC_ASSERT(!free.empty());
        RC_ASSERT(free.size() <= limit);
        RC_ASSERT((one == other) == (free == unused_name(name, other, limit)));
        if (is_utf8(name)) RC_ASSERT(is_utf8(free));
    }));
}

}  // namespace
}  // namespace culld

#include "culld/io/os/decompress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/deflated.hpp"

namespace culld {
namespace {

constexpr std::size_t most = 1000;

TEST(Unpack, WhatIsPackedIsRead) {
    for (const char* coding : {"gzip", "x-gzip", "GZIP ", "", "identity", "br"})
        EXPECT_EQ(decompress(coding, deflated("{}"), most).value(), "{}") << coding << ": its first bytes tell";
    EXPECT_EQ(decompress("gzip", deflated("{") + deflated("}"), most).value(), "{}") << "in two members";
    EXPECT_EQ(decompress("deflate", deflated("{}", 15), most).value(), "{}");
    EXPECT_EQ(decompress("Deflate", deflated("{}", -15), most).value(), "{}");
    EXPECT_EQ(decompress("gzip", "{}", most).value(), "{}") << "unpacked on the way, and still called so";
    for (const char* coding : {"", "identity", " chunked", "gzip"}) EXPECT_FALSE(is_packed(coding, "{}")) << coding;
}

TEST(Unpack, WhatIsCutDamagedOrOfAnotherKindIsNot) {
    const std::string good = deflated("{\"a\":\"some text that is long enough to be packed\"}");
    for (std::size_t cut = 2; cut < good.size(); ++cut)
        EXPECT_FALSE(decompress("gzip", good.substr(0, cut), most)) << cut;
    for (std::size_t at = good.size() - 8; at < good.size(); ++at) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 1);
        EXPECT_FALSE(decompress("gzip", bad, most)) << at;
    }
    EXPECT_FALSE(decompress("gzip", good + "x", most));
    EXPECT_FALSE(decompress("deflate", "{}", most));
    EXPECT_THAT(decompress("br\x1b", "xxxx", most).error().what, testing::HasSubstr("packed as br?, though none"));
}

TEST(Unpack, NothingGrowsPastItsBound) {
    EXPECT_EQ(decompress("gzip", deflated(std::string(most, ' ')), most).value().size(), most);
    EXPECT_FALSE(decompress("gzip", deflated(std::string(most + 1, ' ')), most));
    EXPECT_FALSE(decompress("deflate", deflated(std::string(50'000'000, ' '), 15), most));
    EXPECT_FALSE(decompress("gzip", deflated("{}") + deflated(std::string(50'000'000, ' ')), most));
}

}  // namespace
}  // namespace culld

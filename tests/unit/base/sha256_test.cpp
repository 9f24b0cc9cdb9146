// Vectors of FIPS 180-4 and of NIST's example document.
#include "culld/core/base/sha256.hpp"

#include <gtest/gtest.h>

namespace culld {
namespace {

std::string digest_of(std::string_view text) {
    sha256 h;
    h.update(text);
    return hex(h.finish());
}

TEST(Sha256, AgreesWithThePublishedVectors) {
    EXPECT_EQ(digest_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(digest_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(digest_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(
        digest_of("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrs"
                  "mnopqrstnopqrstu"),
        "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
    EXPECT_EQ(digest_of(std::string(1'000'000, 'a')),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesComeToTheSameAndFinishStartsAnew) {
    sha256 h;
    h.update("a");
    h.update("");
    h.update("bc");
    EXPECT_EQ(hex(h.finish()), digest_of("abc"));
    EXPECT_EQ(hex(h.finish()), digest_of(""));
    sha256 moved(std::move(h));
    moved.update("abc");
    EXPECT_EQ(hex(moved.finish()), digest_of("abc"));
}

TEST(Sha256, HexReadsBackAndNothingElseDoes) {
    digest d{};
    for (std::size_t i = 0; i < d.size(); ++i) d[i] = static_cast<std::uint8_t>(i * 37 + 5);
    digest back{};
    ASSERT_TRUE(parse_hex(hex(d), back));
    EXPECT_EQ(back, d);
    const std::string good(64, 'a');
    for (std::string text :
         {std::string(), std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'A'), std::string(64, 'g')})
        EXPECT_FALSE(parse_hex(text, back)) << text;
    for (const std::size_t at : {0U, 1U, 63U})
        for (const char c : {'/', ':', '`', 'g', ' ', '\0'}) {
            std::string text = good;
            text[at] = c;
            EXPECT_FALSE(parse_hex(text, back)) << text;
        }
}

}  // namespace
}  // namespace culld

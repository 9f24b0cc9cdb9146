#include "culld/core/ids/id_pattern.hpp"

#include <gtest/gtest.h>

#include <rapidcheck.h>

#include <regex>

namespace culld {
namespace {

id_pattern compiled(std::string_view text) {
    return id_pattern::compile(text).value();
}

TEST(IdPattern, TheDefaultTakesWhatTheContractSays) {
    const auto pattern = compiled("[A-Za-z0-9_-]{1,100}");
    EXPECT_TRUE(pattern.is_fast());
    EXPECT_TRUE(pattern.matches("909494e3-558e-46b6-a9eb-07a8e18ca62f"));
    EXPECT_TRUE(pattern.matches("a"));
    EXPECT_TRUE(pattern.matches(std::string(100, '_')));
    EXPECT_FALSE(pattern.matches(""));
    EXPECT_FALSE(pattern.matches(std::string(101, '_')));
    for (const char* id : {"a b", " a", "a\n", "a.b", "a,b", "a\"", "\xC3\xA4"})
        EXPECT_FALSE(pattern.matches(id)) << id;
}

// Each byte in each place, so that a mistake in the vectors' overlap cannot hide.
TEST(IdPattern, OneBadByteIsFoundWhereverItStands) {
    const auto pattern = compiled("[A-Za-z0-9_-]{1,100}");
    for (std::size_t length = 1; length <= 70; ++length)
        for (std::size_t at = 0; at < length; ++at)
            for (int c = 0; c < 256; ++c) {
                std::string id(length, 'a');
                id[at] = static_cast<char>(c);
                const bool good =
                    (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '-';
                ASSERT_EQ(pattern.matches(id), good) << length << ' ' << at << ' ' << c;
            }
}

TEST(IdPattern, NoPatternLetsThroughWhatWouldNeedEscaping) {
    for (const char* text : {".{1,100}", "[^,]{1,100}", ".*", "[\\s\\S]+"}) {
        const auto pattern = compiled(text);
        for (const char* id : {"", "a b", "a\"b", "a\\b", "a/b", "a?b", "a#b", "a%b", "a\nb", "\x7F", "\x80"})
            EXPECT_FALSE(pattern.matches(id)) << text << ' ' << id;
        EXPECT_TRUE(pattern.matches("a:b")) << text;
        EXPECT_FALSE(pattern.matches(std::string(257, 'a'))) << text;
    }
}

TEST(IdPattern, TheTableMeansWhatTheRegularExpressionMeans) {
    const char* const patterns[] = {"[a-f0-9]{4}",   "^[a-f0-9-]{2,}$", "[^a-c]{1,3}", "[a\\-c]+", "[a-]{1,2}",
                                    "[\\]\\.]{1,3}", "[abc]",           "[-a]{0,2}",   "[a^]{3}",  "^[.]{1,2}"};
    for (const char* text : patterns) {
        const auto pattern = compiled(text);
        EXPECT_TRUE(pattern.is_fast()) << text;
        const std::regex meaning(text);
        EXPECT_TRUE(rc::check([&] {
            const auto id = *rc::gen::container<std::string>(rc::gen::elementOf(std::string("abcdef0123-.^]")));
            RC_PRE(!id.empty());
            RC_ASSERT(pattern.matches(id) == std::regex_match(id, meaning));
        }));
    }
}

TEST(IdPattern, AnythingElseIsARegularExpressionForTheWholeId) {
    const auto pattern = compiled("inc-[0-9]+|[0-9a-f]{8}");
    EXPECT_FALSE(pattern.is_fast());
    EXPECT_TRUE(pattern.matches("inc-17"));
    EXPECT_TRUE(pattern.matches("0123abcd"));
    EXPECT_FALSE(pattern.matches("inc-17x"));
    EXPECT_FALSE(pattern.matches("xinc-17"));
}

TEST(IdPattern, AMistakeIsAnErrorThatNamesTheSetting) {
    for (const char* text : {"", "[a-z", "(", "[z-a]{1,2}", "[ ]{1,3}", "[a]{300,400}", "[a]{0}", "[a]{3,2}", "*"}) {
        const auto pattern = id_pattern::compile(text);
        ASSERT_FALSE(pattern) << text;
        EXPECT_EQ(pattern.error().field, "ids.pattern");
        EXPECT_NE(pattern.error().what.find("ids.pattern"), std::string::npos);
    }
}

TEST(IdPattern, ARefusalSaysWhatIsWrong) {
    const auto pattern = compiled("[A-Za-z0-9_-]{2,10}");
    EXPECT_EQ(pattern.refusal("").what, "empty id");
    EXPECT_EQ(pattern.refusal("ab c").what, "\"ab c\" is no id: byte 3 is not allowed");
    EXPECT_EQ(pattern.refusal("a").what, "\"a\" is no id: it has 1 bytes, not 2 to 10");
    EXPECT_EQ(pattern.refusal("a\x1B[31m").what, "\"a\\x1b[31m\" is no id: byte 2 is not allowed");
    EXPECT_NE(pattern.refusal("").hint.find("{2,10}"), std::string::npos);
}

}  // namespace
}  // namespace culld

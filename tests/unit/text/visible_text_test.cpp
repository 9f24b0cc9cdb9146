#include "culld/core/text/visible_text.hpp"

#include <gtest/gtest.h>

#include <rapidcheck.h>

#include <algorithm>

#include "culld/core/text/json_writer.hpp"

namespace culld {
namespace {

// What reading `text` in blocks that end at `cuts` comes to: the bytes that may be read, and the fault behind them.
std::pair<std::size_t, std::string> read(std::string_view text, const std::vector<std::size_t>& cuts = {}) {
    visible_text check;
    std::size_t from = 0;
    std::size_t good = 0;
    for (std::size_t i = 0; i <= cuts.size() && !check.trouble(); ++i) {
        const std::size_t to = i < cuts.size() ? cuts[i] : text.size();
        good = from + check.feed(text.substr(from, to - from));
        from = to;
    }
    if (!check.trouble()) static_cast<void>(check.end());
    if (!check.trouble()) return {good, ""};
    const problem& p = *check.trouble();
    return {good, std::to_string(p.line) + ":" + std::to_string(p.column) + " " + p.what};
}

std::string fault(std::string_view text) {
    return read(text).second;
}

TEST(VisibleText, WhatPeopleWritePasses) {
    for (const char* text :
         {"", "a\nb\n", "a\r\nb\r\n", "a\r\r\nb", "a\r", "\ta\t", "\xC3\xA4 \xE6\xBC\xA2 \xF0\x9F\x94\xA5 \xD8\xA7\n"})
        EXPECT_EQ(fault(text), "") << text;
}

TEST(VisibleText, WhatNobodySeesIsNamedByItsPlace) {
    struct {
        std::string_view text, said;
    } const cases[] = {
        {"# from\rdry_run: true\n", "1:7 a carriage return (CR) that ends no line"},
        {"a\r\n\rb\n", "2:1 a carriage return (CR) that ends no line"},
        {"a\r \n", "1:2 a carriage return (CR) that ends no line"},
        {"a\r\r\rb", "1:2 a carriage return (CR) that ends no line"},
        {"a\nb\xC2\xA0", "2:2 an invisible character, U+00A0 (no-break space)"},
        {"\xC3\xA4\xE2\x80\x8B", "1:3 an invisible character, U+200B (zero width space)"},
        {"ab\xE2\x80\xAE", "1:3 an invisible character, U+202E (it turns the direction of the text)"},
        {"\n\n a\xEF\xBB\xBF", "3:3 an invisible character, U+FEFF (a byte order mark that is not at the start)"},
        {"\xF3\xA0\x80\xA0", "1:1 an invisible character, U+E0020"},
        {"a\x1B[2K", "1:2 control character 0x1b"},
        {std::string_view("a\0b", 3), "1:2 control character 0x00"},
        {"\x7F", "1:1 control character 0x7f"},
        {"a\xC2\x85z", "1:2 control character 0x85"},
        {"a\x0Bz", "1:2 control character 0x0b"},
        {"a\xA0z", "1:2 byte 0xa0 is not UTF-8"},
        {"a\xC3z", "1:2 byte 0xc3 is not UTF-8"},
        {"\xED\xA0\x80", "1:1 byte 0xed is not UTF-8"},
        {"\xC0\xAF", "1:1 byte 0xc0 is not UTF-8"},
        {"ab\n\xE6\xBC", "2:1 the file ends in the middle of a character"},
    };
    for (const auto& c : cases) EXPECT_EQ(fault(c.text), c.said) << c.text;
}

// Wherever it stands among the blocks of 16 and 64 bytes that are looked at as one.
TEST(VisibleText, NoPlaceIsPassedOver) {
    for (std::size_t at = 0; at < 200; ++at)
        for (const std::string_view bad : {"\x01", "\x7F", "\r!", "\xC2\xA0", "\xFF"}) {
            const std::string text = std::string(at, 'x') + std::string(bad) + std::string(150, 'y');
            const auto [good, said] = read(text);
            EXPECT_EQ(said.substr(0, said.find(' ')), "1:" + std::to_string(at + 1)) << bad;
            EXPECT_EQ(good, at);
        }
}

TEST(VisibleText, TheSpaceIsTheOnlyBlank) {
    EXPECT_TRUE(is_visible(' '));
    for (const char32_t c : {0x00U,   0x09U,   0x1FU,   0x7FU,    0x9FU,     0xA0U,   0xADU,    0x200BU,
                             0x200FU, 0x2028U, 0x202AU, 0x202EU,  0x2060U,   0x2066U, 0x2069U,  0x3000U,
                             0xFE0FU, 0xFEFFU, 0xFFFEU, 0xE0001U, 0x10FFFFU, 0xD800U, 0x110000U})
        EXPECT_FALSE(is_visible(c)) << std::hex << static_cast<std::uint32_t>(c);
    for (const char32_t c : {U'!', U'~', U'ä', U'—', U'漢', U'€', U'🔥', U'\u00A1', U'\u0301'})
        EXPECT_TRUE(is_visible(c));
}

rc::Gen<std::string> odd_text() {
    return rc::gen::map(
        rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(std::vector<std::string>{
            "a", "b", "\n", "\r\n", "\r", " ", "\t", "\xC3\xA4", "\xC2\xA0", "\xE6\xBC\xA2", "\xE2\x80\xAE",
            "\xF0\x9F\x94\xA5", "\xF0\x9F", "\xFF", "\x01", std::string(40, 'x'), std::string(70, 'y') + "\n"})),
        [](const std::vector<std::string>& words) {
            std::string out;
            for (const auto& w : words) out += w;
            return out;
        });
}

TEST(VisibleTextLaws, HowATextIsCutIntoBlocksChangesNothing) {
    EXPECT_TRUE(rc::check([] {
        const std::string text = *odd_text();
        auto cuts = *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, text.size() + 1));
        std::ranges::sort(cuts);
        const auto whole = read(text);
        const auto cut = read(text, cuts);
        RC_ASSERT(cut.second == whole.second);
        // Nothing behind the fault was handed out; less only where a block began in the middle of it.
        RC_ASSERT(cut.first <= whole.first + (whole.second.empty() ? 0 : 3));
    }));
}

TEST(VisibleTextLaws, WhatIsMadeVisibleIsSeen) {
    EXPECT_EQ(made_visible("a\x1B[2K\n\xE2\x80\xAE\xC2\x85\xFF\xC3\xA4"), "a\\x1b[2K\\n\\u202e\\u0085\\xff\xC3\xA4");
    EXPECT_TRUE(rc::check([] {
        const std::string text = *rc::gen::oneOf(odd_text(), rc::gen::arbitrary<std::string>());
        const std::string seen = made_visible(text);
        RC_ASSERT(!unseen_in(seen));
        RC_ASSERT(seen.find_first_of("\n\t\r") == std::string::npos);
        RC_ASSERT(made_visible(seen) == seen);
    }));
}

}  // namespace
}  // namespace culld

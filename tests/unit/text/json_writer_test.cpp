#include "culld/core/text/json_writer.hpp"

#include <gtest/gtest.h>

#include <rapidcheck.h>
#include <boost/json.hpp>
#include <cmath>
#include <limits>

namespace culld {
namespace {

std::string as_json(std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
}

TEST(JsonWriter, EscapesWhatMustBeEscapedAndNothingElse) {
    EXPECT_EQ(as_json("plain"), R"("plain")");
    EXPECT_EQ(as_json(""), R"("")");
    EXPECT_EQ(as_json("a\"b\\c/d"), R"("a\"b\\c/d")");
    EXPECT_EQ(as_json("\n\r\t"), R"("\n\r\t")");
    EXPECT_EQ(as_json(std::string_view("\0\x01\x1f\x7f", 4)), R"("\u0000\u0001\u001f\u007f")");
    EXPECT_EQ(as_json("é€😀"), "\"é€😀\"");
}

TEST(JsonWriter, BytesThatAreNoUtf8BecomeTheReplacementCharacter) {
    EXPECT_EQ(as_json("a\xFFz"), "\"a\xEF\xBF\xBDz\"");
    EXPECT_EQ(as_json("\xE2\x82"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"") << "cut in the middle";
    EXPECT_EQ(as_json("\xC3\""), "\"\xEF\xBF\xBD\\\"\"") << "the quote behind it is still a quote";
}

TEST(JsonWriter, AnyBytesReadBackAsAString) {
    EXPECT_TRUE(rc::check([] {
        const auto bytes = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
        const std::string text = as_json(bytes);
        boost::json::error_code ec;
        const auto value = boost::json::parse(text, ec);
        RC_ASSERT(!ec);
        RC_ASSERT(value.is_string());
        RC_ASSERT(is_utf8(text));
        if (is_utf8(bytes)) RC_ASSERT(std::string_view(value.as_string()) == bytes);
    }));
}

TEST(Utf8, TheEdgesOfTheTableInRfc3629) {
    for (const char* good : {"", "a", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
                             "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"})
        EXPECT_TRUE(is_utf8(good)) << good;
    for (const char* bad : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x7F", "\xC2\xC0", "\xE0\x9F\xBF",
                            "\xE0\xA0", "\xED\xA0\x80", "\xEF\xBF", "\xE1\x80\x41", "\xF0\x8F\xBF\xBF",
                            "\xF4\x90\x80\x80", "\xF0\x90\x80", "\xF1\x80\x80\x41", "\xF5\x80\x80\x80", "\xFF"})
        EXPECT_FALSE(is_utf8(bad)) << as_json(bad);
}

TEST(JsonWriter, NumbersReadBackExactly) {
    const auto text = [](auto value) {
        std::string out;
        append_number(out, value);
        return out;
    };
    EXPECT_EQ(text(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
    EXPECT_EQ(text(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
    EXPECT_EQ(text(0.1667), "0.1667");
    EXPECT_EQ(text(5.0), "5");
    EXPECT_EQ(text(std::numeric_limits<double>::infinity()), "0");
    EXPECT_EQ(text(std::nan("")), "0");
    EXPECT_TRUE(rc::check([&] {
        const double d = *rc::gen::arbitrary<double>();
        RC_ASSERT(std::stod(text(d)) == d);
    }));
}

TEST(JsonObject, WritesItsMembersInOrder) {
    std::string out;
    json_object o(out);
    o.member("a", 1U).member("b", -2).member("c", true).member("d", "x\"").member("e", 0.5).raw("f", "[]");
    json_object(o.begin("g")).close();
    o.close();
    EXPECT_EQ(out, R"({"a":1,"b":-2,"c":true,"d":"x\"","e":0.5,"f":[],"g":{}})");
}

}  // namespace
}  // namespace culld

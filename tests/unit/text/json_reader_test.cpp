#include "culld/core/text/json_reader.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <boost/json.hpp>

#include "culld/core/text/json_writer.hpp"

namespace culld {
namespace {

const char* complaint_about(std::string_view text) {
    json_reader scanner(text);
    json_member member;
    while (scanner.next(member)) {
    }
    return scanner.complaint().what;
}

json_value value_of(std::string_view object) {
    json_reader scanner(object);
    json_member member;
    EXPECT_TRUE(scanner.next(member)) << object;
    return member.value;
}

TEST(JsonReader, HandsOutMembersInOrderWithTheirText) {
    json_reader scanner(R"( {"a":1, "b" : [ "x","y" ] ,"c":{"d":null},"e":"q\"q"} )");
    json_member m;
    ASSERT_TRUE(scanner.next(m));
    EXPECT_EQ(m.key, "a");
    EXPECT_EQ(m.value.u64(), 1U);
    ASSERT_TRUE(scanner.next(m));
    EXPECT_EQ(m.value.kind, json_kind::array);
    EXPECT_EQ(m.value.items, 2U);
    EXPECT_TRUE(m.value.only_strings);
    ASSERT_TRUE(scanner.next(m));
    EXPECT_EQ(m.value.raw, R"({"d":null})");
    ASSERT_TRUE(scanner.next(m));
    EXPECT_EQ(m.value.text(), "q\"q");
    EXPECT_FALSE(scanner.next(m));
    EXPECT_EQ(scanner.complaint().what, nullptr);
}

TEST(JsonReader, RefusesWhatIsNotJson) {
    for (const char* text : {"",
                             " ",
                             "[]",
                             "1",
                             "{",
                             "{}x",
                             "{\"a\"}",
                             "{\"a\":}",
                             "{\"a\":1,}",
                             "{,}",
                             "{\"a\":01}",
                             "{\"a\":+1}",
                             "{\"a\":1.}",
                             "{\"a\":.5}",
                             "{\"a\":1e}",
                             "{\"a\":-}",
                             "{\"a\":tru}",
                             "{\"a\":[1,]}",
                             "{\"a\":[1 2]}",
                             "{\"a\":\"\x01\"}",
                             "{\"a\":\"\\x\"}",
                             "{\"a\":\"\\u12g4\"}",
                             "{\"a\":\"\\ud800\"}",
                             "{\"a\":\"\\udc00\"}",
                             "{\"a\":\"\xff\"}",
                             "{\"a\":\"\xc0\x80\"}",
                             "{\"a\":\"open}",
                             "{a:1}",
                             "{\"a\":1}{\"b\":2}",
                             "{\"a\":NaN}"})
        EXPECT_NE(complaint_about(text), nullptr) << text;
}

TEST(JsonReader, SaysWhereItIsWrong) {
    json_reader scanner(R"({"a":1,"b":x})");
    json_member m;
    while (scanner.next(m)) {
    }
    EXPECT_EQ(scanner.complaint().offset, 11U);
}

TEST(JsonReader, RefusesDeepNesting) {
    const auto nested = [](std::size_t depth) {
        return "{\"a\":" + std::string(depth, '[') + std::string(depth, ']') + "}";
    };
    EXPECT_EQ(complaint_about(nested(json_depth_max - 1)), nullptr);
    EXPECT_NE(complaint_about(nested(json_depth_max)), nullptr);
    EXPECT_NE(complaint_about(nested(1'000'000)), nullptr);
}

TEST(JsonReader, AnyByteEndsARunOfPlainOnesWhereverItStands) {
    // The fast path reads sixteen and eight bytes at a time: every stopper at every offset.
    for (std::size_t length = 0; length < 40; ++length)
        for (std::size_t at = 0; at <= length; ++at) {
            const std::string before(at, 'a'), after(length - at, 'b');
            EXPECT_EQ(value_of("{\"k\":\"" + before + "\\\"" + after + "\"}").text(), before + "\"" + after);
            EXPECT_EQ(value_of("{\"k\":\"" + before + "\xC3\xA9" + after + "\"}").text(), before + "\xC3\xA9" + after);
            EXPECT_NE(complaint_about("{\"k\":\"" + before + "\n" + after + "\"}"), nullptr);
            EXPECT_NE(complaint_about("{\"k\":\"" + before + "\xE9" + after + "\"}"), nullptr);
        }
}

TEST(JsonReader, StringsAreUnescaped) {
    EXPECT_EQ(value_of(R"({"k":"\b\f\n\r\t\/\\\u0041\u00e9\u20ac\ud83d\ude00"})").text(),
              "\b\f\n\r\t/\\A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
}

TEST(JsonReader, WhatIsWrittenReadsBack) {
    EXPECT_TRUE(rc::check([](const std::string& text) {
        std::string line;
        json_object o(line);
        o.member("k", text).close();
        const auto back = value_of(line).text();
        RC_ASSERT(back.has_value());
        if (is_utf8(text)) RC_ASSERT(*back == text);
    }));
}

TEST(JsonReader, AcceptsExactlyWhatAnotherParserAccepts) {
    // Mutations of a good line: one byte replaced, removed or doubled.
    const std::string good = R"({"a":[1,-2.5e3,"x\u00e9",true,null],"b":{"c":"d"},"e":[[0,4],[7,1]]})";
    EXPECT_TRUE(rc::check([&] {
        std::string text = good;
        const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
        switch (*rc::gen::inRange(0, 3)) {
            case 0: text[at] = *rc::gen::elementOf(std::string("{}[]\",:\\ 0123.eE+-truefalsn\xC3\xA9\x01")); break;
            case 1: text.erase(at, 1); break;
            default: text.insert(at, 1, text[at]);
        }
        boost::system::error_code ec;
        const auto parsed = boost::json::parse(text, ec);
        const bool theirs = !ec && parsed.is_object();
        RC_ASSERT((complaint_about(text) == nullptr) == theirs);
    }));
}

TEST(JsonReader, NumbersMustBeWholeAndFit) {
    EXPECT_EQ(value_of(R"({"k":18446744073709551615})").u64(), 18446744073709551615U);
    for (const char* text :
         {R"({"k":18446744073709551616})", R"({"k":-1})", R"({"k":1.0})", R"({"k":1e3})", R"({"k":"1"})"})
        EXPECT_FALSE(value_of(text).u64()) << text;
}

TEST(JsonReader, RunsAreReadAndChecked) {
    EXPECT_EQ(value_of(R"({"k":[]})").runs(), spans{});
    EXPECT_EQ(value_of(R"({"k":[ [0,4] , [7, 1] ]})").runs(), (spans{{0, 4}, {7, 1}}));
    for (const char* text : {R"({"k":[[0,0]]})", R"({"k":[[4,2],[5,1]]})", R"({"k":[[4,2],[1,1]]})", R"({"k":[0,4]})",
                             R"({"k":[[0]]})", R"({"k":[[0,1,2]]})", R"({"k":[[9223372036854775808,1]]})",
                             R"({"k":[[0,"4"]]})", R"({"k":{}})", R"({"k":[[-1,2]]})"})
        EXPECT_FALSE(value_of(text).runs()) << text;
}

TEST(JsonReader, StringsOfAnArrayAreWalked) {
    const json_value array = value_of(R"({"k":[ "a" ,"b\"",""]})");
    json_strings strings(array);
    std::vector<std::string> got;
    std::string_view raw;
    while (strings.next(raw)) got.push_back(json_unescaped(raw));
    EXPECT_EQ(got, (std::vector<std::string>{"a", "b\"", ""}));
    json_strings none(value_of(R"({"k":[1,2]})"));
    EXPECT_FALSE(none.next(raw));
}

}  // namespace
}  // namespace culld

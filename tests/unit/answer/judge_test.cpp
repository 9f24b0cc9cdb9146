#include "culld/core/answer/judge.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rapidcheck.h>
#include <algorithm>
#include <set>

#include "support/slow_answer.hpp"

namespace culld {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string quoted(const std::vector<std::string>& ids) {
    std::string out;
    for (const std::string& id : ids) out += (out.empty() ? "\"" : ",\"") + id + "\"";
    return out;
}

std::string answer(const std::vector<std::string>& success, const std::vector<std::string>& error) {
    return fmt::format(R"({{"code":"00000000","message":"ok","data":{{"error_ids":[{}],"success_ids":[{}]}}}})",
                       quoted(error), quoted(success));
}

class Judge : public testing::Test {
  protected:
    result<judgement> judge_it(const std::vector<std::string>& sent, std::string_view body) {
        return judge_(quoted(sent), sent.size(), body);
    }
    const std::vector<std::string> abc_{"a", "b", "c"};
    judge judge_;
};

TEST_F(Judge, TheRequestsOwnListInSuccessIsAllDeleted) {
    const auto j = judge_it(abc_, answer(abc_, {}));
    ASSERT_TRUE(j) << j.error().text();
    EXPECT_EQ(j->deleted(), 3U);
    EXPECT_EQ(j->code, "00000000");
    EXPECT_EQ(j->message, "ok");
}

TEST_F(Judge, TheRequestsOwnListInErrorIsAllRefused) {
    const auto j = judge_it(abc_, answer({}, abc_));
    ASSERT_TRUE(j);
    EXPECT_THAT(j->refused, ElementsAre(0, 1, 2));
    EXPECT_EQ(j->deleted(), 0U);
}

TEST_F(Judge, IdInBothListsIsUnknown) {
    const auto j = judge_it(abc_, answer(abc_, {"b"}));
    ASSERT_TRUE(j);
    EXPECT_THAT(j->unknown, ElementsAre(1));
    EXPECT_THAT(j->refused, IsEmpty());
    EXPECT_EQ(j->deleted(), 2U);
}

TEST_F(Judge, IdInNeitherListIsUnknownNotDeleted) {
    const auto j = judge_it(abc_, answer({"a", "c"}, {}));
    ASSERT_TRUE(j);
    EXPECT_THAT(j->unknown, ElementsAre(1));
}

TEST_F(Judge, TheOldSampleWithOneIdInBothListsIsUnknown) {
    const auto j = judge_it({"909494e3-558e-46b6-a9eb-07a8e18ca62f"},
                            R"({"code":"909494e3-558e-46b6-a9eb-07a8e18ca62f","message":"Error message","data":{
                               "error_ids":["909494e3-558e-46b6-a9eb-07a8e18ca62f"],
                               "success_ids":["909494e3-558e-46b6-a9eb-07a8e18ca62f"]}})");
    ASSERT_TRUE(j);
    EXPECT_THAT(j->unknown, ElementsAre(0));
}

TEST_F(Judge, CodeAndMessageDecideNothing) {
    const auto j = judge_it({"a"}, R"({"code":"SecMaster.20039999","message":"Error","success":false,
                                       "data":{"success_ids":["a"],"error_ids":[null]}})");
    ASSERT_TRUE(j);
    EXPECT_EQ(j->deleted(), 1U);
}

TEST_F(Judge, ListsAtTheTopCount) {
    const auto j = judge_it(abc_, R"({"success_ids":["c","a"],"error_ids":["b"],"data":null})");
    ASSERT_TRUE(j);
    EXPECT_THAT(j->refused, ElementsAre(1));
    EXPECT_EQ(j->deleted(), 2U);
}

TEST_F(Judge, ListsDeeperThanDataDoNotCount) {
    for (const char* body :
         {R"({"data":{"data":{"success_ids":["a","b","c"]}}})", R"([{"success_ids":["a","b","c"]}])",
          R"({"x":{"success_ids":["a","b","c"]}})", R"({"data":[{"success_ids":["a","b","c"]}]})",
          R"({"data":{"success_ids":[["a","b","c"]]}})", R"({"data":{"success_ids":{"a":["a","b","c"]}}})",
          R"({"request_ids":["a","b","c"],"data":{}})"}) {
        const auto j = judge_it(abc_, body);
        EXPECT_EQ(j ? j->deleted() : 0U, 0U) << body;
    }
}

TEST_F(Judge, StrangersAreCountedAndNeverBelieved) {
    const auto j = judge_it({"a"}, answer({"a", "never-asked"}, {"nor-this"}));
    ASSERT_TRUE(j);
    EXPECT_EQ(j->unrequested_ids, 2U);
    EXPECT_EQ(j->deleted(), 1U);
}

TEST_F(Judge, APrefixOfAnIdIsNotTheId) {
    const auto j = judge_it({"ab", "abc"}, answer({"a", "abc"}, {}));
    ASSERT_TRUE(j);
    EXPECT_THAT(j->unknown, ElementsAre(0));
    EXPECT_EQ(j->unrequested_ids, 1U);
}

TEST_F(Judge, TheListInsideAStringSettlesNothing) {
    const auto j = judge_it(abc_, R"({"message":"[\"a\",\"b\",\"c\"]","data":{"success_ids":[]}})");
    ASSERT_TRUE(j);
    EXPECT_EQ(j->deleted(), 0U);
}

TEST_F(Judge, EscapedIdsAreTheSameIds) {
    const auto j = judge_it(abc_, R"({"data":{"success_ids":["\u0061","b","\u0063"]}})");
    ASSERT_TRUE(j);
    EXPECT_EQ(j->deleted(), 3U);
}

TEST_F(Judge, ABareStringForAListOfOneCounts) {
    const auto j = judge_it({"a"}, R"({"data":{"success_ids":"a"}})");
    ASSERT_TRUE(j);
    EXPECT_EQ(j->deleted(), 1U);
}

TEST_F(Judge, DuplicatesInAnAnswerCountOnce) {
    const auto j = judge_it(abc_, answer({"a", "a", "b", "c", "c"}, {}));
    ASSERT_TRUE(j);
    EXPECT_EQ(j->deleted(), 3U);
    EXPECT_EQ(j->unrequested_ids, 0U);
}

TEST_F(Judge, WhatIsNoJsonObjectIsAProblem) {
    for (const std::string& body :
         {std::string(), std::string("<html>login</html>"), std::string("[]"), std::string("\"text\""),
          std::string("{"), answer(abc_, {}) + "x", answer(abc_, {}).substr(0, 60), std::string(200, '['),
          std::string(R"({"data":{"success_ids":["a","b","c"]})"),
          std::string(R"({"data":{"success_ids":["a","b","c"}})")})
        EXPECT_FALSE(judge_it(abc_, body)) << body;
}

// What stands beside the lists decides nothing, so it may be anything.
TEST_F(Judge, AnAnswerThatCanBeReadIsRead) {
    const std::string lists = R"("data":{"success_ids":["a","b"],"error_ids":["c"]})";
    for (const std::string& body :
         {"\xEF\xBB\xBF{" + lists + "}", "{\"message\":\"caf\\ud83d \x01\"," + lists + "}",
          "{\"message\":\"\xff\xc0\x80\"," + lists + "}", R"({"message":"\x \u12",)" + lists + "}",
          R"({"cost":NaN,"x":-Infinity,"y":+1,"z":.5e,"t":True,)" + lists + "}",
          "{\"deep\":" + std::string(5000, '[') + std::string(5000, ']') + "," + lists + "}",
          "{" + lists + ",\"deep\":" + std::string(5000, '{') + std::string(5000, '}') + "}",
          R"({"a":1,"a":2,"code":1,"code":"x",)" + lists + "}", "\n {\t" + lists + "\r\n}\n",
          std::string(R"({"data":{"note":"\udc00","x":[NaN],"success_ids":["a","b"],"error_ids":["c",null,{"a":1}]}})"),
          std::string(R"({"\u0064ata":{"success\u005fids":["a","b"],"error_ids":["c"]}})"),
          std::string(
              "{\"data\":{\"success_ids\":[\"a\",\"b\",\"\xff\",\"\\ud800\",\"a\\u\"],\"error_ids\":[\"c\"]}}")}) {
        const auto j = judge_it(abc_, body);
        ASSERT_TRUE(j) << j.error().text() << ": " << body.substr(0, 200);
        EXPECT_EQ(j->deleted(), 2U) << body.substr(0, 200);
        EXPECT_THAT(j->refused, ElementsAre(2)) << body.substr(0, 200);
    }
}

TEST_F(Judge, ABracketClosedByAnotherIsNoAnswer) {
    for (const char* body : {R"({"x":[},"data":{"success_ids":["a"]}})", R"({"x":{"data":{"success_ids":["a"]}})",
                             R"({"data":{"success_ids":["a" "b"]}})", R"({"data":{"success_ids":["a",]}})",
                             R"({"data":{"success_ids":["a"}})", R"({"x":,"data":{"success_ids":["a"]}})",
                             R"({"x":"\","data":{"success_ids":["a"]}})", R"({"data":{"success_ids":["a"]},})",
                             R"({"data":{"success_ids":["a","b","c"]x}})", R"({data:{"success_ids":["a"]}})"})
        EXPECT_FALSE(judge_it(abc_, body)) << body;
}

// Each reader of JSON takes another of two members of one name: nothing is known of any id.
TEST_F(Judge, AMemberThatStandsThereTwiceIsNotBelieved) {
    for (const char* body : {R"({"data":{"success_ids":["a"],"success_ids":["b"],"error_ids":["c"]}})",
                             R"({"data":{"success_ids":["a","b","c"],"error_ids":[],"error_ids":["a"]}})",
                             R"({"data":{"success_ids":["a","b","c"],"success\u005fids":[]}})",
                             R"({"data":{"success_ids":["a","b","c"],"\u0073uccess_ids":null}})",
                             R"({"data":{"success_ids":["a","b","c"]},"data":{"error_ids":["a"]}})",
                             R"({"data":null,"data":{"success_ids":["a","b","c"]}})",
                             R"({"data":{"success_ids":["a","b","c"]},"d\u0061ta":{}})",
                             R"({"success_ids":["a","b","c"],"success_ids":["a","b","c"]})",
                             R"({"error_ids":[],"success_ids":["a","b","c"],"error_ids":["b"]})",
                             R"({"success_ids":["a"],"success_ids":["b"],"data":{"success_ids":["a","b","c"]}})"}) {
        const auto j = judge_it(abc_, body);
        ASSERT_TRUE(j) << body;
        EXPECT_TRUE(j->repeated) << body;
        EXPECT_THAT(j->unknown, ElementsAre(0, 1, 2)) << body;
    }
}

TEST_F(Judge, WhereDataHoldsListsTheTopOnlyCastsDoubt) {
    const auto j = judge_it(abc_, R"({"success_ids":["b","c"],"error_ids":["a"],"data":{"success_ids":["a","b"]}})");
    ASSERT_TRUE(j);
    EXPECT_FALSE(j->repeated);
    EXPECT_THAT(j->unknown, ElementsAre(0, 2));
    EXPECT_EQ(j->deleted(), 1U);
}

TEST_F(Judge, AUuidInOtherLettersIsTheOneThatWasAskedFor) {
    const std::string dashed = "909494e3-558e-46b6-a9eb-07a8e18ca62f", bare = "909494E3558E46B6A9EB07A8E18CA62F";
    const auto j = judge_it({"Other", dashed, "x", bare}, answer({"other", "909494E3-558E-46B6-A9EB-07A8E18CA62F"},
                                                                 {"909494e3558e46b6a9eb07a8e18ca62f"}));
    ASSERT_TRUE(j);
    EXPECT_THAT(j->unknown, ElementsAre(0, 2));
    EXPECT_THAT(j->refused, ElementsAre(3));
    EXPECT_EQ(j->unrequested_ids, 1U);
}

TEST_F(Judge, TheVeryIdGoesBeforeOneInOtherLetters) {
    const std::string small = "909494e3-558e-46b6-a9eb-07a8e18ca62f", large = "909494E3-558E-46B6-A9EB-07A8E18CA62F";
    for (const auto& sent : {std::vector<std::string>{"x", small, large}, {"x", large, small}}) {
        const auto j = judge_it(sent, answer({"x", large}, {small}));
        ASSERT_TRUE(j);
        EXPECT_THAT(j->refused, ElementsAre(sent[1] == small ? 1 : 2));
        EXPECT_THAT(j->unknown, IsEmpty());
    }
}

TEST_F(Judge, WhiteSpaceAfterTheAnswerIsFine) {
    EXPECT_TRUE(judge_it(abc_, answer(abc_, {}) + "\r\n "));
}

// Set algebra, whatever the order: deleted = success - error, refused = error - success, all else unknown.
TEST_F(Judge, AgreesWithSetAlgebraOnAnyAnswer) {
    EXPECT_TRUE(rc::check([this] {
        const auto n = *rc::gen::inRange(1, 40);
        std::vector<std::string> sent, success, error;
        std::set<std::string> in_success, in_error;
        for (int i = 0; i < n; ++i) sent.push_back(fmt::format("id-{}", i * 7 % 41));
        for (const std::string& id : sent) {
            switch (*rc::gen::inRange(0, 6)) {
                case 0: error.push_back(id); break;
                case 1: success.push_back(id), error.push_back(id); break;
                case 2: break;
                default: success.push_back(id);
            }
        }
        if (*rc::gen::arbitrary<bool>()) success.push_back("stranger");
        if (*rc::gen::arbitrary<bool>()) std::reverse(success.begin(), success.end());
        if (*rc::gen::arbitrary<bool>())
            std::rotate(error.begin(), error.begin() + static_cast<long>(error.size() / 2), error.end());
        in_success.insert(success.begin(), success.end());
        in_error.insert(error.begin(), error.end());
        const auto j = judge_it(sent, answer(success, error));
        RC_ASSERT(j.has_value());
        std::vector<std::uint32_t> refused, unknown;
        for (std::uint32_t i = 0; i < sent.size(); ++i) {
            const bool s = in_success.contains(sent[i]), e = in_error.contains(sent[i]);
            if (e && !s) refused.push_back(i);
            if (e == s) unknown.push_back(i);
        }
        RC_ASSERT(j->refused == refused);
        RC_ASSERT(j->unknown == unknown);
    }));
}

// Answers with odd members, spelt oddly, cut and mangled, against a reading that shares no line with the judge's.
TEST_F(Judge, AgreesWithASlowReadingOfAnyMangledAnswer) {
    const std::vector<std::string> lists{R"("success_ids":["a","b"])",  R"("error_ids":["c"])",
                                         R"("success_ids":[])",         R"("error_ids":["a",null,"z"])",
                                         R"("success\u005fids":["c"])", R"("error_ids":"b")",
                                         R"("success_ids":null)",       R"("success_ids":["a","b","c"])"};
    const std::vector<std::string> odd{R"("code":"0")",         "\"m\":\"\xff\x01\"", R"("n":NaN)",
                                       R"("x":[[{"data":1}]])", R"("m":"\ud83d")",    R"("data":null)",
                                       R"("y":"[\"a\",")",      "\"z\": [ 1 , 2 ] "};
    const std::string dirt = "{}[]\",:\\u0061abc x";
    EXPECT_TRUE(rc::check([&, this] {
        const auto some = [&](const std::vector<std::string>& from) {
            std::string out;
            for (int i = *rc::gen::inRange(0, 4); i > 0; --i)
                out += (out.empty() ? "" : ",") + *rc::gen::elementOf(from);
            return out;
        };
        std::string body = *rc::gen::element<std::string>("", "\xEF\xBB\xBF", " ") + "{" + R"("data":{)" + some(lists);
        if (body.back() != '{') body += ",";
        body += R"("k":1})";
        for (const std::string& more :
             {some(odd), *rc::gen::inRange(0, 3) == 0 ? some(lists) : std::string(), some(odd)})
            if (!more.empty()) body += "," + more;
        body += "}";
        for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
            const auto at = *rc::gen::inRange<std::size_t>(0, body.size());
            const char c = *rc::gen::elementOf(dirt);
            switch (*rc::gen::inRange(0, 3)) {
                case 0: body[at] = c; break;
                case 1: body.insert(at, 1, c); break;
                default: body.erase(at, 1);
            }
        }
        const auto slowly = slow::reading::of(body);
        const auto j = judge_it(abc_, body);
        RC_ASSERT(j.has_value() == slowly.has_value());
        if (!slowly) return;
        const auto expected = slow::judge_slowly(abc_, *slowly);
        RC_ASSERT(j->repeated == slowly->repeated);
        RC_ASSERT(j->refused == expected.refused);
        RC_ASSERT(j->unknown == expected.unknown);
        if (!j->repeated) RC_ASSERT(j->unrequested_ids == expected.unrequested_ids);
    }));
}

}  // namespace
}  // namespace culld

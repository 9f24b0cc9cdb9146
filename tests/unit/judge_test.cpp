#include "culld/core/judge.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rapidcheck.h>
#include <algorithm>
#include <set>

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
    EXPECT_EQ(j->strangers, 2U);
    EXPECT_EQ(j->deleted(), 1U);
}

TEST_F(Judge, APrefixOfAnIdIsNotTheId) {
    const auto j = judge_it({"ab", "abc"}, answer({"a", "abc"}, {}));
    ASSERT_TRUE(j);
    EXPECT_THAT(j->unknown, ElementsAre(0));
    EXPECT_EQ(j->strangers, 1U);
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
    EXPECT_EQ(j->strangers, 0U);
}

TEST_F(Judge, WhatIsNoJsonObjectIsAProblem) {
    for (const std::string& body :
         {std::string(), std::string("<html>login</html>"), std::string("[]"), std::string("\"text\""),
          std::string("{"), answer(abc_, {}) + "x", answer(abc_, {}).substr(0, 60), std::string(200, '['),
          std::string("{\"a\":\"\xff\"}"), std::string(R"({"data":{"success_ids":["a","b","c"]})"),
          std::string(R"({"data":{"success_ids":["a","b","c"}})")})
        EXPECT_FALSE(judge_it(abc_, body)) << body;
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

}  // namespace
}  // namespace culld

// cull-emulator misbehaving as its scenario tells it to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>
#include <chrono>

#include "support/emulator_support.hpp"

namespace culld::emulator_test {
namespace {

using testing::HasSubstr;

class EmulatorFaults : public testing::Test {
  protected:
    emulator& with(std::string_view scenario) {
        return running_.emplace(std::vector<std::string>{"--scenario", folder_.write("s.yaml", scenario)});
    }
    static std::string data_of(const answer& a) { return boost::json::serialize(a.json().at("data")); }

    scratch folder_;
    std::optional<emulator> running_;
};

TEST_F(EmulatorFaults, ThrottlesInFixedWindowsWithTheDocumentedText) {
    emulator& e = with("throttle: {limit: 2, per: 5m, retry_after: true}");
    EXPECT_EQ(e.remove(R"("a")").status, 200);
    EXPECT_EQ(e.remove(R"("b")").status, 200);
    const answer third = e.remove(R"("c")");
    EXPECT_EQ(third.status, 429);
    EXPECT_EQ(third.json().at("error_code"), "APIGW.0308");
    EXPECT_EQ(third.json().at("error_msg"),
              "The throttling threshold has been reached: policy user over ratelimit,limit:2,time:5 minute");
    EXPECT_THAT(third.head, testing::ContainsRegex("Retry-After: (300|29[0-9])\r\n"));
    const auto told = e.end();
    EXPECT_EQ(told.at("throttled"), 1);
    EXPECT_EQ(told.at("deletions"), 2);
}

TEST_F(EmulatorFaults, IdsFailOnceAlwaysOrByTheirEnd) {
    emulator& e = with("fail_ids: [a]\nfail_always: [b]\nfail_pattern: {suffix: \"7\", times: 2}\n");
    EXPECT_EQ(data_of(e.remove(R"("a","b","c7","d")")), R"({"success_ids":["d"],"error_ids":["a","b","c7"]})");
    EXPECT_EQ(data_of(e.remove(R"("a","b","c7")")), R"({"success_ids":["a"],"error_ids":["b","c7"]})");
    EXPECT_EQ(data_of(e.remove(R"("b","c7")")), R"({"success_ids":["c7"],"error_ids":["b"]})");
    EXPECT_EQ(e.end().at("deleted"), json(R"({"d":1,"a":1,"c7":1})"));
}

TEST_F(EmulatorFaults, APoisonedCallDoesNothing) {
    emulator& e = with("poison_ids: [bad]\nlanguage: zh");
    const answer a = e.remove(R"("x","bad")");
    EXPECT_EQ(a.status, 400);
    EXPECT_EQ(a.json().at("code"), "SecMaster.20030001");
    EXPECT_EQ(a.json().at("message"), "无效的参数");
    EXPECT_EQ(e.end().at("deletions"), 0);
}

TEST_F(EmulatorFaults, MissingIdsAreInNeitherListThoughDeleted) {
    emulator& e = with("missing_ratio: 1");
    EXPECT_EQ(data_of(e.remove(R"("a")")), R"({"success_ids":[],"error_ids":[]})");
    EXPECT_EQ(e.end().at("deleted"), json(R"({"a":1})"));
}

TEST_F(EmulatorFaults, MissingIdsMayBeSpared) {
    emulator& e = with("missing_ratio: 1\nmissing_deleted: false");
    EXPECT_EQ(data_of(e.remove(R"("a")")), R"({"success_ids":[],"error_ids":[]})");
    EXPECT_EQ(e.end().at("deletions"), 0);
}

TEST_F(EmulatorFaults, ContradictoryIdsAreInBothLists) {
    emulator& e = with("both_ratio: 1");
    EXPECT_EQ(data_of(e.remove(R"("a")")), R"({"success_ids":["a"],"error_ids":["a"]})");
    EXPECT_EQ(e.end().at("deletions"), 1);
}

TEST_F(EmulatorFaults, ListsAreCutAndErrorsHoldANull) {
    emulator& e = with("truncate_lists: 2\nnull_errors: true\nfail_always: [x, y, z]");
    EXPECT_EQ(data_of(e.remove(R"("a","b","c")")), R"({"success_ids":["a","b"],"error_ids":[null]})");
    EXPECT_EQ(data_of(e.remove(R"("x","y","z")")), R"({"success_ids":[],"error_ids":[null,"x","y"]})");
    EXPECT_EQ(e.end().at("deletions"), 3);
}

TEST_F(EmulatorFaults, ShuffledListsHoldTheSameIds) {
    emulator& e = with("shuffle: true");
    std::string ids = "\"0\"";
    for (int i = 1; i < 50; ++i) ids += ",\"" + std::to_string(i) + "\"";
    auto given = e.remove(ids).json().at("data").at("success_ids").as_array();
    auto asked = json("[" + ids + "]").as_array();
    EXPECT_NE(given, asked);
    EXPECT_THAT(given, testing::UnorderedElementsAreArray(asked));
}

TEST_F(EmulatorFaults, OddSamplesComeInThreeShapesWithTwoRequestIds) {
    emulator& e = with("odd_samples: true");
    const answer one = e.remove(R"("a")"), two = e.remove(R"("b")"), three = e.remove(R"("c")");
    EXPECT_EQ(one.json().at("success"), false);
    EXPECT_EQ(two.json().at("success_ids").at(0), "b");
    EXPECT_EQ(three.json().at("message"), "Error message");
    EXPECT_EQ(three.json().at("code").as_string().size(), 36U);
    EXPECT_THAT(one.head, HasSubstr("X-Request-Id: "));
    EXPECT_THAT(one.head, HasSubstr("X-request-id: "));
}

TEST_F(EmulatorFaults, ALostAnswerIsDeletedAndALostRequestIsNot) {
    EXPECT_EQ(with("lost_ratio: 1").remove(R"("a")").status, 0);
    EXPECT_EQ(running_->end().at("deletions"), 1);
    EXPECT_EQ(with("lost_before_ratio: 1").remove(R"("a")").status, 0);
    const auto told = running_->end();
    EXPECT_EQ(told.at("deletions"), 0);
    EXPECT_EQ(told.at("requests").at("by_status").at("none"), 1);
}

TEST_F(EmulatorFaults, ACutAnswerPromisesMoreThanComes) {
    const answer a = with("cut_ratio: 1").remove(R"("a","b")");
    EXPECT_EQ(a.status, 200);
    EXPECT_FALSE(a.whole);
    EXPECT_FALSE(a.body.empty());
    EXPECT_EQ(running_->end().at("deletions"), 2);
}

TEST_F(EmulatorFaults, AnErrorStatusComesBeforeOrAfterTheDeed) {
    const answer timeout = with("status_ratio: {504: 1, apply: before}").remove(R"("a")");
    EXPECT_EQ(timeout.status, 504);
    EXPECT_EQ(timeout.json().at("error_code"), "APIGW.0203");
    EXPECT_EQ(running_->end().at("deletions"), 1);
    const answer page = with("status_ratio: {502: 1}").remove(R"("a")");
    EXPECT_EQ(page.status, 502);
    EXPECT_THAT(page.head, HasSubstr("Content-Type: text/html\r\n"));
    EXPECT_THAT(page.body, HasSubstr("<h1>502 Bad Gateway</h1>"));
    EXPECT_EQ(running_->end().at("deletions"), 0);
}

TEST_F(EmulatorFaults, AWrongWorkspaceAndAMissingPostForm) {
    const answer a = with("workspace_error: true").remove(R"("a")");
    EXPECT_EQ(a.status, 403);
    EXPECT_EQ(a.json().at("code"), "SecMaster.20010001");
    emulator& e = with("post_form: false");
    EXPECT_EQ(e.remove(R"("a")").json().at("error_code"), "APIGW.0101");
    EXPECT_EQ(e.call("DELETE", workspace + "incidents", R"({"batch_ids":["a"]})").status, 200);
}

TEST_F(EmulatorFaults, OutagesResetAnswer503OrHang) {
    emulator& e = with(
        "outages:\n"
        "  - {after_requests: 1, for_requests: 1, kind: reset}\n"
        "  - {after_requests: 2, for_requests: 1, kind: \"503\"}\n"
        "  - {after_requests: 3, for_requests: 1, kind: hang}\n");
    EXPECT_EQ(e.remove(R"("a")").status, 200);
    EXPECT_EQ(e.remove(R"("b")").status, 0);
    EXPECT_EQ(e.remove(R"("c")").status, 503);
    client hanging(e.port());
    hanging.send("GET " + workspace + "incidents/d HTTP/1.1\r\nHost: h\r\n\r\n");
    while (e.truth().at("api_requests") != 4) {
    }
    pollfd waiting{hanging.fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&waiting, 1, 50), 0) << "nothing may come, not even an end";
    EXPECT_EQ(e.remove(R"("e")").status, 200);
    EXPECT_EQ(e.end().at("deleted"), json(R"({"a":1,"e":1})"));  // ends although one is still hanging
}

TEST_F(EmulatorFaults, ARefusalClosesTheDoorForItsTime) {
    emulator& e = with("outages: [{after_requests: 1, for_seconds: 0.3, kind: refuse}]");
    client kept(e.port());
    EXPECT_EQ(kept.call("POST", batch_delete, R"({"batch_ids":["a"]})").status, 200);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(e.remove(R"("b")").status, 0);
    EXPECT_FALSE(client(e.port()).connected());
    EXPECT_EQ(kept.receive().status, 0) << "connections that were open end too";
    while (!client(e.port()).connected()) ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(290));
    EXPECT_EQ(e.remove(R"("b")").status, 200);
}

TEST_F(EmulatorFaults, LatencyIsWaitedFor) {
    emulator& e = with("latency: 60ms");
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(e.remove(R"("a")").status, 200);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(60));
}

}  // namespace
}  // namespace culld::emulator_test

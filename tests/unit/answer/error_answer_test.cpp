#include "culld/core/answer/error_answer.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <rapidcheck.h>

#include "culld/core/text/clean_message.hpp"
#include "culld/core/text/json_writer.hpp"

namespace culld {
namespace {

using namespace std::chrono_literals;

// Sun, 06 Nov 1994 08:49:00 GMT
constexpr wall_time now{784'111'740s};

error_answer read(unsigned status, std::string_view code, std::string_view message = "m",
                  std::string_view retry_after = "") {
    std::string body;
    json_object o(body);
    if (code.starts_with("API"))
        o.member("error_code", code).member("error_msg", message).member("request_id", "r").close();
    else
        o.member("code", code).member("message", message).close();
    return read_answer(status, retry_after, body, now, redactor());
}

struct row {
    unsigned status;
    const char* code;
    next_action what;
    const char* error_class;
};

void hold(std::initializer_list<row> rows) {
    for (const row& r : rows) {
        const error_answer got = read(r.status, r.code);
        EXPECT_EQ(got.what, r.what) << r.status << " " << r.code;
        EXPECT_EQ(got.error_class, r.error_class) << r.status << " " << r.code;
        EXPECT_EQ(got.code, r.code);
        EXPECT_EQ(got.message, "m");
        const bool needs_help =
            r.what == next_action::blocked || r.what == next_action::unauthorized || r.what == next_action::form_absent;
        EXPECT_EQ(got.help.empty(), !needs_help) << r.status << " " << r.code;
    }
}

// secmaster-api.md, 1.7
TEST(Answer, SecMasterCodes) {
    using enum next_action;
    hold({{400, "SecMaster.20010001", blocked, "rejected"},  // workspace
          {403, "SecMaster.20010001", blocked, "auth"},      // the same, as Terraform sees it
          {400, "SecMaster.20041001", blocked, "rejected"},
          {400, "SecMaster.20030002", blocked, "rejected"},  // project
          {400, "SecMaster.20041003", blocked, "rejected"},
          {400, "SecMaster.20030001", content, "rejected"},  // parameters
          {400, "SecMaster.20041002", content, "rejected"},
          {400, "SecMaster.20040001", content, "rejected"},
          {400, "SecMaster.20040402", content, "rejected"},
          {400, "SecMaster.20040516", content, "rejected"},  // fields exceed the maximum
          {400, "SecMaster.20030003", content, "rejected"},  // a name
          {400, "CSB.20040001", content, "rejected"},
          {400, "SecMaster.20030005", gone, "rejected"},     // a data object: not to be obtained
          {400, "SecMaster.20030004", refused, "rejected"},  // not to be created, updated, deleted, searched, …
          {400, "SecMaster.20030011", refused, "rejected"},
          {400, "SecMaster.20030012", refused, "rejected"},
          {400, "SecMaster.20030013", refused, "rejected"},
          {400, "SecMaster.20030022", refused, "rejected"},
          {400, "SecMaster.20030025", refused, "rejected"},
          {400, "SecMaster.20041031", refused, "rejected"},
          {400, "SecMaster.20041033", refused, "rejected"},
          {400, "SecMaster.20041504", refused, "rejected"},  // an incident
          {400, "SecMaster.20041507", refused, "rejected"},
          {400, "SecMaster.20041508", refused, "rejected"},
          {400, "SecMaster.20041804", refused, "rejected"},  // an alert
          {400, "SecMaster.20041805", refused, "rejected"},
          {400, "SecMaster.20041808", refused, "rejected"},
          {400, "SecMaster.20039999", refused, "rejected"},  // unknown error
          {400, "SecMaster.20040000", refused, "rejected"},
          {400, "SecMaster.11181001", blocked, "rejected"},  // engine not upgraded
          {400, "SecMaster.11181002", busy, "server"},       // being upgraded
          {500, "SecMaster.00041003", busy, "server"},
          {500, "SecMaster.00041004", busy, "server"},
          {500, "common.00000500", busy, "server"},
          {400, "common.00000500", busy, "server"},
          {400, "common.20010001", blocked, "rejected"},  // the number decides
          // Of calls that culld never makes: whoever answers one of them to a deletion means something in it.
          {400, "SecMaster.00092018", content, "rejected"},
          {400, "SecMaster.11061001", content, "rejected"},
          {400, "SecMaster.11061002", content, "rejected"},
          {400, "SecMaster.11061003", content, "rejected"},
          {400, "SecMaster.11061004", content, "rejected"},
          {400, "SecMaster.20030009", content, "rejected"},
          {400, "SecMaster.20030010", content, "rejected"},
          {400, "SecMaster.20041509", content, "rejected"},
          {400, "20030005", content, "rejected"},  // only SecMaster's own word says that something is gone
          {400, "common.20030005", content, "rejected"}});
}

// secmaster-api.md, 5.2, and 3.5 for the 401s
TEST(Answer, GatewayCodes) {
    using enum next_action;
    hold({{404, "APIGW.0101", form_absent, "rejected"}, {404, "APIG.0101", form_absent, "rejected"},
          {404, "APIGW.0103", blocked, "rejected"},     {500, "APIG.0103", busy, "server"},
          {400, "APIGW.0104", blocked, "rejected"},     {500, "APIGW.0105", busy, "server"},
          {400, "APIGW.0106", blocked, "rejected"},     {400, "APIGW.0201", blocked, "rejected"},
          {413, "APIGW.0201", content, "rejected"},     {414, "APIGW.0201", blocked, "rejected"},
          {494, "APIGW.0201", blocked, "rejected"},     {500, "APIGW.0201", busy, "server"},
          {502, "APIGW.0201", lost, "server"},          {504, "APIGW.0201", lost, "server"},
          {502, "APIGW.0202", lost, "server"},          {504, "APIGW.0203", lost, "server"},
          {400, "APIGW.0204", blocked, "rejected"},     {401, "APIGW.0301", unauthorized, "auth"},
          {401, "APIG.0301", unauthorized, "auth"},     {403, "APIGW.0302", blocked, "auth"},
          {401, "APIGW.0303", unauthorized, "auth"},    {403, "APIGW.0304", blocked, "auth"},
          {401, "APIGW.0305", unauthorized, "auth"},    {403, "APIGW.0306", blocked, "auth"},
          {401, "APIGW.0307", unauthorized, "auth"},    {429, "APIGW.0308", throttled, "throttled"},
          {403, "APIGW.0310", blocked, "auth"},         {401, "APIGW.0311", unauthorized, "auth"},
          {403, "APIGW.0401", blocked, "auth"},         {403, "APIGW.0402", blocked, "auth"},
          {403, "APIGW.0404", blocked, "auth"},         {403, "APIGW.0405", blocked, "auth"},
          {405, "APIGW.0501", blocked, "rejected"},     {405, "APIGW.0502", blocked, "rejected"},
          {500, "APIGW.0601", busy, "server"},          {400, "APIGW.0602", blocked, "rejected"},
          {500, "APIGW.0605", busy, "server"},          {500, "APIGW.0606", busy, "server"},
          {400, "APIGW.0607", blocked, "rejected"},     {500, "APIGW.0608", busy, "server"},
          {500, "APIGW.0609", busy, "server"},          {500, "APIGW.0611", busy, "server"},
          {500, "APIGW.0612", busy, "server"},          {400, "APIGW.0103", blocked, "rejected"},
          {502, "APIGW.0610", lost, "server"},          {503, "APIGW.0613", busy, "server"},
          {500, "APIGW.0705", busy, "server"},          {403, "APIGW.0802", blocked, "auth"}});
}

TEST(Answer, StatusesWithoutACode) {
    using enum next_action;
    hold({{400, "", content, "rejected"},
          {404, "", blocked, "rejected"},
          {408, "", lost, "timeout"},
          {409, "", blocked, "rejected"},
          {429, "", throttled, "throttled"},
          {500, "", busy, "server"},
          {503, "", busy, "server"},
          {599, "", busy, "server"},
          {301, "", blocked, "protocol"},
          {302, "", blocked, "protocol"},
          {204, "", lost, "protocol"},
          {100, "", lost, "protocol"},
          {0, "", lost, "protocol"},
          {600, "", lost, "protocol"},
          {999, "", lost, "protocol"}});
    EXPECT_EQ(read_answer(200, "", "", now, redactor()).what, accepted);
}

TEST(Answer, OnlySecMasterSaysThatAnIncidentIsGone) {
    using enum ask_meaning;
    const struct {
        unsigned status;
        const char* code;
        ask_meaning first, later;  // before and after the workspace has answered 200
    } rows[] = {
        {400, "SecMaster.20030005", gone, gone},
        {404, "SecMaster.20030005", refused, gone},
        {404, "SecMaster.90010001", refused, gone},
        {404, "APIGW.0101", refused, refused},
        {404, "APIGW.0103", refused, refused},
        {404, "", refused, refused},
        {400, "APIGW.20030005", refused, refused},
        {400, "20030005", refused, refused},
        {400, "SecMaster.20010001", refused, refused},
        {400, "SecMaster.20030012", refused, refused},
        {403, "SecMaster.20010001", refused, refused},
        {403, "APIGW.0302", refused, refused},
        {302, "", refused, refused},
        {405, "", refused, refused},
        {401, "APIGW.0301", nothing, nothing},
        {429, "APIGW.0308", nothing, nothing},
        {500, "SecMaster.20030005", nothing, nothing},
        {503, "", nothing, nothing},
        {504, "", nothing, nothing},
    };
    for (const auto& r : rows) {
        const error_answer got = read(r.status, r.code);
        EXPECT_EQ(meaning_for_ask(got, r.status, false), r.first) << r.status << " " << r.code;
        EXPECT_EQ(meaning_for_ask(got, r.status, true), r.later) << r.status << " " << r.code;
    }
}

TEST(Answer, TheHelpNamesWhatToDo) {
    EXPECT_NE(read(403, "SecMaster.20010001").help.find("workspace_id"), std::string::npos);
    EXPECT_NE(read(400, "SecMaster.20030002").help.find("project_id"), std::string::npos);
    EXPECT_NE(read(403, "APIGW.0302").help.find("permission"), std::string::npos);
    EXPECT_NE(read(302, "").help.find("api.endpoint"), std::string::npos);
    EXPECT_NE(read(404, "APIGW.0101").help.find("api.region"), std::string::npos);
    EXPECT_NE(read(403, "").help.find("IAM"), std::string::npos);
    EXPECT_NE(read(401, "").help.find("credentials"), std::string::npos);
    EXPECT_NE(read(409, "").help.find("resume"), std::string::npos);
}

TEST(Answer, EveryEnvelopeIsRead) {
    const struct {
        const char* body;
        const char* code;
        const char* message;
    } cases[] = {
        {R"({"error_code":"APIGW.1","error_msg":"x","code":"no"})", "APIGW.1", "x"},
        {R"({"errorCode":"A","errorMsg":"x"})", "A", "x"},
        {R"({"code":"A","msg":"x"})", "A", "x"},
        {R"({"error":{"code":401,"message":"wrong","title":"Unauthorized"}})", "401", "wrong"},
        {R"({"request_id":"r","details":{"error_code":"A","error_msg":"x"}})", "A", "x"},
        {R"({"error":{"inner":{"code":"too deep"}}})", "", ""},
        {R"({"code":null,"message":["x"]})", "", ""},
        {R"([{"code":"A"}])", "", R"([{"code":"A"}])"},
        {"<html>\r\n<h1>502 Bad Gateway</h1></html>", "", "<html> <h1>502 Bad Gateway</h1></html>"},
        {"", "", ""},
        {R"({"code":"A","message":"\u65e0\u6548\u7684\u53c2\u6570"})", "A", "无效的参数"},
    };
    for (const auto& c : cases) {
        const error_answer r = read_answer(500, "", c.body, now, redactor());
        EXPECT_EQ(r.code, c.code) << c.body;
        EXPECT_EQ(r.message, c.message) << c.body;
    }
}

TEST(Answer, HostileBodiesAreCutNotBelieved) {
    const std::string deep = std::string(200'000, '[');
    EXPECT_LE(read_answer(500, "", deep, now, redactor()).message.size(), 512U);
    const std::string huge = R"({"code":"SecMaster.20010001","message":")" + std::string(300 * 1024, 'x') + "\"}";
    EXPECT_EQ(read_answer(400, "", huge, now, redactor()).what, next_action::content) << "too long to be one of theirs";
    EXPECT_LE(read(500, std::string(1000, 'c')).code.size(), 64U);
    EXPECT_LE(read(500, "c", std::string(5000, 'm')).message.size(), 512U);
}

TEST(Answer, A429SaysHowLongAndHowMany) {
    const error_answer r =
        read(429, "APIGW.0308",
             "The throttling threshold has been reached: policy user over ratelimit,limit:100,time:1 minute");
    EXPECT_EQ(r.pause, 60s);
    ASSERT_TRUE(r.limit_per_second);
    EXPECT_NEAR(*r.limit_per_second, 100.0 / 60, 1e-9);
    const error_answer with_header = read(429, "APIGW.0308", "x over ratelimit,limit:100,time:1 minute", "7");
    EXPECT_EQ(with_header.pause, 60s) << "the window ends no sooner";
    EXPECT_EQ(read(429, "APIGW.0308", "x over ratelimit,limit:100,time:1 minute", "90").pause, 90s);
    for (const char* none : {"0", "Sun, 06 Nov 1994 08:48:00 GMT", "soon"})
        EXPECT_EQ(read(429, "APIGW.0308", "throttled: limit:200,time:5 minute", none).pause, 5min) << none;
    EXPECT_TRUE(with_header.limit_per_second);
    EXPECT_FALSE(read(429, "APIGW.0308", "slow down").pause);
}

TEST(Answer, A503MayNameItsPause) {
    EXPECT_EQ(read(503, "", "m", "30").pause, 30s);
    EXPECT_FALSE(read(503, "", "m", "soon").pause);
    EXPECT_FALSE(read(504, "", "m", "30").pause);
}

TEST(Answer, NoAnswerAsksForMoreThanADay) {
    for (const unsigned status : {429U, 503U})
        for (const char* value : {"4294967295", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"}) {
            const error_answer r = read(status, "", "m", value);
            EXPECT_EQ(r.pause, status == 429 ? 24h : 1h) << status << " " << value;
        }
    EXPECT_EQ(read(429, "", "limit:10,time:30 day").pause, 24h);
}

TEST(RetryAfter, SecondsAndDates) {
    EXPECT_EQ(parse_retry_after("0", now), 0s);
    EXPECT_EQ(parse_retry_after("120", now), 120s);
    EXPECT_EQ(parse_retry_after(" 120\t", now), 120s);
    EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), 37s);
    EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:48:00 GMT", now), 0s) << "in the past";
    // The two old forms, which a recipient must understand (RFC 9110, 5.6.7).
    EXPECT_EQ(parse_retry_after("Sunday, 06-Nov-94 08:49:37 GMT", now), 37s);
    EXPECT_EQ(parse_retry_after("Sun Nov  6 08:49:37 1994", now), 37s);
}

TEST(RetryAfter, WhatIsNeitherIsNone) {
    for (const char* value : {"", " ", "soon", "-5", "1.5", "12s", "0x10", "Sun, 06 Nov 1994 08:49:37",
                              "Sun, 06 Nov 1994 08:49:37 GMT x", "Sun, 06 Foo 1994 08:49:37 GMT", "１２"})
        EXPECT_FALSE(parse_retry_after(value, now)) << value;
}

TEST(RetryAfter, NothingOverflowsAndNothingIsLongerThanAYear) {
    constexpr nanoseconds year = std::chrono::hours(24 * 365);
    for (const char* value : {"4294967295", "4294967296", "18446744073709551616", "999999999999999999999999999999",
                              "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 2300 23:59:59 GMT"})
        EXPECT_EQ(parse_retry_after(value, now), year) << value;
    EXPECT_EQ(parse_retry_after("Mon, 01 Jan 0001 00:00:00 GMT", now), 0s);
}

TEST(ThrottleText, IsReadInEveryUnit) {
    const struct {
        const char* text;
        double limit;
        nanoseconds window;
    } cases[] = {{"policy user over ratelimit,limit:100,time:1 minute", 100, 60s},
                 {"policy api over ratelimit,limit:2000,time:1 minute", 2000, 60s},
                 {"policy ip over ratelimit,limit:5,time:5 second", 5, 5s},
                 {"policy user over ratelimit,limit:200,time:5 minute", 200, 300s},
                 {"policy app over ratelimit,limit:7,time:1 hour", 7, 1h},
                 {"limit:7,time:2 day", 7, 48h},
                 {"limit:10,time:10 seconds", 10, 10s}};
    for (const auto& c : cases) {
        const auto got = parse_throttle_text(c.text);
        ASSERT_TRUE(got) << c.text;
        EXPECT_EQ(got->limit, c.limit) << c.text;
        EXPECT_EQ(got->window, c.window) << c.text;
    }
}

TEST(ThrottleText, WhatMakesNoSenseIsNone) {
    for (const char* text :
         {"", "slow down", "limit:100", "limit:100,time:", "limit:100,time:1", "limit:100,time:1 fortnight",
          "limit:0,time:1 minute", "limit:-5,time:1 minute", "limit:,time:1 minute", "limit:x,time:1 minute",
          "limit:100,time:0 minute", "limit:100,time:-1 minute", "limit:inf,time:1 minute", "limit:nan,time:1 minute",
          "limit:5,time:inf second", "limit:1e,time", "limit:99999999999,time:1 second", "limit:1,time:999999999 day",
          "time:1 minute,limit:100",
          // Shares of one request, and of a second: nobody means them, and 1/rate would overflow.
          "limit:0.0000000000000000000000001,time:1 second", "limit:5,time:0.00000000000001 second"})
        EXPECT_FALSE(parse_throttle_text(text)) << text;
}

TEST(CleanMessage, IsOneLineWithoutControlCharacters) {
    EXPECT_EQ(clean_message("  a\r\n\tb\x01\x1b[31mc\x7f  d  "), "a b [31mc d");
    EXPECT_EQ(clean_message("a\xC2\x9B"
                            "31mb\xC2\x85"
                            "c"),
              "a 31mb c")
        << "C1 controls move terminals too";
    EXPECT_EQ(clean_message("\xC2\xA9 \xE2\x82\xAC"), "\xC2\xA9 \xE2\x82\xAC");
    EXPECT_EQ(clean_message(std::string_view("\0\0x\0", 4)), "x");
    EXPECT_EQ(clean_message(""), "");
}

TEST(CleanMessage, EchoedCredentialsAreReplaced) {
    EXPECT_EQ(clean_message("verify aksk signature fail, canonicalRequest:POST|/v1/|x-auth-token:MIIatAYJ+KoZ|host:h|"
                            "X-Security-Token:gQpz|a;b"),
              "verify aksk signature fail, "
              "canonicalRequest:POST|/v1/|x-auth-token:[redacted]|host:h|X-Security-Token:[redacted]|a;b");
    for (const std::string_view secret_holder :
         {"x-auth-token: S3CRET", "X-Auth-Token : S3CRET", R"({"x-auth-token":"S3CRET"})",
          R"({"X-Security-Token" : "S3CRET"})", "x-subject-token:S3CRET|x", "x-auth-token=S3CRET",
          "x-auth-token:S3CRET|x-auth-token:S3CRET",
          "Authorization: SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;x-sdk-date, Signature=S3CRET",
          "authorization: Bearer S3CRET"})
        EXPECT_EQ(clean_message(secret_holder).find("S3CRET"), std::string::npos) << clean_message(secret_holder);
    EXPECT_EQ(clean_message("x-auth-token:"), "x-auth-token:[redacted]");
    EXPECT_EQ(clean_message("Incorrect IAM authentication information: x-auth-token not found"),
              "Incorrect IAM authentication information: x-auth-token not found");
}

TEST(CleanMessage, ASecretThatTheCutEndsIsGoneToo) {
    const std::string text = std::string(500, 'x') + " x-auth-token:" + std::string(400, 'S');
    EXPECT_EQ(clean_message(text).find('S'), std::string::npos);
    EXPECT_EQ(read_answer(401, "", text, now, redactor()).message.find('S'), std::string::npos);
}

TEST(Answer, ABodyThatIsNoJsonIsCutAtACharactersEdge) {
    std::string page(511, 'x');
    page += "\xE2\x82\xAC and more";
    EXPECT_EQ(read_answer(502, "", page, now, redactor()).message, std::string(511, 'x'));
}

TEST(CleanMessage, IsCutAtACharactersEdge) {
    EXPECT_EQ(clean_message("abcdef", 3), "abc");
    EXPECT_EQ(clean_message("ab\xE2\x82\xAC", 4), "ab");
    EXPECT_EQ(clean_message("ab\xE2\x82\xAC", 5), "ab\xE2\x82\xAC");
    EXPECT_TRUE(rc::check([] {
        std::string text;
        for (const int kind : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 5)))
            text += kind == 0   ? "a"
                    : kind == 1 ? "\xC3\xA9"
                    : kind == 2 ? "\xE2\x82\xAC"
                    : kind == 3 ? "\xF0\x9F\x98\x80"
                                : " ";
        const auto limit = *rc::gen::inRange<std::size_t>(1, 40);
        const std::string got = clean_message(text, limit);
        RC_ASSERT(got.size() <= limit);
        RC_ASSERT(is_utf8(got));
    }));
}

}  // namespace
}  // namespace culld

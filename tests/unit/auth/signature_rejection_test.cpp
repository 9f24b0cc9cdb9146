#include "culld/core/auth/signature_rejection.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "culld/core/answer/error_answer.hpp"
#include "culld/core/auth/request_signature.hpp"

namespace culld {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view incorrect = "Incorrect IAM authentication information: ";

TEST(SignatureRejection, IsReadFromTheText) {
    const auto kind = [](std::string_view text, std::string_view code = "APIGW.0301") {
        return read_refusal(code, std::string(incorrect) + std::string(text)).kind;
    };
    EXPECT_EQ(kind("decrypt token fail"), refusal_kind::bad_token);
    EXPECT_EQ(kind("token expires, expires_at: 2020-01-04T09:05:22.701000Z"), refusal_kind::old_token);
    EXPECT_EQ(kind("verify aksk signature fail, canonicalRequest:GET|/|"), refusal_kind::wrong_signature);
    EXPECT_EQ(kind("ak ABC not exist"), refusal_kind::unknown_key);
    EXPECT_EQ(kind("Get secretKey failed,ak:ABC,err:ak not exist"), refusal_kind::unknown_key);
    EXPECT_EQ(kind("AK access failed to reach the limit, forbidden"), refusal_kind::locked_key);
    EXPECT_EQ(kind("calc aksk signature fail:signature expired, signature time:20211217T064303Z,server "
                   "time:20211217T065804Z",
                   "APIGW.0303"),
              refusal_kind::wrong_clock);
    EXPECT_EQ(kind("x-auth-token not found"), refusal_kind::other);
    EXPECT_EQ(read_refusal("APIGW.0307", "The token must be updated.").kind, refusal_kind::old_token);
    EXPECT_EQ(read_refusal("APIG.0307", "").kind, refusal_kind::old_token);
    EXPECT_EQ(read_refusal("", "").kind, refusal_kind::other);
}

TEST(SignatureRejection, NamesTheGatewaysTimeWhereItIsOne) {
    const auto time = [](std::string_view text) { return read_refusal("APIGW.0301", text).server_time; };
    EXPECT_EQ(time("signature expired, signature time:20211217T064303Z,server time:20211217T065804Z"),
              parse_rfc3339("2021-12-17T06:58:04Z").value());
    EXPECT_EQ(time("signature expired, server time: 20211217T065804Z (UTC)"),
              parse_rfc3339("2021-12-17T06:58:04Z").value());
    EXPECT_EQ(time("signature expired, server time:yesterday"), std::nullopt);
    EXPECT_EQ(time("signature expired"), std::nullopt);
}

TEST(SignatureRejection, ComesWithTheAnswer) {
    const std::string body =
        R"({"error_msg":"Incorrect IAM authentication information: verify aksk signature fail, canonicalRequest:GET|/x/||x-security-token:hush|","error_code":"APIGW.0301"})";
    const error_answer r = read_answer(401, "", body, wall_time(), redactor());
    EXPECT_EQ(r.refusal.kind, refusal_kind::wrong_signature);
    EXPECT_EQ(r.refusal.canonical, "GET|/x/||x-security-token:hush|");
    EXPECT_THAT(r.message, Not(HasSubstr("hush")));
    EXPECT_THAT(r.help, HasSubstr("secret key"));
}

// A signed request as it goes over the wire, and its canonical request as a gateway echoes it.
struct exchange {
    explicit exchange(std::string path = "/v1/p", std::string token = "hush", std::string payload = "{}")
        : body(std::move(payload)) {
        const header_view headers[] = {{"Host", "api.test"},
                                       {"Content-Type", "application/json"},
                                       {"X-Sdk-Date", "20260115T081530Z"},
                                       {"X-Security-Token", token}};
        const std::string_view whole = body;
        request_signer signer;
        signer.sign({.method = "POST", .target = path, .headers = headers, .body = {&whole, 1}}, "ak", "sk");
        sent = "POST " + path + " HTTP/1.1\r\nUser-Agent: culld\r\n";
        for (const header_view& h : headers) sent.append(h.name).append(": ").append(h.value).append("\r\n");
        sent += "Authorization: " + signer.authorization() + "\r\n\r\n" + body;
        echo = signer.canonical_request();
        std::replace(echo.begin(), echo.end(), '\n', '|');
    }
    std::string body, sent, echo;
};

TEST(FirstDifference, IsNamedLineByLine) {
    const exchange ours;
    EXPECT_THAT(first_difference(ours.sent, exchange("/v1/q").echo, redactor()).value(),
                HasSubstr(R"(sees path "/v1/q/", we signed "/v1/p/")"));
    EXPECT_THAT(first_difference(ours.sent, exchange("/v1/p?a=1").echo, redactor()).value(),
                HasSubstr(R"(sees query "a=1", we signed "")"));
    EXPECT_THAT(first_difference(ours.sent, exchange("/v1/p", "hush", "{ }").echo, redactor()).value(),
                HasSubstr("another body"));
    std::string other = ours.echo;
    other.replace(other.find("api.test"), 8, "elsewhere");
    EXPECT_THAT(first_difference(ours.sent, other, redactor()).value(),
                HasSubstr(R"(header host as "elsewhere", we signed "api.test")"));
    other = ours.echo;
    other.replace(0, 4, "PUT");
    EXPECT_THAT(first_difference(ours.sent, other, redactor()).value(), HasSubstr("sees method \"PUT\""));
    EXPECT_THAT(first_difference(ours.sent, "POST|/v1/p/", redactor()).value(), HasSubstr("ends after 2 lines"));
    other = ours.echo;
    other.replace(other.find("content-type:"), 12, "content-kind");
    EXPECT_THAT(first_difference(ours.sent, other, redactor()).value(), HasSubstr("\"content-kind\" where we signed"));
}

TEST(FirstDifference, TellsNoSecret) {
    const exchange ours;
    const auto told = first_difference(ours.sent, exchange("/v1/p", "hushhush").echo, redactor());
    EXPECT_EQ(told, "the gateway sees another value of header x-security-token");
}

TEST(FirstDifference, IsTheSecretKeyWhereThereIsNone) {
    const exchange ours;
    EXPECT_THAT(first_difference(ours.sent, ours.echo, redactor()).value(), HasSubstr("the secret key is another"));
    EXPECT_THAT(first_difference(ours.sent, ours.echo + ", request_id: 1", redactor()).value(),
                HasSubstr("the secret key is another"));
}

TEST(FirstDifference, IsNoneWithoutAnEchoOrASignature) {
    const exchange ours;
    EXPECT_EQ(first_difference(ours.sent, "", redactor()), std::nullopt);
    EXPECT_EQ(first_difference("GET / HTTP/1.1\r\nX-Auth-Token: t\r\n\r\n", ours.echo, redactor()), std::nullopt);
    EXPECT_EQ(first_difference("garbage", ours.echo, redactor()), std::nullopt);
}

}  // namespace
}  // namespace culld

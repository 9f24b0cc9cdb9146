#include "culld/core/text/redact.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rapidcheck.h>
#include <algorithm>
#include <functional>

#include "culld/core/answer/error_answer.hpp"
#include "culld/core/base/base64.hpp"
#include "culld/core/text/clean_message.hpp"
#include "culld/core/text/json_writer.hpp"

namespace culld {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string token = "MIIatAYJKoZIhvcNAQcCoIIapTCC/+GqECAQExDTALBglghkgBZQMEAgEwgg==";

std::string base64_of(std::string_view text) {
    return base64({reinterpret_cast<const unsigned char*>(text.data()), text.size()});
}

std::string base64url_of(std::string_view text) {
    std::string out = base64_of(text);
    std::replace(out.begin(), out.end(), '+', '-');
    std::replace(out.begin(), out.end(), '/', '_');
    return out.substr(0, out.find('='));
}

std::string percent(std::string_view text, bool every) {
    std::string out;
    for (const char c : text) {
        const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0;
        out += plain && !every ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

std::string json_escaped(std::string_view text, bool every) {
    std::string out;
    for (const char c : text) {
        if (every)
            out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        else
            out += c == '/' || c == '"' || c == '\\' ? fmt::format("\\{}", c) : std::string(1, c);
    }
    return out;
}

redactor knowing(std::string_view secret) {
    redactor out;
    out.add(secret);
    return out;
}

TEST(Redact, ASecretIsFoundInAnySpelling) {
    const redactor hide = knowing(token);
    for (const std::string& form :
         {token, base64_of(token), base64_of("user:" + token), base64_of("me:" + token + "\n"), base64url_of(token),
          percent(token, false), percent(token, true), json_escaped(token, false), json_escaped(token, true),
          json_escaped(json_escaped(token, false), false), percent(base64_of("ab" + token), false),
          percent(percent(token, false), false), token.substr(5, 8), token.substr(0, 20) + "...",
          base64_of(token).substr(7, 30)}) {
        const std::string out = hide("before=" + form + "|after");
        EXPECT_THAT(out, testing::StartsWith("before=")) << form;
        EXPECT_THAT(out, HasSubstr("[redacted]")) << form;
        EXPECT_THAT(out, testing::EndsWith("after")) << form;
        EXPECT_LE(out.size(), 40U) << form << " -> " << out;
    }
}

TEST(Redact, WhatIsNoSecretStays) {
    const redactor hide = knowing(token);
    for (const char* text : {"", "Incorrect IAM authentication information: decrypt token fail", "MIIatAY", "100%",
                             "a\\", "&amp;", "%4", "\\u12", "c2VjcmV0IG9mIHNvbWVib2R5IGVsc2U=", "无效的参数"})
        EXPECT_EQ(hide(text), text);
    EXPECT_EQ(redactor()("anything " + token), "anything " + token);
}

TEST(Redact, AShortSecretIsFoundWhole) {
    const redactor hide = knowing("pa%5s");
    EXPECT_EQ(hide("password=pa%5s!"), "password=[redacted]!");
    EXPECT_EQ(hide("password=pa%255s!"), "password=[redacted]!");
    EXPECT_THAT(hide("Basic " + base64_of("me:pa%5s")), Not(HasSubstr(base64_of("me:pa%5s").substr(4))));
    EXPECT_EQ(knowing("abc")("abc"), "abc") << "too short to be one";
}

TEST(Redact, BlanksMayBePlusSigns) {
    EXPECT_EQ(knowing("correct horse battery")("pw=correct+horse+battery&x"), "pw=[redacted]&x");
}

TEST(Redact, NoPartOfACharacterStays) {
    const std::string out = knowing(
        "\xA9"
        "bcdefgh")(
        "x\xC2\xA9"
        "bcdefgh\xC2\xA9y");
    EXPECT_TRUE(is_utf8(out));
    EXPECT_EQ(out, "x[redacted]\xC2\xA9y");
}

TEST(Redact, WhatAnotherHidesIsHiddenToo) {
    const auto all = std::make_shared<redactor>(knowing(token));
    redactor mine(all);
    mine.add(
        signature_in("POST / HTTP/1.1\r\nHost: h\r\nauthorization: SDK-HMAC-SHA256 Access=AKEXAMPLE12345, "
                     "SignedHeaders=host, Signature=0123456789abcdef0123456789abcdef\r\nX: y\r\n"));
    EXPECT_EQ(mine(token + " 0123456789abcdef0123456789abcdef AKEXAMPLE12345"), "[redacted] [redacted] AKEXAMPLE12345");
    EXPECT_EQ(signature_in("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), "");
    const std::string hex(64, 'e');
    EXPECT_EQ(signature_in("GET / HTTP/1.1\r\nAuthorization: x Signature=" + hex + "\r\n\r\n"), hex);
    EXPECT_TRUE(may_repeat("id-bcdefghi-1", "abcdefghijkl"));
    EXPECT_FALSE(may_repeat("id-bcdefgh", "abcdefghijkl"));
    EXPECT_FALSE(may_repeat("short", "abcdefghijkl"));
}

TEST(Redact, TheGatewaysEchoOfATokenIsNotTold) {
    const std::string body =
        R"({"error_code":"APIGW.0301","error_msg":"Incorrect IAM authentication information: decrypt token fail: token=)" +
        token + R"(","request_id":"r"})";
    const error_answer r = read_answer(401, "", body, wall_time(), knowing(token));
    EXPECT_EQ(r.message, "Incorrect IAM authentication information: decrypt token fail: token=[redacted]");
    EXPECT_EQ(r.refusal.kind, refusal_kind::bad_token);
    for (const std::string& text :
         {std::string(505, 'x') + token, std::string(4090, ' ') + token, "a\n" + token + "\tb"})
        EXPECT_THAT(clean_message(text, knowing(token)), Not(HasSubstr(token.substr(0, 8))));
    EXPECT_EQ(clean_message("my\tsecret\npass", knowing("my secret pass")), "[redacted]");
    EXPECT_EQ(clean_message(token.substr(0, 40), knowing(token), 64), "[redacted]") << "one word";
}

// For any secret, any listed form or two of them over one another, any cut: nothing of 8 bytes or more stays.
TEST(Redact, NothingOfEightBytesStaysOfAnySecret) {
    struct form {
        std::function<std::string(std::string)> spell;
        std::size_t bytes_8;  // so many of its characters hold 8 whole bytes of what was spelt, wherever they begin
    };
    const std::vector<form> forms{{[](const std::string& s) { return s; }, 8},
                                  {[](const std::string& s) { return base64_of(s); }, 12},
                                  {[](const std::string& s) { return base64url_of(s); }, 12},
                                  {[](const std::string& s) { return percent(s, true); }, 26},
                                  {[](const std::string& s) { return json_escaped(s, true); }, 53}};
    const std::string letters = "abcXYZ019+/=-_%&\\\"' ;#x";
    EXPECT_TRUE(rc::check([&] {
        std::string secret;
        for (int i = *rc::gen::inRange(8, 90); i > 0; --i) secret.push_back(*rc::gen::elementOf(letters));
        const form& f = forms[*rc::gen::inRange<std::size_t>(0, forms.size())];
        const auto before = *rc::gen::inRange<std::size_t>(0, 5);
        const std::string spelt = f.spell(std::string(before, '~') + secret + "~~");
        const std::string whole = f.spell(std::string(before, '~') + secret);
        const auto from = *rc::gen::inRange<std::size_t>(0, whole.size());
        const auto count = *rc::gen::inRange<std::size_t>(0, whole.size() - from + 1);
        const bool cut = *rc::gen::arbitrary<bool>();
        const std::string piece = cut ? whole.substr(from, count) : spelt;
        const std::string out = knowing(secret)("<" + piece + ">");
        RC_ASSERT(out.front() == '<');
        for (std::size_t i = 0; i + 8 <= secret.size(); ++i)
            RC_ASSERT(out.find(secret.substr(i, 8)) == std::string::npos);
        // Of its spelling, what holds the secret alone.
        const std::string inner = f.spell(std::string(before, '~') + secret);
        const std::size_t first = (before * inner.size()) / (before + secret.size()) + 2;
        for (std::size_t i = first; i + f.bytes_8 + 2 <= inner.size(); ++i)
            RC_ASSERT(out.find(inner.substr(i, f.bytes_8)) == std::string::npos);
    }));
}

}  // namespace
}  // namespace culld

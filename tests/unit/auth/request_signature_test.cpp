#include "culld/core/auth/request_signature.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace culld {
namespace {

namespace json = boost::json;

std::string text_of(const json::value& v) {
    return v.is_string() ? std::string(v.get_string().data(), v.get_string().size()) : json::serialize(v);
}

// As a client escapes: what `kept` names stays.
std::string escaped(const std::string& text, std::string_view kept) {
    std::string out;
    for (const char c : text) {
        if (std::isalnum(static_cast<unsigned char>(c)) != 0 || kept.find(c) != std::string_view::npos) {
            out += c;
        } else {
            constexpr char digits[] = "0123456789ABCDEF";
            const auto byte = static_cast<unsigned char>(c);
            out += {'%', digits[byte >> 4U], digits[byte & 15U]};
        }
    }
    return out;
}

struct example {
    explicit example(const json::object& v) : all(&v) {
        target = escaped(field("path"), "/-._~");
        char separator = '?';
        for (const auto& [name, value] : v.at("query").as_object())
            for (const json::value& one : value.is_array() ? value.get_array() : json::array{value}) {
                target += separator + escaped(name, "-._~") + "=" + escaped(text_of(one), "-._~");
                separator = '&';
            }
        for (const auto& [name, value] : v.at("headers").as_object()) lines.emplace_back(name, text_of(value));
        for (const auto& [name, value] : lines) headers.push_back({name, value});
        body = field("body");
        pieces = {std::string_view(body).substr(0, body.size() / 3), std::string_view(body).substr(body.size() / 3)};
    }
    [[nodiscard]] std::string field(const char* key) const { return text_of(all->at(key)); }
    [[nodiscard]] signable request() const {
        return {.method = method = field("method"), .target = target, .headers = headers, .body = pieces};
    }

    const json::object* all;
    mutable std::string method;
    std::string target, body;
    std::vector<std::pair<std::string, std::string>> lines;
    std::vector<header_view> headers;
    std::vector<std::string_view> pieces;
};

const json::object& document() {
    static const json::value all = [] {
        std::ostringstream text;
        text << std::ifstream(CULLD_TEST_DATA "/signing_vectors.json", std::ios::binary).rdbuf();
        return json::parse(text.str());
    }();
    return all.get_object();
}

std::vector<const json::object*> vectors() {
    std::vector<const json::object*> out;
    for (const char* list : {"vectors", "official_vectors"})
        for (const json::value& v : document().at(list).as_array()) {
            const json::value* good = v.as_object().if_contains("interoperable");
            if (good == nullptr || good->as_bool()) out.push_back(&v.get_object());
        }
    return out;
}

TEST(Signature, IsWhatTheVendorsSignersMake) {
    ASSERT_GE(vectors().size(), 24U);
    request_signer signer;  // one for all: nothing of the last request may stay
    int signed_ones = 0;
    for (const json::object* v : vectors()) {
        const example e(*v);
        EXPECT_EQ(signer.canonicalize(e.request()), e.field("canonical_request")) << e.field("name");
        if (e.field("algorithm") != signing_algorithm) continue;  // derived keys: private clouds only
        ++signed_ones;
        signer.sign(e.request(), e.field("ak"), e.field("sk"));
        EXPECT_EQ(signer.canonical_request(), e.field("canonical_request")) << e.field("name");
        EXPECT_EQ(signer.string_to_sign(), e.field("string_to_sign")) << e.field("name");
        EXPECT_EQ(signer.authorization(), e.field("authorization")) << e.field("name");
    }
    EXPECT_GE(signed_ones, 23);
}

TEST(Signature, IsTheSameForARawAndAnEscapedTarget) {
    request_signer signer;
    const auto canonical = [&](std::string_view target) {
        return std::string(signer.canonicalize({.method = "get", .target = target, .headers = {}, .body = {}}));
    };
    EXPECT_EQ(canonical("/v1/\xE5\xB7\xA5/a b?q=x y&p"), canonical("/v1/%e5%B7%A5/a%20b?q=x+y&p="));
    EXPECT_THAT(canonical("/v1/\xE5\xB7\xA5/a b?q=x y&p"),
                testing::StartsWith("GET\n/v1/%E5%B7%A5/a%20b/\np=&q=x%20y\n"));
    EXPECT_THAT(canonical("/a%2Fb"), testing::StartsWith("GET\n/a%2Fb/\n")) << "an escaped / ends no segment";
    EXPECT_THAT(canonical(""), testing::StartsWith("GET\n/\n"));
    EXPECT_THAT(canonical("/100%?%=%4"), testing::StartsWith("GET\n/100%25/\n%25=%254\n"));
}

TEST(Signature, SortsAQueryByNameThenValue) {
    request_signer signer;
    const std::string& got =
        signer.canonicalize({.method = "GET", .target = "/?b=2&a=9&b=10&B=1&&a=", .headers = {}, .body = {}});
    EXPECT_THAT(got, testing::StartsWith("GET\n/\nB=1&a=&a=9&b=10&b=2\n"));
}

TEST(Signature, TrimsHeaderValuesAndSortsNamesWithoutCase) {
    const header_view headers[] = {{"X-Sdk-Date", " 20260115T081530Z\t"}, {"Host", "h"}, {"a-b", ""}, {"A_b", "x y "}};
    request_signer signer;
    EXPECT_EQ(signer.canonicalize({.method = "GET", .target = "/", .headers = headers, .body = {}}),
              "GET\n/\n\na-b:\na_b:x y\nhost:h\nx-sdk-date:20260115T081530Z\n\na-b;a_b;host;x-sdk-date\n"
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Signature, WithoutADateIsABrokenInvariant) {
    request_signer signer;
    EXPECT_THROW(signer.sign({.method = "GET", .target = "/", .headers = {}, .body = {}}, "ak", "sk"),
                 std::logic_error);
}

RC_GTEST_PROP(Signature, DoesNotDependOnHowTheBodyIsCut, (const std::string& body)) {
    const auto cut = *rc::gen::inRange<std::size_t>(0, body.size() + 1);
    const header_view date[] = {{"X-Sdk-Date", "20260115T081530Z"}};
    const std::string_view whole[] = {body};
    const std::string_view pieces[] = {std::string_view(body).substr(0, cut), std::string_view(body).substr(cut)};
    request_signer a, b;
    a.sign({.method = "POST", .target = "/", .headers = date, .body = whole}, "ak", "sk");
    b.sign({.method = "POST", .target = "/", .headers = date, .body = pieces}, "ak", "sk");
    RC_ASSERT(a.authorization() == b.authorization());
}

// RFC 4231, cases 1, 2 and 6.
TEST(Hmac, IsThatOfTheRfc) {
    hmac_sha256 mac;
    EXPECT_EQ(hex(mac(std::string(20, '\x0b'), "Hi There")),
              "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    EXPECT_EQ(hex(mac("Jefe", "what do ya want for nothing?")),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(hex(mac(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First")),
              "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    EXPECT_EQ(hex(mac("", "")), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

}  // namespace
}  // namespace culld

#include "culld/core/journal/ledger_signature.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>

namespace culld {
namespace {

using testing::HasSubstr;
using testing::Not;

// RFC 8032, 7.1, TEST 1's key in the PKCS#8 of RFC 8410; made with openssl pkey.
constexpr std::string_view private_pem =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
constexpr std::string_view public_pem =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
    "-----END PUBLIC KEY-----\n";
// RFC 8032, 7.1, TEST 2's public key.
constexpr std::string_view other_public_pem =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n"
    "-----END PUBLIC KEY-----\n";

signing_key key() {
    return signing_key::parse(private_pem).value();
}
public_keys keys(std::string_view pem = public_pem) {
    return public_keys::parse(pem).value();
}
std::string complaint_about_private(std::string_view pem) {
    const auto got = signing_key::parse(pem);
    EXPECT_FALSE(got) << pem;
    return got ? "" : got.error().text();
}

TEST(LedgerSignature, IsTheOneOfTheRfc) {
    // TEST 1: the empty message.
    EXPECT_EQ(key().sign(""),
              "5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc+bRr0lv18FlbviRlUUFDjnoQCw==");
}

TEST(LedgerSignature, OfATextIsBelievedWithThePublicHalf) {
    const std::string text(64, 'a');
    const std::string sig = key().sign(text);
    EXPECT_TRUE(keys().signed_by_one(text, sig));
    EXPECT_TRUE(key().public_half().signed_by_one(text, sig));
    EXPECT_FALSE(keys().signed_by_one(std::string(64, 'b'), sig));
    EXPECT_FALSE(keys(other_public_pem).signed_by_one(text, sig));
    EXPECT_FALSE(keys().signed_by_one(text, ""));
}

TEST(LedgerSignature, IsNoneAnyMoreWithAnyOfItsBitsChanged) {
    const std::string text(64, 'a');
    const std::string good = key().sign(text);
    for (std::size_t i = 0; i < good.size(); ++i)
        for (unsigned bit = 0; bit < 8; ++bit) {
            std::string bad = good;
            bad[i] = static_cast<char>(bad[i] ^ (1U << bit));
            EXPECT_FALSE(keys().signed_by_one(text, bad)) << "character " << i << " bit " << bit;
        }
    for (const char* more : {" ", "\n", "=", "A"}) {
        EXPECT_FALSE(keys().signed_by_one(text, good + more));
        EXPECT_FALSE(keys().signed_by_one(text, more + good));
    }
}

TEST(LedgerSignature, OfAnyOfSeveralKeysIsBelieved) {
    const std::string text(64, 'a');
    const auto both = keys(std::string(other_public_pem) + "the key of 2025, replaced\n" + std::string(public_pem));
    EXPECT_EQ(both.count(), 2U);
    EXPECT_TRUE(both.signed_by_one(text, key().sign(text)));
    EXPECT_TRUE(both.contains(key().public_half()));
    EXPECT_FALSE(keys(other_public_pem).contains(key().public_half()));
    public_keys grown = keys(other_public_pem);
    grown.add(key().public_half());
    grown.add(keys());
    EXPECT_EQ(grown.count(), 2U);
}

TEST(LedgerSignature, KeysOfAnotherKindAreRefusedWithWhatHelps) {
    // openssl genpkey -algorithm X25519, and an EC key: right form, wrong kind.
    EXPECT_THAT(complaint_about_private("-----BEGIN PRIVATE KEY-----\n"
                                        "MC4CAQAwBQYDK2VuBCIEIBC2z44rJQse8UJ6B9u3ogkdv3jbALremj5ZSsDo7Ld1\n"
                                        "-----END PRIVATE KEY-----\n"),
                testing::AllOf(HasSubstr("X25519"), HasSubstr("openssl genpkey")));
    EXPECT_THAT(complaint_about_private(public_pem), HasSubstr("public key"));
    EXPECT_THAT(
        complaint_about_private("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
        HasSubstr("pass phrase"));
    EXPECT_THAT(complaint_about_private(""), HasSubstr("no key"));
    EXPECT_THAT(complaint_about_private("nonsense"), HasSubstr("no key"));
    EXPECT_THAT(complaint_about_private("-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n"),
                HasSubstr("no private key"));
    const auto wrong_way = public_keys::parse(private_pem);
    ASSERT_FALSE(wrong_way);
    EXPECT_THAT(wrong_way.error().text(), HasSubstr("private key"));
    EXPECT_FALSE(public_keys::parse(""));
    EXPECT_FALSE(public_keys::parse("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"));
}

TEST(LedgerSignature, ARefusalHoldsNothingOfTheKeyAndLeavesNoErrorBehind) {
    std::string cut(private_pem);
    cut.erase(cut.find("IJ1h"), 4);
    EXPECT_THAT(complaint_about_private(cut), Not(HasSubstr("LsLMRE")));
    EXPECT_EQ(ERR_peek_error(), 0UL) << "a TLS connection would take it for its own";
    EXPECT_FALSE(public_keys::parse("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"));
    EXPECT_EQ(ERR_peek_error(), 0UL);
}

}  // namespace
}  // namespace culld

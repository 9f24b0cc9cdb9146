#include "culld/io/known_secrets.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "culld/core/base64.hpp"
#include "culld/io/route.hpp"
#include "culld/io/secret_file.hpp"
#include "scratch.hpp"

namespace culld {
namespace {

TEST(KnownSecrets, TheLatestAreKnownAndOldOnesFallOut) {
    make_known("the-first-secret-of-all");
    const auto then = known_secrets();
    EXPECT_EQ((*then)("the-first-secret-of-all"), "[redacted]");
    for (int i = 0; i < 20; ++i) make_known("used again and again");
    for (int i = 0; i < 30; ++i) make_known(fmt::format("token-number-{}-{}", i, i * 7919));
    EXPECT_EQ((*known_secrets())("the-first-secret-of-all"), "[redacted]");
    make_known("the-first-secret-of-all");
    for (int i = 30; i < 60; ++i) make_known(fmt::format("token-number-{}-{}", i, i * 7919));
    EXPECT_EQ((*known_secrets())("the-first-secret-of-all used again"), "[redacted] used again");
    EXPECT_EQ((*then)("the-first-secret-of-all"), "[redacted]") << "whoever holds them keeps them";
    make_known("");
}

TEST(KnownSecrets, OfAHeadersValueTheLongWords) {
    make_value_known(" Bearer abcdefgh12345678");
    EXPECT_EQ((*known_secrets())("Bearer abcdefgh12345678"), "Bearer [redacted]");
    make_value_known(" pa ss wo");
    EXPECT_EQ((*known_secrets())("pa ss wo"), "[redacted]");
}

TEST(KnownSecrets, TheProxysPasswordAndItsLoginAsItIsSent) {
    const scratch here;
    const unique_fd login_file = here.file("login", "somebody:proxy-pass-word");
    config settings;
    settings.api.proxy = "http://127.0.0.1:3128";
    settings.api.proxy_login_file = here.path() + "/login";
    ASSERT_TRUE(find_route("http://127.0.0.1:1", settings, "", {}));
    const std::string login = "somebody:proxy-pass-word";
    const std::string sent = base64({reinterpret_cast<const unsigned char*>(login.data()), login.size()});
    EXPECT_EQ((*known_secrets())("407 for somebody:proxy-pass-word, Basic " + sent),
              "407 for somebody:[redacted], Basic [redacted]");
}

}  // namespace
}  // namespace culld

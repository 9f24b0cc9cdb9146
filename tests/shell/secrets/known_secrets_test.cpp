#include "culld/io/secrets/known_secrets.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "culld/core/base/base64.hpp"
#include "culld/io/http/api_route.hpp"
#include "culld/io/secrets/secret_file.hpp"
#include "support/scratch.hpp"

namespace culld {
namespace {

TEST(KnownSecrets, OfEachSourceTheLatestAreKnownAndOldOnesFallOut) {
    make_known("password", "the-password-that-never-changes");
    make_known("token", "the-first-token-of-all");
    const auto then = known_secrets();
    EXPECT_EQ((*then)("the-first-token-of-all"), "[redacted]");
    make_known("token", "the-second-one-of-them");
    make_known("token", "the-first-token-of-all");
    make_known("token", "and-then-comes-a-third");
    EXPECT_EQ((*known_secrets())("the-first-token-of-all the-second-one-of-them"), "[redacted] the-second-one-of-them");
    for (int i = 0; i < 100; ++i) make_known("token", fmt::format("{}-token-number", i * 7919));
    EXPECT_EQ((*known_secrets())("the-first-token-of-all"), "the-first-token-of-all");
    EXPECT_EQ((*known_secrets())("the-password-that-never-changes"), "[redacted]");
    EXPECT_EQ((*then)("the-first-token-of-all"), "[redacted]") << "whoever holds them keeps them";
    make_known("token", "");
}

TEST(KnownSecrets, OfATextTheLongWords) {
    make_words_known("header", " Bearer abcdefgh12345678", " ", 8);
    EXPECT_EQ((*known_secrets())("Bearer abcdefgh12345678"), "Bearer [redacted]");
    make_words_known("other header", "pa ss wo", " ", 8);
    EXPECT_EQ((*known_secrets())("it is pa ss wo"), "it is [redacted]");
    make_words_known("address", "/services/T0123456789ab/x?key=zyxwvutsrqpon", "/?&=", 12);
    EXPECT_EQ((*known_secrets())("services T0123456789ab zyxwvutsrqpon"), "services [redacted] [redacted]");
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

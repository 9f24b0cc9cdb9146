#include "culld/io/auth/credentials.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "support/loop_fixture.hpp"

namespace culld {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Credentials : public testing::Test {
  protected:
    Credentials() {
        settings_.api.endpoint = "https://api.test";
        settings_.auth.token_file = scratch_.path("token");
    }
    void write(std::string_view token, mode_t mode = 0600) {
        std::ofstream(scratch_.path("token")) << token;
        ASSERT_EQ(::chmod(scratch_.path("token").c_str(), mode), 0);
    }
    std::unique_ptr<credentials> make() {
        auto out = make_credentials(settings_, {scratch_.path(), {}}, nullptr);
        if (!out) throw std::runtime_error(out.error().text());
        return std::move(*out);
    }
    renewal::outcome renew(credentials& of) { return loop_.wait(of.renew(renewal_cause::look)).what; }
    static std::string header(credentials& of) {
        std::string head = "POST /x HTTP/1.1\r\n";
        of.authenticate(head,
                        {.method = "POST",
                         .target = "/x",
                         .authority = "api.test",
                         .content_type = {},
                         .project_id = {},
                         .body = {}},
                        wall_time());
        return head;
    }

    scratch_folder scratch_;
    config settings_;
    looped loop_;
};

TEST_F(Credentials, ATokenFileBecomesOneHeaderLine) {
    write("MIIE.token\n");
    EXPECT_EQ(header(*make()), "POST /x HTTP/1.1\r\nX-Auth-Token: MIIE.token\r\n");
}

TEST_F(Credentials, ANameWithoutASlashIsASystemdCredential) {
    write("hush\n");
    settings_.auth.token_file = "token";
    const auto made = make();
    EXPECT_THAT(header(*made), HasSubstr("X-Auth-Token: hush\r\n"));
    EXPECT_THAT(made->describe(), AllOf(HasSubstr(scratch_.path("token")), Not(HasSubstr("hush"))));
}

TEST_F(Credentials, RenewalIsTrueOnlyIfTheTokenIsAnother) {
    write("one\n");
    const auto made = make();
    const auto generation = made->generation();
    EXPECT_EQ(renew(*made), renewal::outcome::unchanged);
    EXPECT_EQ(made->generation(), generation);
    write("two\n");
    EXPECT_THAT(header(*made), HasSubstr("X-Auth-Token: one\r\n"));
    EXPECT_EQ(renew(*made), renewal::outcome::changed);
    EXPECT_EQ(made->generation(), generation + 1);
    EXPECT_THAT(header(*made), HasSubstr("X-Auth-Token: two\r\n"));
    EXPECT_EQ(renew(*made), renewal::outcome::unchanged);
}

TEST_F(Credentials, ARenewalThatFailsKeepsTheTokenAndSaysWhy) {
    write("one\n");
    const auto made = make();
    write("two\n", 0644);
    const renewal renewed = loop_.wait(made->renew(renewal_cause::refused));
    ASSERT_EQ(renewed.what, renewal::outcome::refused);
    EXPECT_THAT(renewed.why.text(), AllOf(HasSubstr("chmod 0600"), Not(HasSubstr("two"))));
    EXPECT_THAT(header(*made), HasSubstr("X-Auth-Token: one\r\n"));
    EXPECT_EQ(made->generation(), 1U);
}

TEST_F(Credentials, AFileThatOthersMayReadIsRefused) {
    write("hush\n", 0640);
    const auto made = make_credentials(settings_, {}, nullptr);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().field, "auth.token_file");
    EXPECT_THAT(made.error().text(), AllOf(HasSubstr("chmod 0600"), Not(HasSubstr("hush"))));
}

TEST_F(Credentials, ATokenCannotSmuggleAHeader) {
    write("hush\r\nX-Evil: 1\n");
    EXPECT_FALSE(make_credentials(settings_, {}, nullptr));
}

TEST_F(Credentials, NoneAreNeededForPlainLoopbackOnly) {
    settings_.auth.token_file.clear();
    EXPECT_THAT(make()->describe(), HasSubstr("the metadata service at 169.254.169.254"));
    settings_.api.endpoint = "http://127.0.0.1:8080";
    const auto made = make();
    EXPECT_EQ(header(*made), "POST /x HTTP/1.1\r\n");
    EXPECT_EQ(renew(*made), renewal::outcome::unchanged);
    settings_.auth.method = auth_method::token;
    EXPECT_FALSE(make_credentials(settings_, {}, nullptr));
}

}  // namespace
}  // namespace culld

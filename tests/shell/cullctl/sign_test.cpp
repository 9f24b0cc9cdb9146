// cullctl sign, held against the vendor's signers.
#include <gmock/gmock.h>

#include <boost/json.hpp>

#include "support/cullctl_runner.hpp"

namespace culld::test {
namespace {

namespace json = boost::json;
using testing::HasSubstr;
using testing::Not;

std::string text_of(const json::value& v) {
    return v.is_string() ? std::string(v.get_string().data(), v.get_string().size()) : json::serialize(v);
}

// For the shell, and in a URL.
std::string for_shell(const std::string& text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
    return out + "'";
}
std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text)
        out += std::isalnum(static_cast<unsigned char>(c)) != 0 ? std::string(1, c)
                                                                : fmt::format("%{:02x}", static_cast<unsigned char>(c));
    return out;
}

class CullctlSign : public CullctlTest {
  protected:
    void secret(const std::string& name, std::string_view text) const {
        write(root + "/" + name, text);
        ASSERT_EQ(::chmod((root + "/" + name).c_str(), 0600), 0);
    }
    static json::value document() { return json::parse(read(CULLD_TEST_DATA "/signing_vectors.json")); }
    const std::string keys = "--ak-file ak --sk-file sk ";
};

TEST_F(CullctlSign, AgreesWithTheVendorsSigners) {
    const json::value all = document();
    int checked = 0;
    for (const json::value& v : all.at("vectors").as_array()) {
        if (text_of(v.at("algorithm")) != "SDK-HMAC-SHA256" || !v.at("interoperable").as_bool()) continue;
        secret("ak", text_of(v.at("ak")));
        secret("sk", text_of(v.at("sk")) + "\n");
        write(root + "/body", text_of(v.at("body")));
        std::string url = text_of(v.at("scheme_host")) + text_of(v.at("path"));
        char separator = '?';
        for (const auto& [name, value] : v.at("query").as_object()) {
            url += separator + escaped(name) + "=" + escaped(text_of(value));
            separator = '&';
        }
        std::string line = "sign --json --method " + text_of(v.at("method")) + " --url " + for_shell(url) + " " + keys +
                           "--body-file body --date " + text_of(v.at("x_sdk_date"));
        for (const auto& [name, value] : v.at("headers").as_object())
            if (name != "X-Sdk-Date" && name != "X-Security-Token" &&
                (name != "host" || !text_of(v.at("scheme_host")).ends_with(text_of(value))))
                line += " --header " + for_shell(std::string(name) + ": " + text_of(value));
        if (!text_of(v.at("security_token")).empty()) {
            secret("st", text_of(v.at("security_token")));
            line += " --security-token-file st";
        }
        const ran got = run(line);
        ASSERT_EQ(got.code, 0) << got.err << line;
        const json::value told = json::parse(got.out);
        EXPECT_EQ(text_of(told.at("canonical_request")), text_of(v.at("canonical_request"))) << v.at("name");
        EXPECT_EQ(text_of(told.at("string_to_sign")), text_of(v.at("string_to_sign")));
        EXPECT_EQ(text_of(told.at("authorization")), text_of(v.at("authorization")));
        ++checked;
    }
    EXPECT_GE(checked, 22);
}

TEST_F(CullctlSign, NeedsNeitherConfigurationNorDaemonAndSignsNow) {
    secret("ak", "AK");
    secret("sk", "SK");
    const ran got = run("sign --method get --url https://h:8443/v1 " + keys);
    ASSERT_EQ(got.code, 0) << got.err;
    EXPECT_THAT(got.out, HasSubstr("GET\n/v1/\n\nhost:h:8443\nx-sdk-date:20"));
    EXPECT_THAT(got.out, HasSubstr("SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;x-sdk-date, Signature="));
    EXPECT_THAT(got.out, Not(HasSubstr("SK\n")));
    EXPECT_THAT(run("sign --method GET --url https://h:443 " + keys).out, HasSubstr("GET\n/\n\nhost:h\n"));
}

TEST_F(CullctlSign, TakesTheSdksVariablesWhereNoFileIsNamed) {
    const std::string variables = "HUAWEICLOUD_SDK_AK=AK HUAWEICLOUD_SDK_SK=SK HUAWEICLOUD_SDK_SECURITY_TOKEN=tok ";
    const std::string line = fmt::format("cd {0} && {1} {2} sign --method GET --url https://h/ >{0}/out 2>{0}/err",
                                         root, variables, CULLCTL);
    ASSERT_EQ(std::system(line.c_str()), 0) << read(root + "/err");  // NOLINT(cert-env33-c,concurrency-mt-unsafe)
    EXPECT_THAT(read(root + "/out"), HasSubstr("x-security-token:tok\n"));
}

TEST_F(CullctlSign, SaysWhatIsWrong) {
    secret("ak", "AK");
    secret("sk", "SK");
    const std::string good = "sign --method GET --url https://h/ ";
    EXPECT_EQ(run(good).code, 64);
    EXPECT_THAT(run(good).err, HasSubstr("--ak-file"));
    EXPECT_EQ(run("sign --method GET --url h/ " + keys).code, 64);
    EXPECT_EQ(run(good + keys + "--date yesterday").code, 64);
    EXPECT_EQ(run(good + keys + "--header nonsense").code, 64);
    EXPECT_EQ(run(good + keys + "--header 'A: 1' --header 'a: 2'").code, 64);
    EXPECT_EQ(run(good + keys + "--body-file missing").code, 66);
    EXPECT_EQ(run(good + "--ak-file missing --sk-file sk").code, 66);
    ASSERT_EQ(::chmod((root + "/sk").c_str(), 0644), 0);
    const ran readable = run(good + keys);
    EXPECT_NE(readable.code, 0);
    EXPECT_THAT(readable.err, HasSubstr("chmod 0600"));
}

}  // namespace
}  // namespace culld::test

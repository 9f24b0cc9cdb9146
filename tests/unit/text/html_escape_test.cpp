#include "culld/core/text/html_escape.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace culld {
namespace {

TEST(HtmlEscape, MarkupLosesItsMeaning) {
    EXPECT_EQ(html("<b id=\"x\" class='y'>&"), "&lt;b id=&quot;x&quot; class=&#39;y&#39;&gt;&amp;");
}

TEST(HtmlEscape, LettersOfAllLanguagesStay) {
    EXPECT_EQ(html("Größe 大 🙂\n\t"), "Größe 大 🙂\n\t");
}

TEST(HtmlEscape, ControlCharactersAndBrokenUtf8AreShownAsSuch) {
    EXPECT_EQ(html(std::string_view("a\x1b[31m\0b", 8)), "a\uFFFD[31m\uFFFDb");
    EXPECT_EQ(html("\xff\xc3"), "\uFFFD\uFFFD");
    EXPECT_EQ(html("\xed\xa0\x80x"), "\uFFFD\uFFFD\uFFFDx") << "a surrogate is no character";
}

RC_GTEST_PROP(HtmlEscape, HoldsNoMarkupWhateverItWasMadeFrom, (const std::string& text)) {
    const std::string out = html(text);
    RC_ASSERT(out.find_first_of("<>\"'") == std::string::npos);
}

// The example of W3C CSP3, 6.7.3.3: echo -n "alert('Hello, world.');" | openssl dgst -sha256 -binary | base64
TEST(CspHash, IsTheOneOfTheStandard) {
    EXPECT_EQ(csp_hash("alert('Hello, world.');"), "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='");
}

}  // namespace
}  // namespace culld

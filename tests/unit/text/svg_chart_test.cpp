#include "culld/core/text/svg_chart.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "culld/core/text/human_format.hpp"

namespace culld {
namespace {

std::size_t count_in(const std::string& text, std::string_view what) {
    std::size_t out = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++out;
    return out;
}

std::string drawn(std::span<const chart_series> series) {
    std::string out;
    append_chart(out, {"what & how", "from <1>", "to", "per 1s", series});
    return out;
}

TEST(SvgChart, DrawsABarForEachCountAboveZero) {
    const std::array series = {chart_series{"deleted", "good", {3, 0, 7}}, chart_series{"failed", "bad", {0, 0, 1}}};
    const std::string out = drawn(series);
    EXPECT_EQ(count_in(out, "<rect class=\"good\" x"), 2U) << out;
    EXPECT_EQ(count_in(out, "<rect class=\"bad\" x"), 1U);
    EXPECT_NE(out.find("deleted <b>10</b>"), std::string::npos) << "the legend has the sum";
    EXPECT_NE(out.find(">10</text>"), std::string::npos) << "the scale ends above the highest bar, 8";
}

TEST(SvgChart, IsTextForThoseWhoDoNotSeeIt) {
    const std::array series = {chart_series{"a", "good", {1}}};
    const std::string out = drawn(series);
    EXPECT_NE(out.find("role=\"img\" aria-label=\"what &amp; how\""), std::string::npos);
    EXPECT_NE(out.find("from &lt;1&gt;"), std::string::npos) << "labels are no markup";
}

TEST(SvgChart, NothingIsAPictureToo) {
    const std::array empty = {chart_series{"a", "good", {}}};
    const std::array zeros = {chart_series{"a", "good", {0, 0}}};
    EXPECT_EQ(count_in(drawn(empty), "NaN"), 0U);
    EXPECT_EQ(count_in(drawn(zeros), "<rect class=\"good\" x"), 0U);
    EXPECT_EQ(count_in(drawn({}), "</figure>"), 1U);
}

TEST(SvgChart, TheGreatestNumbersHaveAScale) {
    const std::array series = {chart_series{"a", "good", {UINT64_MAX / 4}}};
    EXPECT_EQ(count_in(drawn(series), "<rect class=\"good\" x"), 1U);
}

// What strict policies refuse.
TEST(SvgChart, HasNoStyleOfItsOwnAndNoScript) {
    const std::array series = {chart_series{"a", "good", {1, 2}}};
    const std::string out = drawn(series);
    EXPECT_EQ(count_in(out, "style="), 0U);
    EXPECT_EQ(count_in(out, "<script"), 0U);
    EXPECT_EQ(count_in(out, "href"), 0U);
}

TEST(HumanFormat, GroupsDigitsAndShortensTimes) {
    EXPECT_EQ(grouped(0), "0");
    EXPECT_EQ(grouped(999), "999");
    EXPECT_EQ(grouped(1234567), "1,234,567");
    EXPECT_EQ(short_size(999), "999 bytes");
    EXPECT_EQ(short_size(1000), "1.0 kB");
    EXPECT_EQ(short_size(9'960), "10 kB");
    EXPECT_EQ(short_size(999'499), "999 kB");
    EXPECT_EQ(short_size(999'500), "1.0 MB");
    EXPECT_EQ(short_size(2'140'000'000), "2.1 GB");
    EXPECT_EQ(short_size(UINT64_MAX), "18446744 TB");
    EXPECT_EQ(short_duration(59.9), "59s");
    EXPECT_EQ(short_duration(200), "3m20s");
    EXPECT_EQ(short_duration(7500), "2h05m");
    EXPECT_EQ(short_duration(90000), "1d01h");
    EXPECT_EQ(short_duration(-1), "-");
}

}  // namespace
}  // namespace culld

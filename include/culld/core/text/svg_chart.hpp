// A picture of counts over time as inline SVG: stacked bars, one a bucket, with a scale and a legend. It needs no
// script, prints, and follows the reader's light or dark. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace culld {

struct chart_series {
    std::string_view name;   // for the legend
    std::string_view shade;  // good, calm, bad, dim, warn, plain: a class of chart_style()
    std::vector<std::uint64_t> counts;
};

struct svg_chart {
    std::string_view label;                // what is to be seen, for those who do not see it
    std::string_view from, to;             // under the two ends
    std::string_view per;                  // what one bar is: "per 8 s"
    std::span<const chart_series> series;  // of equal length; the first at the bottom
};

// <figure>…</figure>
void append_chart(std::string& out, const svg_chart& of);

// The rules that pictures need in the page's style, with the colours as variables for light and dark.
[[nodiscard]] std::string_view chart_style();

}  // namespace culld

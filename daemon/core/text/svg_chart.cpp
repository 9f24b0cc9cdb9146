#include "culld/core/text/svg_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "culld/core/text/html_escape.hpp"
#include "culld/core/text/human_format.hpp"

namespace culld {

namespace {

// In units of the picture, which scales to the width there is.
constexpr double picture_width = 720, picture_height = 170;
constexpr double left_margin = 58, right_margin = 8, top_margin = 12, bottom_margin = 26;
constexpr double plot_width = picture_width - left_margin - right_margin,
                 plot_height = picture_height - top_margin - bottom_margin;

// The least 1, 2 or 5 times a power of ten that is not below `n`.
std::uint64_t round_up(std::uint64_t n) {
    std::uint64_t power = 1;
    while (power < n / 10) power *= 10;
    for (;;) {
        for (const std::uint64_t step : {1U, 2U, 5U})
            if (step * power >= n) return step * power;
        if (power > UINT64_MAX / 100) return n;
        power *= 10;
    }
}

// Marks of the scale are round numbers: 250, 2.5k, 5k, 1M.
std::string mark(std::uint64_t n) {
    for (const auto& [unit, letter] : {std::pair(std::uint64_t{1'000'000}, 'M'), {std::uint64_t{1000}, 'k'}}) {
        if (n < unit || n % (unit / 10) != 0) continue;
        if (n % unit == 0) return fmt::format("{}{}", grouped(n / unit), letter);
        return fmt::format("{}.{}{}", grouped(n / unit), n % unit / (unit / 10), letter);
    }
    return grouped(n);
}

}  // namespace

void append_chart(std::string& out, const svg_chart& of) {
    const std::size_t bars = of.series.empty() ? 0 : of.series[0].counts.size();
    std::uint64_t highest = 1;
    for (std::size_t i = 0; i < bars; ++i) {
        std::uint64_t sum = 0;
        for (const chart_series& s : of.series) sum += s.counts[i];
        highest = std::max(highest, sum);
    }
    const std::uint64_t scale = round_up(highest);
    const auto height = [&](std::uint64_t n) {
        return static_cast<double>(n) / static_cast<double>(scale) * plot_height;
    };
    auto to = std::back_inserter(out);
    out += "<figure class=\"chart\"><svg role=\"img\" aria-label=\"";
    append_html(out, of.label);
    fmt::format_to(to, "\" viewBox=\"0 0 {:g} {:g}\">", picture_width, picture_height);
    const std::uint64_t lines = scale % 2 == 0 ? 2 : 1;
    for (std::uint64_t i = 0; i <= lines; ++i) {
        const double y = top_margin + plot_height - plot_height * static_cast<double>(i) / static_cast<double>(lines);
        fmt::format_to(to,
                       "<line class=\"grid\" x1=\"{:g}\" x2=\"{:g}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
                       "<text class=\"end\" x=\"{:g}\" y=\"{:.1f}\">{}</text>",
                       left_margin, picture_width - right_margin, y, y, left_margin - 6, y + 4,
                       mark(scale / lines * i));
    }
    const double step = bars == 0 ? 0 : plot_width / static_cast<double>(bars);
    const double bar_width = std::max(0.6, std::min(step * 0.86, 40.0));
    for (std::size_t i = 0; i < bars; ++i) {
        double y = top_margin + plot_height;
        const double x = left_margin + step * (static_cast<double>(i) + 0.5) - bar_width / 2;
        for (const chart_series& s : of.series) {
            if (s.counts[i] == 0) continue;
            // What happened once must be seen beside what happened ten thousand times.
            const double h = std::max(height(s.counts[i]), 1.2);
            y -= h;
            fmt::format_to(to, "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>",
                           s.shade, x, y, bar_width, h);
        }
    }
    fmt::format_to(to, "<text x=\"{:g}\" y=\"{:g}\">{}</text>", left_margin, picture_height - 6, html(of.from));
    fmt::format_to(to, "<text class=\"end\" x=\"{:g}\" y=\"{:g}\">{}</text></svg><figcaption>",
                   picture_width - right_margin, picture_height - 6, html(of.to));
    for (const chart_series& s : of.series) {
        std::uint64_t sum = 0;
        for (const std::uint64_t n : s.counts) sum += n;
        fmt::format_to(to,
                       "<span class=\"key\"><svg class=\"swatch\" viewBox=\"0 0 10 10\" aria-hidden=\"true\">"
                       "<rect class=\"{}\" width=\"10\" height=\"10\"/></svg>{} <b>{}</b></span> ",
                       s.shade, html(s.name), grouped(sum));
    }
    fmt::format_to(to, "<span class=\"per\">{}</span></figcaption></figure>", html(of.per));
}

std::string_view chart_style() {
    // Hues that people with red-green blindness tell apart; on paper their greys differ too.
    return R"(
:root{color-scheme:light dark;--page:#fff;--ink:#1a1d21;--soft:#5c6470;--line:#d8dce2;--panel:#f5f6f8;--link:#0a58a6;
--good:#146c5f;--calm:#7fb0d6;--bad:#b03a08;--dim:#9aa1ab;--warn:#b97a00;--plain:#4a74b4;--tint-good:#e0f2ee;--tint-bad:#fdeae1;--tint-warn:#fdf2d8}
@media (prefers-color-scheme:dark){:root{--page:#14171b;--ink:#e6e8eb;--soft:#9ca5b1;--line:#333a44;--panel:#1c2127;--link:#7db7f5;
--good:#3fb8a2;--calm:#5b87ad;--bad:#f07a45;--dim:#69717d;--warn:#d9a636;--plain:#6f9ae0;--tint-good:#12352f;--tint-bad:#3f2114;--tint-warn:#3a2e10}}
.chart{margin:0}.chart>svg{display:block;width:100%;height:auto}.chart text{font:11px system-ui,sans-serif;fill:var(--soft)}
.chart text.end{text-anchor:end}.chart .grid{stroke:var(--line);stroke-width:1}
.chart .good{fill:var(--good)}.chart .calm{fill:var(--calm)}.chart .bad{fill:var(--bad)}.chart .dim{fill:var(--dim)}
.chart .warn{fill:var(--warn)}.chart .plain{fill:var(--plain)}
.chart figcaption{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;font-size:.85rem;color:var(--soft);padding-left_margin:.2rem}
.chart figcaption b{color:var(--ink);font-variant-numeric:tabular-nums}.chart .swatch{width:.7em;height:.7em;margin-right_margin:.4em}
.chart .per{margin-left_margin:auto}
@media (max-width:40rem){.chart text{font-size:17px}}
)";
}

}  // namespace culld

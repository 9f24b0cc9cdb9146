// Positions in a job's distinct list, and runs of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace culld {

// Where an id stands in the distinct list of its job, by first appearance, from 0.
using position = std::uint64_t;

// `count` positions from `first` on.
struct span {
    position first = 0;
    std::uint64_t count = 0;

    [[nodiscard]] position end() const { return first + count; }
    friend bool operator==(const span&, const span&) = default;
};

using spans = std::vector<span>;

[[nodiscard]] inline std::uint64_t count_of(const spans& all) {
    std::uint64_t sum = 0;
    for (const span& s : all) sum += s.count;
    return sum;
}

// Appends `s` to `all`, joined to the last run where it follows on directly.
inline void append(spans& all, span s) {
    if (s.count == 0) return;
    if (!all.empty() && all.back().end() == s.first)
        all.back().count += s.count;
    else
        all.push_back(s);
}

// Ascending, and joined where runs follow on. The runs must not overlap.
[[nodiscard]] inline spans sorted(spans all) {
    std::sort(all.begin(), all.end(), [](const span& a, const span& b) { return a.first < b.first; });
    spans out;
    for (const span& s : all) append(out, s);
    return out;
}

}  // namespace culld

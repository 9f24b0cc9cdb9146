// "Did you mean": the known name nearest to a mistyped one.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace culld {

// The name in `known` within a Damerau-Levenshtein distance of at most a third of its length (at least 1, at most
// 3), nearest first; empty if none is that near. Case is ignored.
[[nodiscard]] std::string_view nearest_name(std::string_view name, std::span<const std::string_view> known);

// `did you mean "x"?` or, where nothing is near, an empty string.
[[nodiscard]] std::string did_you_mean(std::string_view name, std::span<const std::string_view> known);

}  // namespace culld

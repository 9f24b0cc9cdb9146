#include "culld/core/base/problem.hpp"

#include <fmt/format.h>

namespace culld {

namespace {
const result<void> well;
}

std::string problem::text() const {
    std::string out = file;
    if (line != 0) out += fmt::format("{}{}", out.empty() ? "line " : ":", line);
    if (line != 0 && column != 0) out += fmt::format(":{}", column);
    if (!out.empty()) out += ": ";
    out += what;
    if (!hint.empty()) out += fmt::format(" ({})", hint);
    return out;
}

// A copy, and out of line: what is made anew is a constant to the compiler, hence the zeros.
result<void> success() {
    return well;
}

}  // namespace culld

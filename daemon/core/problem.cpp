#include "culld/core/problem.hpp"

#include <fmt/format.h>

namespace culld {

std::string problem::text() const {
    std::string out = file;
    if (line != 0) out += fmt::format("{}{}", out.empty() ? "line " : ":", line);
    if (line != 0 && column != 0) out += fmt::format(":{}", column);
    if (!out.empty()) out += ": ";
    out += what;
    if (!hint.empty()) out += fmt::format(" ({})", hint);
    return out;
}

}  // namespace culld

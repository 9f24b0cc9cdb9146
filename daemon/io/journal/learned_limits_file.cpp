#include "culld/io/journal/learned_limits_file.hpp"

namespace culld {

namespace {
const std::string limit_mark_name = ".limits";
constexpr std::size_t limit_mark_bytes_max = 4096;
}  // namespace

result<std::string> read_limit_mark(const folder& where) {
    auto text = where.read_start(limit_mark_name, limit_mark_bytes_max);
    if (!text) return fail(std::move(text.error()));
    return std::move(*text).value_or("");
}

result<void> leave_limit_mark(const folder& where, std::string_view mark) {
    return where.replace(limit_mark_name, mark, 0640);
}

}  // namespace culld

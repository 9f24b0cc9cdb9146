#include "culld/io/auth/key_lockout_file.hpp"

namespace culld {

namespace {
const std::string mark_name = ".refused-keys";
constexpr std::size_t mark_bytes_max = 16384;  // 32 lines of some 110 bytes are the most there can be
}  // namespace

result<std::string> read_key_mark(const folder& where) {
    auto text = where.read_start(mark_name, mark_bytes_max);
    if (!text) return fail(std::move(text.error()));
    return std::move(*text).value_or("");
}

result<void> leave_key_mark(const folder& where, std::string_view mark) {
    return where.replace(mark_name, mark, 0640);
}

}  // namespace culld

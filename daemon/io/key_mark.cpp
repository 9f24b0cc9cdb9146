#include "culld/io/key_mark.hpp"

#include <fcntl.h>

namespace culld {

namespace {
const std::string mark_name = ".refused-keys";
constexpr std::size_t mark_bytes_max = 16384;  // 32 lines of some 110 bytes are the most there can be
}  // namespace

result<std::string> read_key_mark(const folder& where) {
    std::string text;
    if (!where.exists(mark_name)) return text;
    auto fd = where.open_file(mark_name, O_RDONLY);
    if (!fd) return fail(std::move(fd.error()));
    text.resize(mark_bytes_max);
    const auto got = read_some_at(fd->get(), text.data(), text.size(), 0, mark_name);
    if (!got) return fail(got.error());
    text.resize(*got);
    return text;
}

result<void> leave_key_mark(const folder& where, std::string_view mark) {
    return where.replace(mark_name, mark, 0640);
}

}  // namespace culld

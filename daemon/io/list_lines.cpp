#include "culld/io/list_lines.hpp"

#include <fmt/format.h>

namespace culld {

result<std::string_view> text_source::next() {
    auto block = from_.next();
    if (!block || started_) return block;
    started_ = true;
    // Blocks are at least as long as a mark unless the file is shorter, or was packed in crumbs: then the
    // mark is part of the first id, and refused with it.
    if (block->starts_with("\xEF\xBB\xBF")) {
        block->remove_prefix(3);
        if (block->empty()) return from_.next();
    } else if (block->starts_with("\xFF\xFE") || block->starts_with("\xFE\xFF")) {
        return fail(problem{.what = "the file is UTF-16", .hint = "save it as UTF-8", .line = 1, .column = 1});
    }
    return block;
}

tl::unexpected<problem> list_lines::too_long() const {
    return fail(problem{.what = fmt::format("a line of more than {} bytes", limit_),
                        .hint = "is this a list with one id a line?",
                        .line = line_,
                        .column = limit_ + 1});
}

result<std::optional<std::string_view>> list_lines::next() {
    carried_.clear();
    for (;;) {
        if (block_.empty()) {
            if (ended_) return std::nullopt;
            const auto block = from_.next();
            if (!block) return fail(block.error());
            block_ = *block;
            marked_ = block_.find(mark_) != std::string_view::npos;
            if (block_.empty()) {
                ended_ = true;
                if (carried_.empty()) return std::nullopt;
                return carried_;
            }
        }
        if (carried_.empty()) ++line_;
        const std::size_t end = block_.find('\n');
        const std::string_view part = block_.substr(0, end);
        if (carried_.size() + part.size() > limit_) return too_long();
        if (end == std::string_view::npos) {
            carried_.append(part);
            block_ = {};
            continue;
        }
        block_.remove_prefix(end + 1);
        if (carried_.empty()) return part;
        carried_.append(part);
        return carried_;
    }
}

}  // namespace culld

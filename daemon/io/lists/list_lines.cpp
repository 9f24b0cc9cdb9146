#include "culld/io/lists/list_lines.hpp"

#include <fmt/format.h>

namespace culld {

result<std::string_view> text_source::first() {
    started_ = true;
    auto block = from_.next();
    if (!block) return block;
    if (block->size() < 3) {
        // Packed in crumbs: a mark may lie in several blocks.
        while (block && !block->empty() && head_.size() < 3) {
            head_ += *block;
            block = from_.next();
        }
        if (!block) return block;
        head_ += *block;
        block = std::string_view(head_);
    }
    if (block->starts_with("\xFF\xFE") || block->starts_with("\xFE\xFF"))
        return fail(problem{.what = "the file is UTF-16", .hint = "save it as UTF-8", .line = 1, .column = 1});
    if (!block->starts_with("\xEF\xBB\xBF")) return block;
    block->remove_prefix(3);
    return block->empty() ? from_.next() : block;
}

result<std::string_view> text_source::next() {
    if (check_.trouble()) return fail(*check_.trouble());
    auto block = started_ ? from_.next() : first();
    if (!block) return block;
    if (block->empty()) {
        if (!check_.end()) return fail(*check_.trouble());
        return block;
    }
    bytes_ += block->size();
    const std::size_t good = check_.feed(*block);
    if (good == 0) return fail(*check_.trouble());
    if (auto why = too_much()) return fail(std::move(*why));
    // What stands before that which is refused is read first: its own faults come first.
    return block->substr(0, good);
}

std::optional<problem> text_source::too_much() const {
    const std::uint64_t ids = sink_.taken();
    const auto above = [&](std::uint64_t count, std::uint64_t free, std::uint64_t each) {
        return count > free && (count - free) / each > ids;
    };
    const bool lines = above(check_.lines(), text_lines_free, text_lines_an_id);
    if (!lines && !above(bytes_, text_bytes_free, text_bytes_an_id)) return std::nullopt;
    return problem{.what = lines ? fmt::format("{} lines with {} ids in them", check_.lines(), ids)
                                 : fmt::format("{} MiB of text with {} ids in it", bytes_ >> 20U, ids),
                   .hint = "a list is read no further where next to nothing of it is ids: take out what is not",
                   .line = check_.lines(),
                   .column = 1};
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

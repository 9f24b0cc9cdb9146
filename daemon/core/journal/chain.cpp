#include "culld/core/journal/chain.hpp"

#include <fmt/format.h>

#include <utility>

namespace culld {

result<void> chain_checker::break_at(problem why) {
    why.line = records_ + 1;
    broken_ = true;
    why_ = std::move(why);
    return fail(why_);
}

result<void> chain_checker::feed(std::string_view line, bool ended, record_view& out) {
    if (auto linked = link(line, ended, out); !linked) return linked;
    hash_.update(line);
    head_ = hash_.finish();
    ++records_;
    return {};
}

result<void> chain_checker::feed(std::string_view line, bool ended, const digest& hash, record_view& out) {
    if (auto linked = link(line, ended, out); !linked) return linked;
    head_ = hash;
    ++records_;
    return {};
}

// Does the line follow from the one before?
result<void> chain_checker::link(std::string_view line, bool ended, record_view& out) {
    if (broken_) return fail(why_);
    if (!ended)
        return break_at({.what = line.ends_with('\n') ? "the line is torn: zero bytes stand in it"
                                                      : "the line is cut: it does not end in a newline"});
    if (auto read = read_record(line, out); !read) return break_at(std::move(read.error()));
    if (out.seq != records_)
        return break_at({.what = fmt::format("seq is {} where {} must come", out.seq, records_),
                         .hint = out.seq > records_ ? "lines are missing before it, or were moved"
                                                    : "a line stands twice, or was moved"});
    if (out.prev != head_) {
        if (records_ == 0) return break_at({.what = "prev of the first record must be 64 zeros"});
        return break_at({.what = fmt::format("prev is not the SHA-256 of line {}", records_),
                         .hint = fmt::format("line {} was changed, or this one", records_)});
    }
    return {};
}

}  // namespace culld

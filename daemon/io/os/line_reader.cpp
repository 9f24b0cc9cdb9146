#include "culld/io/os/line_reader.hpp"

#include <fmt/format.h>

#include <cstring>
#include <utility>

namespace culld {

namespace {
constexpr std::size_t read_bytes = std::size_t{1} << 20;
}

bool torn_within(std::string_view last_line) {
    return last_line.find('\0') != std::string_view::npos;
}

line_reader::line_reader(unique_fd fd, std::string name, std::uint64_t offset, std::uint64_t number)
    : fd_(std::move(fd)), name_(std::move(name)), offset_(offset), number_(number), good_bytes_(offset) {}

result<bool> line_reader::next(text_line& out) {
    for (;;) {
        const char* data = buffer_.data();
        const void* newline = scanned_ < to_ ? std::memchr(data + scanned_, '\n', to_ - scanned_) : nullptr;
        if (newline != nullptr) {
            const auto end = static_cast<std::size_t>(static_cast<const char*>(newline) - data);
            const std::string_view text(data + from_, end - from_);
            if (end + 1 < to_ || !torn_within(text)) {
                out = {.text = text, .number = number_, .offset = offset_, .ended = true};
                offset_ += end + 1 - from_;
                good_bytes_ = offset_;
                from_ = scanned_ = end + 1;
                ++number_;
                return true;
            }
            scanned_ = end;  // whether it is the last one tells the next read
        } else {
            scanned_ = to_;
        }
        if (to_ - from_ > line_bytes_max)
            return fail(problem{.what = fmt::format("a line is longer than {} MiB", line_bytes_max >> 20U),
                                .file = name_,
                                .line = number_});
        // What is left of the block moves to the front, so that a line is always one piece.
        if (from_ > 0) {
            std::memmove(buffer_.data(), buffer_.data() + from_, to_ - from_);
            to_ -= from_;
            scanned_ -= from_;
            from_ = 0;
        }
        if (buffer_.size() - to_ < read_bytes) buffer_.resize(to_ + read_bytes + to_ / 2);
        auto read = read_some_at(fd_.get(), buffer_.data() + to_, read_bytes, offset_ + to_, name_);
        if (!read) return fail(std::move(read.error()));
        if (*read == 0) {
            if (to_ == 0) return false;
            out = {.text = {buffer_.data(), to_}, .number = number_, .offset = offset_, .ended = false};
            offset_ += to_;
            from_ = scanned_ = to_;
            ++number_;
            return true;
        }
        to_ += *read;
    }
}

}  // namespace culld

#include "culld/io/os/hashed_lines.hpp"

#include <fmt/format.h>

#include <cstring>
#include <utility>

namespace culld {

namespace {
constexpr std::size_t block_bytes = std::size_t{1} << 20U;
constexpr std::size_t blocks_ahead = 3;
}  // namespace

hashed_lines::hashed_lines(unique_fd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

hashed_lines::~hashed_lines() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

result<void> hashed_lines::fill(block& out) {
    out.lines.clear();
    std::size_t have = rest_.size(), scanned = 0, begin = 0;
    if (out.bytes.size() < have + block_bytes) out.bytes.resize(have + block_bytes);
    if (have > 0) std::memcpy(out.bytes.data(), rest_.data(), have);
    scanned = have > 0 ? have - 1 : 0;  // no newline is in it but at its end, where a line may be the file's last
    const auto add = [&](std::size_t end, bool ended) {
        const std::string_view text(out.bytes.data() + begin, end - begin);
        out.lines.push_back({.read = {.text = text, .number = number_++, .offset = offset_ + begin, .ended = ended}});
        hash_.update(text);
        out.lines.back().hash = hash_.finish();
    };
    while (out.lines.empty() && !at_end_) {
        if (have - begin > line_bytes_max)
            return fail(problem{.what = fmt::format("a line is longer than {} MiB", line_bytes_max >> 20U),
                                .file = name_,
                                .line = number_});
        // No line has been handed out of this block yet, so it may move.
        if (out.bytes.size() - have < block_bytes) out.bytes.resize(have * 2);
        const auto got = read_some_at(fd_.get(), out.bytes.data() + have, block_bytes, offset_ + have, name_);
        if (!got) return fail(got.error());
        at_end_ = *got < block_bytes;
        have += *got;
        while (scanned < have) {
            const void* newline = std::memchr(out.bytes.data() + scanned, '\n', have - scanned);
            if (newline == nullptr) {
                scanned = have;
                break;
            }
            const auto end = static_cast<std::size_t>(static_cast<const char*>(newline) - out.bytes.data());
            if (end + 1 == have && torn_within({out.bytes.data() + begin, end - begin})) {
                scanned = end;  // whether it is the last one tells the next read
                break;
            }
            add(end, true);
            begin = scanned = end + 1;
        }
    }
    if (at_end_ && begin < have) {
        add(have, false);
        begin = have;
    }
    rest_.assign(out.bytes.data() + begin, out.bytes.data() + have);
    offset_ += begin;
    return {};
}

void hashed_lines::run_ahead() {
    for (;;) {
        block next;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return stop_ || full_.size() < blocks_ahead; });
            if (stop_) return;
            if (!empty_.empty()) {
                next = std::move(empty_.back());
                empty_.pop_back();
            }
        }
        std::optional<problem> failed;
        try {
            if (auto filled = fill(next); !filled) failed = std::move(filled.error());
        } catch (const std::exception& e) {  // memory, or the crypto library: the caller hears of it
            failed = problem{.what = e.what(), .file = name_};
        }
        const bool last = failed || next.lines.empty() || at_end_;
        {
            const std::lock_guard lock(mutex_);
            failed_ = std::move(failed);
            if (!failed_ && !next.lines.empty()) full_.push_back(std::move(next));
            all_made_ = last;
        }
        changed_.notify_all();
        if (last) return;
    }
}

// The next block becomes current_; false at the end.
result<bool> hashed_lines::take_next() {
    at_ = 0;
    if (!thread_.joinable()) {
        if (at_end_) {
            current_.lines.clear();
            return false;
        }
        // The first block is ours: most files end with it.
        const bool first = number_ == 1;
        if (first) {
            if (auto filled = fill(current_); !filled) return fail(std::move(filled.error()));
            return !current_.lines.empty();
        }
        thread_ = std::thread([this] { run_ahead(); });
    }
    std::unique_lock lock(mutex_);
    if (!current_.bytes.empty()) empty_.push_back(std::move(current_));
    current_ = {};
    changed_.notify_all();
    changed_.wait(lock, [this] { return !full_.empty() || all_made_; });
    if (full_.empty()) {
        if (failed_) return fail(*failed_);
        return false;
    }
    current_ = std::move(full_.front());
    full_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return true;
}

result<const hashed_line*> hashed_lines::next() {
    if (at_ == current_.lines.size()) {
        auto more = take_next();
        if (!more) return fail(std::move(more.error()));
        if (!*more) return nullptr;
    }
    return &current_.lines[at_++];
}

}  // namespace culld

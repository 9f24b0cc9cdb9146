#include "culld/io/ids/partition_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

namespace culld {

namespace {
constexpr std::size_t header_bytes = sizeof(std::uint64_t);  // number of the partition's block before, from 1
constexpr std::size_t out_bytes = std::size_t{64} * 1024;
constexpr std::string_view scratch_name = "scratch file";
}  // namespace

partition_file::partition_file(const folder& where, std::size_t record_bytes, spill_shape shape)
    : where_(&where),
      record_bytes_(record_bytes),
      shape_(shape),
      states_(shape.partitions, state{.fill = header_bytes}),
      blocks_(std::make_unique_for_overwrite<char[]>(shape.partitions * shape.block_bytes)) {
    if (shape.partitions == 0 || shape.block_bytes < header_bytes + record_bytes)
        throw std::logic_error("a spill block holds no record");
}

result<void> partition_file::flush(std::size_t partition) {
    state& s = states_[partition];
    char* const block = &blocks_[partition * shape_.block_bytes];
    std::memcpy(block, &s.last, header_bytes);
    std::memset(block + s.fill, 0, shape_.block_bytes - s.fill);
    out_.append(block, shape_.block_bytes);
    s.last = in_file_ + out_.size() / shape_.block_bytes;
    s.fill = header_bytes;
    return out_.size() >= out_bytes ? write_out() : success();
}

result<void> partition_file::write_out() {
    if (out_.empty()) return {};
    if (!file_) {
        file_.reset(::openat(where_->fd(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        if (!file_) return fail(errno_problem("make a scratch file in", where_->path(), errno));
    }
    if (auto done = write_all_at(file_.get(), out_, in_file_ * shape_.block_bytes, scratch_name); !done) return done;
    in_file_ += out_.size() / shape_.block_bytes;
    out_.clear();
    return {};
}

result<void> partition_file::each_run(std::size_t partition,
                                      const std::function<bool(const char* records, std::size_t count)>& visit) {
    if (auto done = write_out(); !done) return done;
    const state& s = states_[partition];
    const char* const block = &blocks_[partition * shape_.block_bytes];
    const std::size_t in_memory = (s.fill - header_bytes) / record_bytes_;
    if (in_memory > 0 && !visit(block + header_bytes, in_memory)) return {};

    const std::size_t in_block = (shape_.block_bytes - header_bytes) / record_bytes_;
    read_.resize(shape_.block_bytes);
    for (std::uint64_t number = s.last; number != 0;) {
        const auto got =
            read_some_at(file_.get(), read_.data(), read_.size(), (number - 1) * read_.size(), scratch_name);
        if (!got) return fail(got.error());
        if (*got != read_.size()) return fail("the scratch file is shorter than what was written to it");
        if (!visit(read_.data() + header_bytes, in_block)) return {};
        std::memcpy(&number, read_.data(), header_bytes);
    }
    return {};
}

}  // namespace culld

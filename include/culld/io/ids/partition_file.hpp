// Many fixed-size records sorted into partitions, in fixed memory: the ground that deduplication stands on.
//
// Each partition has one block in memory; full blocks go to the end of one unnamed file, each with the number
// of its partition's block before it. While no block is full there is no file. The file needs no checksums:
// it lives for one pass, and the kernel removes it with its descriptor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "culld/core/base/problem.hpp"
#include "culld/io/os/file.hpp"

namespace culld {

struct spill_shape {
    std::size_t partitions = 1024;
    std::size_t block_bytes = 1024;  // memory is partitions * block_bytes, and 64 KiB
};

class partition_file {
  public:
    // `where` is borrowed; the unnamed file is made there.
    partition_file(const folder& where, std::size_t record_bytes, spill_shape shape);

    [[nodiscard]] result<void> put(std::size_t partition, const void* record) {
        state& s = states_[partition];
        if (s.fill + record_bytes_ > shape_.block_bytes) {
            if (auto flushed = flush(partition); !flushed) return flushed;
        }
        std::memcpy(&blocks_[partition * shape_.block_bytes + s.fill], record, record_bytes_);
        s.fill += record_bytes_;
        ++s.count;
        return success();
    }

    [[nodiscard]] std::size_t partitions() const { return shape_.partitions; }
    [[nodiscard]] std::uint64_t count(std::size_t partition) const { return states_[partition].count; }

    // Calls `visit` with runs of records of that partition, in no order, until it returns false.
    // May be called again, and after more records were put.
    [[nodiscard]] result<void> each_run(std::size_t partition,
                                        const std::function<bool(const char* records, std::size_t count)>& visit);

  private:
    struct state {
        std::size_t fill;         // bytes of the block in use, its header included
        std::uint64_t count = 0;  // records, all of them
        std::uint64_t last = 0;   // number of its last block in the file, from 1; 0: none
    };
    [[nodiscard]] result<void> flush(std::size_t partition);
    [[nodiscard]] result<void> write_out();

    const folder* where_;
    std::size_t record_bytes_;
    spill_shape shape_;
    std::vector<state> states_;
    std::unique_ptr<char[]> blocks_;  // what no record is in yet is not touched: a short list needs few pages
    std::vector<char> read_;
    unique_fd file_;
    std::string out_;            // blocks on their way to the file
    std::uint64_t in_file_ = 0;  // blocks written
};

}  // namespace culld

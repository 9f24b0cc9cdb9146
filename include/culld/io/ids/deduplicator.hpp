// Does an id come twice, and which? Answered in about 6 MiB for lists of any length, with 8 bytes of disk
// traffic an id in the ordinary case that none does.
//
// The same UUID in another case is the same id (compared_id). Ids are hashed with XXH3 under a secret from getrandom,
// so that nobody can make ids collide. Pass 1 (repeat_check) looks at 64 bits of hash: no hash twice proves no id
// twice. Only if one came twice, pass 2 (repeat_finder) takes 128 bits and the ordinal of each id, and tells which
// ordinals repeat an earlier one; that two different of 10^9 ids then pass for one has a chance of 10^-21.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "culld/core/base/problem.hpp"
#include "culld/io/ids/partition_file.hpp"
#include "culld/io/os/file.hpp"

namespace culld {

// Sizes, in one place so that tests can make them tiny.
struct distinct_shape {
    spill_shape hashes;                                           // of both passes
    spill_shape repeats{.partitions = 256, .block_bytes = 1024};  // ordinals that repeat an earlier one
    // Of the table that a partition is checked in (8 bytes a slot; pass 2: half as many of 24); a power of
    // two, at least 8. A partition with more distinct hashes is checked in parts.
    std::size_t slots_max = std::size_t{1} << 17U;
};

class hash_secret {
  public:
    hash_secret();  // throws std::system_error if the kernel has no randomness to give
    [[nodiscard]] std::uint64_t hash64(std::string_view id) const;
    struct wide {
        std::uint64_t low;
        std::uint64_t high;
    };
    [[nodiscard]] wide hash128(std::string_view id) const;

  private:
    std::array<unsigned char, 192> bytes_;
};

// Pass 1. One thread.
class repeat_check {
  public:
    explicit repeat_check(const folder& scratch, distinct_shape shape = {});
    [[nodiscard]] result<void> add(std::string_view id);
    // After the last id: false proves that no id came twice. Fails soon when `stop` is set (by any thread).
    [[nodiscard]] result<bool> any_repeated(const std::atomic<bool>* stop = nullptr);

  private:
    hash_secret secret_;
    distinct_shape shape_;
    partition_file hashes_;
};

// Pass 2. One thread.
class repeat_finder {
  public:
    // `count` ids will be added.
    repeat_finder(const folder& scratch, std::uint64_t count, distinct_shape shape = {});
    // The ids, in their order: the first has ordinal 0.
    [[nodiscard]] result<void> add(std::string_view id);
    // After the last id; gives back the memory that only it needed. Stops likewise.
    [[nodiscard]] result<void> find(const std::atomic<bool>* stop = nullptr);
    // After find(), with ordinals that never fall: does this one repeat an earlier id?
    [[nodiscard]] result<bool> repeats(std::uint64_t ordinal);

  private:
    hash_secret secret_;
    distinct_shape shape_;
    std::uint64_t count_;
    std::uint64_t next_ = 0;
    std::optional<partition_file> hashes_;
    partition_file found_;  // ordinals, partitioned by range
    std::uint64_t range_;   // ordinals a partition of found_
    std::optional<std::uint64_t> loaded_;
    std::vector<bool> marks_;  // of the loaded range
};

}  // namespace culld

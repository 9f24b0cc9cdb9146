// What exists and what was deleted: the ground truth about ids.
//
// Without a list every id exists until it is deleted; with one, only those in it. Ids are kept by their
// 128-bit hash (XXH3, not keyed: this is a stand-in under our own control), their bytes in an arena, in order
// of first appearance. At most `track` ids are added at run time; from the first one over it on, nothing new
// is kept, every unknown id is taken to exist, and tracking() is false. The ids of a list are always kept.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "culld/core/base/problem.hpp"

namespace culld::emulator {

class incidents {
  public:
    explicit incidents(std::uint64_t track) : track_(track), tracking_(track > 0) {}

    // From now on only the ids in the file exist: one a line, blank lines and `#` comments allowed.
    [[nodiscard]] result<void> load(const std::string& path);

    struct key {
        std::uint64_t low = 0;
        std::uint64_t high = 0;
    };
    [[nodiscard]] static key key_of(std::string_view id);
    // Hints that `k` is looked up soon: a batch hides its cache misses behind one another.
    void prefetch(key k) const;

    [[nodiscard]] bool exists(key k) const;
    // Deletes the id if it exists, and counts one deletion more against it if it ever did. True if it
    // existed.
    bool remove(key k, std::string_view id);

    // The same for `count` ids, where none are kept.
    void remove_unseen(std::uint64_t count) { deletions_ += count; }

    struct row {
        std::string_view id;
        std::uint32_t deletions;  // 0: exists
    };
    [[nodiscard]] std::size_t size() const { return entries_.size(); }
    [[nodiscard]] row at(std::size_t index) const;

    // False: there is nothing to look an id up in.
    [[nodiscard]] bool keeps_ids() const { return listed_ || track_ > 0; }
    [[nodiscard]] bool closed_world() const { return listed_; }  // a list was loaded
    [[nodiscard]] bool tracking() const { return tracking_; }
    [[nodiscard]] std::uint64_t deleted_distinct() const { return deleted_distinct_; }
    [[nodiscard]] std::uint64_t deleted_more_than_once() const { return deleted_again_; }
    // Deletions that took effect, tracked or not.
    [[nodiscard]] std::uint64_t deletions() const { return deletions_; }

  private:
    struct entry {
        key hash;
        std::uint64_t where;  // block << 20 | offset
        std::uint32_t length;
        std::uint32_t deletions;
    };
    // Index into entries_ plus one, and 32 bits of the hash so that most misses end without touching an
    // entry.
    struct slot {
        std::uint32_t entry = 0;
        std::uint32_t tag = 0;
    };

    [[nodiscard]] std::size_t find(key k) const;  // index into slots_: the id's, or the free one where it belongs
    void insert(key k, std::string_view id, std::uint32_t deletions);
    void grow();
    [[nodiscard]] std::uint64_t keep(std::string_view id);

    std::uint64_t track_;
    std::uint64_t added_ = 0;
    std::uint64_t deletions_ = 0;
    std::uint64_t deleted_distinct_ = 0;
    std::uint64_t deleted_again_ = 0;
    bool listed_ = false;
    bool tracking_;
    std::vector<entry> entries_;
    std::vector<slot> slots_ = std::vector<slot>(1024);  // size is a power of two
    std::vector<std::unique_ptr<char[]>> blocks_;
    std::size_t block_used_ = 0;
};

}  // namespace culld::emulator

#include "culld/io/ids/deduplicator.hpp"

#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

#define XXH_INLINE_ALL  // ids are short: the call would cost as much as the hash
#include <xxhash.h>

#include "culld/core/ids/id_text.hpp"

namespace culld {

namespace {

// Which bits of a hash decide what; no two uses share one. The top bits: the partition. The low 20: the part
// of a partition, should it have to be checked in parts. From bit 20 on: the slot in the table.
constexpr unsigned slot_shift = 20;
constexpr unsigned part_bits_max = 20;

std::size_t partition_of(std::uint64_t hash, std::size_t partitions) {
    return static_cast<std::size_t>(((hash >> 32U) * partitions) >> 32U);
}

template <class T>
T record_at(const char* records, std::size_t index) {
    T out;
    std::memcpy(&out, records + index * sizeof(T), sizeof(T));
    return out;
}

std::size_t slots_for(const partition_file& records, std::size_t slots_max) {
    std::uint64_t largest = 0;
    for (std::size_t p = 0; p < records.partitions(); ++p) largest = std::max(largest, records.count(p));
    return std::min<std::size_t>(slots_max, std::bit_ceil(static_cast<std::size_t>(std::min<std::uint64_t>(
                                                std::max<std::uint64_t>(largest * 2, 4), slots_max))));
}

// How many hashes a table takes; one slot at least stays free, so that every search ends.
std::size_t room_in(std::size_t slots) {
    return slots - std::max<std::size_t>(slots / 8, 1);
}

// Runs `check(partition, bits, part)` over all parts of all partitions, where part p of 2^bits holds the
// hashes whose low `bits` bits are p. `check` tells what came of it; a part that does not fit into its table
// is halved. Partitions are alike, so each begins with the halving that the one before needed.
enum class outcome { done, does_not_fit, stop };
template <class F>
result<void> for_each_part(std::size_t partitions, const std::atomic<bool>* stop, F&& check) {
    unsigned bits_before = 0;
    std::vector<std::pair<unsigned, std::uint64_t>> todo;
    for (std::size_t partition = 0; partition < partitions; ++partition) {
        todo.reserve(std::size_t{1} << bits_before);
        for (std::uint64_t part = 0; part < std::uint64_t{1} << bits_before; ++part)
            todo.emplace_back(bits_before, part);
        while (!todo.empty()) {
            const auto [bits, part] = todo.back();
            todo.pop_back();
            if (stop != nullptr && stop->load(std::memory_order_relaxed)) return fail("stopped");
            const result<outcome> came = check(partition, bits, part);
            if (!came) return fail(came.error());
            if (*came == outcome::stop) return {};
            if (*came == outcome::done) continue;
            if (bits == part_bits_max) return fail("a list too long to be checked for repeated ids");
            bits_before = std::max(bits_before, bits + 1);
            todo.emplace_back(bits + 1, part);
            todo.emplace_back(bits + 1, part | (std::uint64_t{1} << bits));
        }
    }
    return {};
}

bool in_part(std::uint64_t hash, unsigned bits, std::uint64_t part) {
    return (hash & ((std::uint64_t{1} << bits) - 1)) == part;
}

}  // namespace

hash_secret::hash_secret() {
    std::size_t got = 0;
    while (got < bytes_.size()) {
        const ssize_t n = ::getrandom(bytes_.data() + got, bytes_.size() - got, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw std::system_error(errno, std::generic_category(), "getrandom");
        got += static_cast<std::size_t>(n);
    }
}

std::uint64_t hash_secret::hash64(std::string_view id) const {
    return XXH3_64bits_withSecret(id.data(), id.size(), bytes_.data(), bytes_.size());
}

hash_secret::wide hash_secret::hash128(std::string_view id) const {
    const XXH128_hash_t hash = XXH3_128bits_withSecret(id.data(), id.size(), bytes_.data(), bytes_.size());
    return {hash.low64, hash.high64};
}

repeat_check::repeat_check(const folder& scratch, distinct_shape shape)
    : shape_(shape), hashes_(scratch, sizeof(std::uint64_t), shape.hashes) {}

result<void> repeat_check::add(std::string_view id) {
    // 0 marks a free slot. Two ids that hash to 0 and 1 look like one: pass 2 then finds that they are not.
    const std::uint64_t hash = std::max<std::uint64_t>(secret_.hash64(compared_id(id).text()), 1);
    return hashes_.put(partition_of(hash, shape_.hashes.partitions), &hash);
}

result<bool> repeat_check::any_repeated(const std::atomic<bool>* stop) {
    std::vector<std::uint64_t> table(slots_for(hashes_, shape_.slots_max));
    const std::size_t mask = table.size() - 1;
    const std::size_t room = room_in(table.size());
    bool repeated = false;
    auto done = for_each_part(hashes_.partitions(), stop,
                              [&](std::size_t partition, unsigned bits, std::uint64_t part) -> result<outcome> {
                                  if (hashes_.count(partition) < 2) return outcome::done;
                                  std::ranges::fill(table, 0);
                                  std::size_t used = 0;
                                  bool fits = true;
                                  auto read = hashes_.each_run(partition, [&](const char* records, std::size_t count) {
                                      for (std::size_t i = 0; i < count; ++i) {
                                          const auto hash = record_at<std::uint64_t>(records, i);
                                          if (!in_part(hash, bits, part)) continue;
                                          std::size_t slot = static_cast<std::size_t>(hash >> slot_shift) & mask;
                                          while (table[slot] != 0 && table[slot] != hash) slot = (slot + 1) & mask;
                                          repeated = table[slot] == hash;
                                          fits = used < room;
                                          if (repeated || !fits) return false;
                                          table[slot] = hash;
                                          ++used;
                                      }
                                      return true;
                                  });
                                  if (!read) return fail(std::move(read.error()));
                                  return repeated ? outcome::stop : fits ? outcome::done : outcome::does_not_fit;
                              });
    if (!done) return fail(std::move(done.error()));
    return repeated;
}

namespace {
struct hashed_id {
    std::uint64_t low;
    std::uint64_t high;
    std::uint64_t ordinal;
};
constexpr std::uint64_t no_ordinal = UINT64_MAX;
}  // namespace

repeat_finder::repeat_finder(const folder& scratch, std::uint64_t count, distinct_shape shape)
    : shape_(shape),
      count_(count),
      hashes_(std::in_place, scratch, sizeof(hashed_id), shape.hashes),
      found_(scratch, sizeof(std::uint64_t), shape.repeats),
      range_(count / shape.repeats.partitions + 1) {}

result<void> repeat_finder::add(std::string_view id) {
    const hash_secret::wide hash = secret_.hash128(compared_id(id).text());
    const hashed_id record{hash.low, hash.high, next_++};
    return hashes_->put(partition_of(record.low, shape_.hashes.partitions), &record);
}

result<void> repeat_finder::find(const std::atomic<bool>* stop) {
    if (next_ != count_) throw std::logic_error("not as many ids as were announced");
    // Its slots are three times as large as those of pass 1: half as many keep the memory of the passes
    // alike.
    std::vector<hashed_id> table(slots_for(*hashes_, shape_.slots_max / 2));
    const std::size_t mask = table.size() - 1;
    const std::size_t room = room_in(table.size());
    auto done = for_each_part(
        hashes_->partitions(), stop, [&](std::size_t partition, unsigned bits, std::uint64_t part) -> result<outcome> {
            if (hashes_->count(partition) < 2) return outcome::done;
            std::ranges::fill(table, hashed_id{0, 0, no_ordinal});
            std::size_t used = 0;
            bool fits = true;
            result<void> kept;
            auto read = hashes_->each_run(partition, [&](const char* records, std::size_t count) {
                for (std::size_t i = 0; i < count; ++i) {
                    auto record = record_at<hashed_id>(records, i);
                    if (!in_part(record.low, bits, part)) continue;
                    std::size_t slot = static_cast<std::size_t>(record.low >> slot_shift) & mask;
                    while (table[slot].ordinal != no_ordinal &&
                           (table[slot].low != record.low || table[slot].high != record.high))
                        slot = (slot + 1) & mask;
                    hashed_id& seen = table[slot];
                    if (seen.ordinal == no_ordinal) {
                        fits = used < room;
                        if (!fits) return false;
                        seen = record;
                        ++used;
                        continue;
                    }
                    // Blocks come last to first, so the earlier appearance may come later. A part that turns
                    // out not to fit is run again and names the same ordinals again: marks take no harm from
                    // that.
                    if (record.ordinal < seen.ordinal) std::swap(record.ordinal, seen.ordinal);
                    kept = found_.put(static_cast<std::size_t>(record.ordinal / range_), &record.ordinal);
                    if (!kept) return false;
                }
                return true;
            });
            if (!read) return fail(std::move(read.error()));
            if (!kept) return fail(std::move(kept.error()));
            return fits ? outcome::done : outcome::does_not_fit;
        });
    hashes_.reset();
    return done;
}

result<bool> repeat_finder::repeats(std::uint64_t ordinal) {
    const std::uint64_t range = ordinal / range_;
    if (loaded_ != range) {
        loaded_ = range;
        marks_.assign(static_cast<std::size_t>(range_), false);
        auto read = found_.each_run(static_cast<std::size_t>(range), [&](const char* records, std::size_t count) {
            for (std::size_t i = 0; i < count; ++i)
                marks_[static_cast<std::size_t>(record_at<std::uint64_t>(records, i) % range_)] = true;
            return true;
        });
        if (!read) return fail(std::move(read.error()));
    }
    return marks_[static_cast<std::size_t>(ordinal % range_)];
}

}  // namespace culld

// The id store: a job's distinct ids on disk, as they will be sent, with random access by position.
//
// Derived data: it can be made again from the job's own file. The file, all numbers little-endian:
//
//     content   "id","id",…,"id",            every id in quotes, a comma behind each, the last one too
//     index     per segment of 1,024 ids     u64 offset in the file, u64 XXH3-64 of its content (seed: its
//     number) footer    96 bytes                     magic "culldids", u32 version 1, u32 ids a segment, u64
//     ids,
//                                            u64 bytes of content, u64 XXH3-64 of the index, 32 bytes SHA-256
//                                            of the source, 16 bytes zero, u64 XXH3-64 of the footer's first
//                                            88 bytes
//
// Ids hold no quote (see id_pattern), so a segment's ids are found again by its quotes. No byte is handed out
// before the checksum of its whole segment was compared.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/base/problem.hpp"
#include "culld/core/base/sha256.hpp"
#include "culld/core/base/span.hpp"
#include "culld/core/ids/id_sink.hpp"
#include "culld/io/os/file.hpp"

namespace culld {

inline constexpr std::uint64_t ids_per_segment = 1024;

// A store of no more content (6,700 UUIDs) need not be durable: an fsync takes as long as all else that a small job
// needs before its first request. It is looked at whole when opened, and what a power cut left damaged is made again
// from the job's own file; so that file must be durable.
inline constexpr std::uint64_t store_content_unsynced = 256U << 10U;
enum class source_file {
    durable,   // its fsync went well, and none before it failed
    doubtful,  // after a failed fsync the next one may go well though the data is lost
};

// `<job id>.ids`
[[nodiscard]] std::string store_name(std::string_view job_id);

// Writes a store under a temporary name, mode 0600; a writer that goes away before publish() leaves nothing
// behind. Memory: one segment (at most 260 KiB) and 4 KiB. One thread.
class id_store_writer {
  public:
    // `where` is borrowed and outlives the writer.
    static result<id_store_writer> create(const folder& where);
    ~id_store_writer();
    id_store_writer(id_store_writer&&) noexcept;
    id_store_writer& operator=(id_store_writer&&) noexcept;

    // `id` must have passed an id_pattern.
    [[nodiscard]] result<void> append(std::string_view id);
    [[nodiscard]] std::uint64_t count() const { return count_; }
    // Of the segments that are full.
    [[nodiscard]] std::uint64_t content_bytes() const { return content_; }

    // Writes index and footer; nothing can be appended any more. Not durable yet.
    [[nodiscard]] result<void> seal(const digest& source);
    // A descriptor of the sealed file, for an id_store.
    [[nodiscard]] result<unique_fd> reopen() const;
    // After seal(): fsync, rename to `name`, fsync the folder; without the fsyncs where it need not be durable. A store
    // of that name is never replaced: then false (a job of that name is open, or the left-overs of an unclean end were
    // not swept).
    [[nodiscard]] result<bool> publish(const std::string& name, source_file source = source_file::doubtful);

  private:
    id_store_writer() = default;
    [[nodiscard]] result<void> end_segment();
    [[nodiscard]] result<void> flush_index();
    void abandon() noexcept;

    const folder* where_ = nullptr;
    std::string temporary_;  // empty once published
    unique_fd file_;
    unique_fd index_file_;       // the index until it is appended, where it is long; no name
    std::string segment_;        // content not written yet
    std::string index_;          // entries not written yet
    std::uint64_t content_ = 0;  // bytes written
    std::uint64_t segments_ = 0;
    std::uint64_t count_ = 0;
    bool sealed_ = false;
};

// A segment that was read and checked.
class id_segment {
  public:
    // In this order of slots, counted within the segment; the bytes of an id include its comma.
    [[nodiscard]] std::size_t start(std::size_t slot) const { return regular_ != 0 ? slot * regular_ : starts_[slot]; }
    [[nodiscard]] std::string_view bytes() const { return bytes_; }
    [[nodiscard]] const std::optional<std::uint64_t>& number() const { return number_; }  // none: it holds nothing

  private:
    friend class id_store;
    std::optional<std::uint64_t> number_;
    std::string bytes_;
    std::size_t regular_ = 0;            // bytes of each id, if all take the same
    std::vector<std::uint32_t> starts_;  // else of each id's first quote, and the end
};

// Reads a store. Holds one segment; ascending access reads each segment once. One thread, but for read().
class id_store {
  public:
    // Checks footer and index, and small stores whole, in fixed memory. `name` is for messages.
    static result<id_store> open(unique_fd file, std::string name);
    static result<id_store> open(const folder& where, const std::string& name);

    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] std::uint64_t content_bytes() const { return content_; }
    [[nodiscard]] const digest& source() const { return source_; }

    // Appends `"a","b"`: no comma in front or behind. Positions past the end break an invariant: std::logic_error.
    [[nodiscard]] result<void> append_quoted(position first, std::uint64_t count, std::string& out);
    [[nodiscard]] result<void> append_quoted(std::span<const span> at, std::string& out);
    // The ids bare, one by one; stops where the sink refuses, with its reason.
    [[nodiscard]] result<void> append_ids(position first, std::uint64_t count, id_sink& sink);
    // One id, valid until the next call.
    [[nodiscard]] result<std::string_view> at(position where);

    // A segment, into whatever memory `into` has; it holds nothing afterwards where that fails. Any thread, since it
    // leaves the store as it is.
    [[nodiscard]] result<void> read(std::uint64_t segment, id_segment& into) const;
    [[nodiscard]] std::uint64_t segments() const { return (count_ + ids_per_segment - 1) / ids_per_segment; }
    [[nodiscard]] std::uint64_t ids_in(std::uint64_t segment) const;

  private:
    id_store() = default;
    [[nodiscard]] result<void> load(std::uint64_t segment);
    [[nodiscard]] tl::unexpected<problem> damaged(std::string_view what) const;

    unique_fd file_;
    std::string name_;
    std::uint64_t count_ = 0;
    std::uint64_t content_ = 0;
    digest source_{};
    id_segment held_;
};

// Removes what an unclean end left in `where`: unfinished stores, and with `open_jobs` all stores of other
// jobs. Returns how many. Call before the first intake of a run.
[[nodiscard]] result<std::size_t> sweep_stores(const folder& where, std::span<const std::string> open_jobs);

}  // namespace culld

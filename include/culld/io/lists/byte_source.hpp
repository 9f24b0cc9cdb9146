// The bytes of a spool file, in blocks, unpacked on the way, and the facts that the journal records about
// them.
//
// Memory is fixed (256 KiB read, 256 KiB unpacked, at most 8 MiB of zstd window) whatever the file's size or
// ratio. What unpacks to more than 64 MiB and 300 times its own size is an error: lists do not. Several gzip members or
// zstd frames in a row are one stream, as gunzip and unzstd have it; a cut stream, or bytes behind its end that are no
// further member, are errors. Blocking reads.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"
#include "culld/core/base/sha256.hpp"
#include "culld/core/job/job_spec.hpp"
#include "culld/core/spool/file_kind.hpp"

namespace culld {

inline constexpr std::uint64_t unpacked_bytes_free = std::uint64_t{64} << 20U;
inline constexpr std::uint64_t unpacked_ratio_max = 300;

// Between whoever reads a list and those who watch. Any thread.
struct reading_watch {
    std::atomic<bool> stop{false};        // set by those who watch: the reading fails soon
    std::atomic<std::uint64_t> bytes{0};  // read of the file as it lies on the disk
    std::atomic<std::uint64_t> ids{0};    // found so far, to the next thousand
};

class byte_source {
  public:
    // Reads from the start of `fd`, which is borrowed. `name` is for messages and for facts(). `watch` is told how far
    // it is; when that says stop, the next call of next() fails. `copy`: borrowed, and where all that is read is
    // written, packed as it is; -1 for none.
    byte_source(int fd, std::string name, compression packed, reading_watch* watch = nullptr, int copy = -1);
    ~byte_source();
    byte_source(const byte_source&) = delete;
    byte_source& operator=(const byte_source&) = delete;

    // The next block, valid until the next call; empty at the end, and then always.
    [[nodiscard]] result<std::string_view> next();

    // Of the file as it lies on the disk, packed as it is. Only after next() gave the end.
    [[nodiscard]] source_facts facts() const;
    [[nodiscard]] const digest& sha256_of_file() const { return digest_; }

    // After next() failed: true if it was not the file's content that was at fault, but our disk, or `watch`.
    [[nodiscard]] bool failed_to_read() const { return failed_to_read_; }
    [[nodiscard]] const std::string& name() const { return name_; }

    class unpacker;  // one for each packing, in byte_source.cpp

  private:
    [[nodiscard]] result<std::string_view> read_block();
    [[nodiscard]] bool is_bomb() const;
    [[nodiscard]] bool told_to_stop() const {
        return watch_ != nullptr && watch_->stop.load(std::memory_order_relaxed);
    }

    int fd_;
    std::string name_;
    reading_watch* watch_;
    int copy_;
    std::unique_ptr<unpacker> unpack_;
    std::unique_ptr<char[]> block_;
    std::string_view pending_;  // read, not unpacked yet
    std::uint64_t bytes_ = 0;
    std::uint64_t unpacked_ = 0;
    sha256 hash_;
    digest digest_{};
    bool ended_ = false;
    bool failed_to_read_ = false;
};

}  // namespace culld

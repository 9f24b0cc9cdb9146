#include "culld/io/lists/byte_source.hpp"

#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <stdexcept>

#include "culld/io/os/file.hpp"

namespace culld {

namespace {
constexpr std::size_t block_bytes = std::size_t{256} * 1024;
constexpr int zstd_window_log_max = 23;  // 8 MiB, zstd's own advice for what decoders should accept
constexpr std::string_view check_hint = "pack it again, and check it with gzip -t or zstd -t";
}  // namespace

// Unpacks as much of `in` as fits into its buffer, and cuts what it used off `in`'s front.
class byte_source::unpacker {
  public:
    unpacker() : out_(std::make_unique_for_overwrite<char[]>(block_bytes)) {}
    virtual ~unpacker() = default;
    unpacker(const unpacker&) = delete;
    unpacker& operator=(const unpacker&) = delete;

    // An empty view: it needs more input. On error what is wrong with the stream.
    [[nodiscard]] virtual result<std::string_view> decompress(std::string_view& in) = 0;
    // At the end of the input: whether the stream may end here.
    [[nodiscard]] virtual bool complete() const = 0;

  protected:
    std::unique_ptr<char[]> out_;
};

namespace {

class gunzip final : public byte_source::unpacker {
  public:
    gunzip() {
        if (::inflateInit2(&stream_, 16 + MAX_WBITS) != Z_OK) throw std::runtime_error("zlib refuses to start");
    }
    ~gunzip() override { static_cast<void>(::inflateEnd(&stream_)); }
    gunzip(const gunzip&) = delete;
    gunzip& operator=(const gunzip&) = delete;

    result<std::string_view> decompress(std::string_view& in) override {
        for (;;) {
            if (in.empty() && !more_) return std::string_view{};
            if (between_members_ && members_ > 0 && ::inflateReset(&stream_) != Z_OK)
                return fail("zlib refuses to go on");
            between_members_ = false;
            // zlib's C interface takes a pointer to mutable bytes and does not change them.
            stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(in.data()));
            stream_.avail_in = static_cast<uInt>(in.size());
            stream_.next_out = reinterpret_cast<Bytef*>(out_.get());
            stream_.avail_out = static_cast<uInt>(block_bytes);
            const int status = ::inflate(&stream_, Z_NO_FLUSH);
            in.remove_prefix(in.size() - stream_.avail_in);
            more_ = stream_.avail_out == 0 && status == Z_OK;
            const std::size_t made = block_bytes - stream_.avail_out;
            if (status == Z_STREAM_END) {
                between_members_ = true;
                ++members_;
            } else if (status != Z_OK && status != Z_BUF_ERROR) {
                const char* const why = stream_.msg != nullptr ? stream_.msg : "damaged";
                return fail(members_ > 0 ? fmt::format("bytes behind the end: {}", why) : why, std::string(check_hint));
            }
            if (made > 0) return std::string_view(out_.get(), made);
        }
    }
    bool complete() const override { return between_members_ && members_ > 0; }

  private:
    z_stream stream_{};
    bool between_members_ = true;
    bool more_ = false;  // zlib holds output that did not fit
    std::uint64_t members_ = 0;
};

class unzstd final : public byte_source::unpacker {
  public:
    unzstd() : stream_(::ZSTD_createDStream()) {
        if (!stream_ ||
            ::ZSTD_isError(::ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, zstd_window_log_max)))
            throw std::runtime_error("zstd refuses to start");
    }
    result<std::string_view> decompress(std::string_view& in) override {
        for (;;) {
            if (in.empty() && !more_) return std::string_view{};
            ZSTD_inBuffer from{in.data(), in.size(), 0};
            ZSTD_outBuffer to{out_.get(), block_bytes, 0};
            const std::size_t left = ::ZSTD_decompressStream(stream_.get(), &to, &from);
            if (::ZSTD_isError(left)) {
                if (::ZSTD_getErrorCode(left) == ZSTD_error_frameParameter_windowTooLarge)
                    return fail(fmt::format("it was packed with a window of more than {} MiB",
                                            1U << (zstd_window_log_max - 20)),
                                "pack it again without --long and --ultra: zstd -19 FILE");
                const std::string why = ::ZSTD_getErrorName(left);
                return fail(frames_ > 0 ? "bytes behind the end: " + why : why, std::string(check_hint));
            }
            in.remove_prefix(from.pos);
            more_ = to.pos == to.size && left != 0;
            at_frame_end_ = left == 0;
            if (at_frame_end_) ++frames_;
            if (to.pos > 0) return std::string_view(out_.get(), to.pos);
        }
    }
    bool complete() const override { return at_frame_end_; }

  private:
    struct free_stream {
        void operator()(ZSTD_DStream* s) const noexcept { static_cast<void>(::ZSTD_freeDStream(s)); }
    };
    std::unique_ptr<ZSTD_DStream, free_stream> stream_;
    bool at_frame_end_ = false;
    bool more_ = false;
    std::uint64_t frames_ = 0;
};

}  // namespace

byte_source::byte_source(int fd, std::string name, compression packed, reading_watch* watch, int copy)
    : fd_(fd),
      name_(std::move(name)),
      watch_(watch),
      copy_(copy),
      block_(std::make_unique_for_overwrite<char[]>(block_bytes)) {
    if (packed == compression::gzip) unpack_ = std::make_unique<gunzip>();
    if (packed == compression::zstd) unpack_ = std::make_unique<unzstd>();
}

byte_source::~byte_source() = default;

result<std::string_view> byte_source::read_block() {
    if (told_to_stop()) {
        failed_to_read_ = true;
        return fail(problem{.what = "stopped before its end was read", .hint = {}, .file = name_});
    }
    if (ended_) return std::string_view{};
    const auto got = read_some_at(fd_, block_.get(), block_bytes, bytes_, name_);
    if (!got) {
        failed_to_read_ = true;
        return fail(got.error());
    }
    const std::string_view block(block_.get(), *got);
    if (copy_ >= 0)
        if (auto kept = write_all(copy_, block, name_); !kept) {
            failed_to_read_ = true;
            return fail(std::move(kept.error()));
        }
    hash_.update(block);
    bytes_ += block.size();
    if (watch_ != nullptr) watch_->bytes.store(bytes_, std::memory_order_relaxed);
    if (block.empty()) {
        ended_ = true;
        digest_ = hash_.finish();
    }
    return block;
}

result<std::string_view> byte_source::next() {
    if (!unpack_) return read_block();
    for (;;) {
        if (told_to_stop()) return read_block();
        auto made = unpack_->decompress(pending_);
        if (!made)
            return fail(problem{.what = "cannot be unpacked: " + made.error().what,
                                .hint = std::move(made.error().hint),
                                .file = name_});
        unpacked_ += made->size();
        if (is_bomb())
            return fail(problem{.what = fmt::format("unpacks to more than {} times its size", unpacked_ratio_max),
                                .hint = "no list of ids packs so well: is it one id, or none, again and again?",
                                .file = name_});
        if (!made->empty()) return made;
        auto block = read_block();
        if (!block) return block;
        if (block->empty()) {
            if (unpack_->complete()) return std::string_view{};
            return fail(problem{.what = "the compressed file ends in the middle",
                                .hint = "copy it again: it was cut on its way",
                                .file = name_});
        }
        pending_ = *block;
    }
}

bool byte_source::is_bomb() const {
    const std::uint64_t packed = bytes_ - pending_.size();
    return unpacked_ > unpacked_bytes_free && unpacked_ / unpacked_ratio_max > packed;
}

source_facts byte_source::facts() const {
    if (!ended_) throw std::logic_error("facts of a file that was not read to its end");
    return {.file = name_, .sha256 = hex(digest_), .bytes = bytes_};
}

}  // namespace culld

#include "culld/io/byte_source.hpp"

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include "scratch.hpp"

namespace culld {
namespace {

std::string gzipped(std::string_view text) {
    z_stream z{};
    EXPECT_EQ(::deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    std::string in(text);
    std::string out(::deflateBound(&z, text.size()) + 64, '\0');
    z.next_in = reinterpret_cast<Bytef*>(in.data());
    z.avail_in = static_cast<uInt>(in.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(::deflate(&z, Z_FINISH), Z_STREAM_END);
    out.resize(z.total_out);
    EXPECT_EQ(::deflateEnd(&z), Z_OK);
    return out;
}

std::string zstd_frame(std::string_view text, int window_log = 0) {
    ZSTD_CCtx* const c = ::ZSTD_createCCtx();
    if (window_log != 0) {
        EXPECT_FALSE(::ZSTD_isError(::ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log)));
        EXPECT_FALSE(::ZSTD_isError(::ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0)));
    }
    std::string out(::ZSTD_compressBound(text.size()) + 64, '\0');
    ZSTD_inBuffer in{text.data(), text.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    // In two steps, so that the frame keeps the window it was asked for.
    EXPECT_FALSE(::ZSTD_isError(::ZSTD_compressStream2(c, &to, &in, ZSTD_e_flush)));
    EXPECT_EQ(::ZSTD_compressStream2(c, &to, &in, ZSTD_e_end), 0U);
    out.resize(to.pos);
    static_cast<void>(::ZSTD_freeCCtx(c));
    return out;
}

class ByteSource : public testing::Test {
  protected:
    result<std::string> read(std::string_view content, compression packed) {
        const unique_fd fd = dir_.file("f", content);
        byte_source from(fd.get(), "f", packed);
        std::string out;
        for (;;) {
            const auto block = from.next();
            if (!block) return fail(block.error());
            if (block->empty()) break;
            out.append(*block);
        }
        EXPECT_TRUE(from.next()->empty());  // the end stays the end
        facts_ = from.facts();
        return out;
    }

    static std::string long_text() {
        std::string out;
        for (std::uint64_t i = 0; i < 40'000; ++i) out += uuid(i) + "\n";
        return out;
    }

    scratch dir_;
    source_facts facts_;
};

TEST_F(ByteSource, GivesWhatIsThereAndItsFacts) {
    EXPECT_EQ(read("", compression::none), "");
    EXPECT_EQ(facts_.sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(read("abc", compression::none), "abc");
    EXPECT_EQ(facts_.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(facts_.bytes, 3U);
    EXPECT_EQ(facts_.file, "f");
    EXPECT_EQ(read(long_text(), compression::none), long_text());
}

TEST_F(ByteSource, UnpacksAndHashesThePackedBytes) {
    const std::string text = long_text();
    for (const auto& [packed, kind] :
         {std::pair(gzipped(text), compression::gzip), std::pair(zstd_frame(text), compression::zstd)}) {
        EXPECT_EQ(read(packed, kind), text);
        EXPECT_EQ(facts_.bytes, packed.size());
        sha256 hash;
        hash.update(packed);
        EXPECT_EQ(facts_.sha256, hex(hash.finish()));
    }
}

TEST_F(ByteSource, SeveralMembersAreOneStream) {
    const std::string text = long_text();
    EXPECT_EQ(read(gzipped("a\n") + gzipped("") + gzipped(text), compression::gzip), "a\n" + text);
    EXPECT_EQ(read(zstd_frame("a\n") + zstd_frame("") + zstd_frame(text), compression::zstd), "a\n" + text);
}

TEST_F(ByteSource, ACutStreamIsAnErrorWhereverItIsCut) {
    const std::string text = "one\ntwo\nthree\n";
    for (const auto& [packed, kind] :
         {std::pair(gzipped(text), compression::gzip), std::pair(zstd_frame(text), compression::zstd)})
        for (std::size_t keep = 0; keep < packed.size(); ++keep)
            EXPECT_FALSE(read(packed.substr(0, keep), kind)) << keep << " of " << packed.size();
}

TEST_F(ByteSource, BytesBehindTheEndAreAnError) {
    for (const std::string& garbage : {std::string("x"), std::string("garbage!"), std::string(512, '\0')}) {
        EXPECT_FALSE(read(gzipped("a\n") + garbage, compression::gzip));
        EXPECT_FALSE(read(zstd_frame("a\n") + garbage, compression::zstd));
    }
}

TEST_F(ByteSource, ADamagedStreamIsAnError) {
    std::string packed = gzipped(long_text());
    packed[packed.size() - 6] = static_cast<char>(packed[packed.size() - 6] ^ 1);  // in the checksum
    EXPECT_FALSE(read(packed, compression::gzip));
    EXPECT_FALSE(read("not packed at all", compression::gzip));
    EXPECT_FALSE(read("not packed at all", compression::zstd));
}

TEST_F(ByteSource, AZstdWindowOfMoreThan8MiBIsRefused) {
    EXPECT_TRUE(read(zstd_frame(long_text(), 23), compression::zstd));
    const auto wide = read(zstd_frame(long_text(), 27), compression::zstd);
    ASSERT_FALSE(wide);
    EXPECT_NE(wide.error().what.find("memory"), std::string::npos) << wide.error().what;
}

TEST_F(ByteSource, AHugeRatioStreamsThrough) {
    const std::string zeros(std::size_t{64} << 20U, 'x');
    EXPECT_EQ(read(gzipped(zeros), compression::gzip)->size(), zeros.size());
    EXPECT_EQ(read(zstd_frame(zeros), compression::zstd)->size(), zeros.size());
}

TEST_F(ByteSource, StopsWhenAsked) {
    std::atomic<bool> stop{false};
    for (const auto& [content, packed] : {std::pair(long_text(), compression::none),
                                          std::pair(gzipped(std::string(1U << 20U, 'x')), compression::gzip)}) {
        const unique_fd fd = dir_.file("f", content);
        byte_source from(fd.get(), "f", packed, &stop);
        stop = false;
        EXPECT_TRUE(from.next());
        stop = true;
        EXPECT_FALSE(from.next());
        EXPECT_TRUE(from.failed_to_read());
    }
}

TEST_F(ByteSource, AnUnreadableFileIsNotTheFilesFault) {
    byte_source from(dir_.here().fd(), "f", compression::none);  // a folder cannot be read
    EXPECT_FALSE(from.next());
    EXPECT_TRUE(from.failed_to_read());
}

}  // namespace
}  // namespace culld

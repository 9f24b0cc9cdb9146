// Texts packed as users pack them.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <string>
#include <string_view>

namespace culld {

[[nodiscard]] inline std::string gzipped(std::string_view text) {
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

[[nodiscard]] inline std::string zstd_frame(std::string_view text, int window_log = 0) {
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

}  // namespace culld

// Text packed as a server would, with zlib.
#pragma once

#include <zlib.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace culld {

// `frame`, as zlib has it: 31 is gzip, 15 zlib's own, -15 none.
inline std::string deflated(std::string_view text, int frame = 31) {
    z_stream z{};
    if (::deflateInit2(&z, 6, Z_DEFLATED, frame, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::runtime_error("zlib");
    std::string in(text), out(::deflateBound(&z, text.size()) + 32, '\0');
    z.next_in = reinterpret_cast<Bytef*>(in.data());
    z.avail_in = static_cast<uInt>(in.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    const int end = ::deflate(&z, Z_FINISH);
    out.resize(z.total_out);
    if (::deflateEnd(&z) != Z_OK || end != Z_STREAM_END) throw std::runtime_error("zlib");
    return out;
}

}  // namespace culld

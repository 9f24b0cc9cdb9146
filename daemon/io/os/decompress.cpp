#include "culld/io/os/decompress.hpp"

#include <zlib.h>

#include <algorithm>

#include "culld/core/base/ascii.hpp"

namespace culld {

namespace {

constexpr std::string_view gzip_magic = "\x1F\x8B";
constexpr std::size_t piece_bytes = 16 * 1024;
constexpr int gzip_frame = 15 + 16, zlib_frame = 15, no_frame = -15;

// Ends with its stream.
class inflater {
  public:
    explicit inflater(int frame) : good_(::inflateInit2(&stream_, frame) == Z_OK) {}
    ~inflater() {
        if (good_) static_cast<void>(::inflateEnd(&stream_));
    }
    inflater(const inflater&) = delete;
    inflater& operator=(const inflater&) = delete;

    result<std::string> operator()(std::string_view packed, std::size_t most) {
        std::string out, piece(piece_bytes, '\0');
        // zlib's own type for what it only reads.
        std::string copy(packed);
        stream_.next_in = reinterpret_cast<Bytef*>(copy.data());
        stream_.avail_in = static_cast<uInt>(copy.size());
        for (int state = good_ ? Z_OK : Z_MEM_ERROR;;) {
            if (state == Z_STREAM_END) {
                if (stream_.avail_in == 0) return out;
                state = ::inflateReset(&stream_);  // another member follows
            }
            if (state != Z_OK) return fail("the answer is packed, and cut or damaged");
            stream_.next_out = reinterpret_cast<Bytef*>(piece.data());
            stream_.avail_out = static_cast<uInt>(piece.size());
            state = ::inflate(&stream_, Z_NO_FLUSH);
            const std::size_t got = piece.size() - stream_.avail_out;
            if (got > most - out.size()) return fail("the answer is packed, and larger than an answer may be");
            out.append(piece, 0, got);
        }
    }

  private:
    ::z_stream stream_{};
    bool good_;
};

std::string_view without_blanks(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

bool is_plain(std::string_view coding) {
    return coding.empty() || same_ignoring_case(coding, "identity") || same_ignoring_case(coding, "chunked");
}

// A server that names gzip and sends what is none has it unpacked already.
bool is_gzip(std::string_view coding) {
    return same_ignoring_case(coding, "gzip") || same_ignoring_case(coding, "x-gzip");
}

}  // namespace

bool is_packed(std::string_view coding, std::string_view body) {
    coding = without_blanks(coding);
    return body.starts_with(gzip_magic) || (!is_plain(coding) && !is_gzip(coding));
}

result<std::string> decompress(std::string_view coding, std::string_view body, std::size_t most) {
    coding = without_blanks(coding);
    if (body.starts_with(gzip_magic)) return inflater(gzip_frame)(body, most);
    if (same_ignoring_case(coding, "deflate")) {
        auto out = inflater(zlib_frame)(body, most);
        return out ? std::move(out) : inflater(no_frame)(body, most);
    }
    if (!is_packed(coding, body)) return std::string(body);
    std::string name(coding.substr(0, 20));
    std::ranges::replace_if(
        name, [](char c) { return !ascii_alnum(c) && c != '-'; }, '?');
    return fail("the answer is packed as " + name + ", though none was asked for");
}

}  // namespace culld

// The id store's reader on any bytes. Checksums would keep a fuzzer out of everything behind them, so the
// first byte says whether they are put right before the store is opened, as somebody would who bends a store
// on purpose.
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "culld/io/ids/id_store.hpp"
#include "memory_file.hpp"

namespace {

constexpr std::size_t footer_bytes = 96;
constexpr std::size_t entry_bytes = 16;

std::uint64_t number_at(const std::string& bytes, std::size_t at) {
    std::uint64_t out = 0;
    std::memcpy(&out, &bytes[at], sizeof out);
    return out;
}
void put(std::string& bytes, std::size_t at, std::uint64_t value) {
    std::memcpy(&bytes[at], &value, sizeof value);
}

void make_checksums_right(std::string& bytes) {
    if (bytes.size() < footer_bytes) return;
    const std::size_t footer = bytes.size() - footer_bytes;
    std::memcpy(&bytes[footer], "culldids\1\0\0\0\0\4\0\0", 16);
    const std::uint64_t ids = number_at(bytes, footer + 16) % 5000;
    const std::uint64_t segments = (ids + 1023) / 1024;
    if (segments * entry_bytes > footer) return;
    const std::size_t content = footer - segments * entry_bytes;
    for (std::size_t s = 0; s < segments; ++s) {
        const std::size_t entry = content + s * entry_bytes;
        const std::uint64_t from = number_at(bytes, entry);
        const std::uint64_t to = s + 1 < segments ? number_at(bytes, entry + entry_bytes) : content;
        if (from <= to && to <= content) put(bytes, entry + 8, XXH3_64bits_withSeed(&bytes[from], to - from, s));
    }
    put(bytes, footer + 16, ids);
    put(bytes, footer + 24, content);
    put(bytes, footer + 32, XXH3_64bits(&bytes[content], footer - content));
    put(bytes, footer + 88, XXH3_64bits(&bytes[footer], 88));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace culld;
    if (size == 0) return 0;
    std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
    if (data[0] % 2 == 1) make_checksums_right(bytes);
    auto store =
        id_store::open(fuzz::memory_file(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()), "f");
    if (!store) return 0;
    std::string out;
    for (position p = 0; p < std::min<std::uint64_t>(store->count(), 5000); p += 511) {
        const std::uint64_t some = std::min<std::uint64_t>(store->count() - p, 700);
        const auto done = store->append_quoted(p, some, out);
        if (done && out.find('"') == std::string::npos) std::abort();
        out.clear();
        const auto id = store->at(p);
        if (id && id->find('"') != std::string_view::npos) std::abort();
    }
    return 0;
}

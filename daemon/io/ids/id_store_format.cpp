#include "id_store_format.hpp"

#include <xxhash.h>

#include <algorithm>
#include <new>

#include "culld/io/ids/id_store.hpp"

namespace culld::store_format {

namespace {

constexpr std::string_view magic = "culldids";
constexpr std::uint32_t version = 1;

template <class T>
void append_little(std::string& out, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xFFU));
}

template <class T>
T take_little(std::string_view& from) {
    T out = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
        out = static_cast<T>(out | (static_cast<T>(static_cast<unsigned char>(from[i])) << (8 * i)));
    from.remove_prefix(sizeof(T));
    return out;
}

}  // namespace

void append(std::string& out, const entry& e) {
    append_little(out, e.offset);
    append_little(out, e.checksum);
}

entry decode_entry(std::string_view bytes) {
    entry out;
    out.offset = take_little<std::uint64_t>(bytes);
    out.checksum = take_little<std::uint64_t>(bytes);
    return out;
}

std::string encode(const footer& f) {
    std::string out(magic);
    append_little(out, version);
    append_little(out, static_cast<std::uint32_t>(ids_per_segment));
    append_little(out, f.ids);
    append_little(out, f.content);
    append_little(out, f.index_checksum);
    for (const std::uint8_t byte : f.source) out.push_back(static_cast<char>(byte));
    out.append(footer_bytes - sizeof(std::uint64_t) - out.size(), '\0');
    append_little(out, static_cast<std::uint64_t>(XXH3_64bits(out.data(), out.size())));
    return out;
}

std::optional<footer> decode_footer(std::string_view bytes) {
    const std::string_view summed = bytes.substr(0, footer_bytes - sizeof(std::uint64_t));
    std::string_view tail = bytes.substr(summed.size());
    if (!bytes.starts_with(magic) || take_little<std::uint64_t>(tail) != XXH3_64bits(summed.data(), summed.size()))
        return std::nullopt;
    bytes.remove_prefix(magic.size());
    if (take_little<std::uint32_t>(bytes) != version) return std::nullopt;
    if (take_little<std::uint32_t>(bytes) != ids_per_segment) return std::nullopt;
    footer out;
    out.ids = take_little<std::uint64_t>(bytes);
    out.content = take_little<std::uint64_t>(bytes);
    out.index_checksum = take_little<std::uint64_t>(bytes);
    std::ranges::transform(bytes.substr(0, out.source.size()), out.source.begin(),
                           [](char c) { return static_cast<std::uint8_t>(c); });
    return out;
}

std::uint64_t checksum(std::string_view content, std::uint64_t segment) {
    return XXH3_64bits_withSeed(content.data(), content.size(), segment);
}

running_checksum::running_checksum() : state_(XXH3_createState()) {
    if (!state_ || XXH3_64bits_reset(state_.get()) != XXH_OK) throw std::bad_alloc();
}
void running_checksum::update(std::string_view bytes) {
    if (XXH3_64bits_update(state_.get(), bytes.data(), bytes.size()) != XXH_OK) throw std::bad_alloc();
}
std::uint64_t running_checksum::value() const {
    return XXH3_64bits_digest(state_.get());
}
void running_checksum::free_state::operator()(XXH3_state_s* state) const noexcept {
    static_cast<void>(XXH3_freeState(state));
}

}  // namespace culld::store_format

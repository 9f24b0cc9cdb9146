// The bytes of an id store's index and footer, as id_store.hpp specifies them: shared by its writer and its
// reader.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "culld/core/base/sha256.hpp"

struct XXH3_state_s;

namespace culld::store_format {

inline constexpr std::size_t footer_bytes = 96;
inline constexpr std::size_t entry_bytes = 16;

struct entry {
    std::uint64_t offset = 0;    // of the segment in the file
    std::uint64_t checksum = 0;  // of its content
};

struct footer {
    std::uint64_t ids = 0;
    std::uint64_t content = 0;  // bytes
    std::uint64_t index_checksum = 0;
    digest source{};
};

void append(std::string& out, const entry& e);
[[nodiscard]] entry decode_entry(std::string_view bytes);  // of entry_bytes

[[nodiscard]] std::string encode(const footer& f);
// Nothing if it is no footer of ours, or its own checksum is wrong. `bytes` is footer_bytes long.
[[nodiscard]] std::optional<footer> decode_footer(std::string_view bytes);

// XXH3-64 of a segment. Its number is the seed, so that a segment in another's place does not pass for it.
[[nodiscard]] std::uint64_t checksum(std::string_view content, std::uint64_t segment);

// XXH3-64 of what comes in pieces.
class running_checksum {
  public:
    running_checksum();
    void update(std::string_view bytes);
    [[nodiscard]] std::uint64_t value() const;

  private:
    struct free_state {
        void operator()(XXH3_state_s* state) const noexcept;
    };
    std::unique_ptr<XXH3_state_s, free_state> state_;
};

}  // namespace culld::store_format

// SHA-256 (FIPS 180-4) over OpenSSL, with the algorithm fetched once: OpenSSL 3's one-shot SHA256() pays some
// 200 ns for a fetch at each call and can fail by returning NULL.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;
struct evp_mac_ctx_st;

namespace culld {

using digest = std::array<std::uint8_t, 32>;

// 64 lower-case hex digits.
[[nodiscard]] std::string hex(const digest& d);
void append_hex(std::string& out, const digest& d);
// The reverse; false if `text` is not 64 lower-case hex digits.
[[nodiscard]] bool parse_hex(std::string_view text, digest& out);

// A running hash. Reusable: finish() starts it anew. Throws std::runtime_error if the library refuses to work (or
// std::bad_alloc), since nothing that is recorded may rest on a digest that was not made.
class sha256 {
  public:
    sha256();
    ~sha256();
    sha256(sha256&&) noexcept;
    sha256& operator=(sha256&&) noexcept;

    void update(std::string_view bytes);
    [[nodiscard]] digest finish();

  private:
    void begin();

    struct free_context {
        void operator()(evp_md_ctx_st* context) const noexcept;
    };
    std::unique_ptr<evp_md_ctx_st, free_context> context_;  // null: memory ran out since
};

// HMAC-SHA256 (RFC 2104), reusable. The key is needed for one call only: its place in the library's memory is
// overwritten before the call returns. Throws like sha256.
class hmac_sha256 {
  public:
    hmac_sha256();
    ~hmac_sha256();
    hmac_sha256(hmac_sha256&&) noexcept;
    hmac_sha256& operator=(hmac_sha256&&) noexcept;

    [[nodiscard]] digest operator()(std::string_view key, std::string_view text);

  private:
    struct free_context {
        void operator()(evp_mac_ctx_st* context) const noexcept;
    };
    std::unique_ptr<evp_mac_ctx_st, free_context> context_;
};

}  // namespace culld

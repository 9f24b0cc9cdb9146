#include "culld/core/base/sha256.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <stdexcept>

namespace culld {

namespace {

const EVP_MD* algorithm() {
    struct release {
        void operator()(EVP_MD* md) const noexcept { EVP_MD_free(md); }
    };
    static const std::unique_ptr<EVP_MD, release> fetched(EVP_MD_fetch(nullptr, "SHA256", nullptr));
    if (!fetched) throw std::runtime_error("OpenSSL offers no SHA-256");
    return fetched.get();
}

void need(int ok) {
    if (ok != 1) throw std::runtime_error("OpenSSL failed to compute a SHA-256");
}

int nibble(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

}  // namespace

void append_hex(std::string& out, const digest& d) {
    static constexpr char digits[] = "0123456789abcdef";
    std::array<char, 2 * std::tuple_size_v<digest>> text;
    for (std::size_t i = 0; i < d.size(); ++i) {
        text[2 * i] = digits[d[i] >> 4U];
        text[2 * i + 1] = digits[d[i] & 15U];
    }
    out.append(text.data(), text.size());
}

std::string hex(const digest& d) {
    std::string out;
    append_hex(out, d);
    return out;
}

bool parse_hex(std::string_view text, digest& out) {
    if (text.size() != out.size() * 2) return false;
    for (std::size_t i = 0; i < out.size(); ++i) {
        const int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = static_cast<std::uint8_t>(high << 4 | low);
    }
    return true;
}

void sha256::free_context::operator()(evp_md_ctx_st* context) const noexcept {
    EVP_MD_CTX_free(context);
}

sha256::sha256() {
    begin();
}
sha256::~sha256() = default;
sha256::sha256(sha256&&) noexcept = default;
sha256& sha256::operator=(sha256&&) noexcept = default;

void sha256::begin() {
    context_.reset(EVP_MD_CTX_new());
    if (!context_) throw std::bad_alloc();
    if (EVP_DigestInit_ex2(context_.get(), algorithm(), nullptr) == 1) return;
    context_.reset();
    need(0);
}

void sha256::update(std::string_view bytes) {
    if (!context_) begin();
    need(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
}

digest sha256::finish() {
    if (!context_) begin();
    digest out{};
    unsigned length = 0;
    need(EVP_DigestFinal_ex(context_.get(), out.data(), &length));
    // OpenSSL 3.0 allocates anew here, and leaves a context that would crash where it cannot: whoever needs it next
    // begins again.
    if (EVP_DigestInit_ex2(context_.get(), algorithm(), nullptr) != 1) context_.reset();
    return out;
}

// ---- HMAC ----

namespace {

EVP_MAC* mac_algorithm() {
    struct release {
        void operator()(EVP_MAC* mac) const noexcept { EVP_MAC_free(mac); }
    };
    static const std::unique_ptr<EVP_MAC, release> fetched(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
    if (!fetched) throw std::runtime_error("OpenSSL offers no HMAC");
    return fetched.get();
}

void need_mac(int ok) {
    if (ok != 1) throw std::runtime_error("OpenSSL failed to compute an HMAC");
}

const unsigned char* bytes_of(std::string_view text) {
    static constexpr unsigned char none[1] = {0};  // a null pointer would mean "the key of last time"
    return text.empty() ? none : reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

void hmac_sha256::free_context::operator()(evp_mac_ctx_st* context) const noexcept {
    EVP_MAC_CTX_free(context);
}

hmac_sha256::hmac_sha256() : context_(EVP_MAC_CTX_new(mac_algorithm())) {
    if (!context_) throw std::bad_alloc();
    char name[] = "SHA256";
    const OSSL_PARAM how[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                              OSSL_PARAM_construct_end()};
    need_mac(EVP_MAC_CTX_set_params(context_.get(), how));
}
hmac_sha256::~hmac_sha256() = default;
hmac_sha256::hmac_sha256(hmac_sha256&&) noexcept = default;
hmac_sha256& hmac_sha256::operator=(hmac_sha256&&) noexcept = default;

digest hmac_sha256::operator()(std::string_view key, std::string_view text) {
    need_mac(EVP_MAC_init(context_.get(), bytes_of(key), key.size(), nullptr));
    need_mac(EVP_MAC_update(context_.get(), bytes_of(text), text.size()));
    digest out{};
    std::size_t length = 0;
    need_mac(EVP_MAC_final(context_.get(), out.data(), &length, out.size()));
    need_mac(EVP_MAC_init(context_.get(), bytes_of({}), 0, nullptr));  // the key is forgotten
    return out;
}

}  // namespace culld

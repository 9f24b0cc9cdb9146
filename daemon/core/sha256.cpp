#include "culld/core/sha256.hpp"

#include <openssl/evp.h>

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
    for (const std::uint8_t byte : d) {
        out.push_back(digits[byte >> 4U]);
        out.push_back(digits[byte & 15U]);
    }
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

sha256::sha256() : context_(EVP_MD_CTX_new()) {
    if (!context_) throw std::bad_alloc();
    need(EVP_DigestInit_ex2(context_.get(), algorithm(), nullptr));
}
sha256::~sha256() = default;
sha256::sha256(sha256&&) noexcept = default;
sha256& sha256::operator=(sha256&&) noexcept = default;

void sha256::update(std::string_view bytes) {
    need(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
}

digest sha256::finish() {
    digest out{};
    unsigned length = 0;
    need(EVP_DigestFinal_ex(context_.get(), out.data(), &length));
    need(EVP_DigestInit_ex2(context_.get(), algorithm(), nullptr));
    return out;
}

}  // namespace culld

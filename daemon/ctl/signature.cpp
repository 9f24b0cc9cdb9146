#include "signature.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <utility>
#include <vector>

#include "culld/io/file.hpp"

namespace culld::ctl {

namespace {

constexpr std::size_t key_bytes_max = 64U << 10U;
constexpr std::size_t signature_bytes = 64;  // RFC 8032
constexpr std::size_t signature_base64 = 88;

struct release_bio {
    void operator()(BIO* b) const noexcept { static_cast<void>(BIO_free(b)); }
};
struct release_context {
    void operator()(EVP_MD_CTX* c) const noexcept { EVP_MD_CTX_free(c); }
};

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

void public_key::release::operator()(evp_pkey_st* key) const noexcept {
    EVP_PKEY_free(key);
}

result<public_key> public_key::load(const std::string& path) {
    auto text = read_small_file(path, key_bytes_max);
    if (!text) return fail(std::move(text.error()));
    const std::unique_ptr<BIO, release_bio> bio(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())));
    public_key out;
    if (bio) out.key_.reset(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
    if (!out.key_ || EVP_PKEY_is_a(out.key_.get(), "ED25519") != 1)
        return fail(problem{.what = "is no Ed25519 public key in PEM",
                            .hint = "openssl pkey -in KEY.pem -pubout writes one",
                            .file = path});
    return out;
}

bool public_key::signed_by_owner(std::string_view text, std::string_view signature) const {
    if (signature.size() != signature_base64) return false;
    std::vector<unsigned char> decoded(signature_base64);
    const int length = EVP_DecodeBlock(decoded.data(), bytes_of(signature), static_cast<int>(signature.size()));
    // 88 characters hold 66 bytes, two of them padding.
    if (length != 66 || !signature.ends_with("==")) return false;
    const std::unique_ptr<EVP_MD_CTX, release_context> context(EVP_MD_CTX_new());
    return context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
           EVP_DigestVerify(context.get(), decoded.data(), signature_bytes, bytes_of(text), text.size()) == 1;
}

}  // namespace culld::ctl

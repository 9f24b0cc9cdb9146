#include "culld/core/journal/ledger_signature.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "culld/core/base/base64.hpp"
#include "culld/core/base/sha256.hpp"

namespace culld {

namespace {

constexpr std::size_t signature_bytes = 64;  // RFC 8032, 5.1.6
constexpr std::size_t signature_base64 = 88;
constexpr std::size_t seed_bytes = 32;

// PrivateKeyInfo of an Ed25519 key, up to the 32 bytes of the key itself (RFC 8410, section 7 and its example).
constexpr std::array<unsigned char, 16> pkcs8_head = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                                      0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};

struct release_context {
    void operator()(EVP_MD_CTX* c) const noexcept { EVP_MD_CTX_free(c); }
};
using context = std::unique_ptr<EVP_MD_CTX, release_context>;

const unsigned char* bytes_of(std::string_view text) {
    return static_cast<const unsigned char*>(static_cast<const void*>(text.data()));
}

// What failed here must not be found in OpenSSL's queue by whoever asks it next about a TLS connection.
struct clean_error_queue {
    clean_error_queue() = default;
    clean_error_queue(const clean_error_queue&) = delete;
    clean_error_queue& operator=(const clean_error_queue&) = delete;
    ~clean_error_queue() { ERR_clear_error(); }
};

// Bytes that are wiped, whatever way out is taken.
struct wiped_bytes {
    wiped_bytes() = default;
    wiped_bytes(const wiped_bytes&) = delete;
    wiped_bytes& operator=(const wiped_bytes&) = delete;
    ~wiped_bytes() { OPENSSL_cleanse(data.data(), data.size()); }
    std::vector<unsigned char> data;
};

bool is_ed25519(const EVP_PKEY* key) {
    return key != nullptr && EVP_PKEY_is_a(key, "ED25519") == 1;
}

// What stands between "-----BEGIN <label>-----" and "-----END <label>-----".
struct pem_block {
    std::string_view label, content;
};

// The next block of `rest`, which is moved behind it; false if there is none.
bool next_block(std::string_view& rest, pem_block& out) {
    constexpr std::string_view begin = "-----BEGIN ", dashes = "-----";
    const std::size_t start = rest.find(begin);
    if (start == std::string_view::npos) return false;
    rest.remove_prefix(start + begin.size());
    const std::size_t label_end = rest.find(dashes);
    if (label_end == std::string_view::npos) return false;
    out.label = rest.substr(0, label_end);
    rest.remove_prefix(label_end + dashes.size());
    const std::string end = fmt::format("-----END {}-----", out.label);
    const std::size_t content_end = rest.find(end);
    if (content_end == std::string_view::npos) return false;
    out.content = rest.substr(0, content_end);
    rest.remove_prefix(content_end + end.size());
    return true;
}

// RFC 7468: base64 in lines. False for anything else.
bool decode(std::string_view content, wiped_bytes& out) {
    wiped_bytes digits;
    digits.data.reserve(content.size());
    for (const char c : content)
        if (c != '\n' && c != '\r' && c != ' ' && c != '\t') digits.data.push_back(static_cast<unsigned char>(c));
    if (digits.data.empty() || digits.data.size() % 4 != 0) return false;
    out.data.resize(digits.data.size() / 4 * 3);
    const int length = EVP_DecodeBlock(out.data.data(), digits.data.data(), static_cast<int>(digits.data.size()));
    if (length < 0) return false;
    // Padding counts as bytes to EVP_DecodeBlock.
    const auto padding = std::count(digits.data.end() - 2, digits.data.end(), static_cast<unsigned char>('='));
    out.data.resize(static_cast<std::size_t>(length) - static_cast<std::size_t>(padding));
    return true;
}

std::string id_of(const EVP_PKEY* key) {
    unsigned char* der = nullptr;
    const int length = i2d_PUBKEY(key, &der);
    if (length <= 0) throw std::runtime_error("OpenSSL does not write a public key");
    sha256 hash;
    hash.update({static_cast<const char*>(static_cast<const void*>(der)), static_cast<std::size_t>(length)});
    OPENSSL_free(der);
    return hex(hash.finish());
}

constexpr const char* how_to_make = "openssl genpkey -algorithm ed25519 -out KEY.pem writes one";

tl::unexpected<problem> no_key(std::string what) {
    return fail(std::move(what), how_to_make);
}

}  // namespace

void release_key::operator()(evp_pkey_st* key) const noexcept {
    EVP_PKEY_free(key);
}

result<public_keys> public_keys::parse(std::string_view pem) {
    const clean_error_queue clean;
    public_keys out;
    pem_block block;
    while (next_block(pem, block)) {
        if (block.label.ends_with("PRIVATE KEY"))
            return fail("holds a private key, where a public one belongs",
                        "openssl pkey -in KEY.pem -pubout writes the public half; whoever can read a private key "
                        "can sign with it");
        wiped_bytes der;
        const bool fine = block.label == "PUBLIC KEY" && decode(block.content, der);
        const unsigned char* at = der.data.data();
        key_handle key(fine ? d2i_PUBKEY(nullptr, &at, static_cast<long>(der.data.size())) : nullptr);
        if (!is_ed25519(key.get()))
            return fail(fmt::format("PEM block {} is no Ed25519 public key", out.count() + 1),
                        "openssl pkey -in KEY.pem -pubout writes one");
        out.keys_.push_back(std::move(key));
    }
    if (out.keys_.empty())
        return fail("holds no Ed25519 public key in PEM", "openssl pkey -in KEY.pem -pubout writes one");
    return out;
}

bool public_keys::signed_by_one(std::string_view text, std::string_view signature) const {
    if (signature.size() != signature_base64 || !signature.ends_with("==")) return false;
    std::array<unsigned char, 66> decoded{};  // two bytes of it are padding
    if (EVP_DecodeBlock(decoded.data(), bytes_of(signature), static_cast<int>(signature.size())) != 66) return false;
    std::array<unsigned char, signature_bytes> raw{};
    const clean_error_queue clean;
    std::copy_n(decoded.begin(), raw.size(), raw.begin());
    if (base64(raw) != signature) return false;
    return std::any_of(keys_.begin(), keys_.end(), [&](const key_handle& key) {
        const context with(EVP_MD_CTX_new());
        return with && EVP_DigestVerifyInit(with.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
               EVP_DigestVerify(with.get(), raw.data(), raw.size(), bytes_of(text), text.size()) == 1;
    });
}

std::optional<public_keys> public_keys::only(std::string_view id) const {
    for (const key_handle& key : keys_) {
        if (id_of(key.get()) != id) continue;
        public_keys out;
        if (EVP_PKEY_up_ref(key.get()) != 1) throw std::runtime_error("OpenSSL does not share a key");
        out.keys_.emplace_back(key.get());
        return out;
    }
    return std::nullopt;
}

std::string public_keys::id() const {
    return id_of(keys_.at(0).get());
}

bool public_keys::contains(const public_keys& other) const {
    return std::all_of(other.keys_.begin(), other.keys_.end(), [this](const key_handle& wanted) {
        return std::any_of(keys_.begin(), keys_.end(),
                           [&](const key_handle& key) { return EVP_PKEY_eq(key.get(), wanted.get()) == 1; });
    });
}

void public_keys::add(public_keys other) {
    for (key_handle& key : other.keys_) {
        const auto same = [&](const key_handle& known) { return EVP_PKEY_eq(known.get(), key.get()) == 1; };
        if (std::none_of(keys_.begin(), keys_.end(), same)) keys_.push_back(std::move(key));
    }
}

result<signing_key> signing_key::parse(std::string_view pem) {
    const clean_error_queue clean;
    pem_block block;
    if (!next_block(pem, block)) return no_key("holds no key in PEM");
    if (block.label == "ENCRYPTED PRIVATE KEY" || block.content.find("ENCRYPTED") != std::string_view::npos)
        return fail("the key is encrypted, and nobody is there to give its pass phrase",
                    "openssl pkey -in KEY.pem -out PLAIN.pem takes it off; a systemd credential keeps the file safe "
                    "(systemd-creds encrypt)");
    if (block.label == "PUBLIC KEY") return no_key("holds a public key, where the private one belongs");
    wiped_bytes der;
    if (!block.label.ends_with("PRIVATE KEY") || !decode(block.content, der))
        return no_key(fmt::format("holds no private key in PEM, but a block \"{}\"",
                                  block.label.substr(0, std::min<std::size_t>(block.label.size(), 40))));
    signing_key out;
    if (der.data.size() == pkcs8_head.size() + seed_bytes &&
        std::equal(pkcs8_head.begin(), pkcs8_head.end(), der.data.begin())) {
        // Straight from our bytes, which are wiped, to OpenSSL's: no decoder's buffer keeps a copy.
        out.key_.reset(
            EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, der.data.data() + pkcs8_head.size(), seed_bytes));
    } else {
        const unsigned char* at = der.data.data();
        out.key_.reset(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.data.size())));
    }
    if (!out.key_) return no_key("holds a private key that cannot be read");
    if (!is_ed25519(out.key_.get())) {
        const char* name = EVP_PKEY_get0_type_name(out.key_.get());
        return no_key(fmt::format("holds a key of type {}, and only Ed25519 is used", name == nullptr ? "?" : name));
    }
    return out;
}

std::string signing_key::sign(std::string_view text) const {
    std::array<unsigned char, signature_bytes> out{};
    std::size_t length = out.size();
    const context with(EVP_MD_CTX_new());
    if (!with || EVP_DigestSignInit(with.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
        EVP_DigestSign(with.get(), out.data(), &length, bytes_of(text), text.size()) != 1 || length != out.size())
        throw std::runtime_error("OpenSSL failed to make an Ed25519 signature");
    return base64(out);
}

public_keys signing_key::public_half() const {
    std::array<unsigned char, 32> raw{};
    std::size_t length = raw.size();
    if (EVP_PKEY_get_raw_public_key(key_.get(), raw.data(), &length) != 1)
        throw std::runtime_error("OpenSSL does not tell the public half of a key");
    public_keys out;
    out.keys_.emplace_back(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw.data(), length));
    if (!out.keys_.back()) throw std::runtime_error("OpenSSL does not take the public half of a key");
    return out;
}

}  // namespace culld

#include "culld/io/journal/signing_key_file.hpp"

#include <fmt/format.h>

#include <utility>

#include "culld/io/os/file.hpp"
#include "culld/io/secrets/secret_file.hpp"

namespace culld {

namespace {
constexpr std::size_t key_bytes_max = 64U << 10U;
}

result<public_keys> load_public_keys(const std::string& path) {
    auto text = read_small_file(path, key_bytes_max);
    if (!text) return fail(std::move(text.error()));
    auto out = public_keys::parse(*text);
    if (!out) out.error().file = path;
    return out;
}

result<std::optional<ledger_signing>> load_ledger_signing(const config& settings, const secret_access& secrets) {
    const std::string& name = settings.journal.signing_key_file;
    if (name.empty()) return std::optional<ledger_signing>();
    const auto about = [](problem why, std::string_view field, const std::string& file) {
        why.what = fmt::format("{}: {}", field, why.what);
        why.field = field;
        if (why.file.empty()) why.file = file;
        return fail(std::move(why));
    };
    const std::string file = secrets.folder.empty() ? name : secret_location(name, secrets.folder);
    auto text = read_secret(name, secrets, secret_form::text);
    if (!text) return about(std::move(text.error()), "journal.signing_key_file", file);
    auto key = signing_key::parse(text->view());
    if (!key) return about(std::move(key.error()), "journal.signing_key_file", file);
    ledger_signing out{.key = std::move(*key), .known = {}};
    const std::string& public_file = settings.journal.public_key_file;
    if (!public_file.empty()) {
        auto known = load_public_keys(public_file);
        if (!known) return about(std::move(known.error()), "journal.public_key_file", public_file);
        if (!known->contains(out.key.public_half()))
            return about({.what = "does not hold the public half of journal.signing_key_file: what culld signs would "
                                  "not be believed",
                          .hint = "openssl pkey -in KEY.pem -pubout writes it; keep the block of a key that signed "
                                  "before in the same file"},
                         "journal.public_key_file", public_file);
        out.known = std::move(*known);
    }
    out.known.add(out.key.public_half());
    return std::optional<ledger_signing>(std::move(out));
}

}  // namespace culld

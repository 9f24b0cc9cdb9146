// The keys of the ledger, from the files that journal.signing_key_file and journal.public_key_file name.
//
// Blocking; at start, on reload and in cullctl. Messages name the setting and never hold any of a private key.
#pragma once

#include <optional>
#include <string>

#include "culld/core/base/problem.hpp"
#include "culld/core/config/config.hpp"
#include "culld/core/journal/ledger_signature.hpp"
#include "culld/io/secrets/secret_file.hpp"

namespace culld {

// What the daemon signs its ledger with, and whose signatures it believes when it reads that ledger again.
struct ledger_signing {
    signing_key key;
    public_keys known;  // the key's own public half, and those of journal.public_key_file
};

// None where journal.signing_key_file is not set. The private key is a secret like any other: a systemd credential, or
// a file without bits for group and others. A public_key_file that does not hold its public half is refused, since
// every verification would fail later.
[[nodiscard]] result<std::optional<ledger_signing>> load_ledger_signing(const config& settings,
                                                                        const secret_access& secrets);

// One or more public keys in PEM.
[[nodiscard]] result<public_keys> load_public_keys(const std::string& path);

}  // namespace culld

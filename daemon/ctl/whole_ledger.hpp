// The ledger and ledger.head, read and checked together, beside a daemon that may be writing both.
#pragma once

#include "context.hpp"
#include "culld/core/ledger_signature.hpp"
#include "journal_folder.hpp"

namespace culld::ctl {

// The check is ended: what is wrong is in its findings. A head that does not fit is looked at again where a daemon may
// have written between the two readings.
[[nodiscard]] result<ledger_reading> read_whole_ledger(const context& with, const folder& dir,
                                                       const ledger_rules& rules);

// The keys that journal.public_key_file or --public-key name; none where neither is set.
[[nodiscard]] outcome<std::optional<public_keys>> believed_keys(const context& with);

}  // namespace culld::ctl

// The ledger and ledger.head, read and checked together, beside a daemon that may be writing both.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "ctl/journal/journal_folder.hpp"
#include "ctl/ui/context.hpp"
#include "culld/core/journal/ledger_signature.hpp"

namespace culld::ctl {

// The check is ended: what is wrong is in its findings. Where something is, and a daemon may have written between the
// two readings or be between its own two writings, both are looked at again. A last line that the head does not name
// yet is sound where its head lies ready beside it, signed before the line was written.
[[nodiscard]] result<ledger_reading> read_whole_ledger(const context& with, const folder& dir,
                                                       const ledger_rules& rules);

// The ledger once more, after journals were found that it did not name, or not as ended: until `named` says that it
// names them all, or for two seconds.
[[nodiscard]] result<ledger_reading> read_ledger_until(const context& with, const folder& dir,
                                                       const std::function<bool(const ledger_check&)>& named);

inline constexpr const char* unaccepted_what = "the job is open, and the ledger does not tell that it was accepted";
inline constexpr const char* unaccepted_hint =
    "somebody made this journal, or changed the ledger, or culld was stopped just then: start it, and look again";

// The keys that journal.public_key_file or --public-key name; none where neither is set.
[[nodiscard]] outcome<std::optional<public_keys>> believed_keys(const context& with);

inline constexpr const char* unnamed_what = "the job is finished, but the ledger does not name it";
inline constexpr const char* unnamed_hint =
    "lines were cut from the ledger, or somebody made this journal, or culld was stopped just then: start it, and look "
    "again";

}  // namespace culld::ctl

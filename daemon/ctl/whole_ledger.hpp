// The ledger and ledger.head, read and checked together, beside a daemon that may be writing both.
#pragma once

#include "context.hpp"
#include "journal_folder.hpp"

namespace culld::ctl {

// The check is ended: what is wrong is in its findings. A head that does not fit is looked at again where a daemon may
// have written between the two readings.
[[nodiscard]] result<ledger_reading> read_whole_ledger(const context& with, const folder& dir,
                                                       const ledger_rules& rules);

}  // namespace culld::ctl

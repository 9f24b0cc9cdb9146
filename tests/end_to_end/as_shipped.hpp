// For what shows only where culld runs as its unit runs it: an ordinary user among other users' files. Root only, and
// said loudly where it is not. Files are dropped by alice (drop, drop_job), by anybody (drop_as), or by whatever
// as(who, …) does; cullctl is run by anybody with ctl_as().
#pragma once

#include "faults.hpp"

namespace culld::programs {

class AsShipped : public WithFaults {
  protected:
    AsShipped() : WithFaults(true) {}
};

}  // namespace culld::programs

// How much of a journal a restart has to read.
#pragma once

#include <cstdint>

namespace culld {

struct checkpoint_rules {
    std::uint64_t every = 16U << 20U;             // bytes of journal from one checkpoint to the next
    std::uint64_t read_whole_up_to = 32U << 20U;  // a larger journal is read from its last checkpoint on
};

}  // namespace culld

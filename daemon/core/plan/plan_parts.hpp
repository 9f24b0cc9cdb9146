// What the two halves of a plan share; for plan*.cpp only.
#pragma once

#include <stdexcept>

namespace culld {

// A broken invariant here could delete what nobody asked for or judge an id twice: better dead than wrong.
inline void must_hold(bool ok, const char* what) {
    if (!ok) throw std::logic_error(what);
}

}  // namespace culld

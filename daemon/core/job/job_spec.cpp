#include "culld/core/job/job_spec.hpp"

namespace culld {

std::string_view name_of(verify_mode mode) {
    switch (mode) {
        case verify_mode::none: return "none";
        case verify_mode::failed: return "failed";
        case verify_mode::all: break;
    }
    return "all";
}

}  // namespace culld

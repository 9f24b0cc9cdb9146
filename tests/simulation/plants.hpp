// Bugs planted on purpose, to see that the simulation finds them.
#pragma once

#include <span>
#include <string_view>

#include "world.hpp"

namespace culld::simulation {

struct planted_bug {
    std::string_view name;
    std::string_view what;
};
[[nodiscard]] std::span<const planted_bug> planted_bugs();

// Nothing for an empty name. From here on, for this world.
void plant(std::string_view name, world& in);

}  // namespace culld::simulation

#include "world.hpp"

namespace culld::simulation {

namespace {
world* the_world = nullptr;
}

world::world(std::uint64_t seed, bool talk) : on(seed, talk), files(on) {
    the_world = this;
}

world::~world() {
    the_world = nullptr;
}

world& world::here() {
    return *the_world;
}

}  // namespace culld::simulation

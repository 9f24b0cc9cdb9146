#include "world.hpp"

namespace culld::simulation {

namespace {
world* the_one = nullptr;
}

world::world(std::uint64_t seed, bool talk) : on(seed, talk), files(on) {
    the_one = this;
}

world::~world() {
    the_one = nullptr;
}

world& world::here() {
    return *the_one;
}

}  // namespace culld::simulation

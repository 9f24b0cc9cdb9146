// The simulated API: the emulator's own rooms (what it answers) behind simulated connections (how that arrives).
#pragma once

#include <memory>
#include <string>

#include "emulator/api/cloud.hpp"
#include "truth.hpp"
#include "world.hpp"

namespace culld::simulation {

class cloud {
  public:
    cloud(world& in, truth& judge);
    ~cloud();

    struct weather {
        moment way_low = std::chrono::milliseconds(1), way_high = std::chrono::milliseconds(20);  // one way
        double refuse = 0;                                                                        // a connection
        double black_hole = 0;  // a connection, or an answer, that never comes
        double reset = 0;       // with the answer on its way
        double garbage = 0;     // an answer that is none
        double pieces = 0;      // an answer comes in pieces
        double idle_close = 0;  // a kept connection is closed after an answer
    } now;

    // Misbehaves like this from now on; what exists and what was deleted stays as it is.
    void behave(emulator::scenario rules, std::optional<std::string> token);
    void forget(const std::string& id);  // it never existed
    [[nodiscard]] bool exists(const std::string& id) const;
    [[nodiscard]] emulator::cloud& inside() { return *emulated_; }

  private:
    struct connection;
    friend struct connection;
    void connect(const std::shared_ptr<stream_socket>& from);
    void arrive(const std::weak_ptr<stream_socket>& from, const std::string& request);
    void respond(const std::weak_ptr<stream_socket>& to, const emulator::reply& reply);
    [[nodiscard]] moment way() { return in_.on.chance.between(now.way_low, now.way_high); }

    world& in_;
    truth& judge_;
    std::unique_ptr<emulator::cloud> emulated_;
    moment dark_until_{};
};

}  // namespace culld::simulation

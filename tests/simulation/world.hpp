// The world around the program: machine, disk, wires, the cloud it talks to, and the truth it is judged by.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "disk.hpp"
#include "machine.hpp"

namespace culld::simulation {

// The far end of a connection.
struct far_end {
    far_end() = default;
    virtual ~far_end() = default;
    far_end(const far_end&) = delete;
    far_end& operator=(const far_end&) = delete;
    virtual void received(std::string_view bytes) = 0;
    virtual void gone() = 0;
};

// A stream socket of the program.
struct stream_socket : open_thing, std::enable_shared_from_this<stream_socket> {
    enum class state_type { fresh, connecting, open, broken, listening };
    state_type state = state_type::fresh;
    int error = 0;  // SO_ERROR
    std::string inbox;
    bool ended = false;  // nothing more comes
    bool reset = false;
    std::shared_ptr<far_end> peer;
    std::deque<std::shared_ptr<stream_socket>> waiting;  // to be accepted
    [[nodiscard]] unsigned ready() const override;
    void closed() override;
};

struct world {
    world(std::uint64_t seed, bool talk);
    ~world();
    world(const world&) = delete;
    world& operator=(const world&) = delete;
    [[nodiscard]] static world& here();

    machine on;
    disk files;

    // ---- the kernel's events of folders ----
    double events_lost = 0;  // how often the queue overflows
    bool no_events = false;  // there are no watches at all
    void tell_watchers(const node& folder, std::uint32_t what, const std::string& name);
    void forget_open_files();

    // ---- wires ----
    struct line_weather {
        double torn_request = 0;  // reset while a request is sent: only part of it arrives
        double short_send = 0;
    } line;
    std::function<void(const std::shared_ptr<stream_socket>&)> on_connect;  // to the API
    std::map<std::string, std::weak_ptr<stream_socket>> listeners;          // by path
    // Connects to a Unix socket of the program; null if nobody listens.
    std::shared_ptr<stream_socket> dial(const std::string& path, std::shared_ptr<far_end> from);
    ssize_t read_socket(int fd, void* to, std::size_t bytes, int flags);
    ssize_t write_socket(int fd, std::string_view bytes);
    void deliver(const std::weak_ptr<stream_socket>& to, std::string bytes);
    void end(const std::weak_ptr<stream_socket>& to, bool with_reset);

    // A signal was raised: look at the real descriptors once.
    bool signalled = false;
};

}  // namespace culld::simulation

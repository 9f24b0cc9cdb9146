// News on its way to one receiver: in the order of the events, one at a time, each tried again with back-off until it
// has arrived or its attempts are used up. Bounded: what comes while it is full is dropped, and counted. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "culld/core/base/backoff.hpp"
#include "culld/core/base/time.hpp"

namespace culld {

// What a try came to.
enum class delivery : std::uint8_t {
    arrived,
    again,  // a network, a server, or a command that failed: worth another try
    never,  // the receiver refuses it, or there is none: another try would end likewise
};

// By a webhook's status, and by a command's exit code; -1: a signal ended it.
[[nodiscard]] delivery delivery_of_status(unsigned http_status);
[[nodiscard]] delivery delivery_of_exit(int code);

class notification_queue {
  public:
    static constexpr std::size_t waiting_max = 1000;

    explicit notification_queue(std::uint32_t attempts) : attempts_(attempts) {}
    void set_attempts(std::uint32_t attempts) { attempts_ = attempts; }

    // False: it was dropped, since as many wait already.
    bool add(std::string body);
    // The one whose turn it is, if it may be tried now; it stays first until came() is told of it.
    [[nodiscard]] const std::string* next(steady_time now) const;
    // When that is; nothing where none waits.
    [[nodiscard]] std::optional<steady_time> due() const;
    enum class delivery_state : std::uint8_t {
        arrived,
        waits,   // for its next try
        failed,  // it is given up
    };
    // Of the first one's try, which began when next() handed it out. `chance` is uniform in [0,1).
    delivery_state came(delivery how, steady_time now, double chance);
    // Those that wait are given up; how many they were.
    std::size_t clear();

    [[nodiscard]] std::size_t size() const { return waiting_.size(); }
    // Tries that the first one has had.
    [[nodiscard]] std::uint32_t tries() const { return tries_; }

    struct counters {
        std::uint64_t arrived = 0, failed = 0, dropped = 0;
    };
    [[nodiscard]] const counters& counted() const { return counted_; }

    // From a restart of the receiver to a long lunch: with ten attempts, some ten minutes.
    static constexpr backoff between{.base = std::chrono::seconds(2), .cap = std::chrono::minutes(5)};

  private:
    void pop();

    std::uint32_t attempts_;
    std::deque<std::string> waiting_;
    std::uint32_t tries_ = 0;
    steady_time due_{};  // the first one's
    counters counted_;
};

}  // namespace culld

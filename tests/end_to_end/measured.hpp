// Measurements of time on a machine that other things run on too.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <stop_token>
#include <thread>

namespace culld::programs {

// For how long this machine kept whoever wanted to run waiting.
class hold_up {
  public:
    hold_up() : watch_([this](const std::stop_token& stop) { look(stop); }) {}

    std::chrono::nanoseconds longest() {
        watch_.request_stop();
        watch_.join();
        return longest_;
    }

  private:
    void look(const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            const auto due = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
            std::this_thread::sleep_until(due);
            longest_ = std::max<std::chrono::nanoseconds>(longest_, std::chrono::steady_clock::now() - due);
        }
    }

    std::chrono::nanoseconds longest_{};
    std::jthread watch_;
};

// Makes a measurement that says whether its bound was kept; it is given how many were made before. Where the machine
// itself held things up, the server's stamps are late by as much, which says nothing of culld: such a measurement is
// made again, at most three times. The bound is the promise's, and the last one has to keep it.
inline testing::AssertionResult measured(const std::function<testing::AssertionResult(int)>& once) {
    for (int n = 0;; ++n) {
        hold_up machine;
        testing::AssertionResult kept = once(n);
        const auto held_up = machine.longest();
        if (kept || held_up < std::chrono::milliseconds(1) || n == 3 || testing::Test::HasFatalFailure())
            return kept << ", held up for " << held_up / std::chrono::microseconds(1) << " us, measurement " << n + 1;
    }
}

}  // namespace culld::programs

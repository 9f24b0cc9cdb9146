// A loop of a test's own, and the ways to run coroutines on it: what throws inside throws in the test.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "culld/io/os/event_loop.hpp"

namespace culld {

// Far longer than anything a test waits for: reached only where something hangs.
constexpr auto hang_limit = std::chrono::seconds(10);

class looped {
  public:
    [[nodiscard]] loop_executor executor() { return context_.get_executor(); }
    [[nodiscard]] asio::io_context& context() { return context_; }

    // Runs beside what the test waits for, until the loop has nothing to do.
    void spawn(task<void> what) {
        asio::co_spawn(context_, std::move(what), [](std::exception_ptr e) {
            if (e) std::rethrow_exception(e);
        });
    }
    // Runs the loop until `what` is over and hands back what it returned.
    template <class T>
    T wait(task<T> what) {
        std::optional<T> out;
        asio::co_spawn(context_, std::move(what), [&out](std::exception_ptr e, T value) {
            if (e) std::rethrow_exception(e);
            out.emplace(std::move(value));
        });
        until([&out] { return out.has_value(); });
        return std::move(*out);
    }
    void wait(task<void> what) {
        bool over = false;
        asio::co_spawn(context_, std::move(what), [&over](std::exception_ptr e) {
            if (e) std::rethrow_exception(e);
            over = true;
        });
        until([&over] { return over; });
    }
    // Runs the loop, one handler at a time, until `done()`.
    template <class Done>
    void until(Done done) {
        const steady_time end = steady_now() + hang_limit;
        context_.restart();
        while (!done()) {
            if (steady_now() >= end) throw std::runtime_error("the loop hangs");
            context_.run_one_until(std::min(end, steady_now() + std::chrono::seconds(1)));
            if (context_.stopped()) context_.restart();
        }
    }
    // Runs what can run without waiting; how many handlers that were, `at_most` in all.
    std::size_t poll(std::size_t at_most = 10'000) {
        context_.restart();
        std::size_t ran = 0;
        while (ran < at_most && context_.poll_one() > 0) ++ran;
        return ran;
    }

  private:
    asio::io_context context_{1};
};

// A temporary folder that goes away with the test.
class scratch_folder {
  public:
    scratch_folder() : path_(testing::TempDir() + "culld-shell-XXXXXX") {
        if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    }
    ~scratch_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    scratch_folder(const scratch_folder&) = delete;
    scratch_folder& operator=(const scratch_folder&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string path(const std::string& name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

}  // namespace culld

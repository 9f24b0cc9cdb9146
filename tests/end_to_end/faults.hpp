// Faults on command for the real daemon: calls that fail (tests/faults/failing_calls.cpp), a service manager that
// listens, limits that change while it runs.
#pragma once

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <mutex>
#include <sstream>

#include "programs.hpp"

namespace culld::programs {

// Stands in for systemd: what is told to NOTIFY_SOCKET.
class service_manager {
  public:
    explicit service_manager(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        path.copy(name.sun_path, sizeof name.sun_path - 1);
        if (::bind(fd_.get(), static_cast<sockaddr*>(static_cast<void*>(&name)), sizeof name) != 0)
            throw std::runtime_error("bind failed");
        const timeval beat{0, 20'000};
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &beat, sizeof beat);
        listener_ = std::thread([this] { listen(); });
    }
    ~service_manager() {
        over_ = true;
        listener_.join();
    }
    service_manager(const service_manager&) = delete;
    service_manager& operator=(const service_manager&) = delete;

    [[nodiscard]] std::size_t told(std::string_view what) const {
        const std::scoped_lock alone(turn_);
        std::size_t out = 0;
        for (std::size_t at = all_.find(what); at != std::string::npos; at = all_.find(what, at + 1)) ++out;
        return out;
    }

  private:
    void listen() {
        char message[4096];
        while (!over_) {
            const ssize_t n = ::recv(fd_.get(), message, sizeof message, 0);
            if (n <= 0) continue;
            const std::scoped_lock alone(turn_);
            all_.append(message, static_cast<std::size_t>(n)).append("\n");
        }
    }

    unique_fd fd_;
    std::atomic<bool> over_{false};
    mutable std::mutex turn_;
    std::string all_;
    std::thread listener_;
};

class WithFaults : public Programs {
  protected:
    using Programs::Programs;

    // From here on culld is started with what fails by fault(); `more` are further variables, as NAME=VALUE.
    // False under a sanitizer, which has its own idea of these calls.
    [[nodiscard]] bool arm(const std::vector<std::string>& more = {}) {
#ifdef CULLD_FAILING_CALLS
        wrapped_in_ = {"/usr/bin/env", "LD_PRELOAD=" CULLD_FAILING_CALLS, "FAILING_CALLS=" + here_.path("faults")};
        wrapped_in_.insert(wrapped_in_.end(), more.begin(), more.end());
        return true;
#else
        static_cast<void>(more);
        return false;
#endif
    }
    // These rules and no others, from now on; each a line "CALL WHERE WHAT [TIMES [AFTER]]".
    void fault(const std::string& rules) const {
        fs::rename(here_.write("faults.new", rules), here_.path("faults"));
    }
    void no_faults() const {
        fs::remove(here_.path("faults"));
    }
    // How many calls were made to fail, of those whose line has `word`.
    [[nodiscard]] std::size_t hits(std::string_view word) const {
        return count(read("faults.hits"), word);
    }

    // All that the server deleted of this job is intended in its journal, as it is on the disk.
    void expect_deleted_only_what_was_intended(const std::string& job) const {
        std::set<std::uint64_t> intended;
        for (const json::object& r : records(job, "intent")) {
            const auto first = r.at("first").to_number<std::uint64_t>();
            for (std::uint64_t i = 0; i < r.at("count").to_number<std::uint64_t>(); ++i) intended.insert(first + i);
        }
        const json::value truth = server_->truth();
        for (const auto& id : truth.at("deleted").as_object()) {
            const std::string name(id.key());
            if (!name.starts_with(job + "-")) continue;
            EXPECT_TRUE(intended.contains(std::stoull(name.substr(job.size() + 1)))) << name;
        }
    }
    // What status and cullctl show of it: "blocked", in its reason these words, and what to do about it.
    void expect_blocked(const std::string& job, const std::string& words) const {
        ASSERT_TRUE(reaches(job, "blocked")) << job << ": " << state(job) << "\n" << log();
        const json::value told = status(job);
        EXPECT_NE(told.at("reason").as_string().find(words), std::string::npos) << json::serialize(told);
        EXPECT_FALSE(told.at("help").as_string().empty()) << json::serialize(told);
        EXPECT_NE(log().find(words), std::string::npos) << log();
    }
    [[nodiscard]] std::string metrics() const {
        return emulator_test::get_from_socket(here_.path("control.sock"), "/metrics");
    }
    void expect_metric(const std::string& line) const {
        const std::string all = metrics();
        EXPECT_NE(all.find(line + "\n"), std::string::npos) << line << "\n" << all;
    }
};

// Of all counters that a scrape shows, the highest value seen; one that falls is a reset to Prometheus, and all of it
// counts again.
class counters_seen {
  public:
    void look(const std::string& scrape) {
        std::istringstream in(scrape);
        std::string line, counter;
        while (std::getline(in, line)) {
            if (line.starts_with("# TYPE ")) {
                const std::size_t kind = line.rfind(' ');
                counter = line.substr(kind + 1) == "gauge" ? "" : line.substr(7, kind - 7);
            }
            if (counter.empty() || !line.starts_with(counter)) continue;
            const std::size_t blank = line.rfind(' ');
            const double now = std::stod(line.substr(blank + 1));
            double& before = highest_[line.substr(0, blank)];
            EXPECT_GE(now, before) << line << "\n" << scrape;
            before = std::max(before, now);
        }
    }
    [[nodiscard]] double operator[](const std::string& sample) { return highest_[sample]; }

  private:
    std::map<std::string, double> highest_;
};

// One limit of a running process, set back at the end.
class lowered_limit {
  public:
    lowered_limit(pid_t of, __rlimit_resource what, rlim_t to) : of_(of), what_(what) {
        EXPECT_EQ(::prlimit(of_, what_, nullptr, &before_), 0);
        const rlimit lower{to, before_.rlim_max};
        EXPECT_EQ(::prlimit(of_, what_, &lower, nullptr), 0);
    }
    ~lowered_limit() { static_cast<void>(::prlimit(of_, what_, &before_, nullptr)); }
    lowered_limit(const lowered_limit&) = delete;
    lowered_limit& operator=(const lowered_limit&) = delete;

  private:
    pid_t of_;
    __rlimit_resource what_;
    rlimit before_{};
};

}  // namespace culld::programs

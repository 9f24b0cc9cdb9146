// For tests of the three programs as their users run them: culld on a spool of its own, cull-emulator as its API,
// cullctl as the way to ask. Nothing here sleeps for a fixed time: eventually() looks again until something is so.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "culld/core/base/time.hpp"
#include "people.hpp"
#include "support/emulator_support.hpp"
#include "support/sanitized.hpp"

namespace culld::programs {

namespace fs = std::filesystem;
namespace json = boost::json;
using emulator_test::emulator;
using emulator_test::scratch;
using namespace std::chrono_literals;

inline bool eventually(const std::function<bool()>& so, std::chrono::nanoseconds limit = 15s) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!so()) {
        if (std::chrono::steady_clock::now() >= end) return false;
        std::this_thread::sleep_for(5ms);
    }
    return true;
}

// A program with its output in a file. Killed and waited for with its owner, if it has not ended before.
class child {
  public:
    child(std::vector<std::string> command, const std::string& output) : pid_(::fork()) {
        if (pid_ < 0) throw std::runtime_error("fork failed");
        if (pid_ > 0) return;
        const int fd = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        std::vector<char*> argv;
        for (std::string& word : command) argv.push_back(word.data());
        argv.push_back(nullptr);
        if (fd >= 0 && ::dup2(fd, STDOUT_FILENO) >= 0 && ::dup2(fd, STDERR_FILENO) >= 0) ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    child(child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
    child& operator=(child&&) = delete;
    child(const child&) = delete;
    child& operator=(const child&) = delete;
    ~child() { kill(); }

    [[nodiscard]] pid_t pid() const { return pid_; }
    void signal(int number) const { ASSERT_EQ(::kill(pid_, number), 0); }
    [[nodiscard]] bool runs() { return pid_ > 0 && !look(WNOHANG); }
    // Its exit code; -1: it was ended by a signal; none: it still runs after `limit`.
    std::optional<int> ends_within(std::chrono::nanoseconds limit) {
        eventually([this] { return look(WNOHANG); }, limit);
        return code_;
    }
    void kill() {
        if (pid_ <= 0 || code_) return;
        ::kill(pid_, SIGKILL);
        look(0);
    }

  private:
    bool look(int flags) {
        if (code_) return true;
        int status = 0;
        if (::waitpid(pid_, &status, flags) != pid_) return false;
        code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        return true;
    }

    pid_t pid_;
    std::optional<int> code_;
};

struct setup {
    std::string scenario = "seed: 1\n";
    std::string limits = "requests_per_second: 500, concurrency: 4";
    std::string endpoint{};  // empty: the emulator's
    std::string api{};       // further members of `api`, as `, method: post`
    std::string journal{};   // and of `journal`
    std::string more{};      // further sections, whole lines
    int batch_size = 20;
    std::string rescan = "1s";
};

// With AS_SHIPPED set (or in AsShipped) culld runs as its unit runs it: an ordinary user with no
// capabilities but the unit's, in folders as tmpfiles.conf makes them, and what drop() drops is another user's,
// alice's.
class Programs : public testing::Test {
  protected:
    static constexpr auto patience = 60s;  // for what a test waits for that must end by itself

    explicit Programs(bool as_shipped = std::getenv("AS_SHIPPED") != nullptr) : as_shipped_(as_shipped) {
        ::umask(0022);  // a file that others may write is rejected
    }
    void SetUp() override {
        if (as_shipped_ && ::geteuid() != 0)
            GTEST_SKIP() << "NOT TESTED: culld as its unit runs it, among files of other users; run this as root";
    }

    void configure(const setup& s) {
        settings_ = s;
        if (!server_) restart_server(s.scenario);
        fs::create_directories(at("spool"));
        if (as_shipped_) {
            make_shipped_spool(at("spool"));
        } else {
            fs::create_directories(at("spool/incoming"));
            fs::create_directories(at("spool/tmp"));
        }
        fs::create_directories(at("journal"));
        if (as_shipped_) {
            const auto give = [](const std::string& path, mode_t mode) {
                ASSERT_EQ(::chown(path.c_str(), daemon_user.uid, daemon_user.gid), 0);
                ASSERT_EQ(::chmod(path.c_str(), mode), 0);
            };
            give(at("journal"), 0750);
            give(here_.path("."), 0755);
        }
        write_config(s);
    }
    void write_config(const setup& s) const {
        here_.write("culld.yaml",
                    fmt::format("api: {{endpoint: \"{}\", project_id: p, workspace_id: w{}}}\n"
                                "spool: {{dir: {}, sidecar_wait: 700ms, rescan: {}}}\njournal: {{dir: {}{}}}\n"
                                "limits: {{{}}}\nbatch: {{size: {}}}\n"
                                "retry: {{base_delay: 20ms, max_delay: 200ms, max_attempts: 3}}\n"
                                "http: {{listen: \"\", socket: {}}}\n{}",
                                s.endpoint.empty() ? fmt::format("http://127.0.0.1:{}", port_) : s.endpoint, s.api,
                                at("spool"), s.rescan, at("journal"), s.journal, s.limits, s.batch_size,
                                here_.path("control.sock"), s.more));
    }
    // A file for its owner alone, put in place at once; its path.
    std::string secret_file(const std::string& name, std::string_view text) const {
        here_.write(name + ".new", text);
        fs::permissions(here_.path(name + ".new"), fs::perms::owner_read | fs::perms::owner_write);
        if (as_shipped_) give_to(daemon_user, here_.path(name + ".new"), 0600);
        fs::rename(here_.path(name + ".new"), here_.path(name));
        return here_.path(name);
    }
    // Another emulator where the last one was: its truth begins anew.
    void restart_server(const std::string& scenario, std::vector<std::string> arguments = {}) {
        server_.reset();
        arguments.insert(arguments.end(), {"--listen", fmt::format("127.0.0.1:{}", port_), "--scenario",
                                           here_.write("scenario.yaml", scenario)});
        server_ = std::make_unique<emulator>(arguments);
        port_ = server_->port();
    }

    [[nodiscard]] std::vector<std::string> command(std::vector<std::string> more = {}) const {
        std::vector<std::string> out;
        if (as_shipped_) {
            out = {"/bin/sh", "-c", "umask 0077; exec \"$@\"", "sh"};
            const auto words = run_by(daemon_user, capabilities_);
            out.insert(out.end(), words.begin(), words.end());
        }
        out.insert(out.end(), wrapped_in_.begin(), wrapped_in_.end());
        out.insert(out.end(), {program(CULLD), "--config", here_.path("culld.yaml")});
        out.insert(out.end(), more.begin(), more.end());
        return out;
    }
    // One that every user reaches: a copy where the build lies in a folder that is closed to others.
    [[nodiscard]] std::string program(const std::string& built) const {
        if (::geteuid() != 0 || as(stranger, [&] { return ::access(built.c_str(), X_OK); }) == 0) return built;
        const std::string copy = here_.path(fs::path(built).filename().string() + ".copy");
        if (!fs::exists(copy)) fs::copy_file(built, copy);
        return copy;
    }
    [[nodiscard]] child start() const { return {command(), here_.path("culld.log")}; }
    // Started, and watching the spool.
    [[nodiscard]] child started() const {
        const auto ready = [this] { return count(log(), " watches "); };
        const std::size_t before = ready();
        child out = start();
        EXPECT_TRUE(eventually([&] { return ready() > before; })) << log();
        return out;
    }
    [[nodiscard]] int once() const {
        child run(command({"--once"}), here_.path("culld.log"));
        return run.ends_within(patience).value_or(-2);
    }
    int ctl(std::vector<std::string> words, const std::string& output = "ctl.log") const {
        words.insert(words.begin(), {CULLCTL, "--config", here_.path("culld.yaml")});
        return child(std::move(words), here_.path(output)).ends_within(patience).value_or(-2);
    }
    // By an ordinary user. Root only.
    int ctl_as(const person& who, const std::vector<std::string>& words, const std::string& output = "ctl.log") const {
        std::vector<std::string> all = run_by(who);
        all.insert(all.end(), {program(CULLCTL), "--config", here_.path("culld.yaml")});
        all.insert(all.end(), words.begin(), words.end());
        return child(std::move(all), here_.path(output)).ends_within(patience).value_or(-2);
    }
    [[nodiscard]] std::string told() const { return read("ctl.log"); }

    // Complete at once: renamed in.
    void drop(const std::string& name, const std::string& content) const {
        const std::string written = here_.write(data_ + "spool/tmp/" + name, content);
        if (as_shipped_) give_to(alice, written);
        fs::rename(written, at("spool/incoming/" + name));
    }
    // The same, as another user's. Root only.
    void drop_as(const person& who, const std::string& name, const std::string& content, mode_t mode = 0640) const {
        const std::string written = here_.write(data_ + "spool/tmp/" + name, content);
        give_to(who, written, mode);
        fs::rename(written, at("spool/incoming/" + name));
    }
    static void give_to(const person& who, const std::string& path, mode_t mode = 0640) {
        ASSERT_EQ(::chown(path.c_str(), who.uid, who.groups.empty() ? who.gid : who.groups.front()), 0);
        ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    }
    // A job `id` with a list of `n` ids `<id>-0`, `<id>-1`, …; `options` are further whole lines.
    void drop_job(const std::string& id, int n, const std::string& options = "") const {
        drop(id + ".ids", list(id, n));
        drop(id + ".yaml", fmt::format("version: 1\nid: {0}\nids_file: {0}.ids\n{1}", id, options));
    }
    [[nodiscard]] static std::string list(const std::string& prefix, int n) {
        std::string out;
        for (int i = 0; i < n; ++i) out += fmt::format("{}-{}\n", prefix, i);
        return out;
    }
    [[nodiscard]] static std::string from_now(std::chrono::milliseconds d) {
        return rfc3339(std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now() + d));
    }
    [[nodiscard]] bool in(const std::string& folder, const std::string& name) const {
        return fs::exists(at("spool/" + folder + "/" + name));
    }
    [[nodiscard]] json::value reason(const std::string& name) const {
        return json::parse(read(data_ + "spool/rejected/" + name + ".reason.json"));
    }

    // As `cullctl status` tells it; null if it knows no such job.
    [[nodiscard]] json::value status(const std::string& job) const {
        fs::remove(here_.path("status.json"));
        if (ctl({"status", job, "--json"}, "status.json") != 0) return nullptr;
        json::error_code ec;
        json::value out = json::parse(read("status.json"), ec);
        return ec ? nullptr : out;
    }
    [[nodiscard]] std::string state(const std::string& job) const {
        const json::value all = status(job);
        const auto* o = all.if_object();
        return o != nullptr && o->contains("state") ? std::string(o->at("state").as_string()) : "none";
    }
    bool reaches(const std::string& job, const std::string& wanted, std::chrono::nanoseconds limit = 15s) const {
        return eventually([&] { return state(job) == wanted; }, limit);
    }
    bool settles_some(const std::string& job, int n, std::chrono::nanoseconds limit = 15s) const {
        return eventually(
            [&] {
                const json::value all = status(job);
                if (!all.is_object()) return false;
                return all.at("totals").at("ids").to_number<int>() - all.at("remaining").to_number<int>() >= n;
            },
            limit);
    }

    // The whole lines of its journal.
    [[nodiscard]] std::vector<json::object> journal(const std::string& job) const {
        return lines(data_ + "journal/" + job + ".jsonl");
    }
    [[nodiscard]] std::vector<json::object> records(const std::string& job, std::string_view type) const {
        std::vector<json::object> out;
        for (json::object& r : journal(job))
            if (r.at("type").as_string() == type) out.push_back(std::move(r));
        return out;
    }
    [[nodiscard]] json::object finish_of(const std::string& job) const {
        auto all = records(job, "job.finished");
        EXPECT_EQ(all.size(), 1U);
        return all.empty() ? json::object{{"status", "none"}} : all.front();
    }
    [[nodiscard]] std::vector<json::object> whole_ledger() const { return lines(data_ + "journal/ledger.jsonl"); }
    // Without what it tells of jobs that are open, and of reloads.
    [[nodiscard]] std::vector<json::object> ledger() const {
        std::vector<json::object> out = whole_ledger();
        std::erase_if(out, [](const json::object& line) {
            const auto& type = line.at("type").as_string();
            return type != "job.finished" && type != "job.rejected" && type != "ledger.signed_from";
        });
        return out;
    }
    // The reasons that records of `type` give.
    [[nodiscard]] std::set<std::string> reasons(const std::string& job, std::string_view type) const {
        std::set<std::string> out;
        for (const json::object& r : records(job, type)) out.emplace(r.at("reason").as_string());
        return out;
    }
    // Verdict by id, as cullctl tells it.
    [[nodiscard]] std::map<std::string, std::string> verdicts(const std::string& job) const {
        const std::string file = job + ".csv";
        fs::remove(here_.path(file));
        EXPECT_EQ(ctl({"result", job, "--csv"}, file), 0);
        std::map<std::string, std::string> out;
        std::ifstream in(here_.path(file));
        std::string line;
        std::getline(in, line);
        while (std::getline(in, line)) {
            const std::size_t comma = line.find(',');
            const std::string verdict = line.substr(comma + 1, line.find(',', comma + 1) - comma - 1);
            EXPECT_TRUE(out.emplace(line.substr(0, comma), verdict).second) << "two rows for " << line;
        }
        return out;
    }
    // Every id has one verdict, and those called deleted or absent are gone at the server, no others.
    void expect_true_verdicts(const std::string& job, std::size_t ids) const {
        const auto all = verdicts(job);
        EXPECT_EQ(all.size(), ids);
        const json::value truth = server_->truth();
        const auto& deleted = truth.at("deleted").as_object();
        for (const auto& [id, what] : all)
            EXPECT_EQ(what == "deleted" || what == "absent", deleted.contains(id)) << id << " " << what;
    }
    void expect_verified() const { EXPECT_EQ(ctl({"verify"}), 0) << told(); }

    [[nodiscard]] int truth(const std::string& key) const { return server_->truth().at(key).to_number<int>(); }
    [[nodiscard]] std::string read(const std::string& name) const {
        return read_small_file(here_.path(name), 1U << 26U).value_or("");
    }
    [[nodiscard]] std::string log() const { return read("culld.log"); }
    [[nodiscard]] static std::size_t count(const std::string& text, std::string_view word) {
        std::size_t out = 0;
        for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++out;
        return out;
    }

    // Where spool/… and journal/… are.
    [[nodiscard]] std::string at(const std::string& name) const { return here_.path(data_ + name); }

    bool as_shipped_;
    std::vector<std::string> capabilities_ = unit_capabilities();  // of culld, where it runs as shipped
    scratch here_;
    std::string data_;                     // the folder in here_ with spool/ and journal/, "disk/" say; empty: here_
    std::vector<std::string> wrapped_in_;  // what culld is started by, with its arguments
    setup settings_;
    std::uint16_t port_ = 0;
    std::unique_ptr<emulator> server_;

  private:
    [[nodiscard]] std::vector<json::object> lines(const std::string& name) const {
        std::vector<json::object> out;
        const std::string text = read(name);
        for (std::size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
            out.push_back(json::parse(text.substr(at, end - at)).as_object());
        return out;
    }
};

}  // namespace culld::programs

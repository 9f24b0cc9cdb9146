// cullctl demo: the whole story in a temporary folder: an emulated API that fails, loses answers and throttles, a culld
// of its own, a job dropped into a spool, its journal, and the proof. Needs no root and no network but loopback,
// touches nothing of an installed culld, and leaves nothing behind without --keep.
//
// It is a script: every step is a command that a user could type, and is shown as one.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <random>
#include <thread>

#include "ctl/ui/verb.hpp"
#include "culld/core/text/shell_quote.hpp"
#include "culld/io/os/file.hpp"

extern char** environ;

namespace culld::ctl {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr std::uint64_t demo_ids = 3000;

volatile std::sig_atomic_t interrupted_by_user = 0;

// A program we started; stopped, at the latest, when this goes.
class child {
  public:
    child() = default;
    explicit child(pid_t pid) : pid_(pid) {}
    ~child() { stop(); }
    child(child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
    child& operator=(child&& other) noexcept {
        stop();
        pid_ = std::exchange(other.pid_, -1);
        return *this;
    }

    // SIGTERM, and SIGKILL to one that does not listen.
    void stop() {
        if (pid_ <= 0) return;
        static_cast<void>(::kill(pid_, SIGTERM));
        for (int i = 0; i < 500; ++i) {
            if (::waitpid(pid_, nullptr, WNOHANG) != 0) {
                pid_ = -1;
                return;
            }
            std::this_thread::sleep_for(10ms);
        }
        static_cast<void>(::kill(pid_, SIGKILL));
        static_cast<void>(::waitpid(pid_, nullptr, 0));
        pid_ = -1;
    }
    [[nodiscard]] bool ended() {
        if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
        return pid_ <= 0;
    }
    // Its exit code.
    [[nodiscard]] int wait() {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

  private:
    pid_t pid_ = -1;
};

// Starts a program with stdout and stderr as given (-1: ours). Nothing of an installed culld's settings reaches it.
result<child> start(const std::vector<std::string>& command, int out, int err) {
    std::vector<char*> argv;
    argv.reserve(command.size() + 1);
    for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    std::vector<char*> env;
    for (char** e = environ; *e != nullptr; ++e)
        if (!std::string_view(*e).starts_with("CULLD_") && !std::string_view(*e).starts_with("NOTIFY_SOCKET="))
            env.push_back(*e);
    env.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    if (::posix_spawn_file_actions_init(&actions) != 0) return fail("out of memory");
    int bad = 0;
    if (out >= 0) bad |= ::posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (err >= 0) bad |= ::posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    pid_t pid = -1;
    const int error = bad != 0 ? ENOMEM : ::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), env.data());
    static_cast<void>(::posix_spawn_file_actions_destroy(&actions));
    if (error != 0) return fail(errno_problem("start", command[0], error));
    return child(pid);
}

// A sibling of this program (a build folder, /usr/bin), else /usr/sbin, else what PATH has.
result<std::string> find_program(const std::string& name) {
    std::error_code ec;
    const fs::path own = fs::read_symlink("/proc/self/exe", ec);
    std::vector<fs::path> places{own.parent_path(), own.parent_path().parent_path() / "sbin", "/usr/sbin"};
    if (const char* path = std::getenv("PATH")) {
        std::string_view rest = path;
        while (!rest.empty()) {
            const std::size_t colon = rest.find(':');
            places.emplace_back(rest.substr(0, colon));
            rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
        }
    }
    for (const fs::path& place : places)
        if (::access((place / name).c_str(), X_OK) == 0) return (place / name).string();
    return fail(fmt::format("{} is not beside cullctl, in /usr/sbin or on PATH", name),
                "install the whole package, or build all targets");
}

result<void> write_file(const fs::path& path, std::string_view content, mode_t mode) {
    const unique_fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!fd) return fail(errno_problem("create", path.string(), errno));
    return write_all(fd.get(), content, path.string());
}

std::string uuid(std::mt19937_64& dice) {
    const std::uint64_t a = dice(), b = dice();
    return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}", a >> 32U, a >> 16U & 0xFFFFU, a & 0xFFFU,
                       0x8000U | (b >> 48U & 0x3FFFU), b & 0xFFFFFFFFFFFFU);
}

std::string last_line_of(const std::string& path) {
    auto text = read_small_file(path, 1U << 20U);
    if (!text) return "its log cannot be read";
    while (text->ends_with('\n')) text->pop_back();
    return text->substr(text->rfind('\n') + 1);
}

class stage {
  public:
    stage(const context& with, std::uint64_t seed, bool keep) : with_(with), dice_(seed), seed_(seed), keep_(keep) {}
    ~stage() {
        daemon_.stop();
        emulator_.stop();
        std::error_code ec;
        if (!keep_ && !home_.empty()) fs::remove_all(home_, ec);
    }
    stage(const stage&) = delete;
    stage& operator=(const stage&) = delete;

    result<int> run() {
        const auto begun = std::chrono::steady_clock::now();
        if (auto done = find_programs(); !done) return fail(done.error());
        if (auto done = set_up(); !done) return fail(done.error());
        if (auto done = start_emulator(); !done) return fail(done.error());
        if (auto done = start_daemon(); !done) return fail(done.error());
        tell("job", fmt::format("{} ids in a job file, which submit puts into {}/incoming", demo_ids,
                                (home_ / "spool").string()));
        tell("absent",
             "is what was gone when it was asked for: never there, or deleted by a request whose answer was lost");
        tell("harmless", "the ids are made up, and the API is the emulator: nothing of yours is deleted");
        // With their number said beforehand nobody is asked for it.
        auto code =
            show({"submit", "--wait", "--confirm", std::to_string(demo_ids), (home_ / "close-q3.yaml").string()});
        if (!code || interrupted_by_user != 0) return code;
        const int job_code = *code;
        // Without a job that went through there is nothing more to show.
        if (job_code != all_well && job_code != some_failed) return job_code;
        for (const std::vector<std::string>& words :
             {std::vector<std::string>{"result", "close-q3", "--only", "failed", "--csv"},
              std::vector<std::string>{"verify"}}) {
            code = show(words);
            if (!code) return code;
            if (*code != 0 && words[0] == "verify") return code;
            if (interrupted_by_user != 0) return 130;
        }
        const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
        if (keep_) {
            tell("journal", (home_ / "journal" / "close-q3.jsonl").string());
            tell("look", fmt::format("cullctl --config {} list", shell_quoted((home_ / "culld.yaml").string())));
        }
        tell("done", fmt::format("in {:.1f} s{}", took,
                                 keep_ ? "; everything is kept in " + home_.string()
                                       : "; nothing is left behind (--keep keeps it to look around)"));
        return all_well;  // some ids fail on purpose: that is the job's exit code, not the demo's
    }

  private:
    void tell(std::string_view what, const std::string& line) {
        with_.out.info(fmt::format("  {}{}", with_.out.on_stderr(colour::bold, fmt::format("{:<10}", what)), line));
    }

    // Runs a verb of ours as a user would type it.
    result<int> show(std::vector<std::string> words) {
        std::string line = "$ cullctl";
        for (const std::string& word : words) line += " " + word;
        // Beside what the command prints, wherever that goes.
        with_.out.data("\n" + with_.out.on_stdout(colour::bold, line) + "\n");
        if (auto flushed = with_.out.flush(); !flushed) return fail(flushed.error());
        std::vector<std::string> command{self_, "--config", (home_ / "culld.yaml").string()};
        command.insert(command.end(), words.begin(), words.end());
        auto running = start(command, -1, -1);
        if (!running) return fail(running.error());
        return running->wait();
    }

    result<void> find_programs() {
        std::error_code ec;
        self_ = fs::read_symlink("/proc/self/exe", ec).string();
        if (ec) return fail("cannot find my own program: " + ec.message());
        for (const auto& [name, to] :
             {std::pair<std::string, std::string*>{"culld", &culld_}, {"cull-emulator", &emulator_path_}}) {
            auto found = find_program(name);
            if (!found) return fail(found.error());
            *to = *found;
        }
        return {};
    }

    result<void> set_up() {
        std::error_code ec;
        const fs::path place = fs::temp_directory_path(ec);
        if (ec)
            return fail(fmt::format("there is no folder for temporary files: {}", ec.message()),
                        "TMPDIR, where it is set, must name a folder that exists");
        std::string pattern = (fs::absolute(place) / "culld-demo.XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) return fail(errno_problem("make folder", pattern, errno));
        home_ = pattern;
        std::string ids, stubborn;
        for (std::uint64_t i = 0; i < demo_ids; ++i) {
            const std::string id = uuid(dice_);
            ids += id + "\n";
            if (i % 750 == 100) stubborn += (stubborn.empty() ? "" : ", ") + id;
            if (i == 1234) poison_ = id;
        }
        const std::string scenario = fmt::format(
            "seed: {}\nlatency: {{fixed: 30ms, jitter: 20ms}}\nthrottle: {{limit: 50, per: 1s}}\nfail_ratio: 0.02\n"
            "fail_always: [{}]\npoison_ids: [{}]\nmissing_ratio: 0.002\nlost_ratio: 0.01\nstatus_ratio: {{503: 0.05, apply: never}}\n",
            seed_, stubborn, poison_);
        for (
            const auto& [name, content, mode] :
            {std::tuple<const char*, std::string, mode_t>{"close-q3.ids", ids, 0644},
             {"close-q3.yaml",
              "version: 1\nid: close-q3\nids_file: close-q3.ids\nexpect_count: 3000\nlabels: {ticket: SEC-1234, requested_by: alice}\n",
              0644},
             {"scenario.yaml", scenario, 0644},
             {"token", fmt::format("demo-token-{:016x}\n", dice_()), 0600}})
            if (auto done = write_file(home_ / name, content, mode); !done) return done;
        return {};
    }

    result<void> start_emulator() {
        auto token = read_small_file((home_ / "token").string(), 4096);
        if (!token) return fail(token.error());
        while (token->ends_with('\n')) token->pop_back();
        std::array<int, 2> pipe{};
        if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return fail(errno_problem("make", "a pipe", errno));
        const unique_fd reading(pipe[0]), writing(pipe[1]);
        const unique_fd log(::open((home_ / "emulator.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
        auto running = start({emulator_path_, "--listen", "127.0.0.1:0", "--scenario",
                              (home_ / "scenario.yaml").string(), "--token", *token},
                             writing.get(), log.get());
        if (!running) return fail(running.error());
        emulator_ = std::move(*running);
        std::string line;
        pollfd ready{reading.get(), POLLIN, 0};
        while (!line.ends_with('\n') && line.size() < 200 && ::poll(&ready, 1, 5000) == 1) {
            char c = 0;
            if (::read(reading.get(), &c, 1) != 1) break;
            line += c;
        }
        constexpr std::string_view opening = "listening on ";
        if (!line.starts_with(opening) || !line.ends_with('\n'))
            return fail("the emulator did not start", "see " + (home_ / "emulator.log").string());
        line.pop_back();
        address_ = line.substr(opening.size());
        tell("emulator",
             fmt::format(
                 "SecMaster API emulator on http://{}: refuses, loses answers, throttles at 50 requests a second",
                 address_));
        return {};
    }

    result<void> start_daemon() {
        const std::string home = home_.string();
        const std::string settings = fmt::format(
            "# The demo's own culld.\napi: {{endpoint: \"http://{}\", project_id: demo-project, workspace_id: demo-workspace}}\n"
            "auth: {{token_file: {}/token}}\nspool: {{dir: {}/spool}}\njournal: {{dir: {}/journal}}\n"
            "batch: {{size: 25}}\nlimits: {{requests_per_second: 75, concurrency: 4}}\nretry: {{base_delay: 200ms, max_delay: 2s}}\n"
            "http: {{listen: \"\", socket: {}/control.sock}}\nlog: {{format: text}}\n",
            address_, home, home, home, home);
        if (auto done = write_file(home_ / "culld.yaml", settings, 0644); !done) return done;
        const unique_fd log(::open((home_ / "culld.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
        auto running = start({culld_, "--config", home + "/culld.yaml"}, log.get(), log.get());
        if (!running) return fail(running.error());
        daemon_ = std::move(*running);
        for (int i = 0; i < 500 && !fs::exists(home_ / "control.sock"); ++i) {
            if (daemon_.ended())
                return fail("culld ended at once: " + last_line_of(home + "/culld.log"),
                            "run it with --keep to see all of its log");
            std::this_thread::sleep_for(10ms);
        }
        tell("daemon", fmt::format("culld {} in {} (not your system service)", CULLD_VERSION, home));
        return {};
    }

    const context& with_;
    std::mt19937_64 dice_;
    std::uint64_t seed_;
    bool keep_;
    fs::path home_;
    std::string self_, culld_, emulator_path_, address_, poison_;
    child emulator_, daemon_;
};

}  // namespace

verb demo_verb(CLI::App& app) {
    auto* command = app.add_subcommand(
        "demo", "show the whole story in a temporary folder: no root, no network, nothing left behind");
    auto keep = std::make_shared<bool>(false);
    auto seed = std::make_shared<std::uint64_t>(1);
    command->add_flag("--keep", *keep, "keep the folder, to look around");
    command->add_option("--seed", *seed, "other ids, other failures")->capture_default_str();
    return {
        command,
        [keep, seed](const context& with) -> int {
            // Ctrl-C reaches our children as well; we only have to clean up.
            struct sigaction on_interrupt {};
            on_interrupt.sa_handler = [](int) { interrupted_by_user = 1; };
            if (::sigaction(SIGINT, &on_interrupt, nullptr) != 0 || ::sigaction(SIGTERM, &on_interrupt, nullptr) != 0)
                return report(with, {io_error, errno_problem("catch", "SIGINT", errno)});
            stage the(with, *seed, *keep);
            const auto code = the.run();
            if (interrupted_by_user != 0) return interrupted;
            if (!code) return report(with, {io_error, code.error()});
            return *code;
        },
        needs::nothing};
}

}  // namespace culld::ctl

#include "culld/io/os/child_process.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <csignal>

#include "culld/core/text/clean_message.hpp"
#include "culld/io/os/file.hpp"

namespace culld {

namespace {

using descriptor = asio::posix::basic_stream_descriptor<loop_executor>;
using boost::system::error_code;

// posix_spawn's orders, which want to be destroyed.
struct spawn_orders {
    spawn_orders() {
        ::posix_spawn_file_actions_init(&files);
        ::posix_spawnattr_init(&attributes);
    }
    ~spawn_orders() {
        ::posix_spawn_file_actions_destroy(&files);
        ::posix_spawnattr_destroy(&attributes);
    }
    spawn_orders(const spawn_orders&) = delete;
    spawn_orders& operator=(const spawn_orders&) = delete;
    posix_spawn_file_actions_t files{};
    posix_spawnattr_t attributes{};
};

struct pipe_ends {
    unique_fd read, write;
};

result<pipe_ends> make_pipe() {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail(errno_problem("make a pipe for", "a command", errno));
    return pipe_ends{unique_fd(ends[0]), unique_fd(ends[1])};
}

// Its pid. (posix_spawn shares our memory with the child until it has become another program: no copy of it is made,
// however large it is.)
result<pid_t> spawn(const std::vector<std::string>& words, int input, int said) {
    spawn_orders orders;
    int failed = ::posix_spawn_file_actions_adddup2(&orders.files, input, STDIN_FILENO);
    if (failed == 0)
        failed = ::posix_spawn_file_actions_addopen(&orders.files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (failed == 0) failed = ::posix_spawn_file_actions_adddup2(&orders.files, said, STDERR_FILENO);
    if (failed == 0) failed = ::posix_spawn_file_actions_addclosefrom_np(&orders.files, STDERR_FILENO + 1);
    if (failed == 0) failed = ::posix_spawn_file_actions_addchdir_np(&orders.files, "/");
    sigset_t all, none;
    ::sigfillset(&all);
    ::sigemptyset(&none);
    if (failed == 0)
        failed = ::posix_spawnattr_setflags(&orders.attributes,
                                            POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    if (failed == 0) failed = ::posix_spawnattr_setsigdefault(&orders.attributes, &all);
    if (failed == 0) failed = ::posix_spawnattr_setsigmask(&orders.attributes, &none);
    std::vector<std::string> argument_texts = words;
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : argument_texts) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", language = "LANG=C.UTF-8";
    const std::array<char*, 3> environment{path.data(), language.data(), nullptr};
    pid_t pid = -1;
    if (failed == 0)
        failed = ::posix_spawn(&pid, words.front().c_str(), &orders.files, &orders.attributes, arguments.data(),
                               environment.data());
    if (failed != 0) return fail(errno_problem("run", words.front(), failed));
    return pid;
}

}  // namespace

// Shared with the completions under way, which may come after whoever waited has gone.
struct command::run {
    explicit run(loop_executor on) : over(on), handle(on), input(on), said_pipe(on) {}

    // As long as it is not reaped, nobody else can have its number.
    void kill() const {
        if (pid > 0 && !ended) static_cast<void>(::kill(-pid, SIGKILL));
    }
    void reap() {
        kill();
        int status = 0;
        while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        ended = true;
        over.notify();
    }
    static void listen(const std::shared_ptr<run>& self) {
        self->said_pipe.async_read_some(asio::buffer(self->piece), [self](error_code ec, std::size_t n) {
            if (ec) return;
            // The rest is read and dropped, lest it should wait for us.
            self->said.append(self->piece.data(), std::min(n, said_max - std::min(said_max, self->said.size())));
            listen(self);
        });
    }

    event over;
    descriptor handle, input, said_pipe;
    std::string body, said;
    std::array<char, 512> piece{};
    pid_t pid = -1;
    bool ended = false;
    bool broken_off = false;
    int code = -1;
};

task<result<command_end>> command::operator()(std::string_view input, nanoseconds limit) {
    const loop_executor on = co_await asio::this_coro::executor;
    const steady_time until = steady_now() + limit;
    auto in = make_pipe();
    if (!in) co_return fail(std::move(in.error()));
    auto said = make_pipe();
    if (!said) co_return fail(std::move(said.error()));
    const auto it = std::make_shared<run>(on);
    auto pid = spawn(words_, in->read.get(), said->write.get());
    if (!pid) co_return fail(std::move(pid.error()));
    it->pid = *pid;
    in->read.reset();
    said->write.reset();
    // Readable once it has ended (Linux 5.3). glibc 2.36 has a function for it, and others have not.
    unique_fd handle(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
    error_code assigned;
    int why = errno;
    if (handle) {
        static_cast<void>(it->handle.assign(handle.get(), assigned));
        why = assigned.value();
        if (!assigned) static_cast<void>(handle.release());
    }
    if (!it->handle.is_open()) {
        it->reap();
        co_return fail(errno_problem("wait for", words_.front(), why));
    }
    it->handle.async_wait(descriptor::wait_read, [it](error_code ec) {
        if (!ec) it->reap();
    });
    // What cannot be read of what it says is not said.
    static_cast<void>(it->said_pipe.assign(said->read.get(), assigned));
    if (!assigned) {
        static_cast<void>(said->read.release());
        run::listen(it);
    }
    static_cast<void>(it->input.assign(in->write.get(), assigned));
    if (!assigned) {
        static_cast<void>(in->write.release());
        it->body = input;
        // A command need not read it: an end without is no failure.
        asio::async_write(it->input, asio::buffer(it->body), [it](error_code, std::size_t) {
            error_code ignored;
            static_cast<void>(it->input.close(ignored));
        });
    }
    under_way_ = it;
    while (!it->ended && !it->broken_off && steady_now() < until) co_await it->over.wait_until(until);
    under_way_.reset();
    command_end out{.in_time = it->ended, .code = it->code, .said = {}};
    it->kill();  // reap() follows when it is dead
    error_code ignored;
    static_cast<void>(it->input.close(ignored));
    if (it->said_pipe.is_open()) {
        // What it said last may lie in the pipe still. Not by Asio, which would wait for a descendant that holds it
        // open.
        const ssize_t n = ::read(it->said_pipe.native_handle(), it->piece.data(), it->piece.size());
        if (n > 0 && it->said.size() < said_max) it->said.append(it->piece.data(), static_cast<std::size_t>(n));
        static_cast<void>(it->said_pipe.close(ignored));
    }
    out.said = clean_message(it->said, said_max);
    co_return out;
}

void command::break_off() {
    if (!under_way_) return;
    under_way_->broken_off = true;
    under_way_->kill();
    under_way_->over.notify();
}

}  // namespace culld

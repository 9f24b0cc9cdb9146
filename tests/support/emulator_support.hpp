// For tests: runs cull-emulator as a child and speaks HTTP to it over a plain blocking socket.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "culld/io/os/file.hpp"

namespace culld::emulator_test {

// A folder that goes away with its owner.
class scratch {
  public:
    scratch() {
        path_ = testing::TempDir() + "culld-emulator-XXXXXX";
        if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    }
    ~scratch() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;

    [[nodiscard]] std::string path(const std::string& name) const { return path_ + "/" + name; }
    std::string write(const std::string& name, std::string_view content) const {
        std::ofstream(path(name)) << content;
        return path(name);
    }

  private:
    std::string path_;
};

class process {
  public:
    explicit process(std::vector<std::string> arguments) {
        std::array<int, 2> to_out{}, to_err{};
        if (::pipe2(to_out.data(), O_CLOEXEC) != 0 || ::pipe2(to_err.data(), O_CLOEXEC) != 0)
            throw std::runtime_error("pipe failed");
        arguments.insert(arguments.begin(), CULL_EMULATOR);
        std::vector<char*> argv;
        for (std::string& a : arguments) argv.push_back(a.data());
        argv.push_back(nullptr);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::dup2(to_out[1], STDOUT_FILENO);
            ::dup2(to_err[1], STDERR_FILENO);
            ::execv(CULL_EMULATOR, argv.data());
            ::_exit(127);
        }
        out_ = unique_fd(to_out[0]);
        err_ = unique_fd(to_err[0]);
        ::close(to_out[1]);
        ::close(to_err[1]);
    }
    ~process() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
    }
    process(const process&) = delete;
    process& operator=(const process&) = delete;

    std::string first_line() {
        std::string line;
        for (char c = 0; ::read(out_.get(), &c, 1) == 1 && c != '\n';) line.push_back(c);
        return line;
    }
    void signal(int number) const { ::kill(pid_, number); }
    // Waits for the end; the exit code, or -1. out and err then hold what was left to read.
    int wait() {
        const auto drain = [](int fd, std::string& to) {
            std::array<char, 65536> buffer{};
            for (ssize_t n = 0; (n = ::read(fd, buffer.data(), buffer.size())) > 0;)
                to.append(buffer.data(), static_cast<std::size_t>(n));
        };
        drain(out_.get(), out);
        drain(err_.get(), err);
        int status = 0;
        ::waitpid(pid_, &status, 0);
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

    std::string out, err;

  private:
    pid_t pid_ = -1;
    unique_fd out_, err_;
};

struct answer {
    bool whole = false;  // head and body came as announced
    int status = 0;
    std::string head, body;

    [[nodiscard]] boost::json::value json() const { return boost::json::parse(body); }
};

class client {
  public:
    explicit client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
        const timeval limit{10, 0};  // a test must not hang
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    [[nodiscard]] bool connected() const { return connected_; }
    [[nodiscard]] int fd() const { return fd_.get(); }

    void send(std::string_view bytes) const {
        while (!bytes.empty()) {
            const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n <= 0) return;
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
    }
    answer receive() {
        answer a;
        const auto more = [this] {
            std::array<char, 65536> buffer{};
            const ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
            if (n > 0) in_.append(buffer.data(), static_cast<std::size_t>(n));
            return n > 0;
        };
        while (in_.find("\r\n\r\n") == std::string::npos)
            if (!more()) return a;
        const auto end = in_.find("\r\n\r\n") + 4;
        a.head = in_.substr(0, end);
        in_.erase(0, end);
        a.status = std::stoi(a.head.substr(9, 3));
        const auto length_at = a.head.find("Content-Length: ");
        const std::size_t length = length_at == std::string::npos ? 0 : std::stoul(a.head.substr(length_at + 16));
        while (in_.size() < length)
            if (!more()) break;
        a.whole = in_.size() >= length;
        a.body = in_.substr(0, length);
        in_.erase(0, length);
        return a;
    }
    answer call(std::string_view method, std::string_view target, std::string_view body = {},
                std::string_view headers = {}) {
        std::string text;
        text.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: emulator\r\n").append(headers);
        if (!body.empty() && headers.find("Content-Type:") == std::string_view::npos)
            text.append("Content-Type: application/json\r\n");
        text.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n").append(body);
        send(text);
        return receive();
    }

  private:
    unique_fd fd_;
    bool connected_ = false;
    std::string in_;
};

inline const std::string workspace = "/v1/p1/workspaces/w1/soc/";
inline const std::string batch_delete = workspace + "incidents/batch-delete";

// A running emulator.
class emulator {
  public:
    explicit emulator(std::vector<std::string> arguments = {}) : child_(std::move(arguments)) {
        const std::string line = child_.first_line();
        constexpr std::string_view lead = "listening on 127.0.0.1:";
        if (!line.starts_with(lead)) {
            const int code = child_.wait();
            throw std::runtime_error("no emulator: " + std::to_string(code) + " " + line + child_.err);
        }
        port_ = static_cast<std::uint16_t>(std::stoi(line.substr(lead.size())));
    }
    [[nodiscard]] std::uint16_t port() const { return port_; }
    // Each on a connection of its own.
    [[nodiscard]] answer call(std::string_view method, std::string_view target, std::string_view body = {},
                              std::string_view headers = {}) const {
        return client(port_).call(method, target, body, headers);
    }
    [[nodiscard]] answer remove(std::string_view ids, std::string_view headers = {}) const {
        return call("POST", batch_delete, R"({"batch_ids":[)" + std::string(ids) + "]}", headers);
    }
    [[nodiscard]] boost::json::value truth() const { return call("GET", "/_emulator/truth").json(); }
    // Ends it by SIGTERM; the ground truth that it printed.
    boost::json::value end() {
        child_.signal(SIGTERM);
        EXPECT_EQ(child_.wait(), 0) << child_.err;
        return boost::json::parse(child_.out);
    }

  private:
    process child_;
    std::uint16_t port_ = 0;
};

// The answer to a GET on a Unix socket, head and all; empty where nobody listens.
inline std::string get_from_socket(const std::string& path, std::string_view target) {
    const unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::connect(fd.get(), static_cast<sockaddr*>(static_cast<void*>(&address)), sizeof address) != 0) return {};
    const std::string request = "GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    if (!write_all(fd.get(), request, "socket")) return {};
    std::string out;
    std::array<char, 65536> block{};
    for (ssize_t n = 0; (n = ::read(fd.get(), block.data(), block.size())) > 0;)
        out.append(block.data(), static_cast<std::size_t>(n));
    return out;
}

inline boost::json::value json(std::string_view text) {
    return boost::json::parse(boost::json::string_view(text.data(), text.size()));
}

}  // namespace culld::emulator_test

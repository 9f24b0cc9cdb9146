#include "culld/io/os/systemd.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "culld/io/os/file.hpp"
#include "support/loop_fixture.hpp"

namespace culld {
namespace {

// A service manager's end of $NOTIFY_SOCKET.
class ServiceManager : public testing::Test {
  protected:
    ServiceManager() {
        std::string pattern = testing::TempDir() + "culld-notify-XXXXXX";
        folder_ = ::mkdtemp(pattern.data());
        const std::string path = folder_ + "/s";
        socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
        EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
        ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
    }
    ~ServiceManager() override {
        for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
        std::filesystem::remove_all(folder_);
    }

    std::string heard() {
        std::array<char, 512> text{};
        const ssize_t n = ::recv(socket_.get(), text.data(), text.size(), 0);
        return n < 0 ? std::string("(nothing)") : std::string(text.data(), static_cast<std::size_t>(n));
    }

    looped loop_;
    std::string folder_;
    unique_fd socket_;
};

TEST_F(ServiceManager, IsTold) {
    service_manager manager(loop_.executor());
    manager.ready("idle");
    EXPECT_EQ(heard(), "READY=1\nSTATUS=idle");
    manager.status("job x: 1/2");
    EXPECT_EQ(heard(), "STATUS=job x: 1/2");
    manager.stopping("bye");
    EXPECT_EQ(heard(), "STOPPING=1\nSTATUS=bye");
    manager.watchdog();
    EXPECT_EQ(heard(), "WATCHDOG=1");
    manager.extend_timeout(std::chrono::seconds(2));
    EXPECT_EQ(heard(), "EXTEND_TIMEOUT_USEC=2000000");
}

TEST_F(ServiceManager, AStatusCannotSayMoreThanAStatus) {
    service_manager(loop_.executor()).status("job a\nMAINPID=1\x1b[0m");
    EXPECT_EQ(heard(), "STATUS=job a\\nMAINPID=1\\x1b[0m");
}

TEST_F(ServiceManager, AReloadCarriesTheMonotonicTime) {
    timespec before{}, after{};
    ASSERT_EQ(::clock_gettime(CLOCK_MONOTONIC, &before), 0);
    service_manager(loop_.executor()).reloading();
    ASSERT_EQ(::clock_gettime(CLOCK_MONOTONIC, &after), 0);
    const std::string text = heard();
    const std::string start = "RELOADING=1\nMONOTONIC_USEC=";
    ASSERT_TRUE(text.starts_with(start)) << text;
    const std::int64_t told = std::stoll(text.substr(start.size()));
    EXPECT_GE(told, before.tv_sec * 1'000'000 + before.tv_nsec / 1000);
    EXPECT_LE(told, after.tv_sec * 1'000'000 + after.tv_nsec / 1000 + 1);
}

TEST_F(ServiceManager, ThatIsGoneIsAProblemAndNoCrash) {
    for (const std::string& address : {folder_ + "/absent", std::string("vsock:2:1"), std::string(200, '/')}) {
        ::setenv("NOTIFY_SOCKET", address.c_str(), 1);
        service_manager manager(loop_.executor());
        testing::internal::CaptureStderr();
        manager.watchdog();
        manager.ready("x");
        const std::string log = testing::internal::GetCapturedStderr();
        EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
        EXPECT_NE(log.find("systemd.notify"), std::string::npos) << log;
    }
}

// libsystemd would wait here for ever.
TEST_F(ServiceManager, ThatDoesNotReadHoldsNobodyUpAndHearsLaterWhatItMust) {
    service_manager manager(loop_.executor());
    const steady_time begun = steady_now();
    for (int i = 0; i < 2000; ++i) manager.status("x");
    manager.reloading();
    manager.ready("again");
    manager.watchdog();
    EXPECT_LT(steady_now() - begun, std::chrono::seconds(5));
    std::string all;
    const auto told = [&] {
        for (std::string one = heard(); one != "(nothing)"; one = heard()) all += one + "|";
        return all.find("STATUS=again") != std::string::npos;
    };
    EXPECT_FALSE(told()) << all;  // it was full
    loop_.until(told);
    EXPECT_LT(all.find("RELOADING=1"), all.find("READY=1\nSTATUS=again"));
    manager.status("goes on");
    EXPECT_EQ(heard(), "STATUS=goes on");
}

TEST_F(ServiceManager, IsFoundByAnAbstractName) {
    const unique_fd there(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const std::string name = folder_.substr(1);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    ASSERT_EQ(::bind(there.get(), reinterpret_cast<sockaddr*>(&address),
                     static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())),
              0);
    ::setenv("NOTIFY_SOCKET", ("@" + name).c_str(), 1);
    service_manager(loop_.executor()).watchdog();
    std::array<char, 64> text{};
    EXPECT_EQ(::recv(there.get(), text.data(), text.size(), 0), 10);
}

TEST_F(ServiceManager, MayBeAbsent) {
    ::unsetenv("NOTIFY_SOCKET");
    service_manager(loop_.executor()).ready("x");
    EXPECT_EQ(heard(), "(nothing)");
    EXPECT_EQ(watchdog_timeout().value(), std::optional<nanoseconds>());
}

TEST_F(ServiceManager, SetsTheWatchdogForThisProcessOnly) {
    ::setenv("WATCHDOG_USEC", "30000000", 1);
    EXPECT_EQ(watchdog_timeout().value(), std::optional<nanoseconds>(std::chrono::seconds(30)));
    ::setenv("WATCHDOG_PID", "1", 1);
    EXPECT_EQ(watchdog_timeout().value(), std::optional<nanoseconds>());
    ::setenv("WATCHDOG_USEC", "soon", 1);
    ::unsetenv("WATCHDOG_PID");
    EXPECT_FALSE(watchdog_timeout());
}

}  // namespace
}  // namespace culld

#include "culld/io/systemd.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "culld/io/file.hpp"

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

    std::string folder_;
    unique_fd socket_;
};

TEST_F(ServiceManager, IsTold) {
    EXPECT_EQ(notify_ready("idle"), true);
    EXPECT_EQ(heard(), "READY=1\nSTATUS=idle");
    EXPECT_EQ(notify_status("job x: 1/2"), true);
    EXPECT_EQ(heard(), "STATUS=job x: 1/2");
    EXPECT_EQ(notify_stopping("bye"), true);
    EXPECT_EQ(heard(), "STOPPING=1\nSTATUS=bye");
    EXPECT_EQ(notify_watchdog(), true);
    EXPECT_EQ(heard(), "WATCHDOG=1");
    EXPECT_EQ(notify_extend_timeout(std::chrono::seconds(2)), true);
    EXPECT_EQ(heard(), "EXTEND_TIMEOUT_USEC=2000000");
}

TEST_F(ServiceManager, AStatusCannotSayMoreThanAStatus) {
    EXPECT_EQ(notify_status("job a\nMAINPID=1\x1b[0m"), true);
    EXPECT_EQ(heard(), "STATUS=job a MAINPID=1 [0m");
}

TEST_F(ServiceManager, AReloadCarriesTheMonotonicTime) {
    timespec before{}, after{};
    ASSERT_EQ(::clock_gettime(CLOCK_MONOTONIC, &before), 0);
    EXPECT_EQ(notify_reloading(), true);
    ASSERT_EQ(::clock_gettime(CLOCK_MONOTONIC, &after), 0);
    const std::string text = heard();
    const std::string start = "RELOADING=1\nMONOTONIC_USEC=";
    ASSERT_TRUE(text.starts_with(start)) << text;
    const std::int64_t told = std::stoll(text.substr(start.size()));
    EXPECT_GE(told, before.tv_sec * 1'000'000 + before.tv_nsec / 1000);
    EXPECT_LE(told, after.tv_sec * 1'000'000 + after.tv_nsec / 1000 + 1);
}

TEST_F(ServiceManager, ThatIsGoneIsAProblemAndNoCrash) {
    ::setenv("NOTIFY_SOCKET", (folder_ + "/absent").c_str(), 1);
    EXPECT_FALSE(notify_watchdog());
}

TEST_F(ServiceManager, MayBeAbsent) {
    ::unsetenv("NOTIFY_SOCKET");
    EXPECT_EQ(notify_ready("x"), false);
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

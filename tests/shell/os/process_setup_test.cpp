#include "culld/io/os/process_setup.hpp"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>

namespace culld {
namespace {

// In a child of its own: the test runner keeps its core dumps and signals. Returns its exit code.
template <class Body>
int in_child(Body body) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(body());
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
    return WEXITSTATUS(status);
}

TEST(Process, IsHardened) {
    EXPECT_EQ(in_child([] {
                  if (!harden_process()) return 1;
                  rlimit core{};
                  if (::getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0) return 2;
                  return ::prctl(PR_GET_DUMPABLE) == 0 ? 0 : 3;
              }),
              0);
}

TEST(Process, MayOpenAsManyFilesAsTheHardLimitAllows) {
    EXPECT_EQ(in_child([] {
                  rlimit files{};
                  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return 1;
                  files.rlim_cur = 64;
                  if (::setrlimit(RLIMIT_NOFILE, &files) != 0) return 2;
                  const auto raised = raise_file_limit();
                  return raised && *raised == files.rlim_max ? 0 : 3;
              }),
              0);
}

std::size_t resident_pages() {
    std::ifstream statm("/proc/self/statm");
    std::size_t all = 0, resident = 0;
    statm >> all >> resident;
    return resident;
}

// Not in a child: what a fork maps it has not yet.
TEST(Process, LetsGoOfCodeAndGoesOn) {
    const std::size_t before = resident_pages();
    let_go_of_code();
    EXPECT_LT(resident_pages() + 128, before);
    EXPECT_TRUE(file_limit());
}

TEST(Process, SurvivesAClosedPipe) {
    EXPECT_EQ(in_child([] {
                  int ends[2] = {-1, -1};
                  if (!ignore_write_signals() || ::pipe(ends) != 0 || ::close(ends[0]) != 0) return 1;
                  return ::write(ends[1], "x", 1) == -1 && errno == EPIPE ? 0 : 2;
              }),
              0);
}

}  // namespace
}  // namespace culld

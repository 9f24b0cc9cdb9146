#include "culld/io/process.hpp"

#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "culld/io/file.hpp"

namespace culld {

result<void> harden_process() {
    if (::prctl(PR_SET_DUMPABLE, 0UL, 0UL, 0UL, 0UL) != 0)
        return fail(errno_problem("forbid dumps of this process (PR_SET_DUMPABLE)", {}, errno));
    const rlimit none{0, 0};
    if (::setrlimit(RLIMIT_CORE, &none) != 0) return fail(errno_problem("forbid core files (RLIMIT_CORE)", {}, errno));
    return {};
}

result<std::uint64_t> raise_file_limit() {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0)
        return fail(errno_problem("ask for the limit of open files (RLIMIT_NOFILE)", {}, errno));
    if (files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        if (::setrlimit(RLIMIT_NOFILE, &files) != 0)
            return fail(errno_problem("raise the limit of open files (RLIMIT_NOFILE)", {}, errno));
    }
    return static_cast<std::uint64_t>(files.rlim_cur);
}

result<std::uint64_t> file_limit() {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0)
        return fail(errno_problem("ask for the limit of open files (RLIMIT_NOFILE)", {}, errno));
    return static_cast<std::uint64_t>(files.rlim_cur);
}

void give_memory_back() {
    constexpr int block_bytes = 128 * 1024;  // glibc's own figures, which are fixed by being set
    static_cast<void>(::mallopt(M_MMAP_THRESHOLD, block_bytes));
    static_cast<void>(::mallopt(M_TRIM_THRESHOLD, block_bytes));
    static_cast<void>(::mallopt(M_ARENA_MAX, 1));
}

result<void> ignore_write_signals() {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    if (::sigaction(SIGPIPE, &ignore, nullptr) != 0) return fail(errno_problem("ignore SIGPIPE", {}, errno));
    if (::sigaction(SIGXFSZ, &ignore, nullptr) != 0) return fail(errno_problem("ignore SIGXFSZ", {}, errno));
    return {};
}

std::string host_name() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : std::string();
}

}  // namespace culld

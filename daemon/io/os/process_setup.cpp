#include "culld/io/os/process_setup.hpp"

#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <span>

#include "culld/io/os/file.hpp"

namespace culld {

void open_standard_files() {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
        // The lowest that is free, so this one.
        if (::open("/dev/null", O_RDWR | O_NOCTTY) != fd) ::_exit(71);  // sysexits(3): the system is at fault
    }
}

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

void let_go_of_code() {
    const auto let_go = [](dl_phdr_info* object, std::size_t, void*) {
        const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
        for (const ElfW(Phdr) & segment : std::span(object->dlpi_phdr, object->dlpi_phnum)) {
            // What may be written may have been.
            if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
            const std::uintptr_t begin = (object->dlpi_addr + segment.p_vaddr) & ~(page - 1);
            const std::uintptr_t end = object->dlpi_addr + segment.p_vaddr + segment.p_memsz;
            // Where the kernel does not (its own vdso, a locked page) there is nothing to be gained.
            static_cast<void>(::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED));
        }
        return 0;
    };
    static_cast<void>(::dl_iterate_phdr(let_go, nullptr));
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

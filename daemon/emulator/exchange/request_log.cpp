#include "emulator/exchange/request_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "culld/core/text/json_writer.hpp"

namespace culld::emulator {

result<request_log> request_log::open(const std::string& path) {
    request_log log;
    log.path_ = path;
    if (path == "-") {
        log.fd_ = STDOUT_FILENO;
        return log;
    }
    // Whoever else may write in that folder could have put a link there, to a file that is none of a log's.
    constexpr int how = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    log.file_ = unique_fd(::open(path.c_str(), how, 0640));
    if (!log.file_) return fail(errno_problem("open", path, errno));
    struct stat facts {};
    if (::fstat(log.file_.get(), &facts) != 0) return fail(errno_problem("look at", path, errno));
    if (!S_ISREG(facts.st_mode) || facts.st_nlink != 1)
        return fail(problem{.what = "is no regular file, or has another name too: nothing is written to it",
                            .hint = "name a file that is not there yet, or - for standard output",
                            .file = path});
    log.fd_ = log.file_.get();
    return log;
}

void request_log::write(const request& r, const reply& answer) {
    if (fd_ < 0) return;
    using std::chrono::duration_cast;
    using std::chrono::microseconds;
    // The wall clock is read now and put back by what has passed since the arrival.
    const auto passed = std::chrono::steady_clock::now() - r.arrived;
    const auto wall = std::chrono::system_clock::now() - passed;
    const bool answered = answer.how == reply::ending::send;
    line_.clear();
    json_object(line_)
        .member("n", r.number)
        .member("wall_us", duration_cast<microseconds>(wall.time_since_epoch()).count())
        .member("steady_us", duration_cast<microseconds>(r.arrived.time_since_epoch()).count())
        .member("method", r.method)
        .member("path", r.target)
        .member("ids", answer.ids)
        .member("deleted", answer.deleted)
        .member("status", answered ? answer.status : 0)
        .member("did", answer.did)
        .member("request_id", answer.request_id)
        .close();
    line_.push_back('\n');
    if (const auto written = write_all(fd_, line_, path_); !written) {
        std::fprintf(stderr, "cull-emulator: the request log ends here: %s\n", written.error().text().c_str());
        fd_ = -1;
    }
}

}  // namespace culld::emulator

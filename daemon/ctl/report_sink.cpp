#include "report_sink.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

namespace culld::ctl {

namespace {
constexpr std::size_t worth_a_write = 1U << 16U;
}  // namespace

outcome<report_sink> report_sink::open(const context& with, const std::string& path) {
    report_sink out(with);
    if (path.empty() || path == "-") return out;
    out.path_ = path;
    struct stat facts {};
    if (::lstat(path.c_str(), &facts) == 0 && !S_ISREG(facts.st_mode)) {
        // /dev/stdout is a link that must stay one.
        out.file_.reset(::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY));
        if (!out.file_) return give_up(io_error, errno_problem("write to", path, errno));
        return out;
    }
    std::string name = path + ".XXXXXX";
    out.file_.reset(::mkostemp(name.data(), O_CLOEXEC));
    if (!out.file_) {
        const int why = errno;
        return give_up(why == EACCES ? not_allowed : io_error, errno_problem("write a file beside", path, why));
    }
    out.temporary_ = std::move(name);
    // As any other new file of this user's.
    const mode_t mask = ::umask(0);
    static_cast<void>(::umask(mask));
    if (::fchmod(out.file_.get(), 0666 & ~mask) != 0)
        return give_up(io_error, errno_problem("set the mode of", out.temporary_, errno));
    return out;
}

report_sink::report_sink(report_sink&& other) noexcept
    : with_(other.with_),
      path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      file_(std::move(other.file_)) {}

report_sink::~report_sink() {
    if (!temporary_.empty()) static_cast<void>(::unlink(temporary_.c_str()));  // half a report is none
}

result<void> report_sink::put(std::string& text) {
    result<void> done;
    if (file_)
        done = write_all(file_.get(), text, path_);
    else
        with_->out.data(text);  // what cannot be written shows in talk::flush
    text.clear();
    return done;
}

result<void> report_sink::take(std::string& text) {
    if (text.size() < worth_a_write) return {};
    return put(text);
}

outcome<void> report_sink::finish(std::string& text) {
    if (auto done = put(text); !done) return give_up(io_error, std::move(done.error()));
    if (temporary_.empty()) return {};
    if (auto synced = sync_file(file_.get(), path_); !synced) return give_up(io_error, std::move(synced.error()));
    if (::rename(temporary_.c_str(), path_.c_str()) != 0)
        return give_up(io_error, errno_problem("rename the report to", path_, errno));
    temporary_.clear();
    return {};
}

}  // namespace culld::ctl

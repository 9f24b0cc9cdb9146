#include "ctl/jobs/drop.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "culld/core/spool/unused_name.hpp"

namespace culld::ctl {

namespace {

// The folder keeps strangers out; within it the daemon, another user, must be able to read.
constexpr mode_t file_mode = 0644;

outcome<folder> open_spool_folder(const context& with, const char* name) {
    const std::string path = with.settings.spool.dir + "/" + name;
    auto dir = folder::open(path);
    if (dir) return std::move(*dir);
    dir.error().hint = errno == EACCES ? "only members of the group culld-submit may drop jobs"
                                       : "is this the spool of culld? --spool DIR names another";
    return give_up_on(path, std::move(dir.error()));
}

outcome<std::uint64_t> random_number() {
    std::uint64_t out = 0;
    if (::getrandom(&out, sizeof out, 0) != static_cast<ssize_t>(sizeof out))
        return give_up(io_error, errno_problem("draw a random name", "getrandom", errno));
    return out;
}

}  // namespace

outcome<dropping> dropping::copy(const context& with, int from, const std::string& name) {
    dropping out;
    auto tmp = open_spool_folder(with, "tmp");
    if (!tmp) return tl::unexpected(std::move(tmp.error()));
    auto incoming = open_spool_folder(with, "incoming");
    if (!incoming) return tl::unexpected(std::move(incoming.error()));
    out.tmp_ = std::move(*tmp);
    out.incoming_ = std::move(*incoming);
    out.name_ = name;
    const auto chance = random_number();
    if (!chance) return tl::unexpected(chance.error());
    const std::string temporary = fmt::format("cullctl-{:016x}.tmp", *chance);
    auto file = out.tmp_.open_file(temporary, O_RDWR | O_CREAT | O_EXCL, file_mode);
    if (!file) {
        if (::faccessat(out.tmp_.fd(), ".", W_OK, 0) != 0 && errno == EACCES) {
            file.error().hint = "you may not submit: the group culld-submit may";
            return give_up(not_allowed, std::move(file.error()));
        }
        return give_up(io_error, std::move(file.error()));
    }
    out.file_ = std::move(*file);
    out.temporary_ = temporary;
    // Whatever the umask.
    if (::fchmod(out.file_.get(), file_mode) != 0)
        return give_up(io_error, errno_problem("set the mode of", temporary, errno));
    std::string block(1U << 20U, '\0');
    for (;;) {
        const ssize_t n = ::read(from, block.data(), block.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return give_up(io_error, errno_problem("read", name, errno));
        if (n == 0) break;
        auto written =
            write_all(out.file_.get(), std::string_view(block).substr(0, static_cast<std::size_t>(n)), temporary);
        if (!written) return give_up(io_error, std::move(written.error()));
    }
    if (auto synced = sync_file(out.file_.get(), temporary); !synced)
        return give_up(io_error, std::move(synced.error()));
    return out;
}

dropping::~dropping() {
    // A left-over in tmp/ harms nobody; there is nothing else to be done about it here.
    if (!temporary_.empty() && file_) static_cast<void>(tmp_.remove(temporary_));
}

outcome<std::string> dropping::drop(name_policy policy, const std::function<bool(std::string_view)>& taken) {
    for (std::uint32_t attempt = 0; attempt < (policy == name_policy::exactly ? 1 : names_tried); ++attempt) {
        std::string name = unused_name(name_, attempt);
        if (policy == name_policy::or_free && taken && taken(name)) continue;
        auto moved = tmp_.move(temporary_, incoming_, name);
        if (!moved) {
            if (::faccessat(incoming_.fd(), ".", W_OK, 0) != 0 && errno == EACCES)
                return give_up(not_allowed, std::move(moved.error()));
            return give_up(io_error, std::move(moved.error()));
        }
        if (!*moved) continue;
        temporary_.clear();
        if (auto synced = incoming_.sync(); !synced) return give_up(io_error, std::move(synced.error()));
        return name;
    }
    return give_up(try_later, {.what = "a file of that name waits in the drop box",
                               .hint = "it goes when its job is taken",
                               .file = incoming_.path() + "/" + name_});
}

}  // namespace culld::ctl

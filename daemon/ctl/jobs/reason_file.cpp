#include "ctl/jobs/reason_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

namespace culld::ctl {

std::optional<std::string> read_reason(const folder& rejected, const std::string& name) {
    constexpr std::size_t bytes_max = 1U << 20U;
    const auto file = rejected.open_file(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (!file) return std::nullopt;
    struct stat whose {};
    struct stat what {};
    if (::fstat(rejected.fd(), &whose) != 0 || ::fstat(file->get(), &what) != 0) return std::nullopt;
    if (!S_ISREG(what.st_mode) || what.st_uid != whose.st_uid) return std::nullopt;
    std::string text(bytes_max, '\0');
    const auto got = read_some_at(file->get(), text.data(), text.size(), 0, name);
    if (!got) return std::nullopt;
    text.resize(*got);
    return text;
}

}  // namespace culld::ctl

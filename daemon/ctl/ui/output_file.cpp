#include "ctl/ui/output_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <deque>
#include <optional>
#include <utility>

namespace culld::ctl {

namespace {

constexpr int links_max = 40;  // as the kernel's own

tl::unexpected<failure> cannot(std::string_view doing, const std::string& path, int error) {
    const bool refused = error == EACCES || error == EPERM;
    return give_up(refused ? not_allowed : io_error, errno_problem(doing, path, error));
}

tl::unexpected<failure> foreign(std::string_view what, uid_t owner, const std::string& path) {
    return give_up(not_allowed,
                   {.what = fmt::format("is {} of another user's (uid {})", what, owner),
                    .hint = "somebody may want you to write where they cannot: name a file in a folder of your own",
                    .file = path});
}

bool ours(uid_t owner) {
    return owner == ::geteuid() || owner == 0;
}

// Whether others may put names into the folder, and none may take another's away: /tmp.
bool is_shared(int folder) {
    struct stat facts {};
    return ::fstat(folder, &facts) == 0 && (facts.st_mode & S_ISVTX) != 0 && (facts.st_mode & 022) != 0;
}

// A descriptor of this process that the path names.
std::optional<int> own_descriptor(std::string_view path) {
    if (path == "/dev/stdout") return STDOUT_FILENO;
    if (path == "/dev/stderr") return STDERR_FILENO;
    for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
        int fd = 0;
        const char* end = path.data() + path.size();
        if (path.starts_with(folder) && path.size() > folder.size())
            if (const auto [stopped, ec] = std::from_chars(path.data() + folder.size(), end, fd);
                ec == std::errc() && stopped == end)
                return fd;
    }
    return std::nullopt;
}

// The folder that holds what the path stands for, its name in it, and what is there.
struct spot {
    unique_fd folder;
    std::string name;
    std::optional<struct stat> there;
};

void put_in_front(std::deque<std::string>& steps, std::string_view path) {
    std::size_t end = path.size();
    while (end != std::string_view::npos) {
        const std::size_t slash = end == 0 ? std::string_view::npos : path.rfind('/', end - 1);
        const std::size_t begin = slash == std::string_view::npos ? 0 : slash + 1;
        if (begin < end) steps.emplace_front(path.substr(begin, end - begin));
        end = slash;
    }
}

outcome<spot> find_spot(const std::string& path) {
    std::deque<std::string> steps;
    put_in_front(steps, path);
    const auto begin_at = [](std::string_view p) {
        return unique_fd(::open(p.starts_with('/') ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    };
    unique_fd at = begin_at(path);
    if (!at) return cannot("open the folder of", path, errno);
    const bool folder_wanted = path.empty() || path.ends_with('/');
    for (int links = 0; !steps.empty();) {
        const std::string step = std::move(steps.front());
        steps.pop_front();
        const bool last = steps.empty();
        struct stat facts {};
        if (step != "." && step != ".." && ::fstatat(at.get(), step.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno != ENOENT || !last || folder_wanted) return cannot("write to", path, errno);
            return spot{std::move(at), step, std::nullopt};
        }
        if (S_ISLNK(facts.st_mode)) {
            if (!ours(facts.st_uid) && (::geteuid() == 0 || is_shared(at.get())))
                return foreign("a link, or leads through one,", facts.st_uid, path);
            std::array<char, PATH_MAX> to{};
            const ssize_t size = ::readlinkat(at.get(), step.c_str(), to.data(), to.size());
            if (size <= 0 || ++links > links_max) return cannot("follow the links of", path, size < 0 ? errno : ELOOP);
            const std::string_view target(to.data(), static_cast<std::size_t>(size));
            if (target.starts_with('/')) at = begin_at(target);
            put_in_front(steps, target);
            continue;
        }
        if (last && facts.st_mode != 0 && !S_ISDIR(facts.st_mode)) return spot{std::move(at), step, facts};
        unique_fd inner(::openat(at.get(), step.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!inner) return cannot("write to", path, errno);
        at = std::move(inner);
    }
    return cannot("write to", path, EISDIR);
}

}  // namespace

outcome<output_file> output_file::open(const std::string& path) {
    output_file out(path);
    if (const auto fd = own_descriptor(path)) {
        out.file_.reset(::fcntl(*fd, F_DUPFD_CLOEXEC, 0));
        if (!out.file_) return cannot("write to", path, errno);
        return out;
    }
    auto found = find_spot(path);
    if (!found) return tl::unexpected(std::move(found.error()));
    out.folder_ = std::move(found->folder);
    out.name_ = std::move(found->name);
    if (!found->there || S_ISREG(found->there->st_mode)) {
        if (found->there && found->there->st_uid != ::geteuid() && is_shared(out.folder_.get()))
            return foreign("a file", found->there->st_uid, path);
        if (auto begun = out.begin_beside(); !begun) return tl::unexpected(std::move(begun.error()));
        return out;
    }
    if (S_ISBLK(found->there->st_mode)) return give_up(io_error, {.what = "is a whole disk", .hint = {}, .file = path});
    if (!ours(found->there->st_uid)) return foreign("a device or FIFO", found->there->st_uid, path);
    out.file_.reset(::openat(out.folder_.get(), out.name_.c_str(), O_WRONLY | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC));
    struct stat again {};
    if (!out.file_ || ::fstat(out.file_.get(), &again) != 0) return cannot("write to", path, errno);
    if (!ours(again.st_uid) || S_ISREG(again.st_mode)) return foreign("a file", again.st_uid, path);
    return out;
}

outcome<void> output_file::begin_beside() {
    std::uint64_t chance = 0;
    if (::getrandom(&chance, sizeof chance, 0) != static_cast<ssize_t>(sizeof chance))
        return cannot("draw a name beside", path_, errno);
    const std::string temporary = fmt::format(".cullctl-{:016x}.tmp", chance);
    file_.reset(::openat(folder_.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file_) return cannot("write a file beside", path_, errno);
    temporary_ = temporary;
    // As any other new file of this user's.
    const mode_t mask = ::umask(0);
    static_cast<void>(::umask(mask));
    if (::fchmod(file_.get(), 0666 & ~mask) != 0) return cannot("set the mode of", path_, errno);
    return {};
}

output_file::output_file(output_file&& other) noexcept
    : path_(std::move(other.path_)),
      folder_(std::move(other.folder_)),
      name_(std::move(other.name_)),
      temporary_(std::exchange(other.temporary_, {})),
      file_(std::move(other.file_)) {}

output_file::~output_file() {
    if (!temporary_.empty()) static_cast<void>(::unlinkat(folder_.get(), temporary_.c_str(), 0));  // half of it is none
}

outcome<void> output_file::finish() {
    if (temporary_.empty()) return {};
    if (auto synced = sync_file(file_.get(), path_); !synced) return give_up(io_error, std::move(synced.error()));
    if (::renameat(folder_.get(), temporary_.c_str(), folder_.get(), name_.c_str()) != 0)
        return cannot("rename a finished file to", path_, errno);
    temporary_.clear();
    // Its name too, where the folder may be read: a folder to drop files into may not.
    const unique_fd folder(::openat(folder_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder && ::fsync(folder.get()) != 0) return cannot("make durable", path_, errno);
    return {};
}

}  // namespace culld::ctl

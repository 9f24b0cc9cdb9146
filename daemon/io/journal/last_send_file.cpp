#include "culld/io/journal/last_send_file.hpp"

#include <fcntl.h>

namespace culld {

namespace {
const std::string mark_name = ".last-request";
constexpr std::size_t mark_bytes_max = 64;
constexpr std::string_view running = "running\n";
}  // namespace

result<bool> last_send_file::quiet_for(std::chrono::duration<double> span, wall_time now) {
    auto text = where_.read_start(mark_name, mark_bytes_max);
    if (!text) return fail(std::move(text.error()));
    const bool used = text->has_value();
    if (used) {
        while (!(*text)->empty() && (*text)->back() == '\n') (*text)->pop_back();
        if (const auto t = parse_rfc3339(**text); t) before_ = *t;
    }
    if (auto done = where_.replace(mark_name, running, 0640); !done) {
        if (!used) return fail(std::move(done.error()));
        // On a full disk: an empty mark proves as little as one that says "running", and takes no room.
        auto fd = where_.open_file(mark_name, O_WRONLY | O_TRUNC);
        if (!fd) return fail(std::move(fd.error()));
        if (auto synced = sync_file(fd->get(), mark_name); !synced) return fail(std::move(synced.error()));
    }
    if (!used) return true;
    // A clock that went backwards proves nothing.
    return before_ && *before_ <= now && std::chrono::duration<double>(now - *before_) >= span;
}

result<void> last_send_file::leave(std::optional<wall_time> last_sent, wall_time now) {
    if (!last_sent) last_sent = before_;
    // Where neither run knows of a request, one before them may have sent it right up to its crash.
    return where_.replace(mark_name, rfc3339(last_sent.value_or(now)) + "\n", 0640);
}

}  // namespace culld

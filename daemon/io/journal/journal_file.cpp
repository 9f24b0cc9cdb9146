#include "culld/io/journal/journal_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace culld {

namespace {
constexpr auto group_window = std::chrono::milliseconds(5);
constexpr std::size_t large_commit = std::size_t{256} * 1024;  // does not wait for it
// Behind the end of a journal that is gone on with: for intents, and for what is then answered to them.
constexpr off_t room_wanted = 256 * 1024;

// On a disk that is all but full an intent may find room and the answer to it not; and each attempt to go on would send
// once more. So there has to be room for both, or nothing is begun. Taken and given back at once.
result<void> find_room(int fd, off_t end, const std::string& name) {
    int failed = 0;
    do failed = ::fallocate(fd, FALLOC_FL_KEEP_SIZE, end, room_wanted);
    while (failed != 0 && errno == EINTR);
    if (failed != 0) {
        if (errno == EOPNOTSUPP || errno == ENOSYS) return {};
        problem why = errno_problem("find room for", name, errno);
        why.hint = "make room, or mend the disk; culld tries again by itself";
        return fail(std::move(why));
    }
    if (::ftruncate(fd, end) != 0) return fail(change_problem("give back the room of", name, errno));
    return {};
}
}  // namespace

result<unique_fd> journal_file::create(const folder& dir, const std::string& name) {
    return dir.open_file(name, O_RDWR | O_CREAT | O_EXCL | O_APPEND, 0640);
}

result<unique_fd> journal_file::reopen(const folder& dir, const std::string& name, std::uint64_t size) {
    auto fd = dir.open_file(name, O_RDWR | O_APPEND);
    if (!fd) return fd;
    struct stat st {};
    if (::fstat(fd->get(), &st) != 0) return fail(errno_problem("look at", name, errno));
    if (static_cast<std::uint64_t>(st.st_size) < size)
        return fail(problem{.what = "is shorter than what was read of it", .hint = {}, .file = name});
    if (static_cast<std::uint64_t>(st.st_size) != size) {
        if (::ftruncate(fd->get(), static_cast<off_t>(size)) != 0)
            return fail(change_problem("cut torn tail of", name, errno));
    }
    if (auto room = find_room(fd->get(), static_cast<off_t>(size), name); !room) return fail(std::move(room.error()));
    // What was read may be in memory only, and so may the name: after a crash, or after a failed commit of ours.
    if (auto done = make_durable_again(dir, name, size); !done) return fail(std::move(done.error()));
    return fd;
}

journal_file::journal_file(loop_executor on, worker_thread& thread, const folder& dir, std::string name, unique_fd fd,
                           bool fresh, std::uint64_t bytes)
    : on_(on),
      thread_(thread),
      dir_(dir),
      name_(std::move(name)),
      fd_(std::move(fd)),
      found_(bytes),
      on_disk_(bytes),
      name_durable_(!fresh),
      progress_(on),
      window_(on),
      alive_(std::make_shared<bool>(true)) {}

journal_file::~journal_file() {
    *alive_ = false;
}

void journal_file::commit_soon() {
    if (dead_ || buffer_.empty()) return;
    if (buffer_.size() > large_commit) return commit_now();
    if (timer_set_) return;
    timer_set_ = true;
    window_.expires_after(group_window);
    window_.async_wait([this, alive = alive_](boost::system::error_code ec) {
        if (!*alive) return;
        timer_set_ = false;
        if (!ec) commit_now();
    });
}

void journal_file::commit_now() {
    if (dead_ || buffer_.empty()) return;
    if (committing_)
        wanted_ = true;
    else
        start_commit();
}

void journal_file::start_commit() {
    committing_ = true;
    wanted_ = false;
    writing_.clear();
    writing_.swap(buffer_);
    taken_ += writing_.size();
    if (on_commit) on_commit();
    auto work = [this, bytes = std::string_view(writing_), sync_name = !name_durable_] {
        commit out{.ground = look(), .done = {}, .sync = {}};
        if (out.ground.what != path_state::one) return out;
        out.done = write_all(fd_.get(), bytes, name_);
        if (!out.done) return out;
        on_disk_ += bytes.size();
        const steady_time begun = steady_now();
        out.done = sync_data(fd_.get(), name_);
        if (!out.done) return out;
        out.sync = steady_now() - begun;
        if (sync_name) out.done = dir_.sync();
        return out;
    };
    thread_.post(std::move(work), [this, alive = alive_](const commit& outcome) {
        if (!*alive) return;
        committing_ = false;
        // Whatever became of it meanwhile: so much is there.
        if (outcome.ground.what == path_state::one && outcome.done) durable_ = taken_;
        if (!stands(outcome.ground)) return;
        if (outcome.sync && on_synced) on_synced(*outcome.sync);
        committed(outcome.done);
    });
}

void journal_file::committed(const result<void>& outcome) {
    if (!outcome) return die(outcome.error(), journal_end::disk);
    name_durable_ = true;
    if (on_durable) on_durable();
    progress_.notify();
    // on_durable may have begun one already.
    if (wanted_ && !committing_ && !buffer_.empty()) start_commit();
}

bool journal_file::stands(const own_look& seen) {
    held_ = seen.held;
    if (dead_) {
        if (quiet() && on_quiet) on_quiet();
        return false;
    }
    if (seen.what == path_state::one) {
        looked_at_ = seen.at;
        return true;
    }
    die(seen.why, seen.what == path_state::gone ? journal_end::gone : journal_end::bent);
    return false;
}

void journal_file::die(problem why, journal_end by) {
    if (dead_) return;
    ended_by_ = by;
    dead_ = std::move(why);
    progress_.notify();
    if (on_dead) on_dead(*dead_);
}

void journal_file::give_up(const problem& why) {
    die(why, journal_end::given_up);
}

void journal_file::look_soon() {
    if (dead_ || looking_) return;
    looking_ = true;
    auto work = [this] { return look(); };
    thread_.post(std::move(work), [this, alive = alive_](const own_look& outcome) {
        if (!*alive) return;
        looking_ = false;
        if (stands(outcome) && on_looked) on_looked();
    });
}

std::optional<journal_mark> journal_file::leave() {
    if (!held_) return std::nullopt;
    journal_mark out{*held_, found_ + durable_};
    if (ended_by_ == journal_end::gone || ended_by_ == journal_end::given_up)
        out.kept = std::make_shared<unique_fd>(std::move(fd_));
    return out;
}

task<result<void>> journal_file::durable() {
    auto out = co_await durable(steady_time::max());
    co_return std::move(*out);
}

task<std::optional<result<void>>> journal_file::durable(steady_time until) {
    using answer = std::optional<result<void>>;
    const std::uint64_t upto = appended();
    commit_now();
    const auto alive = alive_;
    while (*alive && durable_ < upto && !dead_ && steady_now() < until) co_await progress_.wait_until(until);
    if (!*alive) co_return answer(fail("the journal was closed"));
    if (durable_ >= upto) co_return answer(result<void>());
    if (!dead_) co_return std::nullopt;
    co_return answer(fail(*dead_));
}

}  // namespace culld

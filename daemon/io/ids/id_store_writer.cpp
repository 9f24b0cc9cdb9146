#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "culld/io/ids/id_store.hpp"
#include "id_store_format.hpp"

namespace culld {

namespace {
constexpr std::string_view store_suffix = ".ids";
constexpr std::string_view unfinished_prefix = ".store-";
constexpr std::size_t index_bytes_kept = 4096;
}  // namespace

std::string store_name(std::string_view job_id) {
    return std::string(job_id) + std::string(store_suffix);
}

result<id_store_writer> id_store_writer::create(const folder& where) {
    static std::atomic<std::uint64_t> next{0};
    id_store_writer out;
    for (;;) {
        // A name that a dead process of our number left is passed over.
        std::string name = fmt::format("{}{}-{}", unfinished_prefix, ::getpid(), next++);
        out.file_.reset(::openat(where.fd(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!out.file_ && errno == EEXIST) continue;
        if (!out.file_) return fail(errno_problem("make an id store in", where.path(), errno));
        out.where_ = &where;
        out.temporary_ = std::move(name);
        break;
    }
    return out;
}

id_store_writer::id_store_writer(id_store_writer&& other) noexcept {
    *this = std::move(other);
}

id_store_writer& id_store_writer::operator=(id_store_writer&& other) noexcept {
    if (this == &other) return *this;
    abandon();
    where_ = other.where_;
    temporary_ = std::exchange(other.temporary_, {});
    file_ = std::move(other.file_);
    index_file_ = std::move(other.index_file_);
    segment_ = std::move(other.segment_);
    index_ = std::move(other.index_);
    content_ = other.content_;
    segments_ = other.segments_;
    count_ = other.count_;
    sealed_ = other.sealed_;
    return *this;
}

id_store_writer::~id_store_writer() {
    abandon();
}

void id_store_writer::abandon() noexcept {
    // If it cannot be removed now, sweep_stores() does it at the next start.
    if (!temporary_.empty()) static_cast<void>(::unlinkat(where_->fd(), temporary_.c_str(), 0));
    temporary_.clear();
}

result<void> id_store_writer::append(std::string_view id) {
    // In one piece: three appends would each look whether there is room.
    const std::size_t end = segment_.size();
    segment_.resize(end + id.size() + 3);
    char* const at = segment_.data() + end;
    at[0] = '"';
    std::memcpy(at + 1, id.data(), id.size());
    at[1 + id.size()] = '"';
    at[2 + id.size()] = ',';
    return ++count_ % ids_per_segment == 0 ? end_segment() : success();
}

result<void> id_store_writer::end_segment() {
    store_format::append(index_, store_format::entry{content_, store_format::checksum(segment_, segments_)});
    if (auto done = write_all(file_.get(), segment_, temporary_); !done) return done;
    content_ += segment_.size();
    segment_.clear();
    ++segments_;
    return index_.size() >= index_bytes_kept ? flush_index() : result<void>{};
}

result<void> id_store_writer::flush_index() {
    if (!index_file_) index_file_.reset(::openat(where_->fd(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!index_file_) return fail(errno_problem("make a scratch file in", where_->path(), errno));
    auto done = write_all(index_file_.get(), index_, temporary_);
    index_.clear();
    return done;
}

result<void> id_store_writer::seal(const digest& source) {
    if (!segment_.empty())
        if (auto done = end_segment(); !done) return done;
    store_format::running_checksum index;
    const auto add = [&](std::string_view part) {
        index.update(part);
        return write_all(file_.get(), part, temporary_);
    };
    if (!index_file_) {
        if (auto done = add(index_); !done) return done;
    } else {
        if (auto done = flush_index(); !done) return done;
        std::string block(index_bytes_kept, '\0');
        for (std::uint64_t at = 0;;) {
            const auto got = read_some_at(index_file_.get(), block.data(), block.size(), at, temporary_);
            if (!got) return fail(got.error());
            if (*got == 0) break;
            if (auto done = add(std::string_view(block.data(), *got)); !done) return done;
            at += *got;
        }
        index_file_.reset();
    }
    const store_format::footer end{
        .ids = count_, .content = content_, .index_checksum = index.value(), .source = source};
    sealed_ = true;
    return write_all(file_.get(), store_format::encode(end), temporary_);
}

result<unique_fd> id_store_writer::reopen() const {
    unique_fd out(::fcntl(file_.get(), F_DUPFD_CLOEXEC, 0));
    if (!out) return fail(errno_problem("open again", temporary_, errno));
    return out;
}

result<bool> id_store_writer::publish(const std::string& name, source_file source) {
    if (!sealed_ || temporary_.empty()) throw std::logic_error("an id store is sealed once, then published once");
    const bool durable = content_ > store_content_unsynced || source == source_file::doubtful;
    if (durable)
        if (auto done = sync_file(file_.get(), temporary_); !done) return fail(std::move(done.error()));
    auto moved = where_->move(temporary_, *where_, name);
    if (!moved || !*moved) return moved;
    temporary_.clear();
    if (!durable) return true;
    if (auto done = where_->sync(); !done) return fail(std::move(done.error()));
    return true;
}

}  // namespace culld

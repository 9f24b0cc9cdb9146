#include "culld/io/ledger_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "culld/core/chain.hpp"
#include "culld/io/line_reader.hpp"

namespace culld {

namespace {

const std::string ledger_name = "ledger.jsonl";
const std::string head_name = "ledger.head";

std::pair<std::uint64_t, std::uint64_t> key_of(std::string_view job_id) {
    sha256 hash;
    hash.update(job_id);
    const digest d = hash.finish();
    std::pair<std::uint64_t, std::uint64_t> out;
    std::memcpy(&out.first, d.data(), sizeof out.first);
    std::memcpy(&out.second, d.data() + sizeof out.first, sizeof out.second);
    return out;
}

}  // namespace

result<ledger_file> ledger_file::open(const folder& dir) {
    ledger_file out;
    out.dir_ = &dir;
    if (auto done = out.load(); !done) return fail(std::move(done.error()));
    return out;
}

result<void> ledger_file::load() {
    trusted_ = false;
    finished_.clear();
    const bool existed = dir_->exists(ledger_name);
    auto fd = dir_->open_file(ledger_name, O_RDWR | O_CREAT | O_APPEND, 0640);
    if (!fd) return fail(std::move(fd.error()));
    if (!existed)
        if (auto synced = dir_->sync(); !synced) return synced;
    fd_ = std::move(*fd);

    auto head = load_head();
    if (!head) return fail(std::move(head.error()));
    bool head_found = !*head;
    unique_fd reading(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 3));
    if (!reading) return fail(errno_problem("duplicate descriptor of", ledger_name, errno));
    if (::lseek(reading.get(), 0, SEEK_SET) != 0) return fail(errno_problem("read", ledger_name, errno));
    line_reader lines(std::move(reading), ledger_name);
    chain_checker chain;
    record_view record;
    text_line read;
    for (;;) {
        const auto more = lines.next(read);
        if (!more) return fail(more.error());
        if (!*more || !read.ended) break;
        if (auto fed = chain.feed(read.text, true, record); !fed) {
            problem why = std::move(fed.error());
            why.file = dir_->path() + "/" + ledger_name;
            why.hint =
                "the ledger was changed or damaged; culld adds nothing to it: see `cullctl verify`, keep a copy, and "
                "move it aside to begin a new one";
            return fail(std::move(why));
        }
        if (const auto id = record.text("job_id"); id && record.type == record_type::job_finished)
            finished_.insert(key_of(*id));
        if (*head && (*head)->seq == record.seq) head_found = (*head)->sha256 == hex(chain.head());
    }
    if (!head_found)
        return fail(problem{
            .what = fmt::format("names line {} of the ledger, which is {}", (*head)->seq + 1,
                                (*head)->seq < chain.records()
                                    ? "another one now"
                                    : fmt::format("not there: it was cut to {} lines", chain.records())),
            .hint =
                "the ledger was changed or damaged; culld adds nothing to it: see `cullctl verify`, bring back ledger.jsonl "
                "from a copy, or move both aside to begin a new one",
            .file = dir_->path() + "/" + head_name});
    struct stat st {};
    if (::fstat(fd_.get(), &st) != 0) return fail(errno_problem("look at", ledger_name, errno));
    const std::uint64_t good = lines.good_bytes();
    torn_bytes_ = static_cast<std::uint64_t>(st.st_size) - good;
    if (torn_bytes_ > 0) {
        if (::ftruncate(fd_.get(), static_cast<off_t>(good)) != 0)
            return fail(errno_problem("cut torn tail of", ledger_name, errno));
        if (auto synced = sync_file(fd_.get(), ledger_name); !synced) return synced;
    }
    chain_ = chain_writer({chain.records(), chain.head()});
    // The head may be behind, if a crash came between the two writes.
    if (chain.records() > 0)
        if (auto done = dir_->replace(head_name, ledger_head_text(chain_.head(), {}), 0640); !done) return done;
    trusted_ = true;
    return {};
}

// None where there is none: a crash may come between the first line and its head.
result<std::optional<ledger_head>> ledger_file::load_head() const {
    if (!dir_->exists(head_name)) return std::nullopt;
    auto fd = dir_->open_file(head_name, O_RDONLY);
    if (!fd) return fail(std::move(fd.error()));
    std::string text(4096, '\0');
    const auto got = read_some_at(fd->get(), text.data(), text.size(), 0, head_name);
    if (!got) return fail(got.error());
    text.resize(*got);
    auto head = read_ledger_head(text);
    if (!head) {
        problem why = std::move(head.error());
        why.file = dir_->path() + "/" + head_name;
        why.hint =
            "it was changed or damaged; culld adds nothing to this ledger: see `cullctl verify`, and move it aside if the "
            "ledger itself is whole";
        return fail(std::move(why));
    }
    return std::move(*head);
}

bool ledger_file::holds(std::string_view id) const {
    return finished_.contains(key_of(id));
}

result<ledger_file::line> ledger_file::append(const ledger_facts& facts, wall_time ts) {
    if (!trusted_)
        if (auto done = load(); !done) return fail(std::move(done.error()));
    const bool finished = facts.totals != nullptr;
    if (finished && holds(facts.job_id)) return line{};
    std::string text;
    write_ledger_line(chain_, text, ts, facts);
    trusted_ = false;
    if (auto done = write_all(fd_.get(), text, ledger_name); !done) return fail(std::move(done.error()));
    if (auto done = sync_data(fd_.get(), ledger_name); !done) return fail(std::move(done.error()));
    if (auto done = dir_->replace(head_name, ledger_head_text(chain_.head(), {}), 0640); !done)
        return fail(std::move(done.error()));
    trusted_ = true;
    if (finished) finished_.insert(key_of(facts.job_id));
    return line{hex(chain_.head().prev), chain_.head().seq - 1};
}

}  // namespace culld

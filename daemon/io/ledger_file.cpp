#include "culld/io/ledger_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "culld/core/chain.hpp"
#include "culld/io/line_reader.hpp"

namespace culld {

namespace {

constexpr const char* what_to_do =
    "the ledger was changed or damaged; culld adds nothing to it: see `cullctl verify`, bring back ledger.jsonl and "
    "ledger.head from a copy, or move both aside to begin a new one";
constexpr std::size_t rejected_max = 1024;  // more than are ever on their way to rejected/ at a time

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

result<ledger_file> ledger_file::open(const folder& dir, std::optional<ledger_signing> signing) {
    ledger_file out;
    out.dir_ = &dir;
    out.signing_ = std::move(signing);
    if (auto done = out.load(); !done) return fail(std::move(done.error()));
    out.opened_ = true;
    return out;
}

void ledger_file::sign_with(std::optional<ledger_signing> signing) {
    signing_ = std::move(signing);
    trusted_ = false;  // read again before the next line: the new key may not know what the old one signed
}

std::string ledger_file::signature_of(std::string_view text) const {
    return signing_ ? signing_->key.sign(text) : std::string();
}

result<void> ledger_file::load() {
    trusted_ = false;
    was_signed_ = false;
    unsigned_lines_ = 0;
    finished_.clear();
    const bool existed = dir_->exists(ledger_name);
    auto fd = dir_->open_file(ledger_name, O_RDWR | O_CREAT | O_APPEND, 0640);
    if (!fd) return fail(std::move(fd.error()));
    if (!existed)
        if (auto synced = dir_->sync(); !synced) return synced;
    fd_ = std::move(*fd);

    auto head = load_head(ledger_head_name);
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
        if (const auto sig = record.text("sig"); sig && !sig->empty()) was_signed_ = true;
        if (record.type == record_type::job_rejected && !opened_) {
            const auto file = record.text("file");
            const auto at = parse_rfc3339(record.ts);
            if (file && at) rejected_.push_back({*file, *at});
            if (rejected_.size() > rejected_max) rejected_.pop_front();
        }
        if (*head && (*head)->seq == record.seq) head_found = (*head)->sha256 == hex(chain.head());
    }
    if (!head_found)
        return fail(
            problem{.what = fmt::format("names line {} of the ledger, which is {}", (*head)->seq + 1,
                                        (*head)->seq < chain.records()
                                            ? "another one now"
                                            : fmt::format("not there: it was cut to {} lines", chain.records())),
                    .hint = what_to_do,
                    .file = dir_->path() + "/" + ledger_head_name});
    if (*head && !(*head)->sig.empty()) was_signed_ = true;
    result<bool> foreseen = false;
    if (signing_) foreseen = vouched_for(*head, chain.records(), chain.head());
    if (!foreseen) return fail(std::move(foreseen.error()));
    struct stat st {};
    if (::fstat(fd_.get(), &st) != 0) return fail(errno_problem("look at", ledger_name, errno));
    const std::uint64_t good = lines.good_bytes();
    torn_bytes_ = static_cast<std::uint64_t>(st.st_size) - good;
    if (torn_bytes_ > 0) {
        if (::ftruncate(fd_.get(), static_cast<off_t>(good)) != 0)
            return fail(change_problem("cut torn tail of", ledger_name, errno));
    }
    // It may be in memory only: after a crash, or after a failed append of ours.
    if (auto done = make_durable_again(*dir_, ledger_name, good); !done) return done;
    chain_ = chain_writer({chain.records(), chain.head()});
    if (signing_ && !was_signed_) unsigned_lines_ = chain.records();
    // The head may be behind, if a crash came between the two writes; or not signed yet, if the key is new. One that is
    // right is left alone: a daemon that starts on a full disk has to wait there, not to fail.
    const bool behind = !*head || (*head)->seq + 1 != chain.records() || (signing_ && (*head)->sig.empty());
    if (*foreseen) {
        // Written anew it would be gone for a moment, and with it what vouches for the last line.
        if (auto done = dir_->put_staged(ledger_head_name); !done) return done;
    } else if (chain.records() > 0 && behind) {
        const std::string sig = signature_of(hex(chain.head()));
        if (auto done = dir_->replace(ledger_head_name, ledger_head_text(chain_.head(), sig), 0640); !done) return done;
    }
    trusted_ = true;
    return {};
}

// None where there is none: a crash may come between the first line and its head.
result<std::optional<ledger_head>> ledger_file::load_head(const std::string& name) const {
    const auto text = dir_->read_start(name, ledger_head_bytes_max);
    if (!text) return fail(text.error());
    if (!text->has_value()) return std::nullopt;
    auto head = read_ledger_head(**text);
    if (!head) {
        problem why = std::move(head.error());
        why.file = dir_->path() + "/" + name;
        why.hint =
            "it was changed or damaged; culld adds nothing to this ledger: see `cullctl verify`, and move it aside if the "
            "ledger itself is whole";
        return fail(std::move(why));
    }
    return std::move(*head);
}

result<bool> ledger_file::vouched_for(const std::optional<ledger_head>& head, std::uint64_t lines,
                                      const digest& last) const {
    if (!was_signed_) return false;  // the key is new
    const auto refuse = [&](std::string what, const char* hint = what_to_do) {
        return fail(problem{.what = std::move(what), .hint = hint, .file = dir_->path() + "/" + ledger_head_name});
    };
    if (head) {
        if (head->sig.empty()) return refuse("is not signed, though the ledger was");
        if (!signing_->known.signed_by_one(head->sha256, head->sig))
            return refuse("is signed by no key that is known here",
                          "if the key was replaced, keep the old public key in journal.public_key_file beside the new "
                          "one; if not, the ledger was changed: see `cullctl verify`");
    }
    const std::uint64_t named = head ? head->seq + 1 : 0;
    if (lines == named) return false;
    if (lines > named + 1)
        return refuse(head ? fmt::format("names line {} as the last, but the ledger has {} lines", named, lines)
                           : "is missing, though the ledger is signed");
    // One line more: a crash came before the head was put in its place, and then it lies staged.
    auto staged = load_head(folder::staged_name(ledger_head_name));
    const bool foreseen = staged && *staged && (*staged)->seq + 1 == lines && (*staged)->sha256 == hex(last) &&
                          signing_->known.signed_by_one((*staged)->sha256, (*staged)->sig);
    if (!foreseen) return refuse(fmt::format("does not name line {} of the ledger, which nobody signed", lines));
    return true;
}

bool ledger_file::rejected_since(std::string_view file, wall_time since) const {
    return std::any_of(rejected_.begin(), rejected_.end(),
                       [&](const rejected_file& r) { return r.name == file && r.at >= since; });
}

bool ledger_file::holds(std::string_view id) const {
    return finished_.contains(key_of(id));
}

result<ledger_file::line> ledger_file::append(const ledger_facts& facts, wall_time ts) {
    if (!trusted_)
        if (auto done = load(); !done) return fail(std::move(done.error()));
    const bool finished = facts.totals != nullptr;
    if (finished && holds(facts.job_id)) return line{};
    ledger_facts signed_facts = facts;
    const std::string sig = finished ? signature_of(facts.head) : std::string();
    signed_facts.sig = sig;
    std::string text;
    if (!tried_.text.empty()) {
        chain_writer from(tried_.before);
        write_ledger_line(from, text, ts, signed_facts);
        const bool there =
            text == tried_.text && from.head().seq == chain_.head().seq && from.head().prev == chain_.head().prev;
        tried_.text.clear();  // found or not: what is tried next is another line
        if (there) return line{hex(chain_.head().prev), chain_.head().seq - 1};
        text.clear();
    }
    tried_.before = chain_.head();
    write_ledger_line(chain_, text, ts, signed_facts);
    tried_.text = text;
    trusted_ = false;
    const std::string head = ledger_head_text(chain_.head(), signature_of(hex(chain_.head().prev)));
    // Signed before it is written: so a restart can tell a line that a crash cut off from its head from one that
    // somebody else added.
    if (signing_)
        if (auto done = dir_->stage(ledger_head_name, head, 0640); !done) return fail(std::move(done.error()));
    if (auto done = write_all(fd_.get(), text, ledger_name); !done) return fail(std::move(done.error()));
    if (auto done = sync_data(fd_.get(), ledger_name); !done) return fail(std::move(done.error()));
    auto put = signing_ ? dir_->put_staged(ledger_head_name) : dir_->replace(ledger_head_name, head, 0640);
    if (!put) return fail(std::move(put.error()));
    trusted_ = true;
    tried_.text.clear();
    if (finished) finished_.insert(key_of(facts.job_id));
    return line{hex(chain_.head().prev), chain_.head().seq - 1};
}

}  // namespace culld

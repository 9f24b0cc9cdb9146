#include "culld/io/journal/ledger_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "culld/core/journal/chain.hpp"
#include "culld/io/os/event_loop.hpp"
#include "culld/io/os/line_reader.hpp"

namespace culld {

namespace {

constexpr const char* what_to_do =
    "the ledger was changed or damaged; culld adds nothing to it: see `cullctl verify`, bring back ledger.jsonl and "
    "ledger.head from a copy, or move both aside to begin a new one";
constexpr unsigned looks_between_readings = 10;
constexpr std::size_t rejected_max = 16'384;  // more than are ever on their way to rejected/ at a time

}  // namespace

ledger_file::short_hash ledger_file::short_hash_of(std::string_view text) {
    sha256 hash;
    hash.update(text);
    const digest d = hash.finish();
    short_hash out;
    std::memcpy(&out.first, d.data(), sizeof out.first);
    std::memcpy(&out.second, d.data() + sizeof out.first, sizeof out.second);
    return out;
}

ledger_file::short_hash ledger_file::rejected_key(const ledger_facts::rejected_file& node) {
    return short_hash_of(fmt::format("{} {}", node.inode, rfc3339(node.changed_at)));
}

void ledger_file::remember_rejected(const short_hash& key) {
    rejected_.push_back(key);
    if (rejected_.size() > rejected_max) rejected_.pop_front();
}

result<ledger_file> ledger_file::open(const folder& dir, std::optional<ledger_signing> signing, tell_line told) {
    ledger_file out;
    out.dir_ = &dir;
    out.signing_ = std::move(signing);
    out.told_ = std::move(told);
    if (auto done = out.load(); !done) return fail(std::move(done.error()));
    return out;
}

result<void> ledger_file::sign_with(std::optional<ledger_signing> signing) {
    const auto id = [](const std::optional<ledger_signing>& s) {
        return s ? s->key.public_half().id() : std::string();
    };
    const bool same = id(signing) == id(signing_);
    signing_ = std::move(signing);
    if (same && trusted_) return {};
    trusted_ = false;  // the new key may not know what the old one signed
    return load();
}

void ledger_file::tell(const line& l) {
    if (told_upto_ && l.seq < *told_upto_) return;
    told_upto_ = l.seq + 1;
    if (told_) told_(l);
}

std::string ledger_file::signature_of(std::string_view text) const {
    return signing_ ? signing_->key.sign(text) : std::string();
}

ledger_file::both_seen ledger_file::look_at_both() const {
    const auto at = [this](const char* name) {
        return seen_at(dir_->path() + "/" + name).value_or(std::optional<inode_facts>());
    };
    return {at(ledger_name), at(ledger_head_name)};
}

bool ledger_file::stands() const {
    const both_seen now = look_at_both();
    return look_at_file(fd_.get(), *dir_, ledger_name, bytes_).what == path_state::one && now.head == head_file_;
}

result<bool> ledger_file::look() {
    // What lies in another folder is not judged.
    if (path_check folder_seen = look_at_folder(*dir_); folder_seen.what != path_state::one)
        return fail(std::move(folder_seen.why));
    if (trusted_ && !stands()) {
        trusted_ = false;
        wrong_ = true;
    }
    if (!wrong_) return false;  // what only failed to be written is append()'s to try again
    if (refused_ && refused_->at == look_at_both() && ++refused_->looks < looks_between_readings)
        return fail(refused_->why);
    if (auto read = load(); !read) return fail(std::move(read.error()));
    return true;
}

result<void> ledger_file::load() {
    auto read = read_all();
    refused_.reset();
    if (read)
        wrong_ = false;
    else if (wrong_)
        refused_ = refusal{look_at_both(), read.error(), 0};
    return read;
}

tl::unexpected<problem> ledger_file::refuse(std::string what, std::string hint, const char* name,
                                            std::uint64_t at_line) {
    wrong_ = true;
    return fail(
        problem{.what = std::move(what), .hint = std::move(hint), .file = dir_->path() + "/" + name, .line = at_line});
}

result<void> ledger_file::read_all() {
    trusted_ = false;
    was_signed_ = false;
    finished_.clear();
    open_.clear();
    tells_of_accepted_ = false;
    rejected_.clear();
    const bool existed = dir_->exists(ledger_name);
    if (!existed && known_ && known_->seq > 0)
        return refuse("is gone: it was moved or removed", "put it back; culld goes on by itself then");
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
    signing_so_far signing{.last = {}, .from = {}, .unsigned_end = 0, .head = *head ? &**head : nullptr};
    std::vector<line> untold;
    for (;;) {
        const auto more = lines.next(read);
        if (!more) return fail(more.error());
        if (!*more || !read.ended) break;
        if (auto fed = chain.feed(read.text, true, record); !fed)
            return refuse(std::move(fed.error().what),
                          "the ledger was changed or damaged; culld adds nothing to it: see `cullctl verify`, keep a "
                          "copy, and move it aside to begin a new one",
                          ledger_name, fed.error().line);
        if (known_ && ((chain.records() == known_->seq && chain.head() != known_->prev) ||
                       (chain.records() > known_->seq && hex(chain.head()) != tried_)))
            return refuse("is not the line that culld wrote", what_to_do, ledger_name, record.seq + 1);
        const auto id = record.text("job_id");
        const auto sig = record.text("sig");
        const bool has_sig = sig && !sig->empty();
        if (has_sig) was_signed_ = true;
        learn(record);
        if (record.type == record_type::job_finished) {
            if (!has_sig) signing.unsigned_end = record.seq + 1;
        } else if (record.type == record_type::ledger_signed_from) {
            auto begin = read_signing_begin(record);
            if (begin && !signing.from) signing.from = begin->from;
            if (begin) signing.last = std::move(*begin);
        }
        // Written by us, but what came after it failed, so that it was not told; at the opening, the last one.
        if (!told_upto_) untold.clear();
        if (record.seq >= told_upto_.value_or(0)) untold.push_back({hex(chain.head()), record.seq, id.value_or("")});
        if (*head && (*head)->seq == record.seq) head_found = (*head)->sha256 == hex(chain.head());
    }
    if (known_ && chain.records() < known_->seq)
        return refuse(fmt::format("was cut to {} lines, of {}", chain.records(), known_->seq), what_to_do);
    if (!head_found)
        return refuse(fmt::format("names line {} of the ledger, which is {}", (*head)->seq + 1,
                                  (*head)->seq < chain.records()
                                      ? "another one now"
                                      : fmt::format("not there: it was cut to {} lines", chain.records())),
                      what_to_do, ledger_head_name);
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
    for (const line& l : untold) tell(l);
    if (!told_upto_) told_upto_ = 0;
    known_ = chain_.head();
    bytes_ = good;
    head_file_ = look_at_both().head;
    trusted_ = true;
    if (const auto from = signing_to_say(signing)) return say_signing(*from);
    return {};
}

// What a line of the ledger makes known of jobs.
void ledger_file::learn(const record_view& record) {
    const auto id = record.text("job_id");
    switch (record.type) {
        case record_type::job_finished:
            if (!id) return;
            finished_.insert(short_hash_of(*id));
            forget_open(*id);
            return;
        case record_type::job_rejected:
            if (const auto node = rejected_file_of(record)) remember_rejected(rejected_key(*node));
            return;
        case record_type::job_accepted:
            if (const auto job = read_ledger_acceptance(record))
                open_[job->job_id] = {job->job_id, job->file, 0, job->first};
            tells_of_accepted_ = true;
            return;
        default: break;
    }
    if (!is_order(record.type)) return;
    const auto order = read_ledger_order(record);
    const auto job = order ? open_.find(order->job_id) : open_.end();
    if (job != open_.end()) job->second.orders_upto = order->record + 1;
}

std::optional<std::uint64_t> ledger_file::signing_to_say(const signing_so_far& found) const {
    if (!signing_ || chain_.head().seq == 0) return std::nullopt;
    const public_keys own = signing_->key.public_half();
    if (!was_signed_) return chain_.head().seq;
    const std::uint64_t from = found.from.value_or(found.unsigned_end);
    if (found.last) return found.last->key == own.id() ? std::nullopt : std::optional(from);
    // Signed by a version that did not say where it began, or by another key.
    const bool same_key = found.head == nullptr || own.signed_by_one(found.head->sha256, found.head->sig);
    return found.unsigned_end > 0 || !same_key ? std::optional(from) : std::nullopt;
}

result<void> ledger_file::say_signing(std::uint64_t from) {
    const std::string key = signing_->key.public_half().id();
    const auto write = [&](chain_writer& chain, std::string& out) {
        const std::string sig = signing_->key.sign(signed_from_text(chain.head(), from, key));
        write_signed_from(chain, out, wall_now(), {.from = from, .key = key, .sig = sig});
    };
    auto said = put(write, {});
    if (!said) return fail(std::move(said.error()));
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

bool ledger_file::holds(std::string_view id) const {
    return finished_.contains(short_hash_of(id));
}

result<void> ledger_file::stand_ready() {
    if (auto here = look(); !here) return fail(std::move(here.error()));
    return trusted_ ? result<void>() : load();
}

void ledger_file::forget_open(std::string_view id) {
    if (const auto at = open_.find(id); at != open_.end()) open_.erase(at);
}

acceptance ledger_file::acceptance_of(std::string_view id, std::string_view first) const {
    if (holds(id)) return acceptance::told;
    if (const open_job* job = open_of(id)) return job->first == first ? acceptance::told : acceptance::other;
    return tells_of_accepted_ ? acceptance::untold : acceptance::not_kept;
}

const ledger_file::open_job* ledger_file::open_of(std::string_view id) const {
    const auto at = open_.find(id);
    return at == open_.end() ? nullptr : &at->second;
}

std::vector<std::string> ledger_file::open_ids() const {
    std::vector<std::string> out;
    for (const auto& [id, job] : open_) out.push_back(id);
    return out;
}

result<void> ledger_file::tell_of(const acceptance_facts& job, std::span<const person_order> orders, wall_time ts) {
    if (auto ready = stand_ready(); !ready) return ready;
    if (holds(job.job_id)) return {};
    const auto append = [&](const auto& write) -> result<void> {
        auto added = put(write, std::string(job.job_id));
        return added ? result<void>() : fail(std::move(added.error()));
    };
    auto known = open_.find(job.job_id);
    if (known == open_.end() || known->second.first != job.first) {
        const auto write = [&](chain_writer& chain, std::string& out) { write_ledger_accepted(chain, out, ts, job); };
        if (auto done = append(write); !done) return done;
        const std::string id(job.job_id);
        known = open_.insert_or_assign(id, open_job{id, std::string(job.file), 0, std::string(job.first)}).first;
    }
    for (const person_order& order : orders) {
        if (order.record < known->second.orders_upto) continue;
        const auto write = [&](chain_writer& chain, std::string& out) {
            write_ledger_order(chain, out, ts, job.job_id, order);
        };
        if (auto done = append(write); !done) return done;
        known->second.orders_upto = order.record + 1;
    }
    return {};
}

result<void> ledger_file::tell_reload(const ruled_by& now, const ruled_by& before, wall_time ts) {
    if (auto ready = stand_ready(); !ready) return ready;
    const auto write = [&](chain_writer& chain, std::string& out) { write_reloaded(chain, out, ts, now, before); };
    auto added = put(write, {});
    return added ? result<void>() : fail(std::move(added.error()));
}

result<ledger_file::line> ledger_file::append(const ledger_facts& facts, wall_time ts) {
    if (auto ready = stand_ready(); !ready) return fail(std::move(ready.error()));
    const bool finished = facts.totals != nullptr;
    if (finished && holds(facts.job_id)) return line{};
    std::optional<short_hash> rejected;
    if (!finished && facts.node) {
        rejected = rejected_key(*facts.node);
        if (std::ranges::find(rejected_, *rejected) != rejected_.end()) return line{};
    }
    ledger_facts signed_facts = facts;
    const std::string sig = finished ? signature_of(facts.head) : std::string();
    signed_facts.sig = sig;
    const auto write = [&](chain_writer& chain, std::string& out) { write_ledger_line(chain, out, ts, signed_facts); };
    auto out = put(write, std::string(facts.job_id));
    if (!out) return out;
    if (finished) {
        finished_.insert(short_hash_of(facts.job_id));
        forget_open(facts.job_id);
    }
    if (rejected) remember_rejected(*rejected);
    return out;
}

result<ledger_file::line> ledger_file::put(const std::function<void(chain_writer&, std::string&)>& write,
                                           std::string job_id) {
    std::string text;
    write(chain_, text);
    trusted_ = false;
    line out{hex(chain_.head().prev), chain_.head().seq - 1, std::move(job_id)};
    tried_ = out.hash;
    const std::string head = ledger_head_text(chain_.head(), signature_of(out.hash));
    // Signed before it is written: so a restart can tell a line that a crash cut off from its head from one that
    // somebody else added.
    if (signing_)
        if (auto done = dir_->stage(ledger_head_name, head, 0640); !done) return fail(std::move(done.error()));
    if (auto done = write_all(fd_.get(), text, ledger_name); !done) return fail(std::move(done.error()));
    if (auto done = sync_data(fd_.get(), ledger_name); !done) return fail(std::move(done.error()));
    auto replaced = signing_ ? dir_->put_staged(ledger_head_name) : dir_->replace(ledger_head_name, head, 0640);
    if (!replaced) return fail(std::move(replaced.error()));
    known_ = chain_.head();
    bytes_ += text.size();
    head_file_ = look_at_both().head;
    trusted_ = true;
    tell(out);
    return out;
}

}  // namespace culld

#include "culld/core/spool/file_readiness.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "culld/core/text/json_writer.hpp"
#include "culld/core/text/visible_text.hpp"

namespace culld {

namespace {

using action = arrival_step::action;

// How soon a file with a second link is looked at again: quickly at first, since unlink() follows link() at
// once.
constexpr nanoseconds link_poll_first = std::chrono::milliseconds(20);

arrival_step step(action what) {
    return {.what = what, .at = {}, .why = {}};
}
arrival_step look_again(steady_time at) {
    return {.what = action::look_again, .at = at, .why = {}};
}
arrival_step reject(problem why) {
    return {.what = action::reject, .at = {}, .why = std::move(why)};
}

problem suffix_fault() {
    return {.what = "the suffix tells no kind of file we know",
            .hint =
                "name a job *.json, *.yaml or *.yml, a list *.txt, *.csv, *.jsonl or *.ndjson (a list may be "
                "compressed: .gz, .zst), a sidecar list *.ids",
            .file = {}};
}

}  // namespace

file_readiness::file_readiness(std::string_view name) : kind_(type_of(name).kind), name_fault_(name_fault(name)) {}

arrival_step file_readiness::seen(file_event what, const node_facts& facts, steady_time now, wall_time wall) {
    if (kind_ == file_kind::ignored || what == file_event::left) return step(action::leave_alone);
    if (what == file_event::opened) {
        // Only the open that belongs to the creation tells anything; later ones are readers, we among them.
        if (!last_ || evidence_ != evidence::created || writer_known_ || now >= since_ + open_grace)
            return step(action::keep);
        writer_known_ = true;
        return step(action::wait_for_close);
    }
    switch (what) {
        case file_event::moved_in:
        case file_event::created:
        case file_event::returned:
            // A new file under this name: what was known belongs to another.
            evidence_ = what == file_event::moved_in   ? evidence::moved_in
                        : what == file_event::returned ? evidence::found
                                                       : evidence::created;
            returned_ = what == file_event::returned;
            since_ = now;
            writer_known_ = false;
            last_.reset();
            linked_since_.reset();
            break;
        case file_event::closed:
            evidence_ = evidence::closed;
            since_ = now;
            writer_known_ = false;
            break;
        case file_event::found:
            if (!last_) since_ = now;
            break;
        case file_event::opened:
        case file_event::left: break;
    }
    note(facts, now, wall);
    return judge(now);
}

arrival_step file_readiness::looked(const node_facts& facts, steady_time now, wall_time wall) {
    note(facts, now, wall);
    return judge(now);
}

arrival_step file_readiness::answered(writer who, steady_time now) {
    writer_present_ = who == writer::present;
    if (writer_known_) {
        // Asked again at a rescan. Only a clear answer outweighs the open we saw.
        if (who != writer::none) return step(action::wait_for_close);
        writer_known_ = false;
    }
    switch (who) {
        case writer::present: return look_again(now + quiet_time);
        case writer::none: return settle(now);
        case writer::unknown:
        case writer::not_allowed:
        case writer::no_leases: break;
    }
    // Nobody tells of writers. A file that came whole may have one yet (a second descriptor, a rename by whoever writes
    // it), and one that was merely there is as likely to have one as not.
    const nanoseconds enough = evidence_ == evidence::found ? untold_quiet_time
                               : who == writer::unknown     ? nanoseconds(0)
                                                            : quiet_time;
    if (!quiet(now, enough)) return look_again(unchanged_since_ + enough);
    return settle(now);
}

// What the facts alone decide.
arrival_step file_readiness::judge(steady_time now) const {
    if (name_fault_) return reject(*name_fault_);
    if (auto fault = type_fault(last_->type)) return reject(std::move(*fault));
    if (linked_since_) {
        const steady_time patience_ends = *linked_since_ + link_patience;
        if (now >= patience_ends) return reject(link_fault(last_->links));
        return look_again(std::min(patience_ends, now + std::max(link_poll_first, now - *linked_since_)));
    }
    if (evidence_ == evidence::created && !writer_known_ && now < since_ + open_grace)
        return look_again(since_ + open_grace);
    return step(action::ask_writer);
}

// Nobody writes, as far as can be known: is there anything that speaks for waiting?
arrival_step file_readiness::settle(steady_time now) const {
    const bool doubtful = last_->size == 0 || kind_ == file_kind::unknown || returned_;
    if (doubtful && evidence_ != evidence::moved_in && !quiet(now, quiet_time))
        return look_again(unchanged_since_ + quiet_time);
    if (kind_ == file_kind::unknown) return reject(suffix_fault());
    return step(action::ready);
}

void file_readiness::note(const node_facts& facts, steady_time now, wall_time wall) {
    if (!last_) {
        unchanged_since_ = now;
        constexpr std::chrono::microseconds none(0), long_ago = std::chrono::hours(1);  // times may be set to anything
        age_at_first_sight_ =
            std::clamp<std::chrono::microseconds>(wall - std::max(facts.mtime, facts.ctime), none, long_ago);
    } else if (*last_ != facts) {
        unchanged_since_ = now;
        age_at_first_sight_ = {};
    }
    last_ = facts;
    if (facts.links <= 1)
        linked_since_.reset();
    else if (!linked_since_)
        linked_since_ = now;
}

bool file_readiness::quiet(steady_time now, nanoseconds for_so_long) const {
    return age_at_first_sight_ >= for_so_long || now - unchanged_since_ >= for_so_long;
}

std::optional<problem> name_fault(std::string_view name) {
    const std::string hint = "rename it and drop it again";
    if (!is_utf8(name)) return problem{.what = "the file name is not valid UTF-8", .hint = hint, .file = {}};
    const std::size_t line_end = name.find_first_of("\n\r\t");
    if (line_end != std::string_view::npos)
        return problem{.what = fmt::format("the file name has control character 0x{:02x} in it", name[line_end]),
                       .hint = hint,
                       .file = {}};
    if (const auto unseen = unseen_in(name))
        return problem{.what = fmt::format("the file name has {} in it", unseen->what), .hint = hint, .file = {}};
    return std::nullopt;
}

std::optional<problem> type_fault(node_type type) {
    const auto fault = [](std::string_view what, std::string_view hint) {
        return problem{
            .what = fmt::format("it is {}, not a regular file", what), .hint = std::string(hint), .file = {}};
    };
    switch (type) {
        case node_type::regular: return std::nullopt;
        case node_type::folder: return fault("a folder", "drop its files one by one");
        case node_type::symlink: return fault("a symbolic link", "copy the file itself");
        case node_type::fifo: return fault("a FIFO", "write a file to tmp/ and rename it into incoming/");
        case node_type::socket: return fault("a socket", {});
        case node_type::device: return fault("a device", {});
    }
    return std::nullopt;
}

problem link_fault(std::uint64_t links) {
    return {.what = fmt::format("it has {} hard links, so it could be changed from elsewhere", links),
            .hint = "copy the file, or rename it into incoming/",
            .file = {}};
}

std::optional<problem> mode_fault(std::uint32_t mode) {
    if ((mode & 022U) == 0) return std::nullopt;
    return problem{
        .what = fmt::format("others than its owner may write it (mode {:04o}), so nobody can say whose it is",
                            mode & 07777U),
        .hint = "chmod go-w it and drop it again",
        .file = {}};
}

}  // namespace culld

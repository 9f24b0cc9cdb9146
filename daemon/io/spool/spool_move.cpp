// Putting files away: done/, failed/, and rejected/ with its reasons.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <utility>

#include "culld/core/spool/unused_name.hpp"
#include "culld/core/text/json_writer.hpp"
#include "culld/io/spool/spool.hpp"

namespace culld {

namespace {

constexpr std::string_view reason_suffix = ".reason.json";
// Where a reason is written before it gets its name. Hidden names are left alone in incoming/, so none comes
// here.
constexpr const char* unfinished = ".reason.new";

// More files of one name than anybody puts away.
constexpr std::uint32_t attempts_max = 100'000;

std::string reason_name(const std::string& name) {
    return name + std::string(reason_suffix);
}

// A number whose name was free just now, found in few looks where many are taken: doubles, then closes in.
// Numbers may have gaps, so it need not be the lowest; the move itself makes sure that it is still free.
template <class Taken>
std::uint32_t first_guess(const Taken& taken) {
    std::uint32_t high = 1;
    if (!taken(0)) return 0;
    while (high < attempts_max && taken(high)) high *= 2;
    std::uint32_t low = high / 2;
    while (low + 1 < high) {
        const std::uint32_t middle = low + (high - low) / 2;
        (taken(middle) ? low : high) = middle;
    }
    return high;
}

result<bool> rename_free(const folder& from, const std::string& name, const folder& to, const std::string& new_name,
                         bool& gone) {
    const int error = rename_new(from, name, to, new_name);
    if (error == 0) return true;
    if (error == EEXIST) return false;
    gone = error == ENOENT;
    problem out = errno_problem(fmt::format("move to {}/{}", to.path(), new_name), from.path() + "/" + name, error);
    out.hint = "it stays where it is; check the rights and attributes of the file and both folders";
    return fail(std::move(out));
}

problem no_free_name(std::string_view name, const folder& to) {
    return {.what = fmt::format("no free name for it in {}", to.path()),
            .hint = "clear old files out of that folder",
            .file = std::string(name)};
}

// A reason of ours that a crash left without its file, or whose file an operator took back: NAME is not
// there, and NAME.reason.json is no file a submitter dropped, for that would have a reason of its own.
bool is_stale_reason(const folder& rejected, const std::string& name) {
    return !rejected.exists(name) && rejected.exists(reason_name(name)) &&
           (name.size() + 2 * reason_suffix.size() > name_bytes_max ||
            !rejected.exists(reason_name(reason_name(name))));
}

}  // namespace

std::string reason_json(std::string_view name, const problem& why, wall_time at) {
    const auto base = [](std::string_view path) { return path.substr(path.rfind('/') + 1); };
    std::string out;
    json_object object(out);
    const auto text_or_null = [&object](std::string_view key, std::string_view text) {
        text.empty() ? object.raw(key, "null") : object.member(key, text);
    };
    const auto number_or_null = [&object](std::string_view key, std::uint64_t number) {
        number == 0 ? object.raw(key, "null") : object.member(key, number);
    };
    // The file at fault, which line and column belong to: it may be a list that the job names.
    object.member("file", base(why.file).empty() ? name : base(why.file));
    object.member("error", why.what);
    number_or_null("line", why.line);
    number_or_null("column", why.column);
    text_or_null("field", why.field);
    text_or_null("hint", why.hint);
    object.member("at", rfc3339(at));
    object.close();
    out.push_back('\n');
    return out;
}

result<std::optional<std::string>> spool::file_away(const std::string& name, spool_folder to,
                                                    std::string_view as) const {
    if (as.empty()) as = name;
    if (auto ours = own(name); !ours) return fail(std::move(ours.error()));
    const auto active = at(spool_folder::active);
    if (!active) return fail(active.error());
    const auto target = at(to);
    if (!target) return fail(target.error());
    const std::uint32_t guess = first_guess([&](std::uint32_t n) { return target->exists(unused_name(as, n)); });
    for (std::uint32_t attempt = guess; attempt <= attempts_max; ++attempt) {
        std::string free = unused_name(as, attempt);
        bool gone = false;
        const auto moved = rename_free(*active, name, *target, free, gone);
        // Gone: moved before a crash, perhaps, and that may not be durable yet. Nothing may rest on it before it is.
        if (!moved && !gone) return fail(moved.error());
        if (moved && !*moved) continue;
        if (auto synced = target->sync(); !synced) return fail(std::move(synced.error()));
        if (auto synced = active->sync(); !synced) return fail(std::move(synced.error()));
        if (gone) return std::nullopt;
        return free;
    }
    return fail(no_free_name(as, *target));
}

result<std::optional<std::string>> spool::reject(spool_folder from, const std::string& name, const problem& why,
                                                 wall_time at_time, std::string_view as) const {
    if (as.empty()) as = name;
    // One at a time: between its two renames a rejection must not meet another one of the same name.
    static std::mutex one_at_a_time;
    const std::scoped_lock alone(one_at_a_time);
    const auto source = at(from);
    if (!source) return fail(source.error());
    const auto rejected = at(spool_folder::rejected);
    if (!rejected) return fail(rejected.error());
    const auto there = culld::look(*source, name);
    if (!there) return fail(there.error());
    if (!*there) return std::nullopt;
    if (from == spool_folder::active)
        if (auto gone = drop_copy(*source, **there); !gone) return fail(std::move(gone.error()));

    // The reason's content reaches the disk under a name nobody looks at.
    const auto discard = [&rejected](const std::string& what) {
        // Best effort on the way out of an error that is told: at worst a stale reason stays, and is replaced
        // later.
        static_cast<void>(rejected->remove(what));
    };
    {
        auto file = rejected->open_file(unfinished, O_WRONLY | O_CREAT | O_TRUNC, 0640);
        if (!file) return fail(std::move(file.error()));
        auto done = write_all(file->get(), reason_json(as, why, at_time), unfinished);
        if (done) done = sync_file(file->get(), unfinished);
        if (!done) {
            discard(unfinished);
            return fail(std::move(done.error()));
        }
    }

    constexpr std::size_t bytes_max = name_bytes_max - reason_suffix.size();
    const auto taken = [&](std::uint32_t n) {
        const std::string free = unused_name(as, n, bytes_max);
        return rejected->exists(free) || (rejected->exists(reason_name(free)) && !is_stale_reason(*rejected, free));
    };
    for (std::uint32_t attempt = first_guess(taken); attempt <= attempts_max; ++attempt) {
        std::string free = unused_name(as, attempt, bytes_max);
        const std::string reason = reason_name(free);
        if (rejected->exists(free)) continue;
        int error = 0;
        if (!is_stale_reason(*rejected, free))
            error = rename_new(*rejected, unfinished, *rejected, reason);
        else if (::renameat(rejected->fd(), unfinished, rejected->fd(), reason.c_str()) != 0)
            error = errno;
        if (error == EEXIST) continue;
        if (error != 0) {
            discard(unfinished);
            return fail(errno_problem("rename the reason", rejected->path() + "/" + reason, error));
        }
        // On disk before the file is: a power cut must not keep the second and lose the first.
        auto synced = rejected->sync();
        bool gone = false;
        result<bool> moved = false;
        if (synced) moved = rename_free(*source, name, *rejected, free, gone);
        if (!synced || !moved) {
            discard(reason);
            if (gone) return std::nullopt;
            return fail(synced ? std::move(moved.error()) : std::move(synced.error()));
        }
        if (!*moved) {
            discard(reason);
            return fail({.what = fmt::format("somebody else put a {} into {}", free, rejected->path()),
                         .hint = "that folder is the daemon's alone",
                         .file = name});
        }
        if (synced = rejected->sync(); !synced) return fail(std::move(synced.error()));
        if (synced = source->sync(); !synced) return fail(std::move(synced.error()));
        return free;
    }
    discard(unfinished);
    return fail(no_free_name(as, *rejected));
}

}  // namespace culld

#include "culld/io/ids/id_store.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

#include "culld/core/ids/id_pattern.hpp"
#include "id_store_format.hpp"

namespace culld {

namespace {
constexpr std::uint64_t segment_bytes_max = ids_per_segment * (id_bytes_max + 3);

// How many bytes each id takes where all take the same, as UUIDs do; else 0. There are two quotes for each id and no
// more: where each has one at its start and one at its end, these are all.
std::size_t regular_length(std::string_view segment, std::uint64_t ids) {
    const auto length = static_cast<std::size_t>(segment.size() / ids);
    if (length * ids != segment.size() || length < 4) return 0;
    for (const char *at = segment.data(), *end = at + segment.size(); at != end; at += length)
        if (at[0] != '"' || at[length - 2] != '"' || at[length - 1] != ',') return 0;
    return length;
}
}  // namespace

tl::unexpected<problem> id_store::damaged(std::string_view what) const {
    return fail(problem{.what = fmt::format("id store damaged: {}", what),
                        .hint = "it is made again from the job's own file when it is removed",
                        .file = name_});
}

std::uint64_t id_store::ids_in(std::uint64_t segment) const {
    return std::min(ids_per_segment, count_ - segment * ids_per_segment);
}

result<id_store> id_store::open(const folder& where, const std::string& name) {
    auto file = where.open_file(name, O_RDONLY);
    if (!file) return fail(std::move(file.error()));
    return open(std::move(*file), name);
}

result<id_store> id_store::open(unique_fd file, std::string name) {
    id_store out;
    out.file_ = std::move(file);
    out.name_ = std::move(name);
    struct stat facts {};
    if (::fstat(out.file_.get(), &facts) != 0) return fail(errno_problem("look at", out.name_, errno));
    const auto size = static_cast<std::uint64_t>(facts.st_size);
    if (!S_ISREG(facts.st_mode) || size < store_format::footer_bytes) return out.damaged("it has no footer");

    std::string bytes(store_format::footer_bytes, '\0');
    const auto got = read_some_at(out.file_.get(), bytes.data(), bytes.size(), size - bytes.size(), out.name_);
    if (!got) return fail(got.error());
    const auto footer = *got == bytes.size() ? store_format::decode_footer(bytes) : std::nullopt;
    if (!footer) return out.damaged("its footer is not one");
    const std::uint64_t segments = footer->ids / ids_per_segment + (footer->ids % ids_per_segment != 0 ? 1 : 0);
    const std::uint64_t body = size - store_format::footer_bytes;
    if (segments > body / store_format::entry_bytes || footer->content != body - segments * store_format::entry_bytes)
        return out.damaged("its length is not what its footer says");
    out.count_ = footer->ids;
    out.content_ = footer->content;
    out.source_ = footer->source;

    store_format::running_checksum index;
    bytes.resize(std::size_t{16} * 1024);
    for (std::uint64_t at = footer->content; at < body;) {
        const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), body - at));
        const auto part = read_some_at(out.file_.get(), bytes.data(), want, at, out.name_);
        if (!part) return fail(part.error());
        if (*part != want) return out.damaged("its index is cut");
        index.update(std::string_view(bytes.data(), want));
        at += want;
    }
    if (index.value() != footer->index_checksum) return out.damaged("its index does not match its checksum");
    if (out.content_ > store_content_unsynced) return out;
    for (std::uint64_t segment = 0; segment < segments; ++segment)
        if (auto whole = out.load(segment); !whole) return fail(std::move(whole.error()));
    // Of a thousand jobs that wait none holds its ids.
    out.held_ = {};
    return out;
}

result<void> id_store::load(std::uint64_t segment) {
    return held_.number_ == segment ? success() : read(segment, held_);
}

result<void> id_store::read(std::uint64_t segment, id_segment& into) const {
    into.number_.reset();
    const bool last = (segment + 1) * ids_per_segment >= count_;
    std::array<char, 2 * store_format::entry_bytes> entries{};
    const std::size_t want = last ? store_format::entry_bytes : entries.size();
    const auto got =
        read_some_at(file_.get(), entries.data(), want, content_ + segment * store_format::entry_bytes, name_);
    if (!got) return fail(got.error());
    if (*got != want) return damaged("its index is cut");
    const std::string_view bytes(entries.data(), entries.size());
    const auto here = store_format::decode_entry(bytes.substr(0, store_format::entry_bytes));
    const std::uint64_t end =
        last ? content_ : store_format::decode_entry(bytes.substr(store_format::entry_bytes)).offset;
    if (here.offset > end || end > content_ || end - here.offset > segment_bytes_max)
        return damaged(fmt::format("segment {} is not where it can be", segment));

    into.bytes_.resize(static_cast<std::size_t>(end - here.offset));
    const auto read = read_some_at(file_.get(), into.bytes_.data(), into.bytes_.size(), here.offset, name_);
    if (!read) return fail(read.error());
    if (*read != into.bytes_.size() || store_format::checksum(into.bytes_, segment) != here.checksum)
        return damaged(fmt::format("segment {} does not match its checksum", segment));

    into.regular_ = regular_length(into.bytes_, ids_in(segment));
    if (into.regular_ == 0) {
        into.starts_.clear();
        std::size_t at = 0;
        while (at < into.bytes_.size()) {
            const std::size_t close = into.bytes_[at] == '"' ? into.bytes_.find('"', at + 1) : std::string::npos;
            if (close == std::string::npos || close + 1 >= into.bytes_.size() || into.bytes_[close + 1] != ',') break;
            into.starts_.push_back(static_cast<std::uint32_t>(at));
            at = close + 2;
        }
        if (at != into.bytes_.size() || into.starts_.size() != ids_in(segment))
            return damaged(fmt::format("segment {} does not hold {} ids", segment, ids_in(segment)));
        into.starts_.push_back(static_cast<std::uint32_t>(at));
    }
    into.number_ = segment;
    return success();
}

result<void> id_store::append_quoted(position first, std::uint64_t count, std::string& out) {
    if (first > count_ || count > count_ - first) throw std::logic_error("positions past the end of an id store");
    const std::size_t before = out.size();
    while (count > 0) {
        if (auto loaded = load(first / ids_per_segment); !loaded) {
            out.resize(before);
            return loaded;
        }
        const auto from = static_cast<std::size_t>(first % ids_per_segment);
        const auto here = std::min(count, ids_in(first / ids_per_segment) - from);
        out.append(held_.bytes(), held_.start(from), held_.start(from + here) - held_.start(from));
        first += here;
        count -= here;
    }
    if (out.size() > before) out.pop_back();  // the last comma
    return success();
}

result<void> id_store::append_quoted(std::span<const span> at, std::string& out) {
    const std::size_t before = out.size();
    for (const span& s : at) {
        if (s.count == 0) continue;
        if (out.size() > before) out.push_back(',');
        if (auto done = append_quoted(s.first, s.count, out); !done) {
            out.resize(before);
            return done;
        }
    }
    return {};
}

result<void> id_store::append_ids(position first, std::uint64_t count, id_sink& sink) {
    if (first > count_ || count > count_ - first) throw std::logic_error("positions past the end of an id store");
    for (position p = first; p < first + count; ++p) {
        const auto id = at(p);
        if (!id) return fail(id.error());
        if (!sink.take(*id)) return fail(sink.refusal().what);
    }
    return {};
}

result<std::string_view> id_store::at(position where) {
    if (where >= count_) throw std::logic_error("a position past the end of an id store");
    if (auto loaded = load(where / ids_per_segment); !loaded) return fail(std::move(loaded.error()));
    const auto slot = static_cast<std::size_t>(where % ids_per_segment);
    return held_.bytes().substr(held_.start(slot) + 1, held_.start(slot + 1) - held_.start(slot) - 3);
}

result<std::size_t> sweep_stores(const folder& where, std::span<const std::string> open_jobs) {
    unique_fd listed(::openat(where.fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!listed) return fail(errno_problem("list", where.path(), errno));
    const auto close = [](DIR* d) { static_cast<void>(::closedir(d)); };
    const std::unique_ptr<DIR, decltype(close)> names(::fdopendir(listed.get()), close);
    if (!names) return fail(errno_problem("list", where.path(), errno));
    static_cast<void>(listed.release());  // closedir closes it

    std::vector<std::string> stale;
    for (;;) {
        errno = 0;
        const dirent* const entry = ::readdir(names.get());
        if (entry == nullptr) break;
        const std::string name = entry->d_name;
        const bool unfinished = name.starts_with(".store-");
        const bool orphan = name.ends_with(".ids") && std::ranges::none_of(open_jobs, [&](const std::string& job) {
                                return name == store_name(job);
                            });
        if (unfinished || orphan) stale.push_back(name);
    }
    if (errno != 0) return fail(errno_problem("list", where.path(), errno));
    for (const std::string& name : stale)
        if (auto removed = where.remove(name); !removed) return fail(std::move(removed.error()));
    return stale.size();
}

}  // namespace culld

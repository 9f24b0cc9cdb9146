#include "culld/io/ids/intake.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <utility>

#include "culld/core/job/job_document.hpp"
#include "culld/io/lists/job_reader.hpp"
#include "culld/io/lists/list_reader.hpp"
#include "culld/io/os/disk_space.hpp"

namespace culld {

namespace {

constexpr std::uint64_t bytes_between_looks = std::uint64_t{32} << 20U;
constexpr std::uint64_t bytes_left_free = std::uint64_t{64} << 20U;

// A list may fill the disk that the journals of running jobs need: it is refused before that, since it would be as long
// the next time. Looked at once in 32 MiB that it wrote, so small lists are never refused: where there is no room for
// them, it is not they who took it.
class room_watch {
  public:
    explicit room_watch(const folder& plan) : plan_(plan) {}

    // So many bytes were written. False: there is too little room left, the list must go.
    [[nodiscard]] bool wrote(std::uint64_t bytes) {
        unlooked_ += bytes;
        if (unlooked_ < bytes_between_looks) return true;
        looked_ = true;
        unlooked_ = 0;
        refused_ = !has_room(bytes_left_free + bytes_between_looks);
        return !refused_;
    }
    // A write failed. Whether it was for want of room, and this list took it.
    [[nodiscard]] bool list_filled_it() {
        return refused_ || ((looked_ || unlooked_ >= bytes_between_looks / 2) && !has_room(bytes_between_looks));
    }
    [[nodiscard]] static problem refusal() {
        return {.what = "the list would fill the disk that the journals need",
                .hint = "make room in journal.dir, or split the list",
                .field = "ids"};
    }

  private:
    // What cannot be looked at is no reason to refuse.
    [[nodiscard]] bool has_room(std::uint64_t needed) const {
        const auto room = room_of(plan_);
        return !room || room->free_bytes >= needed;
    }

    const folder& plan_;
    std::uint64_t unlooked_ = 0;
    bool looked_ = false;
    bool refused_ = false;
};

// How often ids may come where the distinct ones have a bound: repeats count, or one id could be read for ever.
constexpr std::uint64_t repeats_free = 100'000;

std::uint64_t most_ids(std::uint64_t distinct_max) {
    if (distinct_max == 0 || distinct_max > (UINT64_MAX - repeats_free) / 2) return UINT64_MAX;
    return 2 * distinct_max + repeats_free;
}

class protected_sink final : public id_sink {
  public:
    protected_sink(protected_ids& out, const id_pattern& pattern, const std::atomic<bool>* stop)
        : out_(out), pattern_(pattern), stop_(stop) {}
    bool take(std::string_view id) override {
        if (stop_ != nullptr && stop_->load(std::memory_order_relaxed)) {
            why_.what = "culld ends";
            return false;
        }
        if (!pattern_.matches(id)) {
            why_ = pattern_.refusal(id);
            return false;
        }
        out_.insert(id);
        return true;
    }
    reason refusal() override { return {why_, true}; }
    [[nodiscard]] std::uint64_t taken() const override { return out_.size(); }

  private:
    protected_ids& out_;
    const id_pattern& pattern_;
    const std::atomic<bool>* const stop_;
    problem why_;
};

}  // namespace

result<protected_ids> load_protected_ids(const std::string& path, const id_pattern& pattern,
                                         const std::atomic<bool>* stop) {
    protected_ids out;
    if (path.empty()) return out;
    const auto opened = open_regular(path);
    if (!opened) return fail(opened.error());
    const unique_fd& fd = *opened;
    file_type type = type_of(path.substr(path.rfind('/') + 1));
    const bool list = type.kind == file_kind::list_csv || type.kind == file_kind::list_jsonl ||
                      type.kind == file_kind::list_txt || type.kind == file_kind::sidecar;
    if (!list) type = {file_kind::list_txt, compression::none, {}};
    byte_source from(fd.get(), path, type.packed);
    protected_sink sink(out, pattern, stop);
    if (auto done = read_list(from, type.kind, sink); !done) return fail(std::move(done.error()));
    out.came_from(from.facts().sha256);
    return out;
}

// Checks each id, watches for repeated ones, and writes the store.
class intake::list_sink final : public id_sink {
  public:
    list_sink(const intake_surroundings& around, distinct_shape shape)
        : around_(around),
          check_(around.plan, shape),
          room_(around.plan),
          most_(most_ids(around.settings.limits.max_ids_per_job)) {}

    bool take(std::string_view id) override {
        if (!around_.pattern.matches(id)) {
            why_ = {around_.pattern.refusal(id), true};
            return false;
        }
        if (!started()) return false;
        if (auto kept = store_->append(id); !kept) return no(std::move(kept.error()));
        if (auto kept = check_.add(id); !kept) return no(std::move(kept.error()));
        note_protected(id);
        return store_->count() % ids_per_segment != 0 || may_go_on();
    }
    reason refusal() override { return why_; }
    [[nodiscard]] std::uint64_t taken() const override { return count(); }
    [[nodiscard]] room_watch& room() { return room_; }

    // Our own disk was at fault, not an id.
    [[nodiscard]] bool broken() const { return broken_; }
    [[nodiscard]] std::uint64_t count() const { return store_ ? store_->count() : 0; }
    id_store_writer& store() { return *store_; }
    repeat_check& check() { return check_; }
    spans& protected_at() { return protected_at_; }

  private:
    // Looked at once a segment: an id costs nothing more.
    bool may_go_on() {
        around_.watch.ids.store(store_->count(), std::memory_order_relaxed);
        if (store_->count() >= most_) {
            why_ = {problem{.what = fmt::format("{} ids, repeated ones counted, and the setting "
                                                "limits.max_ids_per_job allows {}",
                                                store_->count(), around_.settings.limits.max_ids_per_job),
                            .hint = "split the list, or take out what repeats",
                            .field = "ids"},
                    true};
            return false;
        }
        // With a hash of eight bytes for each id.
        const std::uint64_t bytes = store_->content_bytes() + 8 * store_->count();
        if (room_.wrote(bytes - std::exchange(written_, bytes))) return true;
        why_ = {room_watch::refusal(), true};
        return false;
    }
    bool started() {
        if (store_) return true;
        auto made = id_store_writer::create(around_.plan);
        if (!made) return no(std::move(made.error()));
        store_.emplace(std::move(*made));
        return true;
    }
    bool no(problem why) {
        broken_ = !room_.list_filled_it();
        why_ = {broken_ ? std::move(why) : room_watch::refusal(), false};
        return false;
    }
    // More hits than there are protected ids: some came twice. Then the list is compacted, which looks anew,
    // and the positions noted here are of no use; a list of one id a million times does not get to fill the
    // memory.
    void note_protected(std::string_view id) {
        if (around_.protect.size() == 0 || !around_.protect.contains(id)) return;
        if (hits_ == around_.protect.size()) return;
        ++hits_;
        append(protected_at_, {store_->count() - 1, 1});
    }

    const intake_surroundings& around_;
    std::optional<id_store_writer> store_;
    repeat_check check_;
    room_watch room_;
    std::uint64_t most_;
    std::uint64_t written_ = 0;
    spans protected_at_;
    std::size_t hits_ = 0;
    reason why_;
    bool broken_ = false;
};

intake::intake(const intake_surroundings& around, wall_time now, std::uint32_t chance, distinct_shape shape)
    : around_(around), now_(now), chance_(chance), shape_(shape), sink_(std::make_unique<list_sink>(around_, shape)) {}

intake::~intake() = default;

template <class T>
result<T> intake::failed(problem p, intake_fault whose) {
    fault_ = around_.watch.stop.load(std::memory_order_relaxed) ? intake_fault::stopped : whose;
    if (p.file.empty() && whose == intake_fault::file) p.file = file_;
    sink_.reset();  // and with it what lies in the plan folder
    return fail(std::move(p));
}

result<job_spec> intake::read_job(int fd, std::string_view name, int copy) {
    if (!sink_ || !found_.spec.id.empty()) throw std::logic_error("an intake takes one job");
    file_ = std::string(name);
    const file_type type = type_of(name);
    if (!is_job(type.kind))
        return failed<job_spec>(
            problem{
                .what = "its name is not that of a job",
                .hint = type.kind == file_kind::sidecar
                            ? "a list of ids for the ids_file of a job; *.txt is a list that is a job by itself"
                            : "*.json, *.yaml, *.yml, *.txt, *.csv, *.jsonl or *.ndjson; lists also with .gz or .zst"},
            intake_fault::file);
    const job_rules rules{around_.settings, around_.resources};
    byte_source from(fd, file_, type.packed, &around_.watch, copy);
    result<job_spec> spec;
    if (type.kind == file_kind::job_json || type.kind == file_kind::job_yaml) {
        job_document document(rules, *sink_);
        spec = culld::read_job(from, type.kind, document, *sink_);
        have_ids_ = document.has_ids();
    } else {
        spec = bare_list_spec(rules);
        have_ids_ = true;
        if (spec)
            if (auto read = read_list(from, type.kind, *sink_); !read) spec = fail(std::move(read.error()));
    }
    if (!spec)
        return failed<job_spec>(std::move(spec.error()),
                                from.failed_to_read() || sink_->broken() ? intake_fault::ours : intake_fault::file);
    made_id_ = spec->id.empty();
    found_.spec = *spec;
    if (made_id_) spec->id = draw_id(now_, chance_);
    found_.source = from.facts();
    source_ = from.sha256_of_file();
    return spec;
}

std::string intake::draw_id(wall_time now, std::uint32_t chance) {
    found_.spec.id = make_job_id(type_of(found_.source.file.empty() ? file_ : found_.source.file).stem, now, chance);
    return found_.spec.id;
}

bool intake::wants_list() const {
    return !have_ids_;
}

result<void> intake::read_sidecar(int fd, std::string_view name, int copy) {
    if (!sink_ || have_ids_) throw std::logic_error("this job needs no list");
    file_ = std::string(name);
    const file_type type = type_of(name);
    if (type.kind != file_kind::sidecar)
        return failed<void>(
            problem{.what = "its name is not that of a sidecar list", .hint = "*.ids, *.ids.gz or *.ids.zst"},
            intake_fault::file);
    byte_source from(fd, file_, type.packed, &around_.watch, copy);
    if (auto read = read_list(from, type.kind, *sink_); !read)
        return failed<void>(std::move(read.error()),
                            from.failed_to_read() || sink_->broken() ? intake_fault::ours : intake_fault::file);
    found_.list = from.facts();
    source_ = from.sha256_of_file();
    have_ids_ = true;
    return {};
}

result<job_intake> intake::finish(source_file source) {
    if (!sink_ || !have_ids_) throw std::logic_error("an intake is finished once, with its list read");
    const auto refuse = [&](std::string field, std::string what, std::string hint) {
        return failed<job_intake>(problem{.what = std::move(what), .hint = std::move(hint), .field = std::move(field)},
                                  intake_fault::file);
    };
    const std::uint64_t read = sink_->count();
    if (read == 0) return refuse("ids", "the list is empty", "it holds no id at all");

    room_watch room = sink_->room();
    const auto disk_failed = [&](problem why) {
        const bool theirs = room.list_filled_it();
        return failed<job_intake>(theirs ? room_watch::refusal() : std::move(why),
                                  theirs ? intake_fault::file : intake_fault::ours);
    };
    const auto repeated = sink_->check().any_repeated(&around_.watch.stop);
    if (!repeated) return disk_failed(repeated.error());
    auto sealed = sink_->store().seal(source_);
    if (!sealed) return disk_failed(std::move(sealed.error()));
    std::optional<id_store_writer> store;
    if (*repeated) {
        auto compacted = compact([&](std::uint64_t bytes) { return room.wrote(bytes); });
        if (!compacted) return disk_failed(std::move(compacted.error()));
        store.emplace(std::move(*compacted));
    } else {
        store.emplace(std::move(sink_->store()));
        found_.protected_at = std::move(sink_->protected_at());
    }
    if (!around_.protect.sha256().empty()) found_.protect = {around_.protect.sha256(), around_.protect.size()};
    found_.ids = store->count();
    found_.duplicates = read - found_.ids;

    if (const auto& expected = found_.spec.expect_count; expected && *expected != found_.ids)
        return refuse("expect_count",
                      fmt::format("expect_count is {}, but the list has {} distinct ids", *expected, found_.ids),
                      "correct the list or the count");
    if (const std::uint64_t cap = around_.settings.limits.max_ids_per_job; cap != 0 && found_.ids > cap)
        return refuse("ids", fmt::format("{} ids, and the setting limits.max_ids_per_job allows {}", found_.ids, cap),
                      "split the list");
    const auto published = store->publish(store_name(found_.spec.id), source);
    if (!published) return failed<job_intake>(published.error(), intake_fault::ours);
    if (!*published)
        return refuse("id", fmt::format("a job with the id \"{}\" is open already", found_.spec.id),
                      "wait for it, or give this one another id");
    sink_.reset();
    return std::move(found_);
}

// Writes the store anew without the ids that repeat an earlier one.
result<id_store_writer> intake::compact(const std::function<bool(std::uint64_t bytes)>& may_write) {
    auto file = sink_->store().reopen();
    if (!file) return fail(std::move(file.error()));
    auto all = id_store::open(std::move(*file), "unfinished id store");
    if (!all) return fail(std::move(all.error()));
    auto out = id_store_writer::create(around_.plan);
    if (!out) return out;
    // Stopping is looked for once a segment, as everywhere once a block.
    const auto stopped = [&](position p) {
        return p % ids_per_segment == 0 && around_.watch.stop.load(std::memory_order_relaxed);
    };
    const std::uint64_t count = all->count();
    std::optional<id_store_writer> before(std::move(sink_->store()));
    sink_.reset();  // pass 1 is over: its memory is pass 2's

    repeat_finder finder(around_.plan, count, shape_);
    for (position p = 0; p < count; ++p) {
        if (stopped(p)) return fail("stopped");
        const auto id = all->at(p);
        if (!id) return fail(id.error());
        if (auto added = finder.add(*id); !added) return fail(std::move(added.error()));
        if (!may_write(sizeof(hash_secret::wide) + sizeof p)) return fail(room_watch::refusal());
    }
    if (auto found = finder.find(&around_.watch.stop); !found) return fail(std::move(found.error()));
    for (position p = 0; p < count; ++p) {
        if (stopped(p)) return fail("stopped");
        const auto again = finder.repeats(p);
        if (!again) return fail(again.error());
        if (*again) continue;
        const auto id = all->at(p);
        if (!id) return fail(id.error());
        if (around_.protect.size() > 0 && around_.protect.contains(*id)) append(found_.protected_at, {out->count(), 1});
        if (auto kept = out->append(*id); !kept) return fail(std::move(kept.error()));
        if (!may_write(id->size() + 3)) return fail(room_watch::refusal());
    }
    if (auto sealed = out->seal(source_); !sealed) return fail(std::move(sealed.error()));
    return out;
}

}  // namespace culld

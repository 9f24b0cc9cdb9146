#include "ctl/journal/names_check.hpp"

#include <fmt/format.h>

#include <utility>

#include "culld/core/base/interval_set.hpp"
#include "culld/core/text/json_reader.hpp"

namespace culld::ctl {

namespace {
constexpr std::size_t findings_max = 100;
}

outcome<void> names_check::open(const record_view& accepted) {
    const auto sources = sources_of(accepted);
    if (!sources) return give_up(not_verified, sources.error());
    auto scratch = scratch_folder::make();
    if (!scratch) return tl::unexpected(std::move(scratch.error()));
    scratch_.emplace(std::move(*scratch));
    auto store = ids_of_job(with_, *sources, scratch_->here());
    if (!store) return tl::unexpected(std::move(store.error()));
    store_.emplace(std::move(*store));
    return {};
}

result<void> names_check::feed(const record_view& record, std::uint64_t line) {
    if (record.type == record_type::job_accepted && !store_) {
        auto opened = open(record);
        if (opened) return {};
        failed_ = std::move(opened.error());
        return fail(failed_->about);
    }
    switch (record.type) {
        case record_type::batch_result: break;
        case record_type::batch_error:
        case record_type::ids_absent:
        case record_type::ids_deleted:
        case record_type::ids_failed:
        case record_type::ids_skipped: {
            const auto at = record.positions();
            return at ? compare(record, "ids", *at, line) : result<void>();
        }
        default: return {};
    }
    const auto at = record.runs("at"), refused = record.runs("failed_at"), unknown = record.runs("unknown_at");
    if (!at || !refused || !unknown) return {};  // the audit has said so
    interval_set good;
    good.insert(*at);
    for (const spans* others : {&*refused, &*unknown}) static_cast<void>(good.erase(*others));
    if (auto done = compare(record, record.has("reported") ? "reported" : "deleted", good.all(), line); !done)
        return done;
    if (auto done = compare(record, "failed", *refused, line); !done) return done;
    return compare(record, "unknown", *unknown, line);
}

result<void> names_check::compare(const record_view& record, std::string_view key, const spans& at,
                                  std::uint64_t line) {
    const json_value* names = record.find(key);
    if (names == nullptr || !store_ || names->items != count_of(at)) return {};  // no names, or the audit has said so
    if (!at.empty() && at.back().end() > store_->count()) return {};
    expected_ = "[";
    if (auto read = store_->append_quoted(at, expected_); !read) return read;
    expected_ += ']';
    if (names->raw == expected_) return {};
    return name_the_first(*names, at, key, line);
}

result<void> names_check::name_the_first(const json_value& names, const spans& at, std::string_view key,
                                         std::uint64_t line) {
    if (findings_.size() == findings_max) return {};
    json_strings each(names);
    std::string_view raw;
    for (const span& run : at)
        for (position p = run.first; p < run.end(); ++p) {
            const auto listed = store_->at(p);
            if (!listed) return fail(listed.error());
            if (!each.next(raw)) return {};
            if (json_unescaped(raw) == *listed) continue;
            findings_.push_back({.what = fmt::format("\"{}\" names \"{}\" at position {}, where the list has \"{}\"",
                                                     key, json_unescaped(raw), p, *listed),
                                 .line = line});
            return {};
        }
    return {};  // the same names, spelled in another way
}

}  // namespace culld::ctl

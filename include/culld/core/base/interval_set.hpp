// A set of positions kept as runs: what was intended, what is settled, what is open. Memory follows the
// number of runs, not of positions: ids that are settled roughly in order cost next to nothing, a hundred
// million of them too.
//
// Not synchronised. Every operation is O(log runs + runs touched).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>

#include "culld/core/base/span.hpp"

namespace culld {

class interval_set {
  public:
    // Adds `s`; returns how many of its positions were not there before.
    std::uint64_t insert(span s) {
        if (s.count == 0) return 0;
        position first = s.first, end = s.end();
        std::uint64_t there = 0;
        auto run = runs_.upper_bound(first);
        if (run != runs_.begin() && std::prev(run)->second >= first) --run;  // it overlaps or touches s
        while (run != runs_.end() && run->first <= end) {
            const position from = std::max(run->first, s.first), to = std::min(run->second, s.end());
            if (from < to) there += to - from;
            first = std::min(first, run->first);
            end = std::max(end, run->second);
            run = runs_.erase(run);
        }
        runs_.emplace_hint(run, first, end);
        count_ += s.count - there;
        return s.count - there;
    }
    std::uint64_t insert(const spans& all) {
        std::uint64_t added = 0;
        for (const span& s : all) added += insert(s);
        return added;
    }

    // Removes `s`; returns the parts of it that were really there, ascending.
    spans erase(span s) {
        spans there;
        if (s.count == 0) return there;
        auto run = first_beyond(s.first);
        while (run != runs_.end() && run->first < s.end()) {
            const position run_first = run->first, run_end = run->second;
            const position from = std::max(run_first, s.first), to = std::min(run_end, s.end());
            append(there, {from, to - from});
            run = runs_.erase(run);
            if (run_first < from) runs_.emplace_hint(run, run_first, from);
            if (to < run_end) run = runs_.emplace_hint(run, to, run_end);
        }
        count_ -= count_of(there);
        return there;
    }
    spans erase(const spans& all) {
        spans there;
        for (const span& s : all)
            for (const span& part : erase(s)) append(there, part);
        return there;
    }

    [[nodiscard]] bool contains(position p) const { return covered({p, 1}) == 1; }
    [[nodiscard]] bool contains(span s) const { return covered(s) == s.count; }

    // The parts of `s` that are there, and those that are not; both ascending.
    [[nodiscard]] spans common(span s) const {
        spans out;
        for (auto run = first_beyond(s.first); run != runs_.end() && run->first < s.end(); ++run) {
            const position from = std::max(run->first, s.first), to = std::min(run->second, s.end());
            append(out, {from, to - from});
        }
        return out;
    }
    [[nodiscard]] spans missing(span s) const {
        spans out;
        position next = s.first;
        for (const span& part : common(s)) {
            append(out, {next, part.first - next});
            next = part.end();
        }
        append(out, {next, s.end() - next});
        return out;
    }

    // Calls visit(span) for each run, ascending. `visit` must not change the set.
    template <class Visit>
    void for_each_run(Visit&& visit) const {
        for (const auto& [first, end] : runs_) visit(span{first, end - first});
    }
    [[nodiscard]] spans all() const {
        spans out;
        out.reserve(runs_.size());
        for_each_run([&](span s) { out.push_back(s); });
        return out;
    }

    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] std::size_t run_count() const { return runs_.size(); }
    [[nodiscard]] bool empty() const { return runs_.empty(); }
    void clear() {
        runs_.clear();
        count_ = 0;
    }

    friend bool operator==(const interval_set& a, const interval_set& b) { return a.runs_ == b.runs_; }

  private:
    using run_map = std::map<position, position>;  // first → end; runs neither overlap nor touch

    // The first run that ends after `p`.
    [[nodiscard]] run_map::const_iterator first_beyond(position p) const {
        auto run = runs_.upper_bound(p);
        if (run != runs_.begin() && std::prev(run)->second > p) --run;
        return run;
    }
    [[nodiscard]] run_map::iterator first_beyond(position p) {
        auto run = runs_.upper_bound(p);
        if (run != runs_.begin() && std::prev(run)->second > p) --run;
        return run;
    }
    [[nodiscard]] std::uint64_t covered(span s) const {
        std::uint64_t n = 0;
        for (auto run = first_beyond(s.first); run != runs_.end() && run->first < s.end(); ++run)
            n += std::min(run->second, s.end()) - std::max(run->first, s.first);
        return n;
    }

    run_map runs_;
    std::uint64_t count_ = 0;
};

}  // namespace culld

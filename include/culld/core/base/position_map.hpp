// A value for every position that is open, kept as runs: neighbours with equal values are one entry.
//
// Memory follows the number of runs, not of positions. Not thread-safe.
#pragma once

#include <algorithm>
#include <cassert>
#include <iterator>
#include <map>
#include <optional>

#include "culld/core/base/span.hpp"

namespace culld {

template <class Value>
class position_map {
  public:
    struct run {
        span at;
        Value value;
    };

    // Every position of `at` now holds `value`.
    void assign(span at, const Value& value) {
        if (at.count == 0) return;
        erase(at);
        auto next = runs_.lower_bound(at.first);
        if (next != runs_.begin()) {
            auto before = std::prev(next);
            if (before->second.end == at.first && before->second.value == value) {
                at = {before->first, at.end() - before->first};
                runs_.erase(before);
            }
        }
        if (next != runs_.end() && next->first == at.end() && next->second.value == value) {
            at.count += next->second.end - next->first;
            runs_.erase(next);
        }
        runs_.emplace(at.first, stretch{at.end(), value});
    }

    // Positions of `at` hold nothing any more; hands back how many of them had held something.
    std::uint64_t erase(span at) {
        if (at.count == 0) return 0;
        std::uint64_t erased = 0;
        auto it = runs_.upper_bound(at.first);
        if (it != runs_.begin()) {
            auto before = std::prev(it);
            if (before->second.end > at.first) it = before;
        }
        while (it != runs_.end() && it->first < at.end()) {
            const position first = it->first;
            const stretch whole = it->second;
            it = runs_.erase(it);
            if (first < at.first) runs_.emplace(first, stretch{at.first, whole.value});
            if (whole.end > at.end()) it = runs_.emplace(at.end(), stretch{whole.end, whole.value}).first;
            erased += std::min(whole.end, at.end()) - std::max(first, at.first);
        }
        return erased;
    }

    // The value at `p`, if it holds one.
    [[nodiscard]] std::optional<Value> at(position p) const {
        auto it = runs_.upper_bound(p);
        if (it == runs_.begin()) return std::nullopt;
        --it;
        if (it->second.end <= p) return std::nullopt;
        return it->second.value;
    }

    // The runs inside `at`, cut to it, ascending.
    [[nodiscard]] std::vector<run> within(span at) const {
        std::vector<run> out;
        auto it = runs_.upper_bound(at.first);
        if (it != runs_.begin() && std::prev(it)->second.end > at.first) --it;
        for (; it != runs_.end() && it->first < at.end(); ++it) {
            const position first = std::max(it->first, at.first);
            out.push_back({{first, std::min(it->second.end, at.end()) - first}, it->second.value});
        }
        return out;
    }

    [[nodiscard]] std::vector<run> all() const {
        std::vector<run> out;
        out.reserve(runs_.size());
        for (const auto& [first, rest] : runs_) out.push_back({{first, rest.end - first}, rest.value});
        return out;
    }

    [[nodiscard]] bool empty() const { return runs_.empty(); }

  private:
    struct stretch {
        position end;
        Value value;
    };
    std::map<position, stretch> runs_;
};

}  // namespace culld

// Whose turn it is among jobs that share a sender: the most urgent priority first, and inside one whoever had his turn
// longest ago, so that a job of ten ids never waits for one of ten million.
//
// What a turn costs does not depend on how many jobs wait: only candidates are looked at, and whoever is found not to
// be ready sleeps, until a time, until it is woken, or both. Whatever may make a job ready has to wake it. Pure; one
// strand.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "culld/core/base/time.hpp"

namespace culld {

template <class Job>
class scheduler {
  public:
    // A candidate at once, behind all others of its priority. Not in here yet.
    void add(Job& job, std::uint32_t priority) {
        entries_[&job] = {priority, next_turn_, {}};
        candidates_.insert({priority, next_turn_++, &job});
    }
    void remove(Job& job) {
        const auto it = entries_.find(&job);
        if (it == entries_.end()) return;
        leave(it->second, job);
        entries_.erase(it);
    }

    // It may be ready: a candidate again, in the place that its last turn gives it.
    void wake(Job& job) {
        const auto it = entries_.find(&job);
        if (it == entries_.end()) return;
        leave(it->second, job);
        it->second.until.reset();
        candidates_.insert(place_of(it->second, job));
    }
    // Those whose time has come.
    void wake_due(steady_time now) {
        while (!timed_.empty() && std::get<0>(*timed_.begin()) <= now) wake(*std::get<2>(*timed_.begin()));
    }

    // The candidate whose turn it is; none: all sleep. Whoever asks goes on with served() or sleep() of it.
    [[nodiscard]] Job* first() const { return candidates_.empty() ? nullptr : std::get<2>(*candidates_.begin()); }
    // It had its turn, and stays a candidate.
    void served(Job& job) {
        entry& e = entries_.at(&job);
        leave(e, job);
        e.until.reset();
        e.turn = next_turn_++;
        candidates_.insert(place_of(e, job));
    }
    // It is not ready, and will not be before `until` unless it is woken.
    void sleep(Job& job, std::optional<steady_time> until) {
        entry& e = entries_.at(&job);
        leave(e, job);
        e.until = until;
        if (until) timed_.insert({*until, e.turn, &job});
    }
    // When the first of those that sleep wakes by time.
    [[nodiscard]] std::optional<steady_time> due() const {
        return timed_.empty() ? std::nullopt : std::optional(std::get<0>(*timed_.begin()));
    }

    // All, by priority and turn.
    [[nodiscard]] std::vector<Job*> all() const {
        std::vector<place> places;
        for (const auto& [job, e] : entries_) places.push_back(place_of(e, *job));
        std::sort(places.begin(), places.end());
        std::vector<Job*> out;
        for (const place& p : places) out.push_back(std::get<2>(p));
        return out;
    }

  private:
    struct entry {
        std::uint32_t priority = 0;
        std::uint64_t turn = 0;            // no two have the same
        std::optional<steady_time> until;  // in timed_
    };
    using place = std::tuple<std::uint32_t, std::uint64_t, Job*>;

    static place place_of(const entry& e, Job& job) { return {e.priority, e.turn, &job}; }
    void leave(const entry& e, Job& job) {
        candidates_.erase(place_of(e, job));
        if (e.until) timed_.erase({*e.until, e.turn, &job});
    }

    std::unordered_map<Job*, entry> entries_;
    std::set<place> candidates_;
    std::set<std::tuple<steady_time, std::uint64_t, Job*>> timed_;
    std::uint64_t next_turn_ = 0;
};

}  // namespace culld

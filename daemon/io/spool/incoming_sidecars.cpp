// Waiting for the list that a job names: whether it is there, complete, and a plain file.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "culld/io/spool/incoming_watcher.hpp"

namespace culld {

namespace asio = boost::asio;

namespace {

constexpr std::size_t complete_sidecars_max = 256;

}  // namespace

// A sidecar() that waits.
struct incoming_watcher::sidecar_wait {
    sidecar_wait(incoming_watcher& all, const std::string& of) : owner(all), name(of), wake(all.loop_) {
        owner.sidecar_waits_.push_back(this);
    }
    ~sidecar_wait() { std::erase(owner.sidecar_waits_, this); }
    sidecar_wait(const sidecar_wait&) = delete;
    sidecar_wait& operator=(const sidecar_wait&) = delete;

    incoming_watcher& owner;
    const std::string& name;
    loop_timer wake;
    bool woken = false;  // perhaps before it waited
};

void incoming_watcher::wake_sidecar(const std::string& name) {
    to_wake_.push_back(name);
}

void incoming_watcher::wake_sidecars() {
    wake_all_ = true;
}

void incoming_watcher::wake_sidecar_now(const std::string& name) {
    for (sidecar_wait* waiting : sidecar_waits_)
        if (waiting->name == name) {
            waiting->woken = true;
            waiting->wake.cancel();
        }
}

void incoming_watcher::wake_sidecars_now() {
    for (sidecar_wait* waiting : sidecar_waits_) {
        waiting->woken = true;
        waiting->wake.cancel();
    }
}

void incoming_watcher::remember_sidecar(const std::string& name, const node_facts& facts) {
    if (complete_sidecars_.size() == complete_sidecars_max) complete_sidecars_.pop_front();
    complete_sidecars_.emplace_back(name, facts);
    wake_sidecar(name);
}

task<sidecar_answer> incoming_watcher::sidecar(std::string name, steady_time deadline,
                                               std::optional<std::uint32_t> owner, const std::atomic<bool>* given_up) {
    co_await asio::this_coro::throw_if_cancelled(false);
    sidecar_wait waiting(*this, name);
    for (;;) {
        sidecar_answer out;
        const auto cancelled = co_await asio::this_coro::cancellation_state;
        if (stopped_ || (given_up != nullptr && *given_up) || cancelled.cancelled() != asio::cancellation_type::none) {
            out.state = sidecar_state::stopped;
            co_return out;
        }
        const steady_time now = std::chrono::steady_clock::now();
        waiting.woken = false;
        auto ask = [this, &name, now, owner] {
            sidecar_answer answer = ask_sidecar(name, now, owner);
            incoming_.reset();
            return answer;
        };
        out = co_await by_eye(std::move(ask));
        if (something_to_hand_out()) tell_next();
        const bool decided = out.state == sidecar_state::complete || out.state == sidecar_state::refused;
        if (decided || now >= deadline) co_return out;
        if (waiting.woken || stopped_) continue;
        waiting.wake.expires_at(std::min(deadline, now + file_readiness::quiet_time));
        static_cast<void>(co_await waiting.wake.async_wait(as_tuple_task));
    }
}

sidecar_answer incoming_watcher::ask_sidecar(const std::string& name, steady_time now,
                                             std::optional<std::uint32_t> owner) {
    sidecar_answer out{.state = sidecar_state::missing,
                       .why = {.what = "the list is not in incoming/",
                               .hint = "drop the list first, then the job that names it",
                               .file = name},
                       .facts = {}};
    const auto facts = spool_.look(spool_folder::incoming, name);
    if (!facts) {
        out.why = facts.error();
        return out;
    }
    if (!*facts) return out;
    if (owner && (*facts)->uid != *owner) {
        out.why = {
            .what = fmt::format("the list in incoming/ belongs to uid {}, the job to uid {}", (*facts)->uid, *owner),
            .hint = "a job uses lists of its own submitter only: drop yours under another name",
            .file = name};
        return out;
    }
    out.facts = **facts;

    const auto remembered = [&] {
        const auto it = std::ranges::find(complete_sidecars_, std::pair(name, **facts));
        if (it == complete_sidecars_.end()) return false;
        complete_sidecars_.erase(it);
        return true;
    };
    const auto refused = [&](problem why) {
        out.state = sidecar_state::refused;
        out.why = std::move(why);
        out.why.file = name;
        return out;
    };
    if (remembered()) {
        out.state = sidecar_state::complete;
        return out;
    }
    static_cast<void>(saw(name, file_event::found, now));
    const auto it = entries_.find(name);
    if (it == entries_.end() && remembered()) {
        out.state = sidecar_state::complete;
        return out;
    }
    if (it != entries_.end() && it->second.where == entry::place::handed) {
        if (auto fault = name_fault(name)) return refused(std::move(*fault));
        if (auto fault = type_fault((*facts)->type)) return refused(std::move(*fault));
        if ((*facts)->links > 1) return refused(link_fault((*facts)->links));
    }
    out.state = sidecar_state::unfinished;
    out.why = {.what = "the list is still being written",
               .hint = "write it to tmp/ and rename it into incoming/ before the job",
               .file = name};
    return out;
}

}  // namespace culld

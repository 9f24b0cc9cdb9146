#include "culld/io/spool/incoming_watcher.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace culld {

namespace asio = boost::asio;

namespace {

constexpr nanoseconds slice_time = std::chrono::milliseconds(1);  // of scanning, before others get their turn
constexpr nanoseconds watch_retry = std::chrono::seconds(1);      // while the folder is away
constexpr nanoseconds scan_patience = std::chrono::seconds(1);    // of a scan, with owners that have no room
constexpr std::size_t coming_back_max = 1024;
constexpr std::size_t troubles_max = 16;  // told at a time; more would say nothing new

problem folder_gone() {
    return {.what = "the folder incoming/ was removed, moved or unmounted",
            .hint = "it is used again as soon as it is back",
            .file = {}};
}

}  // namespace

incoming_watcher::incoming_watcher(loop_executor loop, const spool& from, arrivals_limits limits)
    : loop_(loop),
      eyes_(loop),
      looked_(loop),
      spool_(from),
      limits_(limits),
      wake_(loop),
      watch_again_at_(steady_now()),
      scan_at_(steady_now()) {}

task<std::optional<arrivals_batch>> incoming_watcher::next() {
    co_await asio::this_coro::throw_if_cancelled(false);
    for (;;) {
        const auto cancelled = co_await asio::this_coro::cancellation_state;
        if (stopped_ || cancelled.cancelled() != asio::cancellation_type::none) co_return std::nullopt;

        auto look = [this] { return look_around(); };
        const bool busy = co_await by_eye(std::move(look));
        if (stopped_) co_return std::nullopt;
        if (something_to_hand_out() || !troubles_.empty()) co_return hand_out();

        const steady_time now = steady_now();
        const bool scanning = present_ && (scan_ ? !scan_stands_ || now >= scan_patience_ : now >= scan_at_);
        if (scanning && !busy) {
            auto scan = [this, now] {
                scan_slice(now);
                incoming_.reset();
                return true;
            };
            static_cast<void>(co_await by_eye(std::move(scan)));
        }
        if (busy || scanning) {
            idle_told_ = false;  // who asked meanwhile heard no
            continue;
        }
        if (!idle())
            idle_told_ = false;
        else if (!std::exchange(idle_told_, true))
            co_return arrivals_batch{};
        co_await wait(next_due());
    }
}

// True if there were events: there may be more.
bool incoming_watcher::look_around() {
    const steady_time now = steady_now();
    while (!again_seen_.empty()) {
        const auto [name, what] = std::move(again_seen_.front());
        again_seen_.pop_front();
        static_cast<void>(saw(name, what, now));
    }
    if (!watch_ && now >= watch_again_at_) open_watch(now);
    // Events before looks: the open that follows a creation must be known before its grace is over.
    const bool busy = read_events(now);
    if (busy) return true;
    look_at_due(now);
    incoming_.reset();
    return false;
}

// What came while the other thread had it all.
void incoming_watcher::looked() {
    looking_ = false;
    for (const auto& order : std::exchange(orders_, {})) order();
    for (const std::string& name : std::exchange(to_wake_, {})) wake_sidecar_now(name);
    if (std::exchange(wake_all_, false)) wake_sidecars_now();
    looked_.notify();
}

void incoming_watcher::in_turn(std::function<void()> order) {
    if (looking_)
        orders_.push_back(std::move(order));
    else
        order();
}

void incoming_watcher::tell_next() {
    news_ = true;
    wake_.cancel();
}

task<void> incoming_watcher::wait(steady_time until) {
    using asio::experimental::awaitable_operators::operator||;
    if (std::exchange(news_, false)) co_return;
    wake_.expires_at(until);
    if (watch_)
        static_cast<void>(co_await (watch_->readable().async_wait(spool_watch::descriptor::wait_read, as_tuple_task) ||
                                    wake_.async_wait(as_tuple_task)));
    else
        static_cast<void>(co_await wake_.async_wait(as_tuple_task));
    news_ = false;
}

bool incoming_watcher::idle(std::size_t kept) const {
    // While the other thread looks, what was so when it began: it looks again at once after each word of ours, and
    // whoever asks then would never hear yes.
    if (looking_) return before_.quiet && before_.handed == kept && orders_.empty();
    return quiet() && handed_count_ == kept;
}

bool incoming_watcher::quiet() const {
    if (!again_seen_.empty()) return false;
    if (!scanned_ || scan_ || scan_at_ <= steady_now()) return false;
    if (more_to_find_) return false;
    return std::ranges::all_of(entries_, [](const auto& it) {
        return it.second.where == entry::place::handed || it.second.state.being_written();
    });
}

void incoming_watcher::settled(const std::string& name) {
    in_turn([this, name] {
        const auto it = entries_.find(name);
        if (it == entries_.end()) return;
        const std::optional<file_event> seen_again = it->second.seen_again;
        const bool was_full = !room(it->second.uid);
        forget(it);
        if (seen_again) again_seen_.emplace_back(name, *seen_again);
        if (seen_again || was_full) tell_next();
    });
}

void incoming_watcher::comes_back(const node_facts& facts) {
    const std::lock_guard alone(coming_back_turn_);  // at once: it may be seen while the other thread looks
    if (coming_back_.size() == coming_back_max) coming_back_.pop_front();
    coming_back_.emplace_back(facts.device, facts.inode);
}

bool incoming_watcher::came_back(const node_facts& facts) {
    const std::lock_guard alone(coming_back_turn_);
    return std::erase(coming_back_, std::pair(facts.device, facts.inode)) > 0;
}

bool incoming_watcher::room(std::uint32_t uid) const {
    const auto it = owners_.find(uid);
    return it == owners_.end() || it->second.handed < limits_.handed_max;
}

// A later scan finds it: put() says when.
void incoming_watcher::pass_over(std::uint32_t uid) {
    owners_[uid].passed_over = more_to_find_ = true;
}

void incoming_watcher::again(const std::string& name, nanoseconds delay) {
    in_turn([this, name, delay] {
        const auto it = entries_.find(name);
        if (it == entries_.end()) return;
        put(it, entry::place::waiting);
        it->second.seen_again.reset();
        schedule(it, steady_now() + delay);
        tell_next();
    });
}

std::vector<std::string> incoming_watcher::being_written(std::size_t most) const {
    std::vector<std::string> out;
    for (const auto& [name, known] : entries_)
        if (known.where == entry::place::waiting && known.state.being_written() && out.size() < most)
            out.push_back(name);
    return out;
}

std::vector<std::string> incoming_watcher::held(std::size_t most) const {
    std::vector<std::string> out;
    for (const auto& [uid, of] : owners_) {
        if (of.ready.empty() || !may_take || may_take(uid)) continue;
        for (const arrived_file& file : of.ready)
            if (out.size() < most) out.push_back(file.name);
    }
    return out;
}

void incoming_watcher::rescan() {
    in_turn([this] {
        want_scan(steady_now());
        tell_next();
    });
}

void incoming_watcher::rescan_every(nanoseconds period) {
    in_turn([this, period] { limits_.rescan = period; });
}

void incoming_watcher::stop() {
    stopped_ = true;
    tell_next();
    wake_sidecars_now();
}

// The folder, open; none if it is away, which open_watch() will tell.
const folder* incoming_watcher::incoming() {
    if (incoming_) return &*incoming_;
    auto in = spool_.at(spool_folder::incoming);
    if (!in) {
        const auto there = look(spool_.root(), std::string(name_of(spool_folder::incoming)));
        in.error().hint = there && !*there
                              ? "make it again, with the owner and mode it had; until then nothing new is taken"
                              : "nothing new is taken until it can be opened; culld tries again by itself";
        lose_folder(std::move(in.error()));
        return nullptr;
    }
    incoming_ = std::move(*in);
    return &*incoming_;
}

void incoming_watcher::open_watch(steady_time now) {
    incoming_.reset();
    const folder* const in = incoming();
    if (in == nullptr) return;
    present_ = true;
    want_scan(now);
    auto watching = spool_watch::open(loop_, *in);
    auto which = look(*in, ".");
    if (!watching || !which) {
        problem why = !watching ? std::move(watching.error()) : std::move(which.error());
        if (why.hint.empty()) why.hint = "files are found by the regular rescan only";
        return lose_watch(std::move(why), limits_.rescan);
    }
    watch_.emplace(std::move(*watching));
    watched_ = *which;
    if (std::exchange(watch_loss_told_, false))
        complain({.what = "the folder is watched again", .hint = {}, .file = in->path()});
}

// Told once, however often it is tried again.
void incoming_watcher::lose_watch(problem why, nanoseconds again_in) {
    watch_.reset();
    watch_again_at_ = steady_now() + again_in;
    if (!std::exchange(watch_loss_told_, true)) complain(std::move(why));
}

void incoming_watcher::lose_folder(problem why) {
    incoming_.reset();
    scan_.reset();
    scan_name_.reset();
    present_ = false;
    lose_watch(std::move(why), watch_retry);
}

// True if there were some: there may be more.
bool incoming_watcher::read_events(steady_time now) {
    if (!watch_) return false;
    auto batch = watch_->poll();
    if (!batch) {
        forget_waiting();
        lose_watch(std::move(batch.error()), watch_retry);
        return true;
    }
    for (const watch_event& event : batch->events) static_cast<void>(saw(event.name, event.what, now));
    if (batch->overflow || batch->gone) {
        // A close may be among what was lost: nothing that waits for one may go on waiting.
        forget_waiting();
        want_scan(now);
    }
    if (batch->gone) lose_folder(folder_gone());
    return batch->overflow || batch->gone || !batch->events.empty();
}

void incoming_watcher::look_at_due(steady_time now) {
    const steady_time slice_ends = now + slice_time;
    while (!due_.empty() && due_.begin()->first <= now && steady_now() < slice_ends) {
        const auto it = entries_.find(due_.begin()->second);
        schedule(it, std::nullopt);
        const folder* const in = incoming();
        if (in == nullptr) return forget(it);
        const auto facts = look(*in, it->first);
        if (!facts) complain(facts.error());
        if (!facts || !*facts) {
            const std::string name = it->first;
            forget(it);
            wake_sidecar(name);
            continue;
        }
        if (it->second.state.kind() != file_kind::sidecar && !room((*facts)->uid)) {
            schedule(it, now + std::chrono::milliseconds(100));
            continue;
        }
        static_cast<void>(carry_out(it, it->second.state.looked(**facts, now, wall_now()), **facts, now));
    }
}

void incoming_watcher::scan_slice(steady_time now) {
    const steady_time slice_ends = now + slice_time;
    if (!scan_) {
        const folder* const in = incoming();
        if (in == nullptr) return;
        scan_at_ = now + limits_.rescan;
        scan_began_ = now;
        more_to_find_ = false;
        scan_patience_ = now + scan_patience;
        const auto which = look(*in, ".");
        if (watch_ && which && *which && ((*which)->inode != watched_->inode || (*which)->device != watched_->device)) {
            // Another folder than the one watched, which somebody still has open.
            forget_waiting();
            return lose_folder(folder_gone());
        }
        auto begun = folder_scan::open(*in);
        if (!begun) return complain(std::move(begun.error()));
        scan_.emplace(std::move(*begun));
    }
    while (scan_ && steady_now() < slice_ends) {
        if (!scan_name_) {
            const auto name = scan_->next();
            if (!name) complain(name.error());
            if (!name || !*name) {
                scan_.reset();
                scan_ended_ = steady_now();
                scanned_ = scanned_ || name.has_value();
                return;
            }
            scan_name_.emplace(**name);
        }
        scan_stands_ = false;
        const auto it = entries_.find(*scan_name_);
        if (it == entries_.end() || it->second.where == entry::place::waiting)
            static_cast<void>(saw(*scan_name_, file_event::found, now));
        if (scan_stands_) return;
        scan_name_.reset();
    }
}

// What became of it: keep where it is of no consequence.
incoming_watcher::action incoming_watcher::saw(const std::string& name, file_event what, steady_time now) {
    if (type_of(name).kind == file_kind::ignored) return action::leave_alone;
    auto it = entries_.find(name);
    const bool known = it != entries_.end();
    if (known && it->second.where == entry::place::handed) {
        if (what != file_event::opened && what != file_event::left) it->second.seen_again = what;
        return action::keep;
    }
    if (!known && (what == file_event::opened || what == file_event::left)) return action::leave_alone;
    // Found already, but for a look that is due anyway.
    if (known && what == file_event::found && it->second.look_at) return action::keep;

    const folder* const in = incoming();
    if (in == nullptr) return action::leave_alone;
    const auto facts = look(*in, name);
    if (!facts) complain(facts.error());
    if (!facts || !*facts) {
        if (known) forget(it);
        wake_sidecar(name);
        return action::leave_alone;
    }
    if (what == file_event::moved_in && came_back(**facts)) what = file_event::returned;
    // A list is handed to nobody: its job waits for it, and may have all the room.
    if (type_of(name).kind != file_kind::sidecar && !room((*facts)->uid)) {
        // Mostly there is room in a moment, and one look at the folder is enough.
        if (what == file_event::found && scan_ && now < scan_patience_)
            scan_stands_ = true;
        else
            pass_over((*facts)->uid);
        return action::keep;
    }
    if (!known) it = entries_.try_emplace(name, name).first;
    return carry_out(it, it->second.state.seen(what, **facts, now, wall_now()), **facts, now);
}

incoming_watcher::action incoming_watcher::carry_out(entries::iterator it, arrival_step step, const node_facts& facts,
                                                     steady_time now) {
    if (step.what == action::ask_writer) {
        const writer who = spool_.ask_writer(*incoming_, it->first);
        tell_of_leases(who, it->first);
        step = it->second.state.answered(who, now);
    }
    const std::string name = it->first;
    const bool sidecar = it->second.state.kind() == file_kind::sidecar;
    switch (step.what) {
        case action::ready:
            if (!sidecar) {
                hand(it, facts, std::nullopt);
                break;
            }
            forget(it);
            remember_sidecar(name, facts);
            break;
        case action::reject:
            if (sidecar && !room(facts.uid)) {
                forget(it);
                pass_over(facts.uid);
                return action::keep;
            }
            hand(it, facts, std::move(step.why));
            if (sidecar) wake_sidecar(name);
            break;
        case action::look_again:
        case action::wait_for_close:
            put(it, entry::place::waiting);
            if (waiting_count_ > limits_.waiting_max) {
                forget(it);
                want_scan(now + file_readiness::quiet_time);
                return action::keep;
            }
            schedule(it, step.what == action::look_again ? std::optional(step.at) : std::nullopt);
            break;
        case action::leave_alone: forget(it); break;
        case action::keep:
        case action::ask_writer: break;
    }
    return step.what;
}

void incoming_watcher::put(entries::iterator it, entry::place where) {
    schedule(it, std::nullopt);
    waiting_count_ -= it->second.where == entry::place::waiting ? 1U : 0U;
    if (it->second.where == entry::place::handed) {
        --handed_count_;
        scan_stands_ = false;
        const auto of = owners_.find(it->second.uid);
        --of->second.handed;
        if (of->second.passed_over && of->second.handed <= limits_.handed_max / 2) {
            of->second.passed_over = false;
            // Looking for more of one owner's files takes no more than a tenth of the loop's time.
            const steady_time now = steady_now();
            want_scan(scan_ ? now : std::max(now, scan_ended_ + 9 * (scan_ended_ - scan_began_)));
        }
        if (of->second.handed == 0 && !of->second.passed_over) owners_.erase(of);
    }
    it->second.where = where;
    waiting_count_ += where == entry::place::waiting ? 1U : 0U;
}

void incoming_watcher::hand(entries::iterator it, const node_facts& facts, std::optional<problem> refuse) {
    put(it, entry::place::handed);
    it->second.uid = facts.uid;
    ++handed_count_;
    owner_share& of = owners_[facts.uid];
    ++of.handed;
    of.ready.push_back({.name = it->first, .facts = facts, .refuse = std::move(refuse)});
}

// Said once: it is the same for every file of another user's.
void incoming_watcher::tell_of_leases(writer who, const std::string& name) {
    if ((who != writer::not_allowed && who != writer::no_leases) || std::exchange(leases_told_, true)) return;
    const std::string_view what_follows =
        "so a file is taken once it has been quiet for 2 s (for 10 s if it was found, not seen to come), and put back if "
        "it changes while it is taken";
    if (who == writer::not_allowed)
        complain({.what = fmt::format("the kernel does not tell whether another user still writes this file, {}",
                                      what_follows),
                  .hint = "let culld keep CAP_LEASE, as its unit does (AmbientCapabilities=CAP_LEASE)",
                  .file = name});
    else
        complain({.what = fmt::format("the file system of the spool has no leases, {}", what_follows),
                  .hint = "let submitters write to tmp/ and rename into incoming/",
                  .file = spool_.path()});
}

void incoming_watcher::schedule(entries::iterator it, std::optional<steady_time> at) {
    if (it->second.look_at) {
        auto [from, to] = due_.equal_range(*it->second.look_at);
        due_.erase(std::find_if(from, to, [&it](const auto& due) { return due.second == it->first; }));
    }
    it->second.look_at = at;
    if (at) due_.emplace(*at, it->first);
}

void incoming_watcher::forget(entries::iterator it) {
    put(it, entry::place::fresh);
    entries_.erase(it);
}

void incoming_watcher::forget_waiting() {
    for (auto it = entries_.begin(); it != entries_.end();) {
        const auto at = it++;
        if (at->second.where == entry::place::handed)
            at->second.seen_again = file_event::found;
        else
            forget(at);
    }
    wake_sidecars();
}

void incoming_watcher::want_scan(steady_time at) {
    scan_at_ = std::min(scan_at_, at);
}

void incoming_watcher::complain(problem what) {
    if (troubles_.size() < troubles_max) troubles_.push_back(std::move(what));
}

steady_time incoming_watcher::next_due() const {
    steady_time out = !present_ ? steady_time::max() : scan_ ? scan_patience_ : scan_at_;
    if (!watch_) out = std::min(out, watch_again_at_);
    if (!due_.empty()) out = std::min(out, due_.begin()->first);
    // They may not be taken now, and nobody says when that is over.
    if (std::ranges::any_of(owners_, [](const auto& it) { return !it.second.ready.empty(); }))
        out = std::min(out, steady_now() + std::chrono::milliseconds(200));
    return out;
}

bool incoming_watcher::something_to_hand_out() const {
    return std::ranges::any_of(
        owners_, [this](const auto& it) { return !it.second.ready.empty() && (!may_take || may_take(it.first)); });
}

// Owners take turns.
arrivals_batch incoming_watcher::hand_out() {
    arrivals_batch out;
    out.troubles = std::exchange(troubles_, {});
    for (std::size_t round = 0; round < owners_.size() && out.files.size() < limits_.batch_max;) {
        auto it = owners_.upper_bound(last_turn_);
        if (it == owners_.end()) it = owners_.begin();
        last_turn_ = it->first;
        ++round;
        if (it->second.ready.empty() || (may_take && !may_take(it->first))) continue;
        out.files.push_back(std::move(it->second.ready.front()));
        it->second.ready.pop_front();
        if (handed_out) handed_out(it->first);
        round = 0;
    }
    return out;
}

}  // namespace culld

#include "culld/app/status/notifier.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <utility>

#include "culld/io/os/log.hpp"

namespace culld {

notifier::notifier(loop_executor on, notice_sender from, const config& settings, notice_carriers by,
                   std::function<double()> chance)
    : on_(on),
      from_(std::move(from)),
      choice_(settings.notify.on),
      chance_(std::move(chance)),
      ways_{{{.name = "command",
              .queue = notification_queue(settings.notify.attempts),
              .by = std::move(by.command),
              .carrying = {}},
             {.name = "webhook",
              .queue = notification_queue(settings.notify.attempts),
              .by = std::move(by.webhook),
              .carrying = {}}}},
      changed_(on),
      ended_(on) {}

void notifier::begin() {
    for (channel& w : ways_) {
        ++running_;
        asio::co_spawn(on_, run(w), rethrow_from_loop);
    }
}

void notifier::tell(const notification& n) {
    if (std::none_of(ways_.begin(), ways_.end(), [](const channel& w) { return w.by != nullptr; })) return;
    if (!choice_.wants(n, steady_now())) return;
    const std::string json = notice_json(n, from_, wall_now());
    for (channel& w : ways_) {
        if (!w.by) continue;
        const bool room = w.queue.add(json);
        if (!room && !w.full)
            log(log_level::error, "notify.dropped",
                fmt::format("{} events wait for {} already: further ones are dropped until it takes some",
                            notification_queue::waiting_max, w.by->describe()));
        w.full = !room;
    }
    changed_.notify();
}

void notifier::apply(const config& settings, notice_carriers by) {
    choice_.ask_for(settings.notify.on);
    ways_[0].by = std::move(by.command);
    ways_[1].by = std::move(by.webhook);
    for (channel& w : ways_) w.queue.set_attempts(settings.notify.attempts);
    changed_.notify();
}

void notifier::give_up(channel& w, std::string_view why) {
    const std::size_t lost = w.queue.clear();
    if (lost > 0)
        log(log_level::warn, "notify.given_up", fmt::format("{} events were not told: {}", lost, why),
            {{"way", w.name}, {"events", lost}});
}

task<void> notifier::carry_first(channel& w, const std::string& json) {
    w.carrying = w.by;
    const notification_transport::outcome got = co_await w.carrying->carry(json);
    const std::string whom = std::exchange(w.carrying, nullptr)->describe();
    const std::uint32_t tries = w.queue.tries() + 1;
    switch (w.queue.came(got.what, steady_now(), chance_())) {
        case notification_queue::delivery_state::arrived:
            log(log_level::debug, "notify.told", whom + " has it", {{"way", w.name}, {"tries", tries}});
            break;
        case notification_queue::delivery_state::waits:
            // Said once for each event: a receiver that is away has nothing new to say.
            log(tries == 1 ? log_level::warn : log_level::debug, "notify.later",
                fmt::format("{}: {}; culld tries again", whom, got.why), {{"way", w.name}, {"tries", tries}});
            break;
        case notification_queue::delivery_state::failed:
            log(log_level::error, "notify.failed", fmt::format("{}: {}; this event is given up", whom, got.why),
                {{"way", w.name}, {"tries", tries}});
            break;
    }
}

task<void> notifier::run(channel& w) {
    while (true) {
        if (!w.by) give_up(w, "its settings were removed");
        const steady_time now = steady_now();
        const auto due = w.queue.due();
        if (until_ && (!due || *due >= *until_ || now >= *until_)) break;
        if (const std::string* json = w.queue.next(now))
            co_await carry_first(w, *json);
        else
            co_await changed_.wait_until(due.value_or(steady_time::max()));
    }
    give_up(w, "culld ends");
    --running_;
    ended_.notify();
}

task<void> notifier::drain(steady_time until) {
    until_ = until;
    changed_.notify();
    while (running_ > 0 && steady_now() < until) co_await ended_.wait_until(until);
    for (const channel& w : ways_)
        if (w.carrying) w.carrying->break_off();
    while (running_ > 0) co_await ended_.wait();
}

}  // namespace culld

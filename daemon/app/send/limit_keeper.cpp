#include "culld/app/send/limit_keeper.hpp"

#include <fmt/format.h>

#include "culld/core/rate/send_gate_memory.hpp"
#include "culld/io/auth/key_lockout_file.hpp"
#include "culld/io/journal/learned_limits_file.hpp"
#include "culld/io/os/log.hpp"

namespace culld {

void limit_keeper::restore() {
    const auto text = read_limit_mark(with_.journals);
    const wall_time now = wall_now();
    const auto known = text ? read_traffic_memory(*text, with_.settings->api.endpoint, now) : fail(text.error());
    if (!known) {
        log(log_level::warn, "limits.mark",
            fmt::format("what was known of the gateway's limits cannot be read, and is learned anew: {}",
                        known.error().text()));
        return;
    }
    of_.restore(*known);
    if (known->pause > nanoseconds(0) || known->learned)
        log(log_level::info, "limits.restored",
            fmt::format(
                "as before the restart: {:.3g} requests a second, and a pause of {} s that the gateway asked for",
                of_.state().per_second(), std::chrono::ceil<std::chrono::seconds>(known->pause).count()));
}

void limit_keeper::changed() {
    again_ = writing_;
    if (std::exchange(writing_, true)) return;
    auto write = [this, text = text_of(of_.state().remembered(steady_now()), with_.settings->api.endpoint,
                                       wall_now())] { return leave_limit_mark(with_.journals, text); };
    with_.disk.post(std::move(write), [this](const result<void>& done) {
        if (!done) log(log_level::warn, "limits.mark", done.error());
        writing_ = false;
        if (again_) changed();
    });
}

// A refusal comes a few times in five minutes at most, so that these do not pile up.
void keep_key_mark(daemon_context& with, std::string mark) {
    auto write = [&with, mark = std::move(mark)] { return leave_key_mark(with.journals, mark); };
    with.disk.post(std::move(write), [](const result<void>& done) {
        if (!done) log(log_level::warn, "key.mark", done.error());
    });
}

}  // namespace culld

// Tells others what culld tells of its own accord (core/notify/notification): takes it from whoever has it to tell,
// without ever making them wait, and has it carried by a command, by a webhook, or both; each at its own pace, one at a
// time, tried again with back-off. What did not arrive before the end is lost: the journal and the ledger are the
// proof, this is a courtesy. Loop thread.
#pragma once

#include <array>
#include <functional>
#include <string>

#include "culld/core/config/config.hpp"
#include "culld/core/notify/notification.hpp"
#include "culld/core/notify/notification_queue.hpp"
#include "culld/io/notify/notification_transport.hpp"
#include "culld/io/os/event_loop.hpp"

namespace culld {

class notifier {
  public:
    // `chance` draws from [0,1).
    notifier(loop_executor on, notice_sender from, const config& settings, notice_carriers by,
             std::function<double()> chance);

    // Nothing is carried before. drain() ends what it begins.
    void begin();
    void tell(const notification& n);
    // Another configuration; what waits goes the new way, or is given up where there is none any more.
    void apply(const config& settings, notice_carriers by);
    // Returns when all has arrived, or been given up; at `until` at the latest: then what is under way is broken off.
    [[nodiscard]] task<void> drain(steady_time until);

    // Command and webhook, for /metrics.
    struct channel {
        std::string_view name;
        notification_queue queue;
        std::shared_ptr<notification_transport> by;  // null: not configured
        std::shared_ptr<notification_transport> carrying;
        bool full = false;  // said so
    };
    [[nodiscard]] const std::array<channel, 2>& ways() const { return ways_; }

  private:
    [[nodiscard]] task<void> run(channel& w);
    [[nodiscard]] task<void> carry_first(channel& w, const std::string& json);
    void give_up(channel& w, std::string_view why);

    loop_executor on_;
    notice_sender from_;
    notice_choice choice_;
    std::function<double()> chance_;
    std::array<channel, 2> ways_;
    event changed_, ended_;
    std::uint32_t running_ = 0;
    std::optional<steady_time> until_;  // we are being stopped
};

}  // namespace culld

// Which of our events have a MESSAGE_ID in the journal (systemd.journal-fields(7)): those that an operator or an
// auditor looks for or acts upon. systemd/culld.catalog says of each what it means and what to do: journalctl -x.
#pragma once

#include <span>
#include <string_view>

namespace culld {

struct message_id {
    std::string_view event;  // log()'s
    std::string_view id;     // 128 bits, drawn once (systemd-id128 new); never changed, never used again
};

[[nodiscard]] std::span<const message_id> message_ids();
// Empty where the event has none.
[[nodiscard]] std::string_view message_id_of(std::string_view event);

}  // namespace culld

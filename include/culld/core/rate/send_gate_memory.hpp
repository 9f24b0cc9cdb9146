// What a process leaves behind of the gateway's limits, as text, for the next one: without it each restart would run
// into the same refusals, and break into a pause that the gateway asked for.
//
// What is read is checked and bounded, never trusted: the file may be another version's or damaged, and clocks step. A
// pause is never longer than it was when it was written down. Pure.
#pragma once

#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"
#include "culld/core/rate/send_gate.hpp"

namespace culld {

// One line of JSON. A limit belongs to the endpoint whose gateway has it.
[[nodiscard]] std::string text_of(const send_gate::memory& known, std::string_view endpoint, wall_time now);
// Nothing is known where the text is empty or another endpoint's, nor of what is older than a day.
[[nodiscard]] result<send_gate::memory> read_traffic_memory(std::string_view text, std::string_view endpoint,
                                                            wall_time now);

}  // namespace culld

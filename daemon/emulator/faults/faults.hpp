// Which fault strikes a request or an id, by the scenario and its dice.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "emulator/faults/scenario.hpp"
#include "emulator/faults/seeded_random.hpp"

namespace culld::emulator {

class faults {
  public:
    // `rules` outlives this.
    explicit faults(const scenario& rules);

    // What happens to the exchange as a whole, whatever was asked.
    enum class strike {
        none,
        lost_before,  // closed, nothing done
        lost_after,   // done, then closed
        cut,          // done, the answer cut
        status,       // an error status instead; `applied` tells whether it is done first
    };
    struct exchange_fault {
        strike what = strike::none;
        int status = 0;
    };
    [[nodiscard]] exchange_fault of_request(std::uint64_t number) const;

    [[nodiscard]] nanoseconds latency(std::uint64_t number) const;

    // The outage that request `number`, arriving at `now`, falls into. Call once for each, in order.
    [[nodiscard]] const outage* outage_at(std::uint64_t number, steady_time now);

    [[nodiscard]] bool poisons(std::string_view id) const { return poison_.contains(std::string(id)); }
    // Whether an id that exists is refused this time. Counts: call once for each time an id is named.
    [[nodiscard]] bool refuses(std::uint64_t number, std::string_view id);
    [[nodiscard]] bool hides(std::uint64_t number, std::string_view id) const;        // in neither list
    [[nodiscard]] bool contradicts(std::uint64_t number, std::string_view id) const;  // in both lists
    [[nodiscard]] const dice& chance() const { return dice_; }

  private:
    const scenario& rules_;
    dice dice_;
    std::unordered_set<std::string> poison_, once_, always_;
    std::unordered_map<std::string, std::uint64_t> refusals_;  // by the suffix pattern
    std::size_t next_outage_ = 0;
    std::optional<std::uint64_t> outage_last_request_;
    std::optional<steady_time> outage_end_;
};

}  // namespace culld::emulator

// What a search asks for (secmaster-api 2.1), and which of the emulated incidents it finds.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culld/core/base/time.hpp"
#include "emulator/faults/seeded_random.hpp"

namespace culld::emulator {

// What an incident is like: made from its id, so that it is always the same.
struct incident {
    std::string id, title, severity, handle_status, verification_state;
    wall_time created, updated;

    [[nodiscard]] static incident of(const dice& chance, std::string_view id);
    // As the API writes times: 2026-01-15T08:15:30.000Z+0800.
    [[nodiscard]] static std::string written(wall_time t);
};

class search {
  public:
    // Why there is none: the code of the service's 400.
    [[nodiscard]] static std::optional<search> read(const boost::json::object& body, std::string_view& code);

    [[nodiscard]] bool finds(const incident& i) const;
    // What to sort by, and whether the latest come first.
    [[nodiscard]] wall_time key(const incident& i) const { return by_update_ ? i.updated : i.created; }
    [[nodiscard]] bool descending() const { return descending_; }
    [[nodiscard]] std::uint64_t limit() const { return limit_; }
    [[nodiscard]] std::uint64_t offset() const { return offset_; }

  private:
    struct condition {
        std::string name, field, relation;
        std::vector<std::string> values;
        [[nodiscard]] bool holds(const incident& i) const;
    };
    [[nodiscard]] bool read_conditions(const boost::json::value& from);

    std::uint64_t limit_ = 10, offset_ = 0;
    bool by_update_ = false, descending_ = true;
    std::optional<wall_time> from_, to_;
    // One of these must hold: in each, all conditions, by their places.
    std::vector<std::vector<std::size_t>> any_of_;
    std::vector<condition> conditions_;
};

// The forms that the API takes and writes, `Z+0800` among them; without a zone it is UTC+8 (secmaster-api 2.2).
[[nodiscard]] std::optional<wall_time> read_api_time(std::string_view text);

}  // namespace culld::emulator

// Where the readers of lists and job files put the ids they find, one at a time, in the order of the file.
#pragma once

#include <cstdint>
#include <string_view>

#include "culld/core/base/problem.hpp"

namespace culld {

// A spot in a file, from 1, the column in bytes; 0: not known.
struct place {
    std::uint64_t line = 0;
    std::uint64_t column = 0;

    friend bool operator==(const place&, const place&) = default;
};

class id_sink {
  public:
    virtual ~id_sink() = default;

    // One id, its view valid during the call only. False: stop reading, and ask refusal() why. A bool and not
    // a result, because this is the hot path: 100 million calls for a list of that length.
    [[nodiscard]] virtual bool take(std::string_view id) = 0;

    struct reason {
        problem what;
        bool about_this_id = true;  // then the reader adds the line and the column
    };
    [[nodiscard]] virtual reason refusal() = 0;

    // Ids taken so far, each as often as it came: by it a reader tells a list from what is none. A sink that does not
    // care has them all.
    [[nodiscard]] virtual std::uint64_t taken() const { return UINT64_MAX; }

  protected:
    id_sink() = default;
    id_sink(const id_sink&) = default;
    id_sink& operator=(const id_sink&) = default;
};

}  // namespace culld

// What went wrong, where, and what to do next: the one shape in which an expected error travels.
//
// A problem is a value. Functions that can fail in ways a user can mend return result<T>; exceptions are for
// broken invariants and for what nobody can handle (memory, the crypto library refusing to work).
#pragma once

#include <cstdint>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace culld {

struct problem {
    std::string what;          // the complaint, without a full stop: "batch_size must be 1 to 999, not 0"
    std::string hint;          // what would help, may be empty: "did you mean \"batch_size\"?"
    std::string file;          // base name or path as the user knows it, may be empty
    std::uint64_t line = 0;    // from 1; 0: not known
    std::uint64_t column = 0;  // from 1, in bytes; 0: not known
    std::string field;         // the field or setting at fault, dotted, may be empty

    // "file:line:column: what (hint)", leaving out what is not known.
    [[nodiscard]] std::string text() const;

    friend bool operator==(const problem&, const problem&) = default;
};

template <class T>
using result = tl::expected<T, problem>;

// For what is called for every id: there `return {}`, for which gcc fills all of a result with zeros first, takes as
// long as the work (10 ns).
[[nodiscard]] result<void> success();

[[nodiscard]] inline tl::unexpected<problem> fail(std::string what, std::string hint = {}) {
    return tl::unexpected<problem>(problem{.what = std::move(what), .hint = std::move(hint)});
}

[[nodiscard]] inline tl::unexpected<problem> fail(problem p) {
    return tl::unexpected<problem>(std::move(p));
}

}  // namespace culld

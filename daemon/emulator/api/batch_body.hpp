// Reads the body of a batch delete: {"batch_ids":["…", …]}.
//
// The ordinary body (that one member, ids without escapes) is walked in place and nothing is copied. Anything
// else goes through a full JSON parser: other members are ignored, a bare string counts as a list of one (the
// service takes it, see secmaster-api 1.3), a missing list as an empty one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace culld::emulator {

struct batch_body {
    // The ids, unescaped, in order. They point into the body, or into `unescaped`.
    std::vector<std::string_view> ids;
    // `"a","b","c"` as it stood in the body; empty if the ids had to be unescaped or there are none.
    std::string_view verbatim;
    std::vector<std::string> unescaped;
};

// False if `body` is no JSON object or `batch_ids` is neither a list of strings nor a string; what `out`
// holds is then unspecified. `out` keeps its buffers from call to call. `body` must outlive what is in `out`.
[[nodiscard]] bool read_batch(std::string_view body, batch_body& out);

}  // namespace culld::emulator

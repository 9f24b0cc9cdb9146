// The answer to a deletion, judged twice: by the judge, and by plain set algebra on what a slow reading found. The
// first byte says how many ids were sent ("0","1",...).
#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "culld/core/answer/judge.hpp"
#include "support/slow_answer.hpp"

namespace {

using namespace culld;  // NOLINT(google-build-using-namespace): a program of its own

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::uint64_t count = 1 + data[0] % 9;
    const std::string_view body(reinterpret_cast<const char*>(data + 1), size - 1);
    std::string sent;
    for (std::uint64_t i = 0; i < count; ++i) sent += (i == 0 ? "\"" : ",\"") + std::to_string(i) + '"';

    static judge kept;  // its tables are reused from answer to answer, as in the daemon
    const auto judged = kept(sent, count, body);
    const auto slowly = slow::reading::of(body);
    if (judged.has_value() != slowly.has_value()) std::abort();
    if (!judged) {
        if (judged.error().what.empty()) std::abort();
        return 0;
    }
    if (judged->code.size() > 2048 || judged->message.size() > 2048) std::abort();
    std::vector<std::string> ids;
    for (std::uint64_t i = 0; i < count; ++i) ids.push_back(std::to_string(i));
    const slow::verdicts expected = slow::judge_slowly(ids, *slowly);
    if (judged->repeated != slowly->repeated) std::abort();
    if (judged->refused != expected.refused || judged->unknown != expected.unknown) std::abort();
    if (!judged->repeated && judged->unrequested_ids != expected.unrequested_ids) std::abort();

    // Sorted into its three parts, no id is lost or doubled.
    sorted_ids parts;
    sort_out(sent, *judged, parts);
    const auto ids_in = [](std::string_view list) {
        return static_cast<std::uint64_t>(std::count(list.begin(), list.end(), '"')) / 2;
    };
    if (ids_in(parts.deleted) != judged->deleted() || ids_in(parts.refused) != judged->refused.size() ||
        ids_in(parts.unknown) != judged->unknown.size())
        std::abort();
    return 0;
}

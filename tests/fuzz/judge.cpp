// The answer to a deletion, judged twice: by the judge, and by plain set algebra on what another parser read. The
// first byte says how many ids were sent ("0","1",...).
#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "culld/core/json_scan.hpp"
#include "culld/core/judge.hpp"

namespace {

using namespace culld;  // NOLINT(google-build-using-namespace): a program of its own

struct lists {
    std::multiset<std::string> success, error;
};

void collect(const json_value& value, std::multiset<std::string>& into) {
    if (value.kind == json_kind::string) into.insert(value.text().value());
    json_elements each(value);
    json_value element;
    while (each.next(element))
        if (element.kind == json_kind::string) into.insert(element.text().value());
}

// False where the scanner takes no such text: it is stricter about depth only.
bool read_lists(std::string_view text, lists& into, bool top) {
    json_scanner scanner(text);
    json_member member;
    while (scanner.next(member)) {
        const std::string key = json_unescaped(member.key);
        if (key == "success_ids") collect(member.value, into.success);
        if (key == "error_ids") collect(member.value, into.error);
        if (top && key == "data" && member.value.kind == json_kind::object &&
            !read_lists(member.value.raw, into, false))
            return false;
    }
    return scanner.complaint().what == nullptr;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::uint64_t count = 1 + data[0] % 9;
    const std::string_view body(reinterpret_cast<const char*>(data + 1), size - 1);
    std::string sent;
    for (std::uint64_t i = 0; i < count; ++i) sent += (i == 0 ? "\"" : ",\"") + std::to_string(i) + '"';

    static judge kept;  // its tables are reused from answer to answer, as in the daemon
    const auto judged = kept(sent, count, body);
    if (!judged) {
        if (judged.error().what.empty()) std::abort();
        return 0;
    }
    if (judged->code.size() > 64 || judged->message.size() > 1024) std::abort();
    lists said;
    if (!read_lists(body, said, true)) return 0;
    judgement expected;
    std::uint64_t known = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::string id = std::to_string(i);
        const bool good = said.success.contains(id), bad = said.error.contains(id);
        if (bad && !good) expected.refused.push_back(i);
        if (bad == good) expected.unknown.push_back(i);
        known += said.success.count(id) + said.error.count(id);
    }
    if (judged->refused != expected.refused || judged->unknown != expected.unknown) std::abort();
    if (judged->strangers != said.success.size() + said.error.size() - known) std::abort();

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

// Our JSON scanner beside Boost's parser: both take the same texts, and read the same values from them.
#include <boost/json.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/text/json_reader.hpp"

namespace {

using namespace culld;  // NOLINT(google-build-using-namespace): a program of its own
namespace json = boost::json;

std::string_view view(const json::string& s) {
    return {s.data(), s.size()};
}

void same(const json_value& ours, const json::value& theirs) {
    const auto text = ours.text();
    if (text.has_value() != theirs.is_string() || (text && *text != view(theirs.get_string()))) std::abort();
    const auto truth = ours.boolean();
    if (truth.has_value() != theirs.is_bool() || (truth && *truth != theirs.get_bool())) std::abort();
    if (const auto number = ours.u64()) {
        json::error_code ec;
        if (theirs.to_number<std::uint64_t>(ec) != *number || ec) std::abort();
    }
    if ((ours.kind == json_kind::null) != theirs.is_null() || (ours.kind == json_kind::array) != theirs.is_array() ||
        (ours.kind == json_kind::object) != theirs.is_object())
        std::abort();
    if (const auto* array = theirs.if_array()) {
        if (ours.items != array->size()) std::abort();
        json_elements each(ours);
        json_value element;
        std::uint64_t strings = 0;
        for (const json::value& their_element : *array) {
            if (!each.next(element)) std::abort();
            same(element, their_element);
            strings += element.kind == json_kind::string ? 1 : 0;
        }
        if (each.next(element) || ours.only_strings != (strings == array->size())) std::abort();
        json_strings walk(ours);
        std::string_view raw;
        std::uint64_t walked = 0;
        while (walk.next(raw)) ++walked;
        if (walked > strings || (ours.only_strings && walked != strings)) std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    json::parse_options options;
    options.max_depth = json_depth_max;
    json::error_code ec;
    const json::value theirs = json::parse(json::string_view(text.data(), text.size()), ec, {}, options);
    if (ec == json::error::exponent_overflow) return 0;  // a limit of Boost's; we keep numbers as text
    const bool good = !ec && theirs.is_object();

    json_reader scanner(text);
    json_member member;
    std::vector<json_member> members;
    while (scanner.next(member)) {
        static_cast<void>(member.value.runs());
        members.push_back(member);
    }
    if (good != (scanner.complaint().what == nullptr)) std::abort();
    // Of a key that comes twice Boost keeps the last, and we hand out both.
    if (!good || members.size() != theirs.get_object().size()) return 0;
    for (const json_member& ours : members) same(ours.value, theirs.get_object().at(json_unescaped(ours.key)));
    return 0;
}

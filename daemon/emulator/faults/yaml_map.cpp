#include "emulator/faults/yaml_map.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <span>

#include "culld/core/base/did_you_mean.hpp"

namespace culld::emulator {

namespace {

template <class T>
bool parse_whole(std::string_view text, T& value) {
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    return error == std::errc{} && stop == end;
}

}  // namespace

yaml_map::yaml_map(const yaml_node& node, std::string file, std::string path)
    : file_(std::move(file)), path_(std::move(path)) {
    if (node.type == yaml_node::kind::none) return;
    if (node.type != yaml_node::kind::map) complain(node, {}, "a map of settings is wanted here");
    for (const auto& member : node.members) members_.push_back(&member);
}

void yaml_map::complain(const yaml_node& at, std::string_view key, std::string what, std::string hint) {
    complain(culld::place{at.line, at.column}, key, std::move(what), std::move(hint));
}

void yaml_map::complain(culld::place at, std::string_view key, std::string what, std::string hint) {
    if (first_) return;
    first_ = problem{.what = std::move(what),
                     .hint = std::move(hint),
                     .file = file_,
                     .line = at.line,
                     .column = at.column,
                     .field = name_of(key)};
}

const yaml_node* yaml_map::take(std::string_view key) {
    known_.push_back(key);
    for (const yaml_node::member* m : members_)
        if (m->name == key) return &m->value;
    return nullptr;
}

const std::string* yaml_map::scalar(std::string_view key) {
    const yaml_node* const node = take(key);
    if (node == nullptr) return nullptr;
    if (node->type == yaml_node::kind::scalar) return &node->text;
    complain(*node, key, fmt::format("{} wants a single value", name_of(key)));
    return nullptr;
}

void yaml_map::read(std::string_view key, bool& to) {
    const auto* const text = scalar(key);
    if (text == nullptr) return;
    if (*text == "true")
        to = true;
    else if (*text == "false")
        to = false;
    else
        complain(*take(key), key, fmt::format("{} must be true or false, not \"{}\"", name_of(key), *text));
}

void yaml_map::read(std::string_view key, std::string& to) {
    if (const auto* text = scalar(key)) to = *text;
}

void yaml_map::read(std::string_view key, std::vector<std::string>& to) {
    const auto* const node = take(key);
    if (node == nullptr) return;
    if (node->type != yaml_node::kind::list) return complain(*node, key, fmt::format("{} wants a list", name_of(key)));
    for (const auto& item : node->items) {
        if (item.type != yaml_node::kind::scalar)
            return complain(item, key, fmt::format("{} wants a list of plain values", name_of(key)));
        to.push_back(item.text);
    }
}

void yaml_map::read_number(std::string_view key, std::uint64_t& to, std::uint64_t least, std::uint64_t most) {
    const auto* const text = scalar(key);
    if (text == nullptr) return;
    std::uint64_t value = 0;
    if (parse_whole(*text, value) && value >= least && value <= most)
        to = value;
    else
        complain(*take(key), key, fmt::format("{} must be {} to {}, not \"{}\"", name_of(key), least, most, *text));
}

void yaml_map::read_ratio(std::string_view key, double& to) {
    const auto* const text = scalar(key);
    if (text == nullptr) return;
    double value = 0;
    if (parse_whole(*text, value) && value >= 0 && value <= 1)
        to = value;
    else
        complain(*take(key), key, fmt::format("{} must be 0 to 1, not \"{}\"", name_of(key), *text));
}

void yaml_map::read_duration(std::string_view key, nanoseconds& to, bool negative_allowed) {
    const auto* const text = scalar(key);
    if (text == nullptr) return;
    std::string_view digits = *text;
    const bool negative = negative_allowed && digits.starts_with('-');
    if (negative) digits.remove_prefix(1);
    const auto value = parse_duration(digits);
    if (value)
        to = negative ? -*value : *value;
    else
        complain(*take(key), key, fmt::format("{}: {}", name_of(key), value.error().what), value.error().hint);
}

void yaml_map::choose(std::string_view key, const std::string_view* names, std::size_t count, std::size_t& to) {
    const auto* const text = scalar(key);
    if (text == nullptr) return;
    const std::span<const std::string_view> all(names, count);
    const auto found = std::find(all.begin(), all.end(), *text);
    if (found != all.end())
        to = static_cast<std::size_t>(found - all.begin());
    else
        complain(*take(key), key,
                 fmt::format("{} must be one of {}, not \"{}\"", name_of(key), fmt::join(all, ", "), *text),
                 did_you_mean(*text, all));
}

std::optional<problem> yaml_map::finish() {
    for (const yaml_node::member* m : members_)
        if (std::find(known_.begin(), known_.end(), m->name) == known_.end())
            complain(culld::place{m->line, m->column}, m->name, fmt::format("unknown setting \"{}{}\"", path_, m->name),
                     did_you_mean(m->name, known_));
    return first_;
}

}  // namespace culld::emulator

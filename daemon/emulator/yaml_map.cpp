#include "emulator/yaml_map.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <span>

#include "culld/core/nearest.hpp"

namespace culld::emulator {

namespace {

template <class T>
bool parse_whole(std::string_view text, T& value) {
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    return error == std::errc{} && stop == end;
}

}  // namespace

yaml_map::yaml_map(const YAML::Node& node, std::string file, std::string path)
    : file_(std::move(file)), path_(std::move(path)) {
    if (!node.IsDefined() || node.IsNull()) return;
    if (!node.IsMap()) {
        complain(node, {}, "a map of settings is wanted here");
        return;
    }
    for (const auto& member : node) {
        if (!member.first.IsScalar()) {
            complain(member.first, {}, "a key must be a plain word");
            continue;
        }
        members_.emplace_back(member.first, member.second);
    }
}

void yaml_map::complain(const YAML::Node& at, std::string_view key, std::string what, std::string hint) {
    if (first_) return;
    const YAML::Mark mark = at.Mark();
    problem p{.what = std::move(what), .hint = std::move(hint), .file = file_, .field = name_of(key)};
    if (!mark.is_null()) {
        p.line = static_cast<std::uint64_t>(mark.line) + 1;
        p.column = static_cast<std::uint64_t>(mark.column) + 1;
    }
    first_ = std::move(p);
}

std::optional<YAML::Node> yaml_map::take(std::string_view key) {
    known_.push_back(key);
    for (const auto& [name, value] : members_)
        if (name.Scalar() == key) return value;
    return std::nullopt;
}

std::optional<std::string> yaml_map::scalar(std::string_view key) {
    const auto node = take(key);
    if (!node) return std::nullopt;
    if (node->IsScalar()) return node->Scalar();
    complain(*node, key, fmt::format("{} wants a single value", name_of(key)));
    return std::nullopt;
}

void yaml_map::read(std::string_view key, bool& to) {
    const auto text = scalar(key);
    if (!text) return;
    if (*text == "true")
        to = true;
    else if (*text == "false")
        to = false;
    else
        complain(*take(key), key, fmt::format("{} must be true or false, not \"{}\"", name_of(key), *text));
}

void yaml_map::read(std::string_view key, std::string& to) {
    if (auto text = scalar(key)) to = *std::move(text);
}

void yaml_map::read(std::string_view key, std::vector<std::string>& to) {
    const auto node = take(key);
    if (!node) return;
    if (!node->IsSequence()) return complain(*node, key, fmt::format("{} wants a list", name_of(key)));
    for (const auto& item : *node) {
        if (!item.IsScalar()) return complain(item, key, fmt::format("{} wants a list of plain values", name_of(key)));
        to.push_back(item.Scalar());
    }
}

void yaml_map::read_number(std::string_view key, std::uint64_t& to, std::uint64_t least, std::uint64_t most) {
    const auto text = scalar(key);
    if (!text) return;
    std::uint64_t value = 0;
    if (parse_whole(*text, value) && value >= least && value <= most)
        to = value;
    else
        complain(*take(key), key, fmt::format("{} must be {} to {}, not \"{}\"", name_of(key), least, most, *text));
}

void yaml_map::read_ratio(std::string_view key, double& to) {
    const auto text = scalar(key);
    if (!text) return;
    double value = 0;
    if (parse_whole(*text, value) && value >= 0 && value <= 1)
        to = value;
    else
        complain(*take(key), key, fmt::format("{} must be 0 to 1, not \"{}\"", name_of(key), *text));
}

void yaml_map::read_duration(std::string_view key, nanoseconds& to, bool negative_allowed) {
    const auto text = scalar(key);
    if (!text) return;
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
    const auto text = scalar(key);
    if (!text) return;
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
    for (const auto& [name, value] : members_) {
        const std::string& key = name.Scalar();
        if (std::find(known_.begin(), known_.end(), key) == known_.end())
            complain(name, key, fmt::format("unknown setting \"{}{}\"", path_, key), did_you_mean(key, known_));
    }
    return first_;
}

}  // namespace culld::emulator

#include "culld/core/auth/key_lockout.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "culld/core/text/json_writer.hpp"

namespace culld {

namespace {

constexpr auto tolerance = std::chrono::minutes(1);
constexpr std::size_t remembered_max = 8 * key_lockout::failures_max;
constexpr auto window_us = std::chrono::duration_cast<std::chrono::microseconds>(key_lockout::window);

// "AAAA BBBB CCCC" in its three parts; nothing if there are not just so many.
std::optional<std::array<std::string_view, 3>> three_words(std::string_view line) {
    std::array<std::string_view, 3> out;
    for (std::size_t i = 0; i < out.size(); ++i) {
        const std::size_t end = line.find(' ');
        if ((end == std::string_view::npos) != (i + 1 == out.size())) return std::nullopt;
        out.at(i) = line.substr(0, end);
        line.remove_prefix(i + 1 == out.size() ? line.size() : end + 1);
    }
    return out;
}

}  // namespace

void key_lockout::use(std::string_view key) {
    sha256 hash;
    hash.update(key);
    key_ = hash.finish();
}

void key_lockout::add(const failure& f) {
    const auto same = [&](const failure& other) { return other.key == f.key; };
    const bool full = std::cmp_greater_equal(std::ranges::count_if(failures_, same), failures_max);
    if (full)
        failures_.erase(std::ranges::find_if(failures_, same));
    else if (failures_.size() >= remembered_max)
        failures_.erase(failures_.begin());
    failures_.insert(std::ranges::upper_bound(failures_, f.at, {}, &failure::at), f);
}

void key_lockout::refused(steady_time now) {
    add({key_, now});
}

bool key_lockout::accepted() {
    return std::erase_if(failures_, [this](const failure& f) { return f.key == key_; }) > 0;
}

std::optional<steady_time> key_lockout::hold(steady_time now) const {
    const auto ours = [this](const failure& f) { return f.key == key_; };
    if (std::cmp_less(std::ranges::count_if(failures_, ours), failures_max)) return std::nullopt;
    const steady_time end = std::ranges::find_if(failures_, ours)->at + window;
    return now < end ? std::optional(end) : std::nullopt;
}

std::string key_lockout::mark(steady_time now, wall_time wall) const {
    std::string out;
    for (const failure& f : failures_) {
        const nanoseconds age = now - f.at;
        if (age >= window) continue;
        append_hex(out, f.key);
        out.push_back(' ');
        append_rfc3339(out, wall - std::chrono::duration_cast<std::chrono::microseconds>(age));
        out.push_back(' ');
        append_number(out, static_cast<std::int64_t>(f.at.time_since_epoch().count()));
        out.push_back('\n');
    }
    return out;
}

bool key_lockout::restore(std::string_view mark, steady_time now, wall_time wall) {
    bool understood = true;
    while (!mark.empty()) {
        const std::size_t end = std::min(mark.find('\n'), mark.size());
        const auto words = three_words(mark.substr(0, end));
        mark.remove_prefix(std::min(end + 1, mark.size()));
        failure f{};
        std::int64_t steady = 0;
        const auto then = words ? parse_rfc3339((*words)[1]) : fail("no mark");
        const bool well = then && parse_hex((*words)[0], f.key) &&
                          std::from_chars((*words)[2].data(), (*words)[2].data() + (*words)[2].size(), steady).ptr ==
                              (*words)[2].data() + (*words)[2].size();
        if (!well) {
            understood = false;
            continue;
        }
        std::chrono::microseconds age = wall - *then;
        const nanoseconds on_steady = now.time_since_epoch() - nanoseconds(steady);
        if (on_steady >= nanoseconds(0)) age = std::min(age, std::chrono::floor<std::chrono::microseconds>(on_steady));
        f.at = now - std::clamp<std::chrono::microseconds>(age, std::chrono::microseconds(0), window_us);
        add(f);
    }
    return understood;
}

bool signing_clock::learn(wall_time theirs, wall_time ours) {
    const auto offset = theirs - ours;
    if (std::chrono::abs(offset - offset_) < tolerance) return false;
    offset_ = offset;
    return true;
}

bool signing_clock::jumped(wall_time wall, steady_time steady) {
    const nanoseconds apart = nanoseconds(wall.time_since_epoch()) - steady.time_since_epoch();
    const bool yes = apart_ && std::chrono::abs(apart - *apart_) > tolerance;
    if (yes || !apart_) apart_ = apart;
    return yes;
}

}  // namespace culld

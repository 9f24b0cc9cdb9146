#include "emulator/api/search.hpp"

#include <algorithm>
#include <array>
#include <boost/json/value.hpp>
#include <chrono>

#include "culld/core/base/ascii.hpp"

namespace culld::emulator {

namespace {

namespace json = boost::json;

constexpr std::chrono::hours api_zone{8};
constexpr std::int64_t limit_max = 1000, offset_max = 9998;
constexpr std::size_t items_max = 999, item_bytes_max = 100, name_bytes_max = 64;
constexpr std::string_view invalid = "SecMaster.20030001", invalid_sort = "SecMaster.20030009",
                           invalid_order = "SecMaster.20030010";

std::string_view view(const json::string& text) {
    return {text.data(), text.size()};
}

// An integer member, if it is there. False: it is no integer within bounds.
bool read_bounded(const json::object& from, json::string_view key, std::int64_t least, std::int64_t most,
                  std::uint64_t& to) {
    const json::value* value = from.if_contains(key);
    if (value == nullptr) return true;
    const std::int64_t* number = value->if_int64();
    if (number == nullptr || *number < least || *number > most) return false;
    to = static_cast<std::uint64_t>(*number);
    return true;
}

// A time, likewise.
bool read_time(const json::object& from, json::string_view key, std::optional<wall_time>& to) {
    const json::value* value = from.if_contains(key);
    if (value == nullptr || value->is_null()) return true;
    if (value->is_string()) to = read_api_time(view(value->get_string()));
    return to.has_value();
}

bool is_time(std::string_view field) {
    return field == "create_time" || field == "update_time" || field == "first_observed_time";
}

// A list of strings of which none is longer than it may be.
bool read_strings(const json::value* from, std::vector<std::string>& to) {
    const json::array* const list = from == nullptr ? nullptr : from->if_array();
    if (list == nullptr || list->size() > items_max) return false;
    for (const json::value& item : *list) {
        if (!item.is_string() || item.get_string().size() > item_bytes_max) return false;
        to.emplace_back(view(item.get_string()));
    }
    return true;
}

std::string text_of(const incident& i, std::string_view field) {
    if (field == "id") return i.id;
    if (field == "title") return i.title;
    if (field == "severity") return i.severity;
    if (field == "handle_status") return i.handle_status;
    if (field == "verification_state") return i.verification_state;
    if (field == "description") return "Emulated";
    return {};
}

template <class T>
bool relates(const T& a, std::string_view relation, const T& b) {
    if (relation == "=") return a == b;
    if (relation == "!=") return a != b;
    return relation == ">=" ? a >= b : a <= b;
}

}  // namespace

std::optional<wall_time> read_api_time(std::string_view text) {
    constexpr std::size_t zone_min = 11;  // behind the date, whose dashes are no sign
    std::size_t end = text.find_first_of("Z+-", std::min(text.size(), zone_min));
    std::string_view zone = end == std::string_view::npos ? std::string_view() : text.substr(end);
    const std::string local(text.substr(0, end));
    std::string offset = end == std::string_view::npos ? "+08:00" : "Z";
    if (zone.starts_with('Z')) zone.remove_prefix(1);
    if (zone.size() == 5) offset = std::string(zone.substr(0, 3)) + ":" + std::string(zone.substr(3));
    if (zone.size() == 6) offset = zone;
    if (!zone.empty() && zone.size() != 5 && zone.size() != 6) return std::nullopt;
    const auto out = parse_rfc3339(local + offset);
    return out ? std::optional(*out) : std::nullopt;
}

incident incident::of(const dice& chance, std::string_view id) {
    constexpr std::array<std::string_view, 5> severities{"Tips", "Low", "Medium", "High", "Fatal"};
    constexpr std::array<std::string_view, 3> statuses{"Open", "Block", "Closed"};
    constexpr std::array<std::string_view, 3> states{"Unknown", "True_Positive", "False_Positive"};
    constexpr std::array<std::string_view, 4> titles{"Unusual sign-in", "Port scan", "Weak password", "Brute force"};
    // 2026-01-15T00:15:30Z is the latest; a year before it the earliest.
    constexpr wall_time latest{std::chrono::seconds(1'768'436'130)};
    constexpr std::uint64_t year_ms = 365ULL * 86'400'000, ten_days_ms = 864'000'000;
    const std::uint64_t drawn = chance.number(0, "incident", id);
    const std::uint64_t age = drawn % year_ms, till_update = mix(drawn) % ten_days_ms;
    const auto pick = [&](const auto& all, std::uint64_t salt) {
        return std::string(all[mix(drawn ^ salt) % all.size()]);
    };
    incident out{.id = std::string(id),
                 .title = pick(titles, 1),
                 .severity = pick(severities, 2),
                 .handle_status = pick(statuses, 3),
                 .verification_state = pick(states, 4),
                 .created = latest - milliseconds(age),
                 .updated = {}};
    out.updated = std::min(latest, out.created + milliseconds(till_update));
    return out;
}

std::string incident::written(wall_time t) {
    return rfc3339(t + api_zone).substr(0, 23) + "Z+0800";
}

bool search::condition::holds(const incident& i) const {
    if (is_time(field)) {
        const wall_time at = field == "update_time" ? i.updated : i.created;
        const auto wanted = read_api_time(values.front());
        return wanted && relation != "contains" && relation != "in" && relates(at, relation, *wanted);
    }
    const std::string text = text_of(i, field);
    if (relation == "contains") return text.find(values.front()) != std::string::npos;
    if (relation != "in") return relates(text, relation, values.front());
    for (const std::string& value : values)
        for (std::string_view rest = value; !rest.empty();) {
            const std::string_view one = rest.substr(0, rest.find(','));
            if (text == one) return true;
            rest.remove_prefix(std::min(rest.size(), one.size() + 1));
        }
    return false;
}

// Names joined by `and` and `or`; `and` binds closer. Without a list of logics all conditions must hold.
bool search::read_conditions(const json::value& from) {
    constexpr std::array<std::string_view, 6> relations{"=", "!=", "contains", "in", ">=", "<="};
    const json::object* const object = from.if_object();
    const json::value* const all = object == nullptr ? nullptr : object->if_contains("conditions");
    const json::array* const list = all == nullptr ? nullptr : all->if_array();
    if (object == nullptr || (all != nullptr && (list == nullptr || list->size() > items_max))) return false;
    for (std::size_t n = 0; list != nullptr && n < list->size(); ++n) {
        const json::object* const one = (*list)[n].if_object();
        const json::value* const name = one == nullptr ? nullptr : one->if_contains("name");
        std::vector<std::string> data;
        if (name == nullptr || !name->is_string() || name->get_string().size() > name_bytes_max ||
            !read_strings(one->if_contains("data"), data) || data.size() < 3 ||
            std::ranges::find(relations, data[1]) == relations.end())
            return false;
        conditions_.push_back(
            {std::string(view(name->get_string())), data[0], data[1], {data.begin() + 2, data.end()}});
    }
    std::vector<std::string> logics;
    if (object->contains("logics") && !read_strings(object->if_contains("logics"), logics)) return false;
    any_of_.clear();
    any_of_.emplace_back();
    if (logics.empty()) {
        for (std::size_t n = 0; n < conditions_.size(); ++n) any_of_.back().push_back(n);
        return true;
    }
    for (std::size_t n = 0; n < logics.size(); ++n) {
        if (n % 2 == 0) {
            const auto named =
                std::ranges::find_if(conditions_, [&](const condition& c) { return c.name == logics[n]; });
            if (named == conditions_.end()) return false;
            any_of_.back().push_back(static_cast<std::size_t>(named - conditions_.begin()));
        } else if (same_ignoring_case(logics[n], "or")) {
            any_of_.emplace_back();
        } else if (!same_ignoring_case(logics[n], "and")) {
            return false;
        }
    }
    return logics.size() % 2 == 1;
}

std::optional<search> search::read(const json::object& body, std::string_view& code) {
    search out;
    code = invalid;
    if (!read_bounded(body, "limit", 1, limit_max, out.limit_) ||
        !read_bounded(body, "offset", 0, offset_max, out.offset_))
        return std::nullopt;
    if (const json::value* sort_by = body.if_contains("sort_by")) {
        code = invalid_sort;
        if (*sort_by != "create_time" && *sort_by != "update_time") return std::nullopt;
        out.by_update_ = *sort_by == "update_time";
    }
    if (const json::value* order = body.if_contains("order")) {
        code = invalid_order;
        if (*order != "ASC" && *order != "DESC") return std::nullopt;
        out.descending_ = *order == "DESC";
    }
    code = invalid;
    if (!read_time(body, "from_date", out.from_) || !read_time(body, "to_date", out.to_)) return std::nullopt;
    const json::value* const condition = body.if_contains("condition");
    if (condition != nullptr && !condition->is_null() && !out.read_conditions(*condition)) return std::nullopt;
    return out;
}

bool search::finds(const incident& i) const {
    if ((from_ && i.created < *from_) || (to_ && i.created > *to_)) return false;
    const auto all_hold = [&](const std::vector<std::size_t>& all) {
        return std::ranges::all_of(all, [&](std::size_t n) { return conditions_[n].holds(i); });
    };
    return any_of_.empty() || std::ranges::any_of(any_of_, all_hold);
}

}  // namespace culld::emulator

// GET of one incident, and the search (secmaster-api 2).
#include <fmt/format.h>
#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>

#include "culld/core/json_text.hpp"
#include "emulator/world.hpp"

namespace culld::emulator {

namespace {

constexpr std::uint64_t total_max = 10'000;  // what a search tells at most

void append_incident(std::string& out, const place& where, std::string_view id) {
    constexpr std::string_view when = "2026-01-15T08:15:30.000Z+0800";
    json_object top(out);
    top.member("id", id).member("create_time", when).member("update_time", when);
    top.member("project_id", where.project).member("workspace_id", where.workspace);
    top.member("format_version", "0").member("version", "1").member("type", "MANUAL");
    json_object data(top.begin("data_object"));
    data.member("id", id).member("title", "Unusual sign-in").member("description", "Emulated");
    data.member("severity", "Medium").member("handle_status", "Open").member("verification_state", "Unknown");
    data.member("workspace_id", where.workspace).member("environment", "").member("create_time", when);
    data.member("first_observed_time", when).member("count", 1).close();
    top.close();
}

// The ids a search goes through: those of the list, else a fixed row made from the seed.
std::string searchable(const world& w, std::uint64_t index) {
    if (w.ids.closed_world()) return std::string(w.ids.at(index).id);
    const std::uint64_t high = w.chance.chance().number(index, "search high");
    const std::uint64_t low = w.chance.chance().number(index, "search low");
    return fmt::format("{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}", high >> 32, (high >> 16) & 0xFFFF, high & 0xFFF,
                       low >> 52, low & 0xFFFF'FFFF'FFFF);
}

bool is_there(const world& w, std::uint64_t index) {
    if (w.ids.closed_world()) return w.ids.at(index).deletions == 0;
    return w.ids.exists(incidents::key_of(searchable(w, index)));
}

// Reads an integer member into `to`. False: there is one and it is not within bounds.
bool read_bounded(const boost::json::object& from, std::string_view key, std::int64_t least, std::int64_t most,
                  std::int64_t& to) {
    const boost::json::value* value = from.if_contains(boost::json::string_view(key.data(), key.size()));
    if (value == nullptr) return true;
    const std::int64_t* number = value->if_int64();
    if (number == nullptr || *number < least || *number > most) return false;
    to = *number;
    return true;
}

}  // namespace

void answer_get(world& w, const place& where, reply& to) {
    if (!w.ids.exists(incidents::key_of(where.rest))) {
        to.did = "gone";
        return service_error(to, 400, "SecMaster.20030005",
                             w.rules.chinese ? "获取数据对象失败" : "Failed to obtain the data object");
    }
    json_object top(to.body);
    top.member("code", "00000000").member("message", "Success.");
    append_incident(top.begin("data"), where, where.rest);
    top.close();
}

void answer_search(world& w, const place& where, const request& r, reply& to) {
    boost::system::error_code error;
    const boost::json::value document =
        boost::json::parse(boost::json::string_view(r.body.data(), r.body.size()), error);
    std::int64_t limit = 10, offset = 0;
    if (error || !document.is_object() || !read_bounded(document.get_object(), "limit", 1, 1000, limit) ||
        !read_bounded(document.get_object(), "offset", 0, 9998, offset)) {
        ++w.counts.malformed;
        to.did = "body refused";
        return invalid_parameters(w, to);
    }
    const boost::json::object& body = document.get_object();
    const boost::json::value* sort_by = body.if_contains("sort_by");
    if (sort_by != nullptr && *sort_by != "create_time" && *sort_by != "update_time")
        return service_error(to, 400, "SecMaster.20030009", "Invalid sort field");
    const boost::json::value* order = body.if_contains("order");
    if (order != nullptr && *order != "ASC" && *order != "DESC")
        return service_error(to, 400, "SecMaster.20030010", "Invalid sorting");
    const bool newest_first = order == nullptr || *order == "DESC";

    const std::uint64_t rows = w.ids.closed_world() ? w.ids.size() : w.rules.search_total;
    std::uint64_t total = 0, taken = 0;
    std::string found;
    for (std::uint64_t i = 0; i < rows; ++i) {
        const std::uint64_t index = newest_first ? rows - 1 - i : i;
        if (!is_there(w, index)) continue;
        if (total++ < static_cast<std::uint64_t>(offset)) continue;
        if (taken >= static_cast<std::uint64_t>(limit)) {
            if (total >= total_max) break;
            continue;
        }
        if (taken++ > 0) found.push_back(',');
        append_incident(found, where, searchable(w, index));
    }
    json_object top(to.body);
    top.member("code", "00000000").member("message", "Success.").member("total", std::min(total, total_max));
    top.member("size", limit).member("page", offset / limit + 1).member("success", true);
    std::string& data = top.begin("data");
    data.append("[").append(found).append("]");
    top.close();
}

}  // namespace culld::emulator

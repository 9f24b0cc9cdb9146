// GET of one incident, and the search (secmaster-api 2).
#include <fmt/format.h>
#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>

#include "culld/core/text/json_writer.hpp"
#include "emulator/api/cloud.hpp"
#include "emulator/api/search.hpp"

namespace culld::emulator {

namespace {

constexpr std::uint64_t total_max = 10'000;  // what a search tells at most

void append_incident(std::string& out, const place& where, const incident& i) {
    const std::string created = incident::written(i.created), updated = incident::written(i.updated);
    json_object top(out);
    top.member("id", i.id).member("create_time", created).member("update_time", updated);
    top.member("project_id", where.project).member("workspace_id", where.workspace);
    top.member("format_version", "0").member("version", "1").member("type", "MANUAL");
    json_object data(top.begin("data_object"));
    data.member("id", i.id).member("title", i.title).member("description", "Emulated");
    data.member("severity", i.severity).member("handle_status", i.handle_status);
    data.member("verification_state", i.verification_state);
    data.member("workspace_id", where.workspace).member("environment", "").member("create_time", created);
    data.member("update_time", updated).member("first_observed_time", created).member("count", 1).close();
    top.close();
}

// The ids a search goes through: those of the list, else a fixed row made from the seed.
std::string searchable(const cloud& w, std::uint64_t index) {
    if (w.ids.closed_world()) return std::string(w.ids.at(index).id);
    const std::uint64_t high = w.chance.chance().number(index, "search high");
    const std::uint64_t low = w.chance.chance().number(index, "search low");
    return fmt::format("{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}", high >> 32, (high >> 16) & 0xFFFF, high & 0xFFF,
                       low >> 52, low & 0xFFFF'FFFF'FFFF);
}

bool exists(const cloud& w, const place& where, std::string_view id) {
    incidents::key k = incidents::key_of(id);
    k.low ^= where.apart;
    return w.ids.exists(k);
}

bool is_there(const cloud& w, const place& where, std::uint64_t index) {
    if (w.ids.closed_world()) return w.ids.at(index).deletions == 0;
    return exists(w, where, searchable(w, index));
}

}  // namespace

void answer_get(cloud& w, const place& where, reply& to) {
    if (where.foreign || !exists(w, where, where.rest)) {
        to.did = "gone";
        return service_error(to, 400, "SecMaster.20030005",
                             w.rules.chinese ? "获取数据对象失败" : "Failed to obtain the data object");
    }
    json_object top(to.body);
    top.member("code", "00000000").member("message", "Success.");
    append_incident(top.begin("data"), where, incident::of(w.chance.chance(), where.rest));
    top.close();
}

void answer_search(cloud& w, const place& where, const request& r, reply& to) {
    boost::system::error_code error;
    const boost::json::value document =
        boost::json::parse(boost::json::string_view(r.body.data(), r.body.size()), error);
    std::string_view code = "SecMaster.20030001";
    const auto asked = error || !document.is_object() ? std::nullopt : search::read(document.get_object(), code);
    if (!asked) {
        ++w.counts.malformed;
        to.did = "body refused";
        return service_error(to, 400, code, w.rules.chinese ? "无效的参数" : "Invalid parameters");
    }
    // What is found, by time and then by place: the order is the same in every page.
    std::vector<std::pair<wall_time, std::uint64_t>> found;
    const std::uint64_t rows = w.ids.closed_world() ? w.ids.size() : w.rules.search_total;
    for (std::uint64_t i = 0; i < rows && !where.foreign; ++i) {
        if (!is_there(w, where, i)) continue;
        const incident one = incident::of(w.chance.chance(), searchable(w, i));
        if (asked->finds(one)) found.emplace_back(asked->key(one), i);
    }
    std::ranges::sort(found);
    if (asked->descending()) std::ranges::reverse(found);
    json_object top(to.body);
    top.member("code", "00000000").member("message", "Success.");
    top.member("total", std::min<std::uint64_t>(found.size(), total_max)).member("size", asked->limit());
    top.member("page", asked->offset() / asked->limit() + 1).member("success", true);
    std::string& data = top.begin("data");
    data.push_back('[');
    const std::uint64_t end = std::min<std::uint64_t>(found.size(), asked->offset() + asked->limit());
    for (std::uint64_t i = asked->offset(); i < end; ++i) {
        if (i > asked->offset()) data.push_back(',');
        append_incident(data, where, incident::of(w.chance.chance(), searchable(w, found[i].second)));
    }
    data.push_back(']');
    top.close();
}

}  // namespace culld::emulator

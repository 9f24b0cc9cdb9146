// The ground truth, and the control calls under /_emulator/ that ask for it.
#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>

#include "culld/core/text/json_writer.hpp"
#include "emulator/api/cloud.hpp"

namespace culld::emulator {

namespace {

constexpr std::uint64_t ids_told_max = 100'000;

void append_deleted(const cloud& w, std::string& out) {
    bool first = true;
    out.push_back('{');
    for (std::size_t i = 0; i < w.ids.size(); ++i) {
        const incidents::row row = w.ids.at(i);
        if (row.deletions == 0) continue;
        if (!first) out.push_back(',');
        first = false;
        append_json_string(out, row.id);
        out.push_back(':');
        append_number(out, static_cast<std::uint64_t>(row.deletions));
    }
    out.push_back('}');
}

void append_requests(const tally& t, std::string& out) {
    json_object requests(out);
    json_object kinds(requests.begin("by_kind"));
    for (std::size_t i = 0; i < call_names.size(); ++i)
        if (t.calls[i] > 0) kinds.member(call_names[i], t.calls[i]);
    kinds.close();
    json_object statuses(requests.begin("by_status"));
    for (std::size_t i = 0; i < t.statuses.size(); ++i)
        if (t.statuses[i] > 0) statuses.member(i == 0 ? "none" : std::to_string(i), t.statuses[i]);
    statuses.close();
    requests.close();
}

std::uint64_t calls(const cloud& w, call kind) {
    return w.counts.calls[static_cast<std::size_t>(kind)];
}

void not_found(reply& to) {
    to.did = "unknown";
    gateway_error(to, 404, "EMULATOR.0404", "control calls are GET truth, GET windows?seconds=T, POST token");
}

void answer_windows(const cloud& w, const request& r, reply& to) {
    const auto width = parse_duration(std::string(r.query("seconds")) + "s");
    if (!width || width->count() <= 0)
        return gateway_error(to, 400, "EMULATOR.0400", "windows?seconds=T: T must be a number above 0");
    const arrival_clock::window found = w.times.busiest(*width);
    // Steady times mean nothing outside this process; they are told as microseconds since it started.
    const auto since_start = [&](std::optional<steady_time> t) {
        return t ? std::chrono::duration_cast<std::chrono::microseconds>(*t - w.started).count() : std::int64_t{0};
    };
    json_object top(to.body);
    top.member("seconds", std::chrono::duration<double>(*width).count()).member("max", found.most);
    top.member("total", found.total).member("complete", found.complete);
    top.member("first_us", since_start(found.first)).member("last_us", since_start(found.last));
    top.member("busiest_us", since_start(found.busiest)).close();
}

void answer_new_token(cloud& w, const request& r, reply& to) {
    std::string token(r.body);
    boost::system::error_code error;
    const boost::json::value document =
        boost::json::parse(boost::json::string_view(r.body.data(), r.body.size()), error);
    if (!error && document.is_object()) {
        const boost::json::value* text = document.get_object().if_contains("token");
        token = text != nullptr && text->is_string() ? std::string(text->get_string().data(), text->get_string().size())
                                                     : std::string();
    }
    while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
    if (token.empty()) return gateway_error(to, 400, "EMULATOR.0400", "send the token, bare or as {\"token\": …}");
    w.door.replace_token(std::move(token), w.now());
    to.body = R"({"ok":true})";
}

}  // namespace

void answer_control(cloud& w, const request& r, reply& to) {
    to.did = "control";
    const std::string_view path = r.path();
    if (path == "/_emulator/truth" && r.method == "GET")
        to.body = truth(w, r.query("ids") != "0");
    else if (path == "/_emulator/windows" && r.method == "GET")
        answer_windows(w, r, to);
    else if (path == "/_emulator/token" && r.method == "POST")
        answer_new_token(w, r, to);
    else
        not_found(to);
}

std::string truth(const cloud& w, bool with_ids) {
    std::string out;
    json_object top(out);
    const bool tracking = w.ids.tracking();
    if (with_ids && tracking && w.ids.deleted_distinct() <= ids_told_max)
        append_deleted(w, top.begin("deleted"));
    else
        top.raw("deleted", "null");
    top.member("tracking", tracking);
    if (tracking) {
        top.member("deleted_distinct", w.ids.deleted_distinct());
        top.member("double_deleted", w.ids.deleted_more_than_once());
    } else {
        top.raw("deleted_distinct", "null").raw("double_deleted", "null");
    }
    top.member("deletions", w.ids.deletions()).member("ids_requested", w.counts.ids_asked);
    top.member("delete_requests", calls(w, call::batch_delete) + calls(w, call::delete_list));
    top.member("get_requests", calls(w, call::get)).member("search_requests", calls(w, call::search));
    top.member("api_requests", w.times.total());
    append_requests(w.counts, top.begin("requests"));
    top.member("throttled", w.counts.throttled).member("unauthorized", w.counts.unauthorized);
    top.member("malformed", w.counts.malformed).member("connections", w.counts.connections);
    top.member("max_ids_in_a_request", w.counts.ids_max).close();
    return out;
}

}  // namespace culld::emulator

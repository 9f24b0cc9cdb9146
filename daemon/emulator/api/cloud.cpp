#include "emulator/api/cloud.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "culld/core/base/ascii.hpp"

namespace culld::emulator {

namespace {

struct route {
    call what = call::unknown;
    place where;
};

// Cuts the next path segment off `path`.
std::string_view segment(std::string_view& path) {
    if (path.starts_with('/')) path.remove_prefix(1);
    const std::string_view s = path.substr(0, path.find('/'));
    path.remove_prefix(s.size());
    return s;
}

// What the API publishes (secmaster-api 1.5), by path below …/workspaces/{id}/.
struct publication {
    std::string_view version, path;
    bool post = false;      // POST …/batch-delete, beside DELETE
    bool data = false;      // GET of one, and search
    bool language = false;  // X-Language is mandatory
};
constexpr std::array<publication, 6> published{{
    {"v1", "/soc/incidents", true, true, false},
    {"v1", "/soc/alerts", true, true, false},
    {"v1", "/soc/indicators", false, true, false},
    {"v1", "/soc/notes", false, false, false},
    {"v1", "/sa/resources", false, false, true},
    {"v2", "/sa/baseline/checkitems", false, false, true},
}};

const publication* published_at(std::string_view version, std::string_view path) {
    for (const publication& p : published) {
        if (p.version != version || !path.starts_with(p.path)) continue;
        const std::string_view below = path.substr(p.path.size());
        if (below.empty() || below.starts_with('/')) return &p;
    }
    return nullptr;
}

route secmaster_route(const request& r) {
    route found;
    std::string_view path = r.path();
    place& p = found.where;
    const std::string_view version = segment(path);
    p.project = segment(path);
    if (p.project.empty() || segment(path) != "workspaces") return found;
    p.workspace = segment(path);
    const publication* const known = p.workspace.empty() ? nullptr : published_at(version, path);
    if (known == nullptr) return found;
    p.needs_language = known->language;
    p.resource = known->path.substr(known->path.rfind('/') + 1);
    path.remove_prefix(known->path.size());
    const bool bare = path.empty();
    p.rest = segment(path);
    if (!path.empty()) return found;
    if (bare && r.method == "DELETE") found.what = call::delete_list;
    if (p.rest == "batch-delete" && r.method == "POST" && known->post) found.what = call::batch_delete;
    if (p.rest == "search" && r.method == "POST" && known->data) found.what = call::search;
    if (!p.rest.empty() && r.method == "GET" && known->data) found.what = call::get;
    return found;
}

route route_of(const request& r) {
    const std::string_view path = r.path();
    if (r.number > 0) return secmaster_route(r);
    if (path.starts_with("/_emulator/")) return {call::control};
    if (path == "/v3/auth/tokens" && r.method == "POST") return {call::iam_token};
    if (path == "/v3/projects" && r.method == "GET") return {call::iam_projects};
    if (path == "/openstack/latest/securitykey" && r.method == "GET") return {call::metadata};
    if (path == "/meta-data/latest/api/token" && r.method == "PUT") return {call::metadata};
    return {};
}

void append_hex64(std::string& out, std::uint64_t value) {
    constexpr std::string_view digits = "0123456789abcdef";
    for (int shift = 60; shift >= 0; shift -= 4) out.push_back(digits[(value >> shift) & 15]);
}

// Counts the request into its fixed window. False: it is over the limit, and `to` says so.
bool within_limit(cloud& w, const request& r, reply& to) {
    const throttle_rule& rule = *w.rules.throttle;
    const nanoseconds per = std::chrono::seconds(rule.per_seconds);
    const auto since = r.arrived - w.started;
    const std::int64_t window = since / per;
    if (window != w.window) {
        w.window = window;
        w.in_window = 0;
    }
    if (++w.in_window <= rule.limit) return true;
    ++w.counts.throttled;
    to.did = "throttled";
    const bool minutes = rule.per_seconds % 60 == 0;
    const std::string text =
        !rule.message.empty()
            ? rule.message
            : fmt::format("The throttling threshold has been reached: policy {} over ratelimit,limit:{},time:{} {}",
                          rule.policy, rule.limit, minutes ? rule.per_seconds / 60 : rule.per_seconds,
                          minutes ? "minute" : "second");
    gateway_error(to, 429, "APIGW.0308", text);
    if (rule.retry_after) {
        const auto left = std::chrono::ceil<std::chrono::seconds>((window + 1) * per - since);
        to.headers += fmt::format("Retry-After: {}\r\n", left.count());
    }
    return false;
}

void unavailable(cloud& w, reply& to, int status) {
    if (status == 502 && w.rules.html_502) return html_error(to, status);
    switch (status) {
        case 500: return gateway_error(to, 500, "APIGW.0601", "Internal server error.");
        case 502: return gateway_error(to, 502, "APIGW.0202", "Backend unavailable.");
        case 503: return gateway_error(to, 503, "APIGW.0613", "Service unavailable, try again later.");
        default: return gateway_error(to, status, "APIGW.0203", "Backend timeout.");
    }
}

void strike_outage(cloud& w, const outage& o, reply& to) {
    to.did = "outage";
    switch (o.kind) {
        case outage::kind_type::refuse:
            to.how = reply::ending::refuse;
            to.refuse_for = o.for_time.value_or(nanoseconds(0));
            return;
        case outage::kind_type::reset: to.how = reply::ending::reset; return;
        case outage::kind_type::hang: to.how = reply::ending::hang; return;
        case outage::kind_type::unavailable: return unavailable(w, to, 503);
    }
}

// Whether `name` is one of `known`; where none is named, the first asked for.
bool exists(const std::vector<std::string>& known, std::string& first, std::string_view name) {
    if (!known.empty()) return std::ranges::find(known, name) != known.end();
    if (first.empty()) first = name;
    return first == name;
}

bool in_scope(cloud& w, const place& where, reply& to) {
    if (!exists(w.rules.projects, w.first_project, where.project)) {
        to.did = "unknown project";
        service_error(to, 400, "SecMaster.20041003", w.rules.chinese ? "无效的项目ID" : "Invalid project ID");
        return false;
    }
    if (!exists(w.rules.workspaces, w.first_workspace, where.workspace)) {
        to.did = "unknown workspace";
        service_error(to, 403, "SecMaster.20010001", w.rules.chinese ? "无效的工作空间ID" : "Invalid workspace ID");
        return false;
    }
    return true;
}

// A body that is called something else is not looked at, nor one that is called nothing, or two things.
bool has_json(const request& r, reply& to) {
    if (r.body.empty()) return true;
    const auto is_type = [](const header& h) { return same_ignoring_case(h.name, "Content-Type"); };
    const header* const type = find_header(r.headers, "Content-Type");
    if (type != nullptr && std::ranges::count_if(r.headers, is_type) == 1) {
        const auto trimmed = [](std::string_view text) {
            while (text.starts_with(' ')) text.remove_prefix(1);
            while (text.ends_with(' ')) text.remove_suffix(1);
            return text;
        };
        const std::string_view value = type->value;
        const std::size_t semicolon = std::min(value.find(';'), value.size());
        const std::string_view more = trimmed(value.substr(std::min(semicolon + 1, value.size())));
        if (same_ignoring_case(trimmed(value.substr(0, semicolon)), "application/json") &&
            (more.empty() || same_ignoring_case(more, "charset=utf-8") || same_ignoring_case(more, "charset=utf8")))
            return true;
    }
    to.did = type == nullptr ? "no content type" : "wrong content type";
    service_error(to, 415, "SecMaster.20030001", "Content type is not supported");
    return false;
}

void answer_call(cloud& w, const route& to_where, const request& r, reply& to) {
    if (w.rules.workspace_error) {
        const auto& [status, code] = *w.rules.workspace_error;
        to.did = "workspace refused";
        return service_error(to, status, code, w.rules.chinese ? "无效的工作空间ID" : "Invalid workspace ID");
    }
    if (to_where.where.needs_language) {
        const header* const language = find_header(r.headers, "X-Language");
        if (language == nullptr || (language->value != "en-us" && language->value != "zh-cn")) {
            to.did = "without a language";
            return invalid_parameters(w, to);
        }
    }
    place where = to_where.where;
    if (!in_scope(w, where, to) || !has_json(r, to)) return;
    if (where.resource != w.rules.resource) where.apart = incidents::key_of(where.resource).low;
    where.foreign = w.ids.closed_world() && where.resource != w.rules.resource;
    switch (to_where.what) {
        case call::batch_delete:
        case call::delete_list: return answer_delete(w, where, r, to);
        case call::get: return answer_get(w, where, to);
        default: return answer_search(w, where, r, to);
    }
}

// An API call that the gateway knows: the outage, the door, the limit, then the service and what befalls its
// answer.
void answer_api(cloud& w, const route& to_where, const request& r, reply& to) {
    if (const auto refused = w.door.check(r, w.now())) {
        ++w.counts.unauthorized;
        to.did = "not authorized";
        return gateway_error(to, 401, refused->code, refused->message);
    }
    if (w.rules.throttle && !within_limit(w, r, to)) return;

    const faults::exchange_fault fault = w.chance.of_request(r.number);
    const bool status = fault.what == faults::strike::status;
    if (fault.what == faults::strike::lost_before) {
        to.how = reply::ending::close;
        to.did = "lost before it was done";
        return;
    }
    if (!status || w.rules.status_applied) answer_call(w, to_where, r, to);
    if (status) {
        to.did = w.rules.status_applied ? "done, answered by an error" : "not done, answered by an error";
        unavailable(w, to, fault.status);
    } else if (fault.what == faults::strike::lost_after) {
        to.how = reply::ending::close;
        to.did = "lost after it was done";
    } else if (fault.what == faults::strike::cut) {
        to.how = reply::ending::cut;
        to.did = "answer cut";
    }
}

}  // namespace

cloud::cloud(scenario chosen, incidents known, std::optional<std::string> token, std::optional<key_pair> pair)
    : rules(std::move(chosen)), ids(std::move(known)), chance(rules), door(std::move(token), std::move(pair), rules) {}

wall_time cloud::now() const {
    using std::chrono::system_clock;
    return std::chrono::floor<std::chrono::microseconds>(system_clock::now() + rules.clock_skew);
}

std::uint64_t arrived(cloud& w, std::string_view target, steady_time at) {
    if (!target.starts_with("/v1/") && !target.starts_with("/v2/")) return 0;
    w.times.add(at);
    return w.times.total();
}

void answer(cloud& w, const request& r, reply& to) {
    const std::uint64_t id = ++w.replies;
    append_hex64(to.request_id, mix(w.rules.seed ^ mix(id)));
    append_hex64(to.request_id, mix(id ^ static_cast<std::uint64_t>(w.started.time_since_epoch().count())));

    route found = route_of(r);
    if (r.number > 0) {
        if (found.what == call::batch_delete && !w.rules.post_form) found.what = call::unknown;
        to.delay = w.chance.latency(r.number);
        if (w.rules.odd_samples)
            to.headers += fmt::format("X-request-id: {}-1768464930-secmaster-0\r\n", to.request_id);
    }
    ++w.counts.calls[static_cast<std::size_t>(found.what)];
    if (const outage* o = r.number > 0 ? w.chance.outage_at(r.number, r.arrived) : nullptr) {
        strike_outage(w, *o, to);
    } else {
        switch (found.what) {
            case call::unknown:
                to.did = "unknown";
                gateway_error(to, 404, "APIGW.0101",
                              "The API does not exist or has not been published in the environment");
                break;
            case call::iam_token: answer_iam_token(w, r, to); break;
            case call::iam_projects: answer_iam_projects(w, r, to); break;
            case call::metadata: answer_metadata(w, r, to); break;
            case call::control: answer_control(w, r, to); break;
            default: answer_api(w, found, r, to);
        }
    }
    const bool whole = to.how == reply::ending::send;
    ++w.counts.statuses[whole ? static_cast<std::size_t>(to.status) : 0];
}

void invalid_parameters(cloud& w, reply& to) {
    service_error(to, 400, "SecMaster.20030001", w.rules.chinese ? "无效的参数" : "Invalid parameters");
}

}  // namespace culld::emulator

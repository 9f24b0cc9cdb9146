#include "emulator/faults/scenario.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>

#include "culld/core/text/yaml_tree.hpp"
#include "emulator/faults/yaml_map.hpp"

namespace culld::emulator {

namespace {

constexpr std::uint64_t unlimited = std::numeric_limits<std::int64_t>::max();

std::optional<problem> read_latency(yaml_map& top, const std::string& file, scenario& s) {
    const auto* const node = top.take("latency");
    if (node == nullptr) return std::nullopt;
    if (node->type == yaml_node::kind::scalar) {
        top.read_duration("latency", s.latency_fixed);
        return std::nullopt;
    }
    yaml_map map(*node, file, "latency.");
    map.read_duration("fixed", s.latency_fixed);
    map.read_duration("jitter", s.latency_jitter);
    return map.finish();
}

std::optional<problem> read_throttle(yaml_map& top, const std::string& file, scenario& s) {
    const auto* const node = top.take("throttle");
    if (node == nullptr) return std::nullopt;
    constexpr std::array<std::string_view, 4> policies{"user", "api", "ip", "app"};
    throttle_rule rule;
    nanoseconds per = std::chrono::seconds(1);
    std::size_t policy = 0;
    yaml_map map(*node, file, "throttle.");
    map.read_number("limit", rule.limit, 0, unlimited);
    map.read_duration("per", per);
    map.read_choice("policy", policies, policy);
    map.read("retry_after", rule.retry_after);
    map.read("message", rule.message);
    if (per < std::chrono::seconds(1) || per % std::chrono::seconds(1) != nanoseconds(0))
        map.complain(*map.take("per"), "per", "throttle.per must be whole seconds, at least one");
    rule.per_seconds = static_cast<std::uint64_t>(per / std::chrono::seconds(1));
    rule.policy = policies[policy];
    s.throttle = std::move(rule);
    return map.finish();
}

void read_workspace_error(yaml_map& top, scenario& s) {
    const auto* const node = top.take("workspace_error");
    if (node == nullptr) return;
    const std::string text = node->text;
    if (text == "false") return;
    if (text == "true") {
        s.workspace_error = {403, "SecMaster.20010001"};
        return;
    }
    int status = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), status);
    const std::string_view rest(stop, static_cast<std::size_t>(text.data() + text.size() - stop));
    if (error == std::errc{} && status >= 400 && status <= 599 && rest.size() > 1 && rest.front() == ' ')
        s.workspace_error = {status, std::string(rest.substr(1))};
    else
        top.complain(*node, "workspace_error", "workspace_error must be true, false, or a status and a code",
                     "write it like: 403 SecMaster.20010001");
}

std::optional<problem> read_fail_pattern(yaml_map& top, const std::string& file, scenario& s) {
    const auto* const node = top.take("fail_pattern");
    if (node == nullptr) return std::nullopt;
    yaml_map map(*node, file, "fail_pattern.");
    map.read("suffix", s.fail_suffix);
    map.read_number("times", s.fail_suffix_times, 1, unlimited);
    if (s.fail_suffix.empty()) map.complain(*node, "suffix", "fail_pattern needs a suffix that is not empty");
    return map.finish();
}

std::optional<problem> read_status_ratio(yaml_map& top, const std::string& file, scenario& s) {
    const auto* const node = top.take("status_ratio");
    if (node == nullptr) return std::nullopt;
    constexpr std::array<std::pair<std::string_view, int>, 4> statuses{
        {{"500", 500}, {"502", 502}, {"503", 503}, {"504", 504}}};
    constexpr std::array<std::string_view, 2> when{"never", "before"};
    std::size_t applied = 0;
    double sum = 0;
    yaml_map map(*node, file, "status_ratio.");
    for (const auto& [key, status] : statuses) {
        double ratio = 0;
        map.read_ratio(key, ratio);
        if (ratio > 0) s.status_ratio[status] = ratio;
        sum += ratio;
    }
    map.read_choice("apply", when, applied);
    s.status_applied = applied == 1;
    if (sum > 1) map.complain(*node, {}, "the ratios of status_ratio add up to more than 1");
    return map.finish();
}

std::optional<problem> read_outages(yaml_map& top, const std::string& file, scenario& s) {
    const auto* const node = top.take("outages");
    if (node == nullptr) return std::nullopt;
    if (node->type != yaml_node::kind::list) {
        top.complain(*node, "outages", "outages wants a list");
        return std::nullopt;
    }
    constexpr std::array<std::string_view, 4> kinds{"refuse", "reset", "503", "hang"};
    for (const auto& item : node->items) {
        outage o;
        std::uint64_t requests = 0;
        std::string seconds;
        std::size_t kind = 2;
        yaml_map map(item, file, "outages.");
        map.read_number("after_requests", o.after_requests, 0, unlimited);
        map.read_number("for_requests", requests, 1, unlimited);
        map.read("for_seconds", seconds);
        map.read_choice("kind", kinds, kind);
        o.kind = static_cast<outage::kind_type>(kind);
        if (requests > 0) o.for_requests = requests;
        if (!seconds.empty()) {
            const auto time = parse_duration(seconds + "s");
            if (time)
                o.for_time = *time;
            else
                map.complain(item, "for_seconds", fmt::format("for_seconds: \"{}\" is not a number", seconds));
        }
        if (o.for_requests.has_value() == o.for_time.has_value())
            map.complain(item, {}, "an outage needs for_requests or for_seconds, and not both");
        if (o.kind == outage::kind_type::refuse && !o.for_time)
            map.complain(item, "kind", "a refusal lasts for_seconds: while nobody listens no request can be counted");
        if (auto p = map.finish()) return p;
        s.outages.push_back(o);
    }
    return std::nullopt;
}

std::optional<problem> read_iam(yaml_map& top, const std::string& file, scenario& s) {
    const auto* const node = top.take("iam");
    if (node == nullptr) return std::nullopt;
    iam_settings iam;
    yaml_map map(*node, file, "iam.");
    map.read("user", iam.user);
    map.read("domain", iam.domain);
    map.read("password", iam.password);
    map.read("project", iam.project);
    map.read("project_id", iam.project_id);
    map.read_number("token_bytes", iam.token_bytes, 64, 30'000);  // the gateway takes 32 KB in one header
    map.read_duration("token_lifetime", iam.token_lifetime);
    map.read("agency", iam.agency);
    map.read("agency_domain", iam.agency_domain);
    map.read_number("fail_first", iam.fail_first, 0, unlimited);
    map.read_number("fail_status", iam.fail_status, 400, 599);
    s.iam = std::move(iam);
    return map.finish();
}

std::optional<problem> read_metadata(yaml_map& top, const std::string& file, scenario& s) {
    const auto* const node = top.take("metadata");
    if (node == nullptr) return std::nullopt;
    constexpr std::array<std::string_view, 3> v2{"optional", "required", "absent"};
    std::size_t chosen = 0;
    yaml_map map(*node, file, "metadata.");
    s.metadata.asked_for = true;
    map.read("agency", s.metadata.agency);
    map.read_choice("v2", v2, chosen);
    map.read("security_token", s.metadata.security_token);
    map.read_duration("lifetime", s.metadata.lifetime);
    map.read("rotate", s.metadata.rotate);
    map.read_number("fail_first", s.metadata.fail_first, 0, unlimited);
    s.metadata.v2 = static_cast<metadata_settings::v2_type>(chosen);
    return map.finish();
}

result<scenario> read_all(const yaml_node& document, const std::string& file) {
    scenario s;
    yaml_map top(document, file, "");
    top.read_number("seed", s.seed, 0, unlimited);
    top.adopt(read_latency(top, file, s));
    top.adopt(read_throttle(top, file, s));
    read_workspace_error(top, s);
    top.read("projects", s.projects);
    top.read("workspaces", s.workspaces);
    constexpr std::array<std::string_view, 6> resources{"incidents", "alerts",    "indicators",
                                                        "notes",     "resources", "checkitems"};
    std::size_t resource = 0;
    top.read_choice("resource", resources, resource);
    s.resource = resources[resource];
    top.read("post_form", s.post_form);
    constexpr std::array<std::string_view, 2> languages{"en", "zh"};
    std::size_t language = 0;
    top.read_choice("language", languages, language);
    s.chinese = language == 1;
    top.read_number("max_ids", s.max_ids, 1, 1'000'000);
    top.read_number("search_total", s.search_total, 0, 10'000);

    top.read_ratio("fail_ratio", s.fail_ratio);
    top.read("fail_ids", s.fail_ids);
    top.read("fail_always", s.fail_always);
    top.adopt(read_fail_pattern(top, file, s));
    top.read("poison_ids", s.poison_ids);
    top.read_ratio("missing_ratio", s.missing_ratio);
    top.read("missing_deleted", s.missing_deleted);
    top.read_ratio("both_ratio", s.both_ratio);
    top.read("both_deleted", s.both_deleted);

    top.read_number("truncate_lists", s.truncate_lists, 0, unlimited);
    top.read("null_errors", s.null_errors);
    top.read("odd_samples", s.odd_samples);
    top.read("shuffle", s.shuffle);

    top.read_ratio("lost_ratio", s.lost_ratio);
    top.read_ratio("lost_before_ratio", s.lost_before_ratio);
    top.read_ratio("cut_ratio", s.cut_ratio);
    top.adopt(read_status_ratio(top, file, s));
    top.read("html_502", s.html_502);
    if (top.take("reject_token_after")) {
        std::uint64_t after = 0;
        top.read_number("reject_token_after", after, 0, unlimited);
        s.reject_token_after = after;
    }
    top.adopt(read_outages(top, file, s));

    top.read("token_file", s.token_file);
    top.read_duration("clock_skew", s.clock_skew, true);
    top.read_duration("ak_lock", s.ak_lock);
    top.adopt(read_iam(top, file, s));
    top.adopt(read_metadata(top, file, s));
    if (auto p = top.finish()) return fail(*std::move(p));
    return s;
}

}  // namespace

bool scenario::touches_ids() const {
    return fail_ratio > 0 || !fail_ids.empty() || !fail_always.empty() || !poison_ids.empty() || !fail_suffix.empty() ||
           missing_ratio > 0 || both_ratio > 0 || truncate_lists > 0 || null_errors || odd_samples || shuffle;
}

result<scenario> parse_scenario(const std::string& text, const std::string& file) {
    const auto document = parse_strict_yaml(text);
    if (document) return read_all(*document, file);
    problem p = document.error().front();
    p.file = file;
    return fail(std::move(p));
}

}  // namespace culld::emulator

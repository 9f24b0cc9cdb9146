#include "culld/core/rate/send_gate_memory.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

#include "culld/core/text/json_writer.hpp"

namespace culld {

namespace {

namespace json = boost::json;

constexpr nanoseconds day = std::chrono::hours(24);
constexpr std::string_view pause_key = "pause_ms", rate_key = "per_second", window_key = "window_ms",
                           patience_key = "patience_ms";

std::int64_t whole_ms(nanoseconds t) {
    return std::chrono::duration_cast<milliseconds>(t).count();
}

// A member that must be a duration of at most a day, in milliseconds; 0 where it is missing.
result<nanoseconds> short_duration(const json::object& o, std::string_view key) {
    const json::value* v = o.if_contains(json::string_view(key.data(), key.size()));
    if (v == nullptr) return nanoseconds(0);
    if (!v->is_int64() || v->get_int64() < 0 || v->get_int64() > whole_ms(day))
        return fail("\"" + std::string(key) + "\" is no duration of at most a day");
    return nanoseconds(milliseconds(v->get_int64()));
}

}  // namespace

std::string text_of(const send_gate::memory& known, std::string_view endpoint, wall_time now) {
    std::string out;
    json_object o(out);
    o.member("at", rfc3339(now)).member("endpoint", endpoint).member(pause_key, whole_ms(known.pause));
    if (known.learned)
        o.member(rate_key, known.learned->per_second)
            .member(window_key, whole_ms(std::min(known.learned->window, day)))
            .member(patience_key, whole_ms(known.learned->patience));
    o.close();
    out += '\n';
    return out;
}

result<send_gate::memory> read_traffic_memory(std::string_view text, std::string_view endpoint, wall_time now) {
    send_gate::memory out;
    if (text.empty()) return out;
    json::error_code ec;
    const json::value whole = json::parse(json::string_view(text.data(), text.size()), ec);
    if (ec || !whole.is_object()) return fail("it is no JSON object");
    const json::object& o = whole.get_object();
    const auto text_at = [&](const char* key) -> std::string_view {
        const json::value* v = o.if_contains(key);
        if (v == nullptr || !v->is_string()) return {};
        return {v->get_string().data(), v->get_string().size()};
    };
    const auto at = parse_rfc3339(text_at("at"));
    if (!at) return fail("\"at\" is no time");
    if (text_at("endpoint") != endpoint) return out;
    const auto pause = short_duration(o, pause_key), window = short_duration(o, window_key),
               patience = short_duration(o, patience_key);
    for (const auto* each : {&pause, &window, &patience})
        if (!*each) return fail(each->error());
    // A clock that went back tells nothing of how long ago that was: then it counts as just now.
    const nanoseconds ago = std::max<nanoseconds>(now - *at, nanoseconds(0));
    if (ago > day) return out;
    out.pause = std::max(*pause - ago, nanoseconds(0));
    if (const json::value* rate = o.if_contains(json::string_view(rate_key.data(), rate_key.size()))) {
        const double per_second = rate->is_number() ? rate->to_number<double>(ec) : 0.0;
        if (ec || !std::isfinite(per_second) || !(per_second >= 1e-6) || per_second > 1e6)
            return fail("\"per_second\" is no rate");
        out.learned = {per_second, *window, *patience};
    }
    return out;
}

}  // namespace culld

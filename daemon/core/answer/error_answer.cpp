#include "culld/core/answer/error_answer.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <ctime>
#include <vector>

#include "culld/core/base/ascii.hpp"
#include "culld/core/text/clean_message.hpp"
#include "culld/core/text/lenient_json.hpp"

namespace culld {

namespace {

constexpr std::size_t error_body_max = 256UL * 1024;
constexpr std::size_t members_max = 1000;
// No answer makes anything wait longer, however it came by its number: an operator who mends the other side would wait
// in vain.
constexpr nanoseconds pause_max = std::chrono::hours(24), busy_pause_max = std::chrono::hours(1);
constexpr std::chrono::seconds retry_after_max = std::chrono::hours(24 * 365);

struct envelope {
    std::string code;
    std::string message;
};

// A member: `text` where its value is a string or a number, `object` as it stands where it is one.
struct answer_member {
    std::string key;
    std::optional<std::string> text;
    std::string_view object;
};

std::vector<answer_member> members_of(std::string_view object) {
    std::vector<answer_member> out;
    lenient_json json(object);
    if (json.what() != lenient_json::kind::object) return out;
    json.enter();
    for (std::string_view key; json.next_member(key);) {
        answer_member m{loosely_unescaped(key), {}, {}};
        const auto what = json.what();
        if (what == lenient_json::kind::string) {
            m.text = loosely_unescaped(json.string());
        } else {
            const std::string_view raw = json.skip();
            const bool number = raw.find_first_not_of("0123456789") == std::string_view::npos && !raw.empty();
            if (number) m.text = raw;
            if (what == lenient_json::kind::object) m.object = raw;
        }
        out.push_back(std::move(m));
        if (out.size() == members_max) break;
    }
    if (json.broken() != nullptr) out.clear();
    return out;
}

// What the first of `keys` that is there says. Nothing where it stands there twice, and differently: who knows which is
// meant.
std::string text_of(const std::vector<answer_member>& all, std::initializer_list<std::string_view> keys) {
    for (const std::string_view key : keys) {
        const answer_member* found = nullptr;
        for (const answer_member& m : all) {
            if (m.key != key || !m.text) continue;
            if (found != nullptr && found->text != m.text) return {};
            found = &m;
        }
        if (found != nullptr) return *found->text;
    }
    return {};
}

// error_code/error_msg, then code/message, then the same one level down, in the SDKs' order.
envelope read_envelope(std::string_view object, int depth) {
    const std::vector<answer_member> all = members_of(object);
    envelope out{text_of(all, {"error_code", "errorCode"}), text_of(all, {"error_msg", "errorMsg"})};
    if (out.code.empty() && out.message.empty()) out = {text_of(all, {"code"}), text_of(all, {"message", "msg"})};
    if (!out.code.empty() || !out.message.empty() || depth == 0) return out;
    for (const answer_member& m : all)
        if (!m.object.empty()) {
            out = read_envelope(m.object, depth - 1);
            if (!out.code.empty() || !out.message.empty()) return out;
        }
    return out;
}

envelope read_body(std::string_view body) {
    if (body.size() <= error_body_max && is_loose_object(body)) return read_envelope(body, 1);
    // An HTML page, or nothing: its beginning is the message.
    return {{}, std::string(beginning_of_message(body))};
}

// The digits after the last dot: "SecMaster.20030001" and "common.20030001" mean the same.
std::string_view number_of(std::string_view code) {
    const std::size_t dot = code.rfind('.');
    return dot == std::string_view::npos ? code : code.substr(dot + 1);
}

bool one_of(std::string_view number, std::initializer_list<std::string_view> all) {
    return std::find(all.begin(), all.end(), number) != all.end();
}

bool from_gateway(std::string_view code) {
    return code.starts_with("APIGW.") || code.starts_with("APIG.");
}

struct help_line {
    std::string_view number;
    std::string_view help;
};

constexpr std::array<help_line, 12> helps{{
    {"20010001", "check workspace_id, and that this identity may use that workspace"},
    {"20041001", "check workspace_id, and that this identity may use that workspace"},
    {"20030002", "check project_id"},
    {"20041003", "check project_id"},
    {"0302", "give this identity the permission secmaster:incident:delete, or lift the black list"},
    {"0802", "this IAM user may not act in this region: check api.region and the user's policies"},
    {"0310", "the project is not available: check project_id and the account's state"},
    {"0101", "check api.endpoint and api.region: the API is not published there"},
    {"0204", "the gateway refuses the TLS version: check middle boxes"},
    {"11181001", "the service's engine must be upgraded in the console first"},
    {"0501", "the application's quota is used up"},
    {"0607", "the gateway allows https only: check api.endpoint"},
}};

std::string help_for(std::string_view code, unsigned status) {
    for (const help_line& h : helps)
        if (h.number == number_of(code)) return std::string(h.help);
    if (status == 403) return "check this identity's permissions in IAM";
    if (status >= 300 && status < 400) return "the endpoint redirects, which culld never follows: check api.endpoint";
    if (status == 404) return "check api.endpoint, project_id and workspace_id";
    return "look up the code in the SecMaster documentation, then `cullctl resume` the job";
}

// "… failed", of a deletion or of what the service does on the way to one: it names nothing in the batch, so that to
// halve that would find no culprit, and cost two requests an id.
constexpr std::array<std::string_view, 16> operation_failed{
    "20030004", "20030011", "20030012", "20030013", "20030022", "20030025",  // a data object
    "20041031", "20041033", "20041504", "20041507", "20041508",              // likewise, an incident
    "20041804", "20041805", "20041808",                                      // an alert
    "20039999", "20040000"};                                                 // "unknown error"

void classify_400(error_answer& r) {
    const std::string_view n = number_of(r.code);
    if (one_of(n, {"20010001", "20041001", "20030002", "20041003", "11181001"}) || from_gateway(r.code)) {
        r.what = next_action::blocked;
    } else if (r.code == "SecMaster.20030005") {
        r.what = next_action::gone;
    } else if (std::ranges::find(operation_failed, n) != operation_failed.end()) {
        r.what = next_action::refused;
    } else if (one_of(n, {"11181002", "00000500"})) {
        r.what = next_action::busy;  // being upgraded, or broken inside: transient by its own text
        r.error_class = "server";
    } else {
        r.what = next_action::content;
    }
}

}  // namespace

error_answer read_answer(unsigned status, std::string_view retry_after, std::string_view body, wall_time now,
                         const redactor& secrets) {
    error_answer r;
    r.error_class = "rejected";
    if (status == 200 || status == 201) {
        r.what = next_action::accepted;
        return r;
    }
    envelope e = read_body(body);
    r.code = clean_message(e.code, secrets, 64);
    r.message = clean_message(e.message, secrets);
    switch (status) {
        case 400: classify_400(r); break;
        case 401:
            r.what = next_action::unauthorized;
            r.refusal = read_refusal(e.code, e.message);
            r.error_class = "auth";
            break;
        case 403:
            r.what = next_action::blocked;
            r.error_class = "auth";
            break;
        case 404: r.what = number_of(r.code) == "0101" ? next_action::form_absent : next_action::blocked; break;
        case 408: r.what = next_action::lost; break;
        case 413: r.what = next_action::content; break;
        case 429: {
            r.what = next_action::throttled;
            r.error_class = "throttled";
            if (const auto t = parse_throttle_text(e.message)) {
                r.pause = t->window;
                r.limit_per_second = t->limit / std::chrono::duration<double>(t->window).count();
                r.limit_window = t->window;
            }
            // The longer of both: a header of 0 does not end a window.
            if (const auto wait = parse_retry_after(retry_after, now))
                r.pause = std::max(*wait, r.pause.value_or(*wait));
            break;
        }
        case 502:
        case 504: r.what = next_action::lost; break;
        default:
            if (status >= 500 && status <= 599) {
                r.what = next_action::busy;
            } else if (status < 300 || status > 599) {
                r.what = next_action::lost;  // no answer this call can have: who knows what was done
                r.error_class = "protocol";
            } else {
                r.what = next_action::blocked;
                r.error_class = status < 400 ? "protocol" : "rejected";
            }
    }
    if (r.what == next_action::busy || status == 502 || status == 504) r.error_class = "server";
    if (r.what == next_action::lost && status == 408) r.error_class = "timeout";
    if (r.what == next_action::busy)
        if (const auto wait = parse_retry_after(retry_after, now)) r.pause = std::min(*wait, busy_pause_max);
    if (r.pause) r.pause = std::min(*r.pause, pause_max);
    if (r.what == next_action::blocked || r.what == next_action::unauthorized || r.what == next_action::form_absent)
        r.help = status == 401 ? std::string(help_for(r.refusal.kind)) : help_for(r.code, status);
    return r;
}

ask_meaning meaning_for_ask(const error_answer& r, unsigned status, bool answered) {
    switch (r.what) {
        case next_action::gone: return ask_meaning::gone;
        case next_action::form_absent:
        case next_action::content:
        case next_action::refused: return ask_meaning::refused;
        case next_action::blocked:
            // A gateway that does not find the way answers 404 too, and so does a workspace that is not there.
            if (status == 404 && answered && r.code.starts_with("SecMaster.")) return ask_meaning::gone;
            return ask_meaning::refused;
        case next_action::accepted:
        case next_action::throttled:
        case next_action::unauthorized:
        case next_action::busy:
        case next_action::lost: break;
    }
    return ask_meaning::nothing;
}

std::optional<nanoseconds> parse_retry_after(std::string_view value, wall_time now) {
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    if (value.empty()) return std::nullopt;
    if (std::all_of(value.begin(), value.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) {
        std::int64_t seconds = 0;
        const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), seconds);
        if (ec == std::errc::result_out_of_range) return retry_after_max;
        if (ec != std::errc{} || end != value.data() + value.size()) return std::nullopt;
        return std::min(std::chrono::seconds(seconds), retry_after_max);
    }
    // The form of today and the two that came before it: "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37
    // GMT", "Sun Nov  6 08:49:37 1994".
    const std::string text(value);
    for (const char* form : {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"}) {
        std::tm tm{};
        const char* end = ::strptime(text.c_str(), form, &tm);
        if (end == nullptr || *end != '\0') continue;
        // In seconds all the way: the year 9999 in nanoseconds is more than 64 bits hold.
        const std::chrono::seconds then(::timegm(&tm));
        const auto wait = then - std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
        return std::clamp(std::chrono::seconds(wait), std::chrono::seconds(0), retry_after_max);
    }
    return std::nullopt;
}

std::optional<throttle_text> parse_throttle_text(std::string_view message) {
    const auto number_after = [&](std::string_view key,
                                  std::size_t from) -> std::optional<std::pair<double, std::size_t>> {
        const std::size_t at = message.find(key, from);
        if (at == std::string_view::npos) return std::nullopt;
        double value = 0;
        const char* begin = message.data() + at + key.size();
        const auto [end, ec] = std::from_chars(begin, message.data() + message.size(), value, std::chars_format::fixed);
        // Whole requests in whole units: a share of one is no limit anybody means, and 1/rate of it has no end.
        if (ec != std::errc{} || !(value >= 1) || value > 1e9) return std::nullopt;
        return std::pair(value, static_cast<std::size_t>(end - message.data()));
    };
    const auto limit = number_after("limit:", 0);
    if (!limit) return std::nullopt;
    const auto time = number_after("time:", limit->second);
    if (!time) return std::nullopt;
    std::string_view unit = message.substr(time->second);
    while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
    double seconds = 0;
    if (unit.starts_with("second")) seconds = 1;
    if (unit.starts_with("minute")) seconds = 60;
    if (unit.starts_with("hour")) seconds = 3600;
    if (unit.starts_with("day")) seconds = 86400;
    seconds *= time->first;
    if (!(seconds > 0) || seconds > 1e8) return std::nullopt;
    return throttle_text{limit->first, nanoseconds(static_cast<std::int64_t>(seconds * 1e9))};
}

}  // namespace culld

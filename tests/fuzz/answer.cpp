// What a gateway may say: any status, any Retry-After, any body come to a consequence within bounds, and to texts
// that fit a log line and hold nothing of a secret of ours. The first two bytes are the status, the rest of the first
// line is the header, what follows is the body.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>

#include "culld/core/answer/error_answer.hpp"
#include "culld/core/rate/send_gate.hpp"
#include "culld/core/text/json_writer.hpp"
#include "culld/core/text/redact.hpp"

namespace {

using namespace culld;  // NOLINT(google-build-using-namespace): a program of its own

constexpr nanoseconds hour = std::chrono::hours(1);
constexpr nanoseconds year = std::chrono::hours(24 * 365);

void must(bool holds) {
    if (!holds) std::abort();
}

void fits_a_line(std::string_view text, std::size_t limit) {
    must(text.size() <= limit);
    must(std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7F; }));
}

// But for what we write ourselves where something was taken out.
void withheld(std::string_view text, std::string_view secret) {
    for (std::size_t i = 0; i + 8 <= secret.size(); ++i) {
        const std::string_view piece = secret.substr(i, 8);
        if (piece.find_first_of("[]") == std::string_view::npos && piece != "redacted")
            must(text.find(piece) == std::string_view::npos);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const unsigned status = (static_cast<unsigned>(data[0]) << 8U | data[1]) % 1000;
    std::string_view rest(reinterpret_cast<const char*>(data + 2), size - 2);
    const std::string_view retry_after = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), retry_after.size() + 1));
    const wall_time now{std::chrono::hours(24 * 365 * 56)};

    // The header stands for a secret of ours, which the body may repeat.
    redactor secrets;
    const std::string_view secret = retry_after.substr(0, retry_after.find('\0'));
    secrets.add(secret);
    const error_answer r = read_answer(status, retry_after, rest, now, secrets);
    fits_a_line(r.code, 64);
    fits_a_line(r.message, 512);
    if (is_utf8(rest)) must(is_utf8(r.message) && is_utf8(r.code));
    withheld(r.message, secret);
    withheld(r.code, secret);
    const std::string said = secrets(rest);
    withheld(said, secret);
    if (is_utf8(rest)) must(is_utf8(said));
    must(!r.error_class.empty());
    if (r.what == next_action::blocked || r.what == next_action::unauthorized) must(!r.help.empty());
    if (r.pause) must(*r.pause >= nanoseconds(0) && *r.pause <= 24 * hour);
    if (r.limit_per_second) must(std::isfinite(*r.limit_per_second) && *r.limit_per_second > 0);

    if (const auto wait = parse_retry_after(retry_after, now)) must(*wait >= nanoseconds(0) && *wait <= year);
    if (const auto t = parse_throttle_text(rest)) must(t->limit >= 1 && t->window > nanoseconds(0));

    // Whatever was said, sending goes on within a day, and not faster than before.
    const steady_time start{hour};
    send_gate t({}, start, true);
    std::optional<named_limit> limit;
    if (r.limit_per_second) limit = {*r.limit_per_second, r.limit_window};
    const steady_time on = t.throttled(start, r.pause, limit, 0.5);
    must(on > start && on <= start + 24 * hour);
    must(t.per_second() > 0 && t.per_second() <= traffic_rules{}.per_second);
    return 0;
}

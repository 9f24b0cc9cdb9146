#include "culld/core/base/time.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

namespace culld {

namespace {

void put(char* at, unsigned value, int digits) {
    for (int i = digits - 1; i >= 0; --i, value /= 10) at[i] = static_cast<char>('0' + value % 10);
}

struct civil {
    int year;
    unsigned month, day, hour, minute, second, micro;
};

civil civil_of(wall_time t) {
    using namespace std::chrono;
    const auto days = floor<std::chrono::days>(t);
    const year_month_day ymd(days);
    const auto micros = static_cast<std::uint64_t>((t - days).count());
    return {static_cast<int>(ymd.year()),
            static_cast<unsigned>(ymd.month()),
            static_cast<unsigned>(ymd.day()),
            static_cast<unsigned>(micros / 3'600'000'000U),
            static_cast<unsigned>(micros / 60'000'000U % 60),
            static_cast<unsigned>(micros / 1'000'000U % 60),
            static_cast<unsigned>(micros % 1'000'000U)};
}

// Reads exactly `digits` digits at the front of `text`.
bool take_digits(std::string_view& text, std::size_t digits, int& value) {
    if (text.size() < digits) return false;
    value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
        if (text[i] < '0' || text[i] > '9') return false;
        value = value * 10 + (text[i] - '0');
    }
    text.remove_prefix(digits);
    return true;
}

bool take(std::string_view& text, char c) {
    if (text.empty() || text.front() != c) return false;
    text.remove_prefix(1);
    return true;
}

}  // namespace

void append_rfc3339(std::string& out, wall_time t) {
    const civil c = civil_of(t);
    std::array<char, 27> text{};
    char* p = text.data();
    put(p, static_cast<unsigned>(c.year), 4), p[4] = '-';
    put(p + 5, c.month, 2), p[7] = '-';
    put(p + 8, c.day, 2), p[10] = 'T';
    put(p + 11, c.hour, 2), p[13] = ':';
    put(p + 14, c.minute, 2), p[16] = ':';
    put(p + 17, c.second, 2), p[19] = '.';
    put(p + 20, c.micro, 6), p[26] = 'Z';
    out.append(p, text.size());
}

std::string rfc3339(wall_time t) {
    std::string out;
    append_rfc3339(out, t);
    return out;
}

result<wall_time> parse_rfc3339(std::string_view text) {
    const std::string_view all = text;
    const auto bad = [&] {
        return fail(fmt::format("\"{}\" is not an RFC 3339 time", all), "write it like 2026-11-25T22:00:00Z");
    };
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
    if (!take_digits(text, 4, year) || !take(text, '-') || !take_digits(text, 2, month) || !take(text, '-') ||
        !take_digits(text, 2, day) || !(take(text, 'T') || take(text, 't') || take(text, ' ')) ||
        !take_digits(text, 2, hour) || !take(text, ':') || !take_digits(text, 2, minute) || !take(text, ':') ||
        !take_digits(text, 2, second))
        return bad();
    std::int64_t micros = 0;
    if (take(text, '.')) {
        std::size_t digits = 0;
        for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), ++digits)
            if (digits < 6) micros = micros * 10 + (text.front() - '0');
        if (digits == 0) return bad();
        for (; digits < 6; ++digits) micros *= 10;
    }
    int offset_minutes = 0;
    if (!take(text, 'Z') && !take(text, 'z')) {
        const int sign = take(text, '+') ? 1 : take(text, '-') ? -1 : 0;
        int oh = 0, om = 0;
        if (sign == 0 || !take_digits(text, 2, oh) || !take(text, ':') || !take_digits(text, 2, om) || oh > 23 ||
            om > 59)
            return bad();
        offset_minutes = sign * (oh * 60 + om);
    }
    const std::chrono::year_month_day ymd(std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                          std::chrono::day(static_cast<unsigned>(day)));
    if (!text.empty() || !ymd.ok() || hour > 23 || minute > 59 || second > 60) return bad();
    return wall_time(std::chrono::sys_days(ymd)) + std::chrono::hours(hour) +
           std::chrono::minutes(minute - offset_minutes) + std::chrono::seconds(second) +
           std::chrono::microseconds(micros);
}

std::string basic_utc(wall_time t) {
    const civil c = civil_of(t);
    std::string out(16, 'T');
    char* const p = out.data();
    put(p, static_cast<unsigned>(c.year), 4);
    put(p + 4, c.month, 2);
    put(p + 6, c.day, 2);
    put(p + 9, c.hour, 2);
    put(p + 11, c.minute, 2);
    put(p + 13, c.second, 2);
    out.back() = 'Z';
    return out;
}

std::optional<wall_time> parse_basic_utc(std::string_view text) {
    if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
    const auto t =
        parse_rfc3339(fmt::format("{}-{}-{}T{}:{}:{}Z", text.substr(0, 4), text.substr(4, 2), text.substr(6, 2),
                                  text.substr(9, 2), text.substr(11, 2), text.substr(13, 2)));
    return t ? std::optional(*t) : std::nullopt;
}

namespace {
struct unit {
    std::string_view name;
    std::int64_t nanos;
};
constexpr std::array<unit, 7> units{{{"d", 86'400'000'000'000},
                                     {"h", 3'600'000'000'000},
                                     {"m", 60'000'000'000},
                                     {"s", 1'000'000'000},
                                     {"ms", 1'000'000},
                                     {"us", 1'000},
                                     {"ns", 1}}};
}  // namespace

result<nanoseconds> parse_duration(std::string_view text) {
    double value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (ec == std::errc{} && value >= 0) {
        const std::string_view suffix(end, static_cast<std::size_t>(text.data() + text.size() - end));
        for (const unit& u : units) {
            if (suffix != u.name) continue;
            const double nanos = std::round(value * static_cast<double>(u.nanos));
            if (nanos > 9.0e18) return fail(fmt::format("\"{}\" is longer than 285 years", text));
            return nanoseconds(static_cast<std::int64_t>(nanos));
        }
    }
    return fail(fmt::format("\"{}\" is not a duration", text), "write a number and a unit: 500ms, 5s, 2m, 24h, 7d");
}

std::string duration_text(nanoseconds d) {
    if (d.count() == 0) return "0s";
    for (const unit& u : units)
        if (d.count() % u.nanos == 0) return fmt::format("{}{}", d.count() / u.nanos, u.name);
    return fmt::format("{}ns", d.count());
}

}  // namespace culld

#include "culld/io/os/log.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <mutex>

#include "culld/core/text/json_writer.hpp"
#include "culld/core/text/visible_text.hpp"
#include "culld/io/os/clock.hpp"
#include "culld/io/os/log_outlet.hpp"
#include "culld/io/os/message_id.hpp"

namespace culld {

namespace {

struct level_facts {
    std::string_view name;
    std::string_view padded;  // to five columns
    std::string_view color;   // ECMA-48 SGR
    int priority;             // syslog(3)
    spdlog::level::level_enum spdlog_level;
};
constexpr std::array<level_facts, 5> levels{{{"trace", "trace", "\x1b[2m", 7, spdlog::level::trace},
                                             {"debug", "debug", "\x1b[2m", 7, spdlog::level::debug},
                                             {"info", "info ", "\x1b[32m", 6, spdlog::level::info},
                                             {"warn", "warn ", "\x1b[33m", 4, spdlog::level::warn},
                                             {"error", "error", "\x1b[31m", 3, spdlog::level::err}}};

const level_facts& facts_of(log_level level) {
    return levels.at(static_cast<std::size_t>(level));
}

// Appends `text` so that it stays on one line and moves no cursor.
void append_shown(std::string& out, std::string_view text, bool in_quotes) {
    while (!text.empty()) {
        const std::size_t stop = in_quotes ? std::min(text.find_first_of("\"\\"), text.size()) : text.size();
        out += made_visible(text.substr(0, stop));
        text.remove_prefix(stop);
        if (text.empty()) break;
        out += {'\\', text.front()};
        text.remove_prefix(1);
    }
}

std::string value_text(const log_field& field) {
    return std::visit(
        [](const auto& value) {
            using value_type = std::decay_t<decltype(value)>;
            std::string out;
            if constexpr (std::is_same_v<value_type, std::string_view>)
                out = value;
            else if constexpr (std::is_same_v<value_type, bool>)
                out = value ? "true" : "false";
            else
                append_number(out, value);
            return out;
        },
        field.value);
}

void append_pair(std::string& out, std::string_view name, std::string_view value) {
    out += fmt::format(" {}=", name);
    const bool quote = value.empty() || value.find_first_of(" \"=\\") != std::string_view::npos;
    if (quote) out.push_back('"');
    append_shown(out, value, quote);
    if (quote) out.push_back('"');
}

void append_pairs(std::string& out, std::span<const log_field> fields) {
    for (const log_field& field : fields) append_pair(out, field.name, value_text(field));
}

std::string json_line(wall_time at, log_level level, std::string_view event, std::string_view message,
                      std::span<const log_field> fields) {
    std::string out;
    json_object line(out);
    line.member("ts", rfc3339(at)).member("level", facts_of(level).name);
    line.member("event", event).member("msg", message);
    for (const log_field& field : fields)
        std::visit([&](const auto& value) { line.member(field.name, value); }, field.value);
    line.close();
    return out + "\n";
}

// What spdlog's message has no room for. Logging is synchronous: the sink that reads it runs inside log().
struct record {
    log_level level = log_level::info;
    std::string_view event;
    std::span<const log_field> fields;
};
thread_local const record* current = nullptr;

wall_time wall(spdlog::log_clock::time_point t) {
    return std::chrono::time_point_cast<std::chrono::microseconds>(t);
}

std::string_view payload(const spdlog::details::log_msg& message) {
    return {message.payload.data(), message.payload.size()};
}

log_entry log_entry_of(log_style style, wall_time at, log_level level, std::string_view event, std::string_view message,
                       std::span<const log_field> fields) {
    log_entry out;
    if (style == log_style::journald) {
        out.fields = journald_fields(level, event, message, fields);
        style = log_style::prefixed;  // for stderr, which is the journal's stream as well
    }
    out.line = format_log_line(style, at, level, event, message, fields);
    out.keep = event == "ledger.line";
    return out;
}

// Hands each line over as it will be read; whether that is at once is log_outlet's business.
class outlet_sink final : public spdlog::sinks::base_sink<std::mutex> {
  public:
    explicit outlet_sink(log_style style) : style_(style) {}

  protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        log_outlet::the_one().put(log_entry_of(style_, wall(message.time), current->level, current->event,
                                               payload(message), current->fields));
    }
    void flush_() override {}

  private:
    log_style style_;
};

std::shared_ptr<spdlog::logger> make_logger(log_style style, log_level level) {
    spdlog::sink_ptr sink = std::make_shared<outlet_sink>(style);
    auto out = std::make_shared<spdlog::logger>("culld", std::move(sink));
    out->set_level(facts_of(level).spdlog_level);
    out->flush_on(spdlog::level::trace);
    return out;
}

// The one logger of the process. A copy is taken for each line, so that start_log() may come at any time.
class logger_slot {
  public:
    [[nodiscard]] std::shared_ptr<spdlog::logger> get() {
        const std::lock_guard lock(mutex_);
        return logger_;
    }
    void set(std::shared_ptr<spdlog::logger> logger) {
        const std::lock_guard lock(mutex_);
        logger_.swap(logger);
    }

  private:
    std::mutex mutex_;
    std::shared_ptr<spdlog::logger> logger_ = make_logger(log_style::text, log_level::info);
};

logger_slot& slot() {
    static logger_slot the_slot;
    return the_slot;
}

// `wanted` decides whether it is written; what is read of it is `level`.
void write(log_level level, std::string_view event, std::string_view message, std::span<const log_field> fields,
           spdlog::level::level_enum wanted) {
    const auto logger = slot().get();
    if (!logger->should_log(wanted)) return;
    const record here{level, event, fields};
    current = &here;
    logger->log(wanted, spdlog::string_view_t(message.data(), message.size()));
    current = nullptr;
}

bool is_set(const char* variable) {
    const char* const value = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe): nobody calls setenv
    return value != nullptr && *value != '\0';
}

}  // namespace

std::optional<log_level> log_level_of(std::string_view word) {
    for (std::size_t i = 0; i < levels.size(); ++i)
        if (levels.at(i).name == word) return static_cast<log_level>(i);
    return {};
}

std::string format_log_line(log_style style, wall_time at, log_level level, std::string_view event,
                            std::string_view message, std::span<const log_field> fields) {
    const level_facts& facts = facts_of(level);
    const std::string time = rfc3339(at);
    std::string out;
    switch (style) {
        case log_style::json: return json_line(at, level, event, message, fields);
        case log_style::terminal: out = fmt::format("{}Z {} ", time.substr(11, 8), facts.padded); break;
        case log_style::terminal_color:
            out = fmt::format("\x1b[2m{}Z\x1b[0m {}{}\x1b[0m ", time.substr(11, 8), facts.color, facts.padded);
            break;
        case log_style::prefixed: out = fmt::format("<{}>", facts.priority); break;
        case log_style::text:
        case log_style::journald: out = fmt::format("{} {} ", time, facts.name); break;
    }
    append_shown(out, message, false);
    append_pair(out, "event", event);
    append_pairs(out, fields);
    out.push_back('\n');
    return out;
}

std::vector<std::string> journald_fields(log_level level, std::string_view event, std::string_view message,
                                         std::span<const log_field> fields) {
    std::vector<std::string> out;
    out.reserve(fields.size() + 5);
    out.emplace_back("MESSAGE=");
    append_shown(out.back(), message, false);
    // journalctl shows this alone, unless it is asked for more: what happened, and to which job or file.
    append_pair(out.back(), "event", event);
    for (const log_field& field : fields)
        if (field.name == "job_id" || field.name == "file") append_pair(out.back(), field.name, value_text(field));
    out.push_back(fmt::format("PRIORITY={}", facts_of(level).priority));
    out.emplace_back("SYSLOG_IDENTIFIER=culld");
    out.push_back(fmt::format("CULLD_EVENT={}", event));
    if (const std::string_view id = message_id_of(event); !id.empty()) out.push_back(fmt::format("MESSAGE_ID={}", id));
    for (const log_field& field : fields) {
        std::string entry = "CULLD_";
        for (const char c : field.name) {
            const bool small = c >= 'a' && c <= 'z';
            const bool fine = small || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
            entry.push_back(small ? static_cast<char>(c - 'a' + 'A') : fine ? c : '_');
        }
        entry += "=" + value_text(field);
        out.push_back(std::move(entry));
    }
    return out;
}

void log(log_level level, std::string_view event, std::string_view message, std::initializer_list<log_field> fields) {
    write(level, event, message, {fields.begin(), fields.size()}, facts_of(level).spdlog_level);
}

void log_always(log_level shown_as, std::string_view event, std::string_view message,
                std::initializer_list<log_field> fields) {
    write(shown_as, event, message, {fields.begin(), fields.size()}, spdlog::level::critical);
}

void log(log_level level, std::string_view event, const problem& about) {
    std::vector<log_field> fields;
    if (!about.file.empty()) fields.emplace_back("file", about.file);
    if (about.line != 0) fields.emplace_back("line", about.line);
    if (about.column != 0) fields.emplace_back("column", about.column);
    if (!about.field.empty()) fields.emplace_back("field", about.field);
    write(level, event, about.text(), fields, facts_of(level).spdlog_level);
}

bool log_enabled(log_level level) {
    return slot().get()->should_log(facts_of(level).spdlog_level);
}

log_surroundings look_around() {
    log_surroundings out;
    out.terminal = ::isatty(STDERR_FILENO) == 1;
    const char* const term = std::getenv("TERM");  // NOLINT(concurrency-mt-unsafe)
    out.no_color = is_set("NO_COLOR") || (term != nullptr && std::string_view(term) == "dumb");
    out.supervised = is_set("JOURNAL_STREAM") || is_set("INVOCATION_ID");
    struct stat facts {};
    if (is_set("JOURNAL_STREAM") && ::fstat(STDERR_FILENO, &facts) == 0)
        out.journal = std::getenv("JOURNAL_STREAM") == fmt::format("{}:{}", facts.st_dev, facts.st_ino);
    return out;
}

log_style style_of(log_format format, const log_surroundings& around) {
    switch (format) {
        case log_format::json: return log_style::json;
        case log_format::journald: return log_style::journald;
        case log_format::automatic:
            if (around.journal) return log_style::journald;
            break;
        case log_format::text: break;
    }
    if (around.terminal) return around.no_color ? log_style::terminal : log_style::terminal_color;
    return around.supervised ? log_style::prefixed : log_style::text;
}

void start_log(log_style style, log_level level) {
    slot().set(make_logger(style, level));
    log_outlet::the_one().dropped_as([style](std::uint64_t lines, std::uint64_t kept) {
        return log_entry_of(style, wall_now(), log_level::error, "log.dropped",
                            fmt::format("{} log lines are lost, since nobody took them: whoever reads this log stood "
                                        "still; of {} ledger lines among them the last one follows, which the others "
                                        "lead to",
                                        lines, kept),
                            std::array<log_field, 2>{{{"lines", lines}, {"ledger_lines", kept}}});
    });
}

void log_from_a_thread() {
    log_outlet::the_one().begin();
}

bool end_log(nanoseconds patience) {
    return log_outlet::the_one().end(patience);
}

void set_log_level(log_level level) {
    slot().get()->set_level(facts_of(level).spdlog_level);
}

}  // namespace culld

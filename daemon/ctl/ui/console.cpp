#include "ctl/ui/console.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "culld/core/text/visible_text.hpp"
#include "culld/io/os/file.hpp"

namespace culld::ctl {

namespace {

bool set_in_environment(const char* name) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
    return value != nullptr && *value != '\0';
}

bool wants_colour(bool terminal, bool never) {
    if (never || set_in_environment("NO_COLOR")) return false;
    if (set_in_environment("CLICOLOR_FORCE")) return true;
    const char* term = std::getenv("TERM");  // NOLINT(concurrency-mt-unsafe)
    return terminal && (term == nullptr || std::string_view(term) != "dumb");
}

std::string coloured(bool on, colour c, std::string_view text) {
    if (!on || c == colour::none) return std::string(text);
    std::string_view code;
    switch (c) {
        case colour::green: code = "32"; break;
        case colour::yellow: code = "33"; break;
        case colour::red: code = "31"; break;
        case colour::bold: code = "1"; break;
        default: code = "2";
    }
    return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

}  // namespace

console::console(bool never_colour, bool quiet)
    : quiet_(quiet),
      stdout_terminal_(::isatty(STDOUT_FILENO) == 1),
      stderr_terminal_(::isatty(STDERR_FILENO) == 1),
      stdout_colour_(wants_colour(stdout_terminal_, never_colour)),
      stderr_colour_(wants_colour(stderr_terminal_, never_colour)) {}

void console::data(std::string_view text) {
    pending_ += text;
    end_data();
}

void console::write_pending() {
    if (!write_failed_ && !write_all(STDOUT_FILENO, pending_, "stdout")) {
        write_failed_ = true;
        write_errno_ = errno;
    }
    pending_.clear();
}

result<void> console::flush() {
    if (!pending_.empty()) write_pending();
    if (write_failed_) return fail(errno_problem("write", "standard output", write_errno_));
    return {};
}

void console::info(std::string_view line) {
    if (!quiet_) error(line);
}

void console::error(std::string_view line) {
    end_progress();
    // Talk that cannot be said is lost: there is nobody else to tell.
    static_cast<void>(write_all(STDERR_FILENO, fmt::format("{}\n", line), "stderr"));
}

void console::error(const problem& about) {
    error(fmt::format("cullctl: {}{}", on_stderr(colour::red, "error: "), printable(about.text())));
}

void console::progress(std::string_view line) {
    if (!stderr_terminal_ || quiet_) return;
    static_cast<void>(write_all(STDERR_FILENO, fmt::format("\r{}\x1b[K", line), "stderr"));
    in_progress_ = true;
}

void console::end_progress() {
    if (!in_progress_) return;
    static_cast<void>(write_all(STDERR_FILENO, "\r\x1b[K", "stderr"));
    in_progress_ = false;
}

std::string console::on_stdout(colour c, std::string_view text) const {
    return coloured(stdout_colour_, c, text);
}
std::string console::on_stderr(colour c, std::string_view text) const {
    return coloured(stderr_colour_, c, text);
}

std::string printable(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t stop = std::min(text.find_first_of("\n\t"), text.size());
        out += made_visible(text.substr(0, stop));
        if (stop < text.size()) out.push_back(text[stop]);
        text.remove_prefix(std::min(stop + 1, text.size()));
    }
    return out;
}

}  // namespace culld::ctl

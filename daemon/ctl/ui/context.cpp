#include "ctl/ui/context.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "culld/core/config/settings.hpp"
#include "culld/io/config/config_files.hpp"

namespace culld::ctl {

namespace {

// The settings that cullctl needs, where there is no file to read.
result<config> from_environment() {
    config out;
    for (const char* name : {"spool.dir", "journal.dir", "journal.public_key_file", "http.socket", "ids.pattern"}) {
        const setting* known = find_setting(name);
        const char* value = known == nullptr ? nullptr : std::getenv(known->variable().c_str());  // NOLINT
        if (value == nullptr) continue;
        if (auto set = known->assign(out, value); !set) {
            set.error().file = known->variable();
            return fail(std::move(set.error()));
        }
    }
    return out;
}

result<config> from_files(const std::string& file) {
    auto loaded = load_config({.file = file, .environment = process_environment(), .checks = {}});
    if (loaded) return std::move(loaded->effective.values);
    std::vector<config_complaint> all = std::move(loaded.error());
    if (all.empty()) return fail("the configuration cannot be read");
    problem first = std::move(all.front().about);
    if (all.size() > 1) {
        if (!first.hint.empty()) first.hint += "; ";
        first.hint += "culld --check-config lists all that is wrong";
    }
    return fail(std::move(first));
}

}  // namespace

tl::unexpected<failure> give_up_on(const std::string& path, problem about) {
    if (::access(path.c_str(), R_OK) == 0) return give_up(io_error, std::move(about));
    switch (errno) {
        case ENOENT:
        case ENOTDIR: return give_up(not_there, std::move(about));
        case EACCES:
        case EPERM: return give_up(not_allowed, std::move(about));
        default: return give_up(io_error, std::move(about));
    }
}

result<found_settings> find_settings(const common_options& options) {
    const std::string fallback(default_config_path);
    const bool named = !options.config_file.empty();
    // Copies of journals are read without the configuration of the machine they are read on.
    const bool copies = !named && !options.journal_dir.empty();
    const bool readable = named || (!copies && ::access(fallback.c_str(), R_OK) == 0);
    auto settings = readable ? from_files(named ? options.config_file : fallback) : from_environment();
    if (!settings) return fail(std::move(settings.error()));
    if (!options.socket.empty()) settings->http.socket = options.socket;
    if (!options.spool.empty()) settings->spool.dir = options.spool;
    if (!options.journal_dir.empty()) settings->journal.dir = options.journal_dir;
    if (!options.public_key.empty()) settings->journal.public_key_file = options.public_key;
    return found_settings{std::move(*settings), readable};
}

}  // namespace culld::ctl

#include "culld/app/daemon/load.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "culld/core/base/exit_code.hpp"
#include "culld/core/text/shell_quote.hpp"
#include "culld/core/text/visible_text.hpp"
#include "culld/io/os/log.hpp"

namespace culld {

namespace {

// The user whom the service runs as: the owner of its journals; where there are none yet, the one that the unit names.
uid_t service_user(const std::string& journal_dir) {
    struct stat facts {};
    if (::stat(journal_dir.c_str(), &facts) == 0) return facts.st_uid;
    const passwd* known = ::getpwnam("culld");  // NOLINT(concurrency-mt-unsafe): one thread
    return known != nullptr ? known->pw_uid : ::geteuid();
}

// A fault of what a setting says, or of a file that it names, at the place where the setting stands.
problem at_its_setting(problem p, const sourced_config& from, const std::string& config_file) {
    const setting_origin at = p.field.empty() ? setting_origin{} : from.origin_of(p.field);
    const std::string inner =
        problem{.what = std::move(p.what), .file = std::move(p.file), .line = p.line, .column = p.column}.text();
    p.what = p.field.empty() || inner.find(p.field) != std::string::npos ? inner : p.field + ": " + inner;
    p.file = at.source.empty() ? config_file : at.source;
    p.line = at.line;
    p.column = at.column;
    return p;
}

// What is allowed and hardly meant, beside what the settings alone tell.
void warn_of_more(loaded& all, const std::string& config_file) {
    const config& c = *all.settings;
    const auto warn = [&](std::string_view setting, std::string what, std::string hint) {
        problem p = problem_at(all.file.effective, setting, std::move(what), std::move(hint));
        if (p.file.empty()) p.file = config_file;
        all.file.warnings.push_back({std::move(p), {}});
    };
    const auto& a = c.auth;
    if (a.method == auth_method::automatic && a.token_file.empty() && a.ak_file.empty() && a.iam.user.empty() &&
        a.profile_file.empty())
        warn("auth.method", "no credentials are configured",
             "set auth.token_file, auth.ak_file and auth.sk_file, or auth.iam; without them culld looks for a profile, "
             "and then asks this host's metadata service");
    const auto facts_of = [](const std::string& path) -> std::optional<struct stat> {
        struct stat facts {};
        if (path.empty() || ::stat(path.c_str(), &facts) != 0) return std::nullopt;
        return facts;
    };
    if (const auto list = facts_of(c.ids.protected_file); list && (list->st_mode & 022U) != 0)
        warn("ids.protected_file",
             fmt::format("{}: others than its owner may write it, and so let what it protects be deleted",
                         c.ids.protected_file),
             "chmod go-w " + shell_file(c.ids.protected_file));
    for (const auto& [setting, path] :
         {std::pair("spool.dir", &c.spool.dir), std::pair("journal.dir", &c.journal.dir)}) {
        const auto folder = facts_of(*path);
        if (!folder)
            warn(setting, fmt::format("{} is not there yet", *path),
                 "systemd-tmpfiles --create makes it, or culld at its start where it may");
        else if (!S_ISDIR(folder->st_mode))
            warn(setting, fmt::format("{} is no folder", *path), "culld will not start with it");
        else if ((folder->st_mode & 002U) != 0)
            warn(setting, fmt::format("{}: everybody may write into it", *path), "chmod o-w " + shell_file(*path));
    }
}

secret_access access_for(const daemon_options& options, const config& settings) {
    secret_access out(options.credentials_folder);
    if (options.for_service && out.reader == 0) out.reader = service_user(settings.journal.dir);
    return out;
}

}  // namespace

loaded_or_not load_everything(const daemon_options& options, const std::atomic<bool>* stop) {
    auto file = load_config(options.sources);
    if (!file) return tl::unexpected(std::move(file.error()));
    loaded out{.file = std::move(*file),
               .settings = {},
               .rules = {},
               .who = {},
               .project = {},
               .api = {},
               .signing = {},
               .carriers = {}};
    out.settings = std::make_shared<const config>(out.file.effective.values);
    const secret_access secrets = access_for(options, *out.settings);
    std::vector<config_complaint> wrong;
    const auto wrong_if = [&](problem p) {
        p = at_its_setting(std::move(p), out.file.effective, options.sources.file);
        // One file may be at fault for several rooms: the API's, IAM's and a webhook's certificates are the same.
        if (std::ranges::none_of(wrong, [&](const config_complaint& c) { return c.about == p; }))
            wrong.push_back({std::move(p), {}});
    };
    if (auto rules = intake_settings::load(out.settings, stop); rules)
        out.rules = std::move(*rules);
    else
        wrong_if(std::move(rules.error()));
    if (auto api = find_route(out.settings->api.endpoint, *out.settings, secrets, read_proxy_environment()); api)
        out.api = std::move(*api);
    else
        wrong_if(std::move(api.error()));
    const credential_places places{secrets, options.sources.environment};
    if (auto who = make_credentials(*out.settings, places, nullptr); who)
        out.who = std::move(*who);
    else
        wrong_if(std::move(who.error()));
    if (auto project = project_lookup::make(*out.settings, secrets); project)
        out.project = std::move(*project);
    else
        wrong_if(std::move(project.error()));
    if (auto signing = load_ledger_signing(*out.settings, secrets); signing)
        out.signing = std::move(*signing);
    else
        wrong_if(std::move(signing.error()));
    if (auto carriers = make_notice_carriers(*out.settings, secrets); carriers)
        out.carriers = std::move(*carriers);
    else
        wrong_if(std::move(carriers.error()));
    if (!wrong.empty()) return tl::unexpected(std::move(wrong));
    return out;
}

void complain(const std::vector<config_complaint>& all) {
    for (const config_complaint& c : all) std::fputs((c.text() + "\n").c_str(), stderr);
}

int check_config(const daemon_options& options) {
    daemon_options checking = options;
    checking.for_service = true;
    auto all = load_everything(checking);
    if (!all) {
        complain(all.error());
        return bad_config;
    }
    warn_of_more(*all, options.sources.file);
    complain(all->file.warnings);
    const config& c = *all->settings;
    const std::string line = fmt::format(
        "{}: well. It would delete at {}, project {}, workspace {}, with {}, at most {} requests a second; spool {}, "
        "journal {}, {} protected ids; whoever may write into the drop box may ask for anything\n",
        options.sources.file, c.api.endpoint, c.api.project_id.empty() ? "as looked up" : c.api.project_id,
        c.api.workspace_id.empty() ? "as each job says" : c.api.workspace_id, all->who->describe(),
        c.limits.requests_per_second, c.spool.dir, c.journal.dir, all->rules->protect.size());
    std::fputs(made_visible(std::string_view(line).substr(0, line.size() - 1)).append("\n").c_str(), stdout);
    return 0;
}

result<void> keeps_protecting(const protected_ids& before, const protected_ids& after) {
    if (before.size() > 0 && after.size() == 0)
        return fail(problem{
            .what = fmt::format("ids.protected_file: no id would be protected any more, {} are now", before.size()),
            .hint = "mend the file or the setting; if that is meant, restart culld",
            .field = "ids.protected_file"});
    if (after.size() < before.size())
        log(log_level::warn, "ids.protected_list",
            fmt::format("ids.protected_file: {} ids are protected from now on, {} were before", after.size(),
                        before.size()));
    return {};
}

std::vector<std::string_view> unchangeable(const config& before, const config& after) {
    const std::pair<std::string_view, bool> all[] = {
        {"api.endpoint", before.api.endpoint != after.api.endpoint},
        {"api.ca_file", before.api.ca_file != after.api.ca_file},
        {"api.client_cert_file", before.api.client_cert_file != after.api.client_cert_file},
        {"api.client_key_file", before.api.client_key_file != after.api.client_key_file},
        {"api.proxy_login_file", before.api.proxy_login_file != after.api.proxy_login_file},
        {"api.proxy", before.api.proxy != after.api.proxy},
        {"spool.dir", before.spool.dir != after.spool.dir},
        {"journal.dir", before.journal.dir != after.journal.dir},
        {"http.listen", before.http.listen != after.http.listen},
        {"http.socket", before.http.socket != after.http.socket},
        {"log.format", before.log.format != after.log.format},
    };
    std::vector<std::string_view> out;
    for (const auto& [name, differs] : all)
        if (differs) out.push_back(name);
    return out;
}

bool reload_refused(const loaded_or_not& fresh, const config& now, const protected_ids& protect) {
    if (!fresh) {
        for (const config_complaint& c : fresh.error()) log(log_level::error, "reload.failed", c.about);
        log(log_level::error, "reload.failed", "the configuration stays as it was");
        return true;
    }
    if (const auto fixed = unchangeable(now, *fresh->settings); !fixed.empty()) {
        log(log_level::error, "reload.failed",
            fmt::format("{} cannot change while culld runs: restart it; the configuration stays as it was",
                        fmt::join(fixed, ", ")));
        return true;
    }
    const auto kept = keeps_protecting(protect, fresh->rules->protect);
    if (!kept) log(log_level::error, "reload.failed", kept.error().text() + "; the configuration stays as it was");
    return !kept;
}

}  // namespace culld

#include "culld/app/load.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "culld/core/exit_code.hpp"
#include "culld/io/log.hpp"

namespace culld {

namespace {

// The user whom the service runs as: the owner of its journals; where there are none yet, the one that the unit names.
uid_t service_user(const std::string& journal_dir) {
    struct stat facts {};
    if (::stat(journal_dir.c_str(), &facts) == 0) return facts.st_uid;
    const passwd* known = ::getpwnam("culld");  // NOLINT(concurrency-mt-unsafe): one thread
    return known != nullptr ? known->pw_uid : ::geteuid();
}

secret_access access_for(const daemon_options& options, const config& settings) {
    secret_access out(options.credentials_folder);
    if (options.for_service && out.reader == 0) out.reader = service_user(settings.journal.dir);
    return out;
}

}  // namespace

tl::expected<loaded, std::vector<config_complaint>> load_everything(const daemon_options& options,
                                                                    std::shared_ptr<credential_memory> memory) {
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
        if (p.file.empty()) p.file = options.sources.file;
        // The file at fault is named; the setting that led there should be, too.
        if (!p.field.empty() && p.what.find(p.field) == std::string::npos) p.what = p.field + ": " + p.what;
        wrong.push_back({std::move(p), {}});
    };
    if (auto rules = intake_settings::load(out.settings); rules)
        out.rules = std::move(*rules);
    else
        wrong_if(std::move(rules.error()));
    if (auto api = find_route(out.settings->api.endpoint, *out.settings, secrets, read_proxy_environment()); api)
        out.api = std::move(*api);
    else
        wrong_if(std::move(api.error()));
    const credential_places places{secrets, options.sources.environment};
    if (auto who = make_credentials(*out.settings, places, std::move(memory)); who)
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
    auto all = load_everything(checking, std::make_shared<credential_memory>());
    if (!all) {
        complain(all.error());
        return bad_config;
    }
    complain(all->file.warnings);
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

}  // namespace culld
